//! The command line: what was typed, and which verb it goes to.

#[cfg(not(all(feature = "report", feature = "serve")))]
use crate::verb::lacking::Lacking;
#[cfg(not(feature = "report"))]
use crate::verb::lacking::REPORT;
#[cfg(not(feature = "serve"))]
use crate::verb::lacking::SERVE;
#[cfg(feature = "serve")]
use crate::verb::serve;
#[cfg(feature = "report")]
use crate::verb::{plot, report};
use crate::{
    pipeline::{Needs, Reader, Work},
    plan::Asked,
    session::{Global, Outcome, Session},
    terminal,
    verb::{
        bench, bids_app, clean, compare, completions, confounds, demo, doctor, evaluate, explain, export, group,
        import, inspect, man, merge, permute, plan, predict, prepare, regions, run, simulate, status, train,
    },
};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::process::ExitCode;

/// What did the 3D network see in the brain?
///
/// voxplain trains 3D convolutional classifiers on T1-weighted MRI, and shows voxel by voxel, in each
/// subject's own space, what they used, with evidence of how far each map can be trusted.
#[derive(Debug, Parser)]
#[command(
    name = "voxplain",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = after_help()
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
    /// What every verb understands.
    #[command(flatten)]
    global: Global,
}

/// What can be done. A verb is a file in `verb`, a variant here, and a line in [`Verb::run`].
#[derive(Debug, Subcommand)]
enum Verb {
    Inspect(inspect::Inspect),
    Prepare(Box<prepare::Prepare>),
    Simulate(simulate::Simulate),
    Train(Box<train::Train>),
    Predict(Box<predict::Predict>),
    Merge(merge::Merge),
    Permute(permute::Permute),
    Explain(explain::Explain),
    Group(group::Group),
    Regions(regions::Regions),
    Compare(Box<compare::Compare>),
    Confounds(confounds::Confounds),
    Evaluate(evaluate::Evaluate),
    #[cfg(feature = "report")]
    Report(report::Report),
    /// Not in this build: one page with everything that was made.
    #[cfg(not(feature = "report"))]
    Report(Lacking),
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    /// Not in this build: show a run's report from a server on this machine.
    #[cfg(not(feature = "serve"))]
    Serve(Lacking),
    #[cfg(feature = "report")]
    Plot(plot::Plot),
    /// Not in this build: draw one map over one brain, for a paper or a look.
    #[cfg(not(feature = "report"))]
    Plot(Lacking),
    Status(status::StatusOf),
    Clean(clean::Clean),
    Import(import::Import),
    Export(export::Export),
    Bench(bench::Bench),
    Demo(demo::Demo),
    Run(run::Run),
    Plan(plan::PlanOf),
    BidsApp(Box<bids_app::BidsApp>),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Verb {
    fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        match self {
            Self::Inspect(verb) => verb.run(session),
            Self::Prepare(verb) => verb.run(session),
            Self::Simulate(verb) => verb.run(session),
            Self::Train(verb) => verb.run(session),
            Self::Predict(verb) => verb.run(session),
            Self::Merge(verb) => verb.run(session),
            Self::Permute(verb) => verb.run(session),
            Self::Explain(verb) => verb.run(session),
            Self::Group(verb) => verb.run(session),
            Self::Regions(verb) => verb.run(session),
            Self::Compare(verb) => verb.run(session),
            Self::Confounds(verb) => verb.run(session),
            Self::Evaluate(verb) => verb.run(session),
            #[cfg(feature = "report")]
            Self::Report(verb) => verb.run(session),
            #[cfg(feature = "serve")]
            Self::Serve(verb) => verb.run(session),
            #[cfg(feature = "report")]
            Self::Plot(verb) => verb.run(session),
            #[cfg(not(feature = "report"))]
            Self::Report(_) | Self::Plot(_) => Err(Lacking::error(REPORT)),
            #[cfg(not(feature = "serve"))]
            Self::Serve(_) => Err(Lacking::error(SERVE)),
            Self::Status(verb) => verb.run(session),
            Self::Clean(verb) => verb.run(session),
            Self::Import(verb) => verb.run(session),
            Self::Export(verb) => verb.run(session),
            Self::Bench(verb) => verb.run(session),
            Self::Demo(verb) => verb.run(session, READER),
            Self::Run(verb) => verb.run(session, READER, &Cli::command()),
            Self::Plan(verb) => verb.run(session, READER, asked),
            Self::BidsApp(verb) => verb.run(session, READER, &Cli::command()),
            Self::Doctor(verb) => verb.run(session),
            Self::Completions(verb) => verb.run(Cli::command()),
            Self::Man(verb) => verb.run(Cli::command(), session),
        }
    }
}

