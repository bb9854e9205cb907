//! The command line: what was typed.

use crate::{session::Session, terminal, verb::Verb};
use clap::{Args, Parser};
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
    after_help = "\
Start here:
  voxplain demo                                   see all of it on simulated brains, no data needed
  voxplain inspect scan.nii.gz                    what is in this file, and is it fit for use
  voxplain prepare BIDS_DIR --out cohort          bring every image to one grid
  voxplain train cohort --label sex --out run     cross-validated 3D CNN beside two plain baselines
  voxplain explain run --method guided-backprop,hires-cam
  voxplain group run && voxplain report run       group maps, then one page to read"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
    /// What every verb understands.
    #[command(flatten)]
    global: Global,
}

/// Flags that every verb understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Number of threads [default: all cores]. Results do not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print the result as one JSON document on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more of what is done.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Say nothing but results, warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// No progress bars or lines.
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

impl Cli {
    /// The verb alone; global flags typed with it are left out.
    pub(crate) fn into_verb(self) -> Verb {
        self.verb
    }

    /// Does what was asked; the exit status is 0 done, 1 failed (2, a wrong command line, is clap's).
    pub(crate) fn run(self) -> ExitCode {
        let session = Session::new(self.global);
        match self.verb.run(&session) {
            Ok(outcome) => outcome.into(),
            Err(error) => {
                terminal::report_error(&error);
                ExitCode::FAILURE
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
        use clap::CommandFactory as _;
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
        use clap::CommandFactory as _;
        let command = Cli::command();
        let flags: Vec<&str> =
            command.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long).collect();
        for setting in voxplain::settings() {
            assert!(flags.contains(&setting.name()), "no verb has --{}", setting.name());
        }
    }

    #[test]
    fn flags_do_not_collide() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
