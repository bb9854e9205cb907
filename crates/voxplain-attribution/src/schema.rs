//! [`OptionSchema`]: what an option of a method may be, in one line for those who set it.

/// An option of a method: its key, what it may be, and what it does. The default is that of the method's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionSchema {
    /// Its key, in kebab case, `learning-rate`.
    pub key: &'static str,
    /// What it may be.
    pub kind: OptionKind,
    /// What it does, in a line.
    pub help: &'static str,
}

/// What an option may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    /// `true` or `false`.
    Switch,
    /// A whole number from `least` to `most`.
    Whole {
        /// The least.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A number from `least` to `most`, with a unit that may stand behind it.
    Number {
        /// The unit.
        unit: Unit,
        /// The least.
        least: f64,
        /// The largest.
        most: f64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name of a baseline that the method takes ([`crate::Method::BASELINES`]).
    Baseline,
    /// Words that the method reads itself.
    Text,
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// None: a share, a weight, a power.
    None,
    /// Millimetres, `mm`.
    Millimetre,
}

impl Unit {
    /// As it is written behind a number.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Millimetre => "mm",
        }
    }
}

impl OptionSchema {
    /// The layer of a class activation map.
    pub const LAYER: Self = Self::text("layer", "name of the layer; last is the last activation that holds volumes");
    /// Whether negative values of a class activation map are cut off.
    pub const RECTIFY: Self = Self::switch("rectify", "keep what is positive only");
    /// The baseline `blur`.
    pub const BLUR: Self = Self::number(
        "blur",
        Unit::Millimetre,
        0.0,
        f64::MAX,
        "standard deviation of the Gaussian of the baseline blur",
    );
    /// Training subjects of the baseline `expected`.
    pub const DONORS: Self = Self::whole("donors", 1, u64::MAX, "training subjects of the baseline expected");
    /// Where random numbers start.
    pub const SEED: Self = Self::whole("seed", 0, u64::MAX, "where the random numbers start");

    /// `true` or `false`.
    pub const fn switch(key: &'static str, help: &'static str) -> Self {
        Self { key, kind: OptionKind::Switch, help }
    }

    /// A whole number.
    pub const fn whole(key: &'static str, least: u64, most: u64, help: &'static str) -> Self {
        Self { key, kind: OptionKind::Whole { least, most }, help }
    }

    /// A number.
    pub const fn number(key: &'static str, unit: Unit, least: f64, most: f64, help: &'static str) -> Self {
        Self { key, kind: OptionKind::Number { unit, least, most }, help }
    }

