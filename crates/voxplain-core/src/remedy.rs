//! [`Remedy`]: what to do about an error, without saying how the reader calls the library.
//!
//! A remedy is a sentence whose [`Setting`]s and [`Action`]s are named by what they are. Whoever shows it chooses the
//! [`Vocabulary`]: the command writes `--mask` and `voxplain explain run`, a Python package would write `mask=` and
//! `voxplain.explain("run")`.
//!
//! ```
//! use voxplain_core::{Action, Setting, remedy};
//! const MASK: Setting = Setting::new("mask");
//! let remedy = remedy!["give its file with ", MASK, ", or look at it: ", Action::new("inspect").on("brain.nii")];
//! assert_eq!(remedy.to_string(), "give its file with `mask`, or look at it: inspect brain.nii");
//! ```

use std::fmt;
use std::path::Path;

/// The name of an option that a user can set: a field of an options type in the library, a flag of the command.
///
/// Each crate keeps its settings as constants in one file, so that a front end can check that it has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setting(&'static str);

impl Setting {
    /// The setting of that name, in kebab case, `out` or `id-column`.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// The setting with a value to give it: `--out run` in the command.
    pub fn to(self, value: impl fmt::Display) -> Phrase {
        Phrase::Setting(self, Some(value.to_string()))
    }
}

/// A step of the work that can be asked for: `explain`, with what it works on and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The verb, `explain`.
    pub verb: &'static str,
    /// What it works on: files and folders, in order.
    pub subjects: Vec<String>,
    /// How, in order; without a value where the setting is a switch.
    pub settings: Vec<(Setting, Option<String>)>,
}

impl Action {
    /// A step by its verb.
    pub const fn new(verb: &'static str) -> Self {
        Self { verb, subjects: Vec::new(), settings: Vec::new() }
    }

    /// Works on this file or folder (too).
    #[must_use]
    pub fn on(mut self, path: impl AsRef<Path>) -> Self {
        self.subjects.push(path.as_ref().display().to_string());
        self
    }

    /// With this value of a setting.
    #[must_use]
    pub fn with(mut self, setting: Setting, value: impl fmt::Display) -> Self {
        self.settings.push((setting, Some(value.to_string())));
        self
    }

    /// With a switch on.
    #[must_use]
    pub fn switch(mut self, setting: Setting) -> Self {
        self.settings.push((setting, None));
        self
    }
}

/// A part of a [`Remedy`]: words, or something that each front end names in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phrase {
    /// Words.
    Text(String),
    /// A setting, perhaps with a value to give it.
    Setting(Setting, Option<String>),
    /// A step to take.
    Action(Action),
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Setting> for Phrase {
    fn from(setting: Setting) -> Self {
        Self::Setting(setting, None)
    }
}

impl From<Action> for Phrase {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

/// What to do about an error, in one sentence. Made by [`remedy!`](crate::remedy!), or from plain words by `into()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy(Vec<Phrase>);

impl Remedy {
    /// A remedy of these parts, one after another.
    pub fn new(parts: impl IntoIterator<Item = Phrase>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// Its parts.
    pub fn parts(&self) -> &[Phrase] {
        &self.0
    }

    /// Whether it names a setting.
    pub fn names(&self, setting: Setting) -> bool {
        self.0.iter().any(|part| matches!(part, Phrase::Setting(own, _) if *own == setting))
    }

    /// The value that it would give a setting.
    pub fn value(&self, setting: Setting) -> Option<&str> {
        self.0.iter().find_map(|part| match part {
            Phrase::Setting(own, Some(value)) if *own == setting => Some(value.as_str()),
            _ => None,
        })
    }

    /// The sentence in the words of whoever shows it.
    pub fn render(&self, vocabulary: &dyn Vocabulary) -> String {
        let word = |part: &Phrase| match part {
            Phrase::Text(text) => text.clone(),
            Phrase::Setting(setting, value) => vocabulary.setting(*setting, value.as_deref()),
            Phrase::Action(action) => vocabulary.action(action),
        };
        self.0.iter().map(word).collect()
    }
}

impl<T: Into<Phrase>> From<T> for Remedy {
    fn from(part: T) -> Self {
        Self(vec![part.into()])
    }
}

/// The sentence in the words of the library: settings in backticks.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Library))
    }
}

/// A [`Remedy`] of parts: text, [`Setting`]s, [`Action`]s.
#[macro_export]
macro_rules! remedy {
    ($($part:expr),+ $(,)?) => { $crate::Remedy::new([$($crate::Phrase::from($part)),+]) };
}

/// The names that a user interface gives to settings and steps, `--mask` on the command line.
pub trait Vocabulary {
    /// A setting, with a value where one is to be given.
    fn setting(&self, setting: Setting, value: Option<&str>) -> String;
    /// A step, as it is asked for.
    fn action(&self, action: &Action) -> String;
}

/// The words of the library itself, for those who call it from Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct Library;

impl Vocabulary for Library {
    fn setting(&self, setting: Setting, value: Option<&str>) -> String {
        match value {
            Some(value) => format!("`{}` = {value}", setting.name()),
            None => format!("`{}`", setting.name()),
        }
    }

    fn action(&self, action: &Action) -> String {
        let mut words = vec![action.verb.to_owned()];
        words.extend(action.subjects.iter().cloned());
        let settings = action.settings.iter().map(|(setting, value)| self.setting(*setting, value.as_deref()));
        let settings: Vec<_> = settings.collect();
        if !settings.is_empty() {
            words.push(format!("with {}", settings.join(", ")));
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_remedy_in_two_vocabularies() {
        const OUT: Setting = Setting::new("out");
        const FORCE: Setting = Setting::new("force");
        struct Shell;
        impl Vocabulary for Shell {
            fn setting(&self, setting: Setting, value: Option<&str>) -> String {
                format!("--{}{}", setting.name(), value.map(|v| format!(" {v}")).unwrap_or_default())
            }
            fn action(&self, action: &Action) -> String {
                let settings = action.settings.iter().map(|(s, v)| self.setting(*s, v.as_deref()));
                let mut words = vec![action.verb.to_owned()];
                words.extend(action.subjects.iter().cloned().chain(settings));
                words.join(" ")
            }
        }
        let remedy =
            remedy!["choose another ", OUT, ", or ", Action::new("train").on("c").with(OUT, "r").switch(FORCE)];
        assert_eq!(remedy.to_string(), "choose another `out`, or train c with `out` = r, `force`");
        assert_eq!(remedy.render(&Shell), "choose another --out, or train c --out r --force");
        assert_eq!(Remedy::from("fill it in").to_string(), "fill it in");
        assert_eq!(remedy![OUT.to("x")].render(&Shell), "--out x");
    }
}
