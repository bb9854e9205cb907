//! [`Areas`]: sizes of masks, as they are typed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Shares of the brain in percent, ascending; typed as `1,2,5`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Areas(Vec<f64>);

impl Areas {
    /// Of percents in any order.
    ///
    /// # Errors
    /// There is none, or one is not more than 0 and less than 100.
    pub fn new(mut percent: Vec<f64>) -> Result<Self, String> {
        match percent.iter().find(|p| !(**p > 0.0 && **p < 100.0)) {
            Some(p) => return Err(format!("an area of {p} percent; expected more than 0 and less than 100")),
            None if percent.is_empty() => return Err("no area; expected percents of the brain, as in 1,2,5".into()),
            None => {}
        }
        percent.sort_by(f64::total_cmp);
        percent.dedup();
        Ok(Self(percent))
    }

    /// The areas as shares of 1.
    pub fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().map(|p| p / 100.0)
    }
}

impl TryFrom<String> for Areas {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |part: &str| {
            part.trim()
                .parse()
                .map_err(|_| format!("{part:?} in areas {text:?}; expected percents of the brain, as in 1,2,5"))
        };
        Self::new(text.split(',').map(number).collect::<Result<_, _>>()?)
    }
}

impl From<Areas> for String {
    fn from(areas: Areas) -> Self {
        areas.to_string()
    }
}

impl fmt::Display for Areas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(f64::to_string).collect();
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_as_typed_and_sorted() {
        let areas = Areas::try_from("10, 2.5,2.5".to_owned()).unwrap();
        assert_eq!(areas.shares().collect::<Vec<_>>(), [0.025, 0.1]);
        assert_eq!(String::from(areas.clone()), "2.5,10");
        assert_eq!(Areas::try_from(areas.to_string()).unwrap(), areas);
        for bad in ["", "0", "100", "-1", "five", "1;2", "nan", "1,"] {
            assert!(Areas::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
