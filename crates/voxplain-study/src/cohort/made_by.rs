//! [`made_otherwise`]: in what the commands differ that two cohorts were made by, as `cohort.json` keeps them.

use crate::{
    listed::listed,
    setting::{ALIGN_SIZE, GRID},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// The keys of two objects whose values differ, also where one of them has none.
pub(crate) fn differing<'a>(one: &'a Value, other: &'a Value) -> BTreeSet<&'a str> {
    let keys = [one, other].into_iter().filter_map(Value::as_object).flat_map(|of| of.keys());
    keys.filter(|key| one[*key] != other[*key]).map(String::as_str).collect()
}

/// What an option of a preparation is called, by its key.
pub(crate) fn option_name(key: &str) -> String {
    match key {
        "shape" => GRID.name().to_owned(),
        "space" => "where the grid lies".to_owned(),
        "sizes" => ALIGN_SIZE.name().to_owned(),
        key => key.replace('_', "-"),
    }
}

/// How a cohort was made otherwise than it would be now, in words.
pub(crate) fn made_otherwise(then: &Value, now: &Value) -> String {
    if then["command"] != now["command"] {
        return format!("made by another command ({})", then["command"].as_str().unwrap_or("unknown"));
    }
    let differ = differing(&then["options"], &now["options"]);
    if !differ.is_empty() {
        let name = |key: &str| match key {
            "entities" => "which sessions, runs, acquisitions or spaces".to_owned(),
            key => option_name(key),
        };
        return format!("made with other options ({})", listed(differ.into_iter().map(name), 8));
    }
    match (then["source"].as_str(), now["source"].as_str()) {
        (Some(then), Some(now)) if then != now => format!("made from {then}, and not from {now}"),
        _ => "made from other files: images, masks or the table of people have changed since, or are others".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_named() {
        let made_by = |options: Value, source: &str, inputs: &str| json!({ "command": "prepare", "options": options, "source": source, "inputs": inputs });
        let now = made_by(json!({ "shape": [1, 2, 3] }), "/a", "x");
        assert_eq!(
            made_otherwise(&made_by(json!({ "shape": null, "mask_column": "m" }), "/a", "x"), &now),
            "made with other options (mask-column, grid)"
        );
        assert_eq!(
            made_otherwise(&made_by(json!({ "shape": [1, 2, 3] }), "/b", "y"), &now),
            "made from /b, and not from /a"
        );
        assert!(
            made_otherwise(&made_by(json!({ "shape": [1, 2, 3] }), "/a", "y"), &now)
                .starts_with("made from other files")
        );
        assert_eq!(made_otherwise(&json!({ "command": "simulate" }), &now), "made by another command (simulate)");
    }
}