    /// One of several words.
    pub const fn choice(key: &'static str, words: &'static [&'static str], help: &'static str) -> Self {
        Self { key, kind: OptionKind::Choice(words), help }
    }

    /// A baseline.
    pub const fn baseline(help: &'static str) -> Self {
        Self { key: "baseline", kind: OptionKind::Baseline, help }
    }

    /// Words.
    pub const fn text(key: &'static str, help: &'static str) -> Self {
        Self { key, kind: OptionKind::Text, help }
    }

    /// What it may be, in words: `a length in mm from 0`, `delete, preserve or hybrid`.
    pub fn expected(&self) -> String {
        match self.kind {
            OptionKind::Switch => "true or false".into(),
            OptionKind::Whole { least: 0, most: u64::MAX } => "a whole number".into(),
            OptionKind::Whole { least, most: u64::MAX } => format!("a whole number of at least {least}"),
            OptionKind::Whole { least, most } => format!("a whole number from {least} to {most}"),
            OptionKind::Number { unit, least, most } => {
                let what = match unit {
                    Unit::None => "a number".to_owned(),
                    Unit::Millimetre => "a length in mm".to_owned(),
                };
                if most == f64::MAX {
                    format!("{what} of at least {least}")
                } else {
                    format!("{what} from {least} to {most}")
                }
            }
            OptionKind::Choice(words) => words.join(", "),
            OptionKind::Baseline => "a baseline".into(),
            OptionKind::Text => "text".into(),
        }
    }

    /// The value that a text means; `None` where it is not what is expected. Baselines and texts are taken as they are.
    pub fn parse(&self, text: &str) -> Option<serde_json::Value> {
        let text = text.trim();
        match self.kind {
            OptionKind::Switch => text.parse::<bool>().ok().map(Into::into),
            OptionKind::Whole { least, most } => {
                text.parse::<u64>().ok().filter(|n| (least..=most).contains(n)).map(Into::into)
            }
            OptionKind::Number { unit, least, most } => {
                let bare = match unit {
                    Unit::None => text,
                    Unit::Millimetre => text.strip_suffix(unit.symbol()).unwrap_or(text).trim(),
                };
                let number = bare.parse::<f64>().ok().filter(|x| x.is_finite() && (least..=most).contains(x));
                number.map(Into::into)
            }
            OptionKind::Choice(words) => words.contains(&text).then(|| text.into()),
            OptionKind::Baseline | OptionKind::Text => Some(text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::METHODS;
    use serde_json::Value;

    #[test]
    fn every_option_of_every_method_has_its_schema() {
        for entry in METHODS {
            let Value::Object(defaults) = (entry.defaults)() else { panic!("{}", entry.name) };
            let keys: Vec<_> = defaults.keys().map(String::as_str).collect();
            let described: Vec<_> = entry.options.iter().map(|o| o.key).collect();
            let sorted = |mut keys: Vec<&'static str>| {
                keys.sort_unstable();
                keys
            };
            let mut have = keys.clone();
            have.sort_unstable();
            assert_eq!(have, sorted(described), "{}", entry.name);
            for option in entry.options {
                let default = &defaults[option.key];
                let fits = match option.kind {
                    OptionKind::Switch => default.is_boolean(),
                    OptionKind::Whole { least, most } => default.as_u64().is_some_and(|n| (least..=most).contains(&n)),
                    OptionKind::Number { least, most, .. } => {
                        default.is_f64() && default.as_f64().is_some_and(|x| (least..=most).contains(&x))
                    }
                    OptionKind::Choice(words) => default.as_str().is_some_and(|w| words.contains(&w)),
                    OptionKind::Baseline => default.is_string() && !entry.baselines.is_empty(),
                    OptionKind::Text => default.is_string() || default.is_array(),
                };
                assert!(fits, "{}.{} = {default}", entry.name, option.key);
                // Every word of a choice is one that the method itself takes.
                if let OptionKind::Choice(words) = option.kind {
                    for word in words {
                        let mut values = defaults.clone();
                        values.insert(option.key.into(), Value::from(*word));
                        assert!((entry.build)(Value::Object(values)).is_ok(), "{}.{}={word}", entry.name, option.key);
                    }
                }
            }
        }
    }

    #[test]
    fn units_and_ranges() {
        let rate = OptionSchema::number("learning-rate", Unit::None, 0.0, f64::MAX, "");
        assert_eq!(rate.parse("0.1"), Some(0.1.into()));
        assert_eq!(rate.parse("0.1mm"), None, "a rate is no length");
        let blur = OptionSchema::BLUR;
        assert_eq!(
            (blur.parse("8mm"), blur.parse("8 mm"), blur.parse("-1")),
            (Some(8.0.into()), Some(8.0.into()), None)
        );
        let share = OptionSchema::number("p", Unit::None, 0.0, 1.0, "");
        assert_eq!(
            (share.parse("1.5"), share.parse("NaN"), share.expected()),
            (None, None, "a number from 0 to 1".into())
        );
        assert_eq!(OptionSchema::whole("n", 4, u64::MAX, "").parse("3"), None);
        assert_eq!(OptionSchema::choice("c", &["a", "b"], "").parse("c"), None);
    }
}
