//! [`AppWords`]: how a user of `bids-app` gives what other verbs call by flags of theirs.
//!
//! A remedy names a setting, and the command writes it as a flag. `bids-app` has some of these flags; others are keys of its configuration, and
//! some it has no need of. From [`AppWords::speak`] on, every remedy of this process is in its words.

use clap::{ArgAction, Command};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Flags that `bids-app` hands on to the verbs that it is made of.
const HANDED_ON: [&str; 4] = ["label", "method", "force", "keep-going"];

/// Flags that are called otherwise, or are no flags.
const RENAMED: [(&str, &str); 6] = [
    ("out", "OUT"),
    ("session", "--session-label"),
    ("memory", "--mem-mb"),
    ("cohort", "OUT/cohort"),
    ("id-column", "the name `participant_id`"),
    ("person-column", "the name `person`"),
];

/// What leaves images out, and at the group level people: images are chosen at the participant level.
const CHOOSING: [&str; 2] = ["include", "exclude"];

/// Of a verb its flags, and whether each takes a value.
type Flags = BTreeMap<String, bool>;

/// The words of `bids-app`, and which of its steps is at work.
#[derive(Clone, Debug)]
pub(crate) struct AppWords {
    own: Flags,
    /// Of each section that its configuration may have.
    sections: Vec<(String, Flags)>,
    /// Of the other verbs.
    others: Vec<(String, Flags)>,
    /// Everybody is put together: images are chosen already.
    group: bool,
    step: Option<String>,
}

static SPOKEN: Mutex<Option<AppWords>> = Mutex::new(None);

impl AppWords {
    /// The words, by the command's flags; `sections` are those that a configuration may have here, `group` the level.
    pub(crate) fn new(command: &Command, sections: &[&str], group: bool) -> Self {
        let flags = |verb: &Command| -> Flags {
            let long = |arg: &clap::Arg| {
                let takes = !matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count);
                arg.get_long().map(|long| (long.to_owned(), takes))
            };
            verb.get_arguments().filter_map(long).collect()
        };
        let of = |verb: &Command| (verb.get_name().to_owned(), flags(verb));
        Self {
            own: command.find_subcommand("bids-app").map(flags).unwrap_or_default(),
            sections: sections.iter().filter_map(|name| command.find_subcommand(name)).map(of).collect(),
            others: command.get_subcommands().map(of).collect(),
            group,
            step: None,
        }
    }

    /// Has every remedy say these words from now on.
    pub(crate) fn speak(self) {
        *SPOKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// Says which step is at work; nothing changes where other words are spoken.
    pub(crate) fn at(step: Option<&str>) {
        if let Some(words) = SPOKEN.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            words.step = step.map(str::to_owned);
        }
    }

    /// A setting in these words, where they are spoken.
    pub(crate) fn spoken(setting: &str, value: Option<&str>) -> Option<String> {
        SPOKEN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|words| words.say(setting, value))
    }

    /// A setting as it is given: a flag, or a key of the configuration.
    fn say(&self, setting: &str, value: Option<&str>) -> String {
        let with = |name: &str| {
            value.map_or_else(|| name.to_owned(), |value| format!("{name} {}", crate::shell::quoted(value)))
        };
        if self.group && CHOOSING.contains(&setting) {
            return "--participant-label".to_owned();
        }
        if let Some((_, name)) = RENAMED.iter().find(|(own, _)| *own == setting) {
            // The name of a column is not to be chosen.
            return if name.starts_with("the ") { (*name).to_owned() } else { with(name) };
        }
        let of_step =
            self.sections.iter().any(|(verb, flags)| Some(verb) == self.step.as_ref() && flags.contains_key(setting));
        // `model` is the architecture of a training; the flag of that name is a model that is there.
        let is_own = self.own.contains_key(setting) && setting != "model";
        if is_own && (!of_step || HANDED_ON.contains(&setting)) {
            return with(&format!("--{setting}"));
        }
        let having: Vec<&(String, Flags)> =
            self.sections.iter().filter(|(_, flags)| flags.contains_key(setting)).collect();
        if let Some((_, flags)) = having.first() {
            let key = setting.replace('-', "_");
            let key = match (value, flags[setting]) {
                (Some(value), _) => format!("`{key} = {value:?}`"),
                (None, true) => format!("`{key}`"),
                (None, false) => format!("`{key} = true`"),
            };
            // Who is asked about by one step is by the others.
            let places: Vec<String> = having.iter().map(|(verb, _)| format!("[{verb}]")).collect();
            let place = match &self.step {
                Some(step) if of_step && flags[setting] => format!("[{step}]"),
                _ => places.join(" and "),
            };
            return format!("{key} in {place} of the file of --config");
        }
        let other = self.others.iter().find(|(_, flags)| flags.contains_key(setting)).map_or("", |(verb, _)| verb);
        format!("{} of `voxplain {other}` (not of bids-app)", with(&format!("--{setting}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn sections() -> [&'static str; 4] {
        ["predict", "explain", "regions", "report"]
    }

    fn say(step: Option<&str>, setting: &str, value: Option<&str>) -> String {
        let words = AppWords::new(&crate::cli::Cli::command(), &sections(), false);
        AppWords { step: step.map(str::to_owned), ..words }.say(setting, value)
    }

    #[test]
    fn each_setting_is_said_so_that_it_can_be_given() {
        assert_eq!(say(None, "run", Some("1,none")), "--run 1,none");
        assert_eq!(say(None, "session", Some("1")), "--session-label 1");
        assert_eq!(say(None, "out", None), "OUT");
        assert_eq!(say(Some("predict"), "force", None), "--force");
        assert_eq!(say(Some("predict"), "label", None), "--label");
        let both = "`in_sample = true` in [predict] and [explain] of the file of --config";
        assert_eq!(say(Some("predict"), "in-sample", None), both);
        assert_eq!(
            say(Some("predict"), "missing", Some("-9")),
            "`missing = \"-9\"` in [predict] of the file of --config"
        );
        // A channel of maps is not one of the images.
        assert_eq!(say(Some("regions"), "channel", None), "`channel` in [regions] of the file of --config");
        assert_eq!(say(None, "channel", None), "--channel");
        assert_eq!(say(None, "id-column", None), "the name `participant_id`");
        assert_eq!(say(None, "site", None), "--site of `voxplain prepare` (not of bids-app)");
        let group = AppWords::new(&crate::cli::Cli::command(), &sections(), true);
        assert_eq!(group.say("exclude", None), "--participant-label");
    }

    #[test]
    fn every_setting_has_words_that_name_a_flag_of_bids_app_or_another_way() {
        let command = crate::cli::Cli::command();
        let own: Vec<&str> =
            command.find_subcommand("bids-app").unwrap().get_arguments().filter_map(clap::Arg::get_long).collect();
        for setting in voxplain::settings() {
            let said = say(None, setting.name(), None);
            let flag = said.split_whitespace().next().and_then(|word| word.strip_prefix("--"));
            let lacks = said.ends_with(" (not of bids-app)");
            assert!(flag.is_none_or(|flag| lacks || own.contains(&flag)), "{said}");
        }
    }
}
