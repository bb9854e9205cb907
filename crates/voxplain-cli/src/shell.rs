//! [`Shell`]: what the library calls settings and steps, as words of a command line.

use crate::app::AppWords;
use voxplain::{Action, Setting, Vocabulary, shard::TASKS};

/// The words of the command: a setting is a flag, a step is a command line that can be copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shell;

impl Vocabulary for Shell {
    fn setting(&self, setting: Setting, value: Option<&str>) -> String {
        if let Some(said) = AppWords::spoken(setting.name(), value) {
            return said;
        }
        match value {
            Some(value) => format!("{} {}", flag(setting), quoted(value)),
            None => flag(setting),
        }
    }

    fn action(&self, action: &Action) -> String {
        let mut words = vec![action.verb.to_owned()];
        // A name that begins like a flag is a file all the same.
        words.extend(action.subjects.iter().map(|s| if s.starts_with('-') { format!("./{s}") } else { s.clone() }));
        for (setting, value) in &action.settings {
            match value {
                Some(value) if value.starts_with('-') => words.push(format!("{}={value}", flag(*setting))),
                value => {
                    words.push(flag(*setting));
                    words.extend(value.clone());
                }
            }
        }
        command_line(words)
    }
}

fn flag(setting: Setting) -> String {
    format!("--{}", setting.name())
}

/// `voxplain` with these words, quoted where a shell needs it.
pub(crate) fn command_line(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut line = String::from("voxplain");
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word.as_ref()));
    }
    line
}

/// A word as a shell takes it for one.
pub(crate) fn quoted(word: &str) -> String {
    // A number that the scheduler gives, which the shell is to put in: `$SLURM_ARRAY_TASK_ID/8`.
    let is_task = |word: &str| {
        let parts = word.strip_prefix('$').and_then(|rest| rest.split_once('/'));
        parts.is_some_and(|(name, of)| TASKS.contains(&name) && of.chars().all(|c| c.is_ascii_digit()))
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else if is_task(word) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain::Remedy;

    const MASK: Setting = Setting::new("mask");
    const FORCE: Setting = Setting::new("force");

    #[test]
    fn words_are_quoted_as_a_shell_needs() {
        assert_eq!(quoted("--set=a.b=c"), "--set=a.b=c");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$SLURM_ARRAY_TASK_ID/8"), "\"$SLURM_ARRAY_TASK_ID/8\"");
        assert_eq!(quoted("$(rm x)"), "'$(rm x)'");
    }

    #[test]
    fn settings_are_flags_and_steps_are_command_lines() {
        let missing = Action::new("train").with(Setting::new("missing"), "-9,x");
        assert_eq!(Shell.action(&missing), "voxplain train --missing=-9,x");
        let action = Action::new("explain").on("my run").on("-x.nii").with(MASK, "a b.nii").switch(FORCE);
        let remedy = Remedy::new(["give its ".into(), MASK.into(), ", or ".into(), action.into()]);
        let line = "voxplain explain 'my run' ./-x.nii --mask 'a b.nii' --force";
        assert_eq!(remedy.render(&Shell), format!("give its --mask, or {line}"));
        assert_eq!(Remedy::from(MASK.to("none")).render(&Shell), "--mask none");
        assert_eq!(Shell.action(&Action::new("inspect").on("brain.nii.gz")), "voxplain inspect brain.nii.gz");
    }
}
