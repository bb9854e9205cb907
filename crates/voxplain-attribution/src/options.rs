//! Choosing methods by name and setting their options by `method.key=value`.

use crate::baseline::{self, Baseline};
use crate::case::Case;
use crate::explainer::Explainer;
use crate::method::AnyMethod;
use crate::record::Attribution;
use crate::registry::{Compat, Entry, METHODS};
use crate::schema::OptionKind;
use crate::setting;
use crate::target::{Score, Target};
use serde_json::{Map, Value};
use voxplain_core::{Error, Remedy, Result, remedy};

/// The methods of these names (`all` for every one), with their options set by `settings`, each `method.key=value`.
///
/// A setting of a method that is not among `names` is checked and has no effect. Where a setting has an old name, the maps
/// are made with a warning in their records.
///
/// # Errors
/// Unknown methods, keys and values; the error lists those there are.
///
/// ```
/// use voxplain_attribution::choose;
///
/// let methods = choose(&["grad-cam", "occlusion"], &["occlusion.baseline=zero"], None)?;
/// assert_eq!(methods[1].parameters()["baseline"], "zero");
/// # Ok::<(), voxplain_core::Error>(())
/// ```
pub fn choose<S: AsRef<str>>(names: &[S], settings: &[S], compat: Option<Compat>) -> Result<Vec<Box<dyn AnyMethod>>> {
    let entries = compat.map_or(METHODS, Compat::methods);
    let mut all: Vec<Options> = entries.iter().map(Options::defaults).collect();
    for setting in settings {
        set(&mut all, setting.as_ref(), entries)?;
    }
    let mut chosen = Vec::new();
    for name in names {
        let name = name.as_ref().trim();
        let every = name == "all";
        if !every && !entries.iter().any(|e| e.name == name) {
            return Err(unknown_method(name, entries, compat));
        }
        for options in all.iter().filter(|options| every || options.entry.name == name) {
            if !chosen.contains(&options.entry.name) {
                chosen.push(options.entry.name);
            }
        }
    }
    let build = |name: &&str| {
        let options = all.iter().find(|options| options.entry.name == *name).expect("names were looked up above");
        options
            .build()
            .map_err(|e| Error::request(format!("an option of {name} is not right: {e}"), known_keys(entries, name)))
    };
    chosen.iter().map(build).collect()
}

/// The options of a method, as they are set.
struct Options {
    entry: Entry,
    values: Map<String, Value>,
    /// What is to be said about them.
    warnings: Vec<String>,
}

impl Options {
    fn defaults(entry: &Entry) -> Self {
        Self { entry: *entry, values: object((entry.defaults)()), warnings: Vec::new() }
    }

    fn build(&self) -> serde_json::Result<Box<dyn AnyMethod>> {
        let method = (self.entry.build)(Value::Object(self.values.clone()))?;
        Ok(match &self.warnings[..] {
            [] => method,
            warnings => Box::new(WithWarnings { method, warnings: warnings.to_vec() }),
        })
    }
}

/// A method whose maps are made with a warning about its options.
#[derive(Debug)]
struct WithWarnings {
    method: Box<dyn AnyMethod>,
    warnings: Vec<String>,
}

impl AnyMethod for WithWarnings {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn batch(&self) -> usize {
        self.method.batch()
    }

    fn by_region(&self) -> bool {
        self.method.by_region()
    }

    fn parameters(&self) -> Value {
        self.method.parameters()
    }

    fn target(&self) -> Target {
        self.method.target()
    }

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        self.method.suits(explainer, score)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let mut maps = self.method.explain(explainer, cases)?;
        maps.iter_mut().for_each(|map| map.record.warnings.extend(self.warnings.iter().cloned()));
        Ok(maps)
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
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

/// The keys of a method with what they are by default; of one that is not there, the methods that have any.
fn known_keys(entries: &[Entry], method: &str) -> String {
    let defaults = |entry: &Entry| object((entry.defaults)());
    let Some(entry) = entries.iter().find(|entry| entry.name == method) else {
        let with: Vec<&str> = entries.iter().filter(|e| !defaults(e).is_empty()).map(|e| e.name).collect();
        return format!("a setting is written method.key=value; these methods have some: {}", with.join(", "));
    };
    let keys: Vec<String> = defaults(entry).iter().map(|(k, v)| format!("{method}.{k}={}", text(v))).collect();
    if keys.is_empty() {
        return format!("{method} has nothing to set");
    }
    format!("by default {method} has {}", keys.join(", "))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Sets one option, by the type of its default.
fn set(all: &mut [Options], setting: &str, entries: &[Entry]) -> Result<()> {
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| Error::request(format!("setting {setting:?} is not understood"), how_to_set()))?;
    let (key, value) = (key.trim(), value.trim());
    let unknown = || format!("there is no option {key:?}");
    let (method, key) = key.split_once('.').ok_or_else(|| Error::request(unknown(), known_keys(entries, key)))?;
    let known = known_keys(entries, method);
    let options = all.iter_mut().find(|options| options.entry.name == method);
    let found = options.and_then(|options| Some((options.values.get_mut(key)?, options.entry, &mut options.warnings)));
    let (slot, entry, warnings) = found.ok_or_else(|| Error::request(unknown(), known))?;
    let schema = entry.options.iter().find(|option| option.key == key);
    if let Some(schema) = schema.filter(|schema| schema.kind != OptionKind::Baseline) {
        *slot = schema.parse(value).ok_or_else(|| wrong(setting, &schema.expected()))?;
        return Ok(());
    }
    // A method without a schema: by the type of the default.
    *slot = match slot {
        Value::String(_) if key == "baseline" && !entry.baselines.is_empty() => {
            Value::String(baseline_named(&entry, value, warnings)?)
        }
        Value::String(_) => Value::String(value.into()),
        Value::Bool(_) => value.parse().map(Value::Bool).map_err(|_| wrong(setting, "true or false"))?,
        Value::Number(n) if n.is_f64() => {
            let number = value.parse::<f64>().ok().filter(|x| x.is_finite());
            number.map(Value::from).ok_or_else(|| wrong(setting, "a number"))?
        }
        Value::Number(_) => value.parse::<u64>().map(Value::from).map_err(|_| wrong(setting, "a whole number"))?,
        Value::Null | Value::Array(_) | Value::Object(_) => Value::String(value.into()),
    };
    Ok(())
}

/// The name of a baseline; where it is an old one, the new one with a warning. Whether the method takes it, it says itself
/// ([`Method::suits`](crate::Method::suits)).
fn baseline_named(entry: &Entry, name: &str, warnings: &mut Vec<String>) -> Result<String> {
    warnings.clear();
    if let Some((baseline, warning)) = baseline::renamed(entry.name, name) {
        warnings.push(warning);
        return Ok(baseline.to_string());
    }
    if Baseline::ALL.iter().any(|baseline| baseline.name() == name) {
        Ok(name.to_owned())
    } else {
        Err(Baseline::refused(entry.name, name, entry.baselines))
    }
}

fn wrong(setting: &str, expected: &str) -> Error {
    Error::request(format!("setting {setting}: expected {expected}"), how_to_set())
}

fn how_to_set() -> Remedy {
    remedy!["write ", setting::SET.to("method.key=value")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], settings: &[&str]) -> Result<Vec<Box<dyn AnyMethod>>> {
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
