//! [`Task`]: what a network predicts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a network predicts: one class of several, or a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Task {
    /// One output per class, which are logits.
    Classes {
        /// Names of the classes, in the order of the outputs.
        classes: Vec<String>,
    },
    /// One output, which is the value itself in its own unit.
    Value {
        /// What the value is.
        value: Quantity,
    },
}

/// A number that is predicted: its name and, where it is known, its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    /// The name: the column of the participants' table, `age`.
    pub name: String,
    /// The unit: `years`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Task {
    /// Classes of these names.
    pub fn classes_named(classes: impl Into<Vec<String>>) -> Self {
        Self::Classes { classes: classes.into() }
    }

    /// Names of the classes; none of a value.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Classes { classes } => classes,
            Self::Value { .. } => &[],
        }
    }

    /// The value, where one is predicted.
    pub const fn value(&self) -> Option<&Quantity> {
        match self {
            Self::Classes { .. } => None,
            Self::Value { value } => Some(value),
        }
    }

    /// How many outputs its network has.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classes { classes } => classes.len(),
            Self::Value { .. } => 1,
        }
    }
}

/// The classes, `F, M`; or the value, `age (years)`.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes { classes } => f.write_str(&classes.join(", ")),
            Self::Value { value } => value.fmt(f),
        }
    }
}

impl Quantity {
    /// The unit with a space before it, for after a number; nothing where it is not known.
    pub fn suffix(&self) -> String {
        self.unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"))
    }
}

/// `age (years)`, or `age`.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Some(unit) => write!(f, "{} ({unit})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What older files hold is classes, and what is written for classes is what they hold.
    #[test]
    fn files_say_classes_as_they_always_did() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            before: u32,
            #[serde(flatten)]
            task: Task,
            after: u32,
        }
        let text = r#"{"before":1,"classes":["F","M"],"after":2}"#;
        let file: File = serde_json::from_str(text).unwrap();
        assert_eq!(file.task.classes(), ["F", "M"]);
        assert_eq!(serde_json::to_string(&file).unwrap(), text);
        let value = Task::Value { value: Quantity { name: "age".into(), unit: Some("years".into()) } };
        let file = File { before: 1, task: value, after: 2 };
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(text, r#"{"before":1,"value":{"name":"age","unit":"years"},"after":2}"#);
        assert_eq!(serde_json::from_str::<File>(&text).unwrap(), file);
        assert_eq!((file.task.outputs(), file.task.to_string()), (1, "age (years)".to_owned()));
        assert!(serde_json::from_str::<File>(r#"{"before":1,"after":2}"#).is_err());
    }
}