/// Numbers below 0 are values, not flags: the flag that takes them says better what is wrong with them.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes = |arg: clap::Arg| match arg.get_action().takes_values() && !arg.is_positional() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_subcommands(move |verb| verb.mut_args(takes))
}

/// Examples to begin with, and what this build lacks.
fn after_help() -> String {
    let start = "\
Start here:
  voxplain demo                                   see all of it on simulated brains, no data needed
  voxplain inspect scan.nii.gz                    what is in this file, and is it fit for use
  voxplain prepare BIDS_DIR --out cohort          bring every image to one grid
  voxplain train cohort --label sex --out run     cross-validated 3D CNN beside plain baselines
  voxplain explain run --method guided-backprop,hires-cam
  voxplain group run && voxplain report run       group maps, then one page to read";
    let lacks: &[&str] = &[
        #[cfg(not(feature = "report"))]
        REPORT,
        #[cfg(not(feature = "serve"))]
        SERVE,
    ];
    lacks.iter().fold(start.to_owned(), |text, lack| format!("{text}\n\nThis voxplain was built without {lack}"))
}

const READER: Reader = Reader { work, needs, check };

/// The verb that the words of a command line ask for.
fn verb(words: &[String]) -> Result<Verb, clap::Error> {
    let line = std::iter::once("voxplain").chain(words.iter().map(String::as_str));
    Cli::try_parse_from(line).map(|cli| cli.verb)
}

/// The work that the words of a command line ask for; global flags among them are left out.
fn work(words: &[String]) -> anyhow::Result<Work> {
    let verb = verb(words).map_err(|e| {
        // Without the usage, which is that of a command line.
        let said = e.to_string();
        let lines = said.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
        let said: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        anyhow::anyhow!("{}", said.join(" ").trim_start_matches("error: "))
    })?;
    // What this build lacks, and what no data could make right, should not show after hours.
    match &verb {
        #[cfg(not(feature = "report"))]
        Verb::Report(_) | Verb::Plot(_) => return Err(Lacking::error(REPORT)),
        #[cfg(not(feature = "serve"))]
        Verb::Serve(_) => return Err(Lacking::error(SERVE)),
        Verb::Explain(verb) => verb.check_options()?,
        Verb::Compare(verb) => verb.check_options()?,
        _ => {}
    }
    Ok(Box::new(move |session| verb.run(session)))
}

/// What the words of a command line take and make; `work` has understood them.
fn needs(words: &[String]) -> anyhow::Result<Needs> {
    match verb(words)? {
        Verb::Prepare(verb) => verb.needs(),
        Verb::Simulate(verb) => Ok(verb.needs()),
        Verb::Train(verb) => Ok(verb.needs()),
        Verb::Explain(verb) => verb.needs(),
        Verb::Group(verb) => Ok(verb.needs()),
        Verb::Regions(verb) => Ok(verb.needs()),
        Verb::Evaluate(verb) => Ok(verb.needs()),
        Verb::Compare(verb) => verb.needs(),
        #[cfg(feature = "report")]
        Verb::Report(verb) => Ok(verb.needs()),
        Verb::Inspect(verb) => Ok(verb.needs()),
        _ => Ok(Needs::default()),
    }
}

/// Refuses what the words of a command line ask for, where it cannot work whoever it is done with: before the first of many is begun.
fn check(words: &[String], session: &Session) -> anyhow::Result<()> {
    match verb(words)? {
        Verb::Train(verb) => verb.check(),
        Verb::Explain(verb) => verb.check(session),
        Verb::Regions(verb) => verb.check(),
        Verb::Evaluate(verb) => verb.check(),
        _ => Ok(()),
    }
}

/// What the words of a command line ask for, as far as it can be measured; `work` has understood them.
fn asked(words: &[String]) -> anyhow::Result<Asked> {
    match verb(words)? {
        Verb::Prepare(verb) => verb.asked(),
        Verb::Simulate(verb) => Ok(verb.asked()),
        Verb::Train(verb) => Ok(verb.asked()),
        Verb::Explain(verb) => verb.asked(),
        _ => Ok(Asked::Other),
    }
}

