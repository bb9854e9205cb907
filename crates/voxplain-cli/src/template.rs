//! [`template`]: a configuration file for `run` with every section and key there is, written from the flags themselves.

use crate::pipeline::ORDER;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write as _;

/// Sections that are set; the others are for some studies alone.
const SET: [&str; 5] = ["prepare", "train", "explain", "group", "report"];
/// Flags that say where cohort and run lie, which the top of the file says, and those that are for one call of a command.
const NOT_KEYS: [&str; 7] = ["out", "force", "live", "help", "fold", "shard", "bids"];

/// The text of the file. `understood` says whether a command line is.
pub(crate) fn template(command: &Command, understood: &dyn Fn(&[String]) -> bool) -> String {
    let mut text = format!(
        "# What `voxplain run` does with this file: a section is a verb, a key one of its flags (`voxplain VERB --help`).\n\
         # Sections are done in this order; what is there already is not made again. Paths are from this file.\n\
         # What is set here has the value that it has by default, but for what stands in <>, which has none and is for you to fill in.\n\
         # Lines that begin with # and no space are not set: take the # away to set them. Delete a section that is not to be done.\n\
         # Written by voxplain {}.\n\n\
         # Where the cohort and the run lie, or will.\ncohort = \"cohort\"\nrun = \"run\"\n",
        env!("CARGO_PKG_VERSION")
    );
    for (verb, operand) in ORDER {
        let Some(of) = command.find_subcommand(verb) else { continue };
        section(&mut text, of, operand, understood);
    }
    text
}

fn section(text: &mut String, of: &Command, operand: &str, understood: &dyn Fn(&[String]) -> bool) {
    let verb = of.get_name();
    let off = if SET.contains(&verb) { "" } else { "#" };
    let about = of.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n\n# {about}.\n{off}[{verb}]\n", about = about.trim_end_matches('.'));
    let args: Vec<&Arg> = of.get_arguments().filter(|arg| key(arg, verb, operand).is_some()).collect();
    let needed: Vec<String> =
        args.iter().filter(|arg| arg.is_required_set()).flat_map(|arg| words(arg, None)).collect();
    for arg in args {
        let Some(key) = key(arg, verb, operand) else { continue };
        let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let choice: Vec<String> = arg.get_possible_values().iter().map(|of| of.get_name().to_owned()).collect();
        if arg.get_action().takes_values() && !choice.is_empty() {
            help.push_str(&format!(" [one of: {}]", choice.join(", ")));
        }
        let _ = writeln!(text, "\n{}", wrapped(&help));
        let default = default_of(arg);
        let set = match &default {
            _ if arg.is_required_set() => true,
            // A default that goes with another flag alone (--align-size with --align) is not set by itself.
            Some(values) => {
                let mut line = vec![verb.to_owned()];
                line.extend(values.iter().flat_map(|value| words(arg, Some(value))));
                line.extend(needed.clone());
                !arg.get_action().takes_values() || understood(&with_place(line, verb, of))
            }
            None => false,
        };
        let value = match default {
            Some(values) if !arg.get_action().takes_values() => values.join(""),
            Some(values) => match &values[..] {
                [one] => toml_of(one),
                several => format!("[{}]", several.iter().map(|v| toml_of(v)).collect::<Vec<_>>().join(", ")),
            },
            None => toml_of(&placeholder(arg)),
        };
        let _ = writeln!(text, "{}{key} = {value}", if set { off } else { "#" });
    }
}

/// The key of a flag, or of what a verb takes without one; `None` for what is no key.
fn key(arg: &Arg, verb: &str, operand: &str) -> Option<String> {
    if arg.is_global_set() || matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong | ArgAction::Version) {
        return None;
    }
    match arg.get_long() {
        // Where a table of regions goes is no place that the top of the file says.
        Some("out") if verb == "regions" => Some("out".to_owned()),
        Some(long) => (!NOT_KEYS.contains(&long)).then(|| long.to_owned()),
        // Cohort and run are said once.
        None => (arg.is_positional() && !["cohort", "run"].contains(&operand) && !operand.is_empty())
            .then(|| operand.to_owned()),
    }
}

/// The values that a flag has where nothing is said; `false` of a switch.
fn default_of(arg: &Arg) -> Option<Vec<String>> {
    if !arg.get_action().takes_values() {
        return Some(vec!["false".to_owned()]);
    }
    let values: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    (!values.is_empty()).then_some(values)
}

/// `<COLUMN>`.
fn placeholder(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first()).map_or_else(String::new, ToString::to_string);
    format!("<{name}>")
}

/// A flag as words of a command line.
fn words(arg: &Arg, value: Option<&str>) -> Vec<String> {
    let value = value.map_or_else(|| placeholder(arg), str::to_owned);
    match arg.get_long() {
        Some(_) if !arg.get_action().takes_values() => Vec::new(),
        Some(long) => vec![format!("--{long}={value}")],
        None => vec![value],
    }
}

/// A command line with what the top of the file says.
fn with_place(mut line: Vec<String>, verb: &str, of: &Command) -> Vec<String> {
    if verb != "regions" && of.get_arguments().any(|arg| arg.get_long() == Some("out") && arg.is_required_set()) {
        line.push("--out=out".to_owned());
    }
    if !["simulate", "prepare"].contains(&verb) {
        line.push("folder".to_owned());
    }
    line
}

/// As TOML writes it: a number or a truth value where it is one, else text.
fn toml_of(value: &str) -> String {
    let plain = value.parse::<i64>().is_ok_and(|n| n.to_string() == value)
        || value.parse::<f64>().is_ok_and(|x| x.is_finite() && x.to_string() == value && value.contains('.'));
    if plain { value.to_owned() } else { toml::Value::String(value.to_owned()).to_string() }
}

/// Help as comments, in lines of at most 110 characters.
fn wrapped(help: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in help.split_whitespace() {
        if lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() > 110) {
            lines.push(String::from("#"));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}
