//! Choosing methods by name and setting their options by `method.key=value`.

use crate::{Entry, Explain, METHODS, compat};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// An older behaviour to reproduce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Compat {
    /// That of the code published with Kan et al. 2020.
    #[serde(rename = "2020")]
    Y2020,
}

/// `2020`.
impl std::fmt::Display for Compat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Y2020 => f.write_str("2020"),
        }
    }
}

impl Compat {
    /// The methods whose older behaviour is known.
    pub const fn methods(self) -> &'static [Entry] {
        match self {
            Self::Y2020 => compat::METHODS_2020,
        }
    }
}

/// The methods of these names (`all` for every one), with their options set by `settings`, each `method.key=value`.
///
/// Unknown methods and keys are refused with a list of those there are; a setting of a method that is not
/// among `names` is checked and has no effect.
pub fn choose<S: AsRef<str>>(names: &[S], settings: &[S], compat: Option<Compat>) -> Result<Vec<Box<dyn Explain>>> {
    let entries = compat.map_or(METHODS, Compat::methods);
    let mut options: Vec<(Entry, Map<String, Value>)> = entries.iter().map(|&e| (e, object((e.defaults)()))).collect();
    for setting in settings {
        set(&mut options, setting.as_ref())?;
    }
    let mut chosen = Vec::new();
    for name in names {
        let name = name.as_ref().trim();
        let all = name == "all";
        if !all && !entries.iter().any(|e| e.name == name) {
            return Err(unknown_method(name, entries, compat));
        }
        for (entry, _) in options.iter().filter(|(e, _)| all || e.name == name) {
            if !chosen.contains(&entry.name) {
                chosen.push(entry.name);
            }
        }
    }
    let build = |name: &&str| {
        let (entry, values) = options.iter().find(|(e, _)| e.name == *name).expect("names were looked up above");
        (entry.build)(Value::Object(values.clone()))
            .map_err(|e| Error::request(format!("an option of {name} is not right: {e}"), known_keys(&options)))
    };
    chosen.iter().map(build).collect()
}

/// Every option of a method with its value.
pub(crate) fn parameters(method: &impl Serialize) -> Value {
    serde_json::to_value(method).unwrap_or_default()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn unknown_method(name: &str, entries: &[Entry], compat: Option<Compat>) -> Error {
    let known: Vec<_> = entries.iter().map(|e| e.name).collect();
    let known = known.join(", ");
    let hint = match compat {
        None => format!("the methods are {known}"),
        Some(_) => format!("the 2020 behaviour is known of {known}"),
    };
    Error::request(format!("there is no method {name:?}"), hint)
}

fn known_keys(options: &[(Entry, Map<String, Value>)]) -> String {
    let keys = options
        .iter()
        .flat_map(|(entry, values)| values.iter().map(|(k, v)| format!("{}.{k}={}", entry.name, text(v))));
    format!("the keys and their defaults are {}", keys.collect::<Vec<_>>().join(", "))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Sets one option, by the type of its default.
fn set(options: &mut [(Entry, Map<String, Value>)], setting: &str) -> Result<()> {
    let (key, value) = setting.split_once('=').ok_or_else(|| {
        Error::request(format!("setting {setting:?} is not understood"), "write --set method.key=value")
    })?;
    let (key, value) = (key.trim(), value.trim());
    let known = known_keys(options);
    let slot = key.split_once('.').and_then(|(method, key)| {
        let (_, values) = options.iter_mut().find(|(e, _)| e.name == method)?;
        values.get_mut(key)
    });
    let slot = slot.ok_or_else(|| Error::request(format!("there is no option {key:?}"), known))?;
    *slot = match slot {
        Value::String(_) => Value::String(value.into()),
        Value::Bool(_) => value.parse().map(Value::Bool).map_err(|_| wrong(setting, "true or false"))?,
        // Lengths are the options that are no whole numbers; they may carry their unit.
        Value::Number(n) if n.is_f64() => {
            let number = value.strip_suffix("mm").unwrap_or(value).trim().parse::<f64>().ok().filter(|x| x.is_finite());
            number.map(Value::from).ok_or_else(|| wrong(setting, "a number"))?
        }
        Value::Number(_) => value.parse::<u64>().map(Value::from).map_err(|_| wrong(setting, "a whole number"))?,
        _ => Value::String(value.into()),
    };
    Ok(())
}

fn wrong(setting: &str, expected: &str) -> Error {
    Error::request(format!("setting {setting}: expected {expected}"), "write --set method.key=value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], settings: &[&str]) -> Result<Vec<Box<dyn Explain>>> {
        choose(names, settings, None)
    }

    #[test]
    fn methods_are_chosen_once_in_the_order_asked_for() {
        let names: Vec<_> =
            chosen(&["hires-cam", "saliency", "hires-cam"], &[]).unwrap().iter().map(|m| m.name()).collect();
        assert_eq!(names, ["hires-cam", "saliency"]);
        assert_eq!(chosen(&["all"], &[]).unwrap().len(), METHODS.len());
    }

    #[test]
    fn options_are_set_and_recorded() {
        let methods =
            chosen(&["grad-cam"], &["grad-cam.layer=features.6", "grad-cam.rectify=true", "saliency.absolute=true"]);
        let parameters = methods.unwrap()[0].parameters();
        assert_eq!(parameters, serde_json::json!({ "layer": "features.6", "rectify": true }));
    }

    #[test]
    fn mistakes_list_what_there_is() {
        let hint =
            |names: &[&str], settings: &[&str]| chosen(names, settings).unwrap_err().remedy().unwrap().to_string();
        assert!(hint(&["gradcam"], &[]).contains("grad-cam"));
        assert!(hint(&["saliency"], &["saliency.absolut=true"]).contains("saliency.absolute=false"));
        assert!(hint(&["saliency"], &["nonsense"]).contains("method.key=value"));
        assert!(chosen(&["saliency"], &["saliency.absolute=1"]).unwrap_err().to_string().contains("true or false"));
    }
}