impl Cli {
    /// What was typed; a wrong command line ends the process with status 2.
    pub(crate) fn read() -> Self {
        let mut command = with_negative_numbers(Self::command());
        let read = command.try_get_matches_from_mut(std::env::args_os());
        let read = read.and_then(|matches| Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command)));
        read.unwrap_or_else(|e| {
            // Help and the version are asked for, and ours; an error repeats what was typed.
            if !e.use_stderr() {
                e.exit()
            }
            terminal::wrong_usage(&e.to_string());
            std::process::exit(e.exit_code())
        })
    }

    /// Does what was asked; the exit status is 0 done, 1 failed, 75 where trying again may help, 130 stopped by the user
    /// (2, a wrong command line, is clap's).
    pub(crate) fn run(self) -> ExitCode {
        let mut global = self.global;
        if let Verb::BidsApp(app) = &self.verb {
            global.threads = app.n_cpus.or(global.threads);
        }
        let session = Session::new(global);
        match self.verb.run(&session) {
            Ok(outcome) => outcome.into(),
            Err(error) => {
                terminal::report_error(&error);
                terminal::status(&error).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of a line as a shell would split it; quotes keep words together.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|w| !w.is_empty());
        words
    }

    #[test]
    fn every_verb_has_examples_and_every_example_is_understood() {
        let command = Cli::command();
        for verb in command.get_subcommands() {
            let name = verb.get_name();
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, rest) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name} has no examples"));
            let examples: Vec<&str> = rest.lines().take_while(|l| l.starts_with("  voxplain ")).collect();
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                // What stands after three spaces says what the line does.
                let line = example.trim().split("   ").next().unwrap();
                let words = words(line);
                assert_eq!(words[1], name, "{line}");
                let words = words.iter().map(|w| w.split(" > ").next().unwrap()).take_while(|w| *w != ">");
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn every_setting_that_a_remedy_may_name_is_a_flag() {
        let command = Cli::command();
        let flags: Vec<&str> =
            command.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long).collect();
        for setting in voxplain::settings() {
            assert!(flags.contains(&setting.name()), "no verb has --{}", setting.name());
        }
    }

    /// The lines of the file that are not set, set.
    fn all_set(text: &str) -> String {
        let set = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(set).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_file_to_begin_with_has_every_key_and_sets_only_defaults() {
        let command = Cli::command();
        let text = crate::template::template(&command, &|line| work(line).is_ok());
        let steps = crate::pipeline::Pipeline::parse(&text).unwrap().into_steps();
        let verbs: Vec<&str> = steps.iter().map(|step| step[0].as_str()).collect();
        assert_eq!(verbs, ["prepare", "train", "explain", "group", "report"]);
        let parsed = |step: &[String]| {
            let line = std::iter::once("voxplain").chain(step.iter().map(String::as_str));
            Cli::try_parse_from(line).map(|cli| format!("{:?}", cli.verb)).unwrap_or_else(|e| panic!("{step:?}: {e}"))
        };
        for step in &steps {
            // What is set is what is there by itself: without it the same is understood.
            let given: Vec<String> = step
                .iter()
                .filter(|w| !w.starts_with("--") || *w == "--" || w.contains('<') || w.starts_with("--out="))
                .cloned()
                .collect();
            assert_eq!(parsed(step), parsed(&given));
        }
        let whole: toml::Table = all_set(&text).parse().unwrap();
        for (verb, operand) in crate::pipeline::ORDER {
            let section = whole[verb].as_table().unwrap();
            let of = command.find_subcommand(verb).unwrap();
            for arg in of.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_positional()) {
                let long = arg.get_long().unwrap();
                if ["help", "version", "out", "force", "live", "fold", "shard", "bids"].contains(&long) {
                    continue;
                }
                let value = section.get(long).unwrap_or_else(|| panic!("[{verb}] has no {long}"));
                let written = match value {
                    toml::Value::Array(values) => values.iter().map(|v| v.to_string().replace('"', "")).collect(),
                    other => vec![other.as_str().map_or_else(|| other.to_string(), str::to_owned)],
                };
                let mut default: Vec<String> =
                    arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
                if default.is_empty() {
                    let takes = arg.get_action().takes_values();
                    default = vec![if takes { written[0].clone() } else { "false".to_owned() }];
                    assert!(!takes || written[0].starts_with('<'), "[{verb}] {long} has no default");
                }
                assert_eq!(written, default, "[{verb}] {long}");
            }
            assert!(!operand.is_empty() || verb == "simulate");
        }
        let without_out =
            ["simulate", "prepare", "train"].iter().all(|verb| !whole[*verb].as_table().unwrap().contains_key("out"));
        assert!(without_out, "the top of the file says where they are");
    }

    #[test]
    fn flags_do_not_collide() {
        Cli::command().debug_assert();
    }
}
