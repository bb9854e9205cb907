//! [`made_otherwise`]: in what the commands differ that two cohorts were made by, as `cohort.json` keeps them.

use crate::listed::listed;
use serde_json::Value;
use std::collections::BTreeSet;

/// How a cohort was made otherwise than it would be now, in words.
pub(crate) fn made_otherwise(then: &Value, now: &Value) -> String {
    if then["command"] != now["command"] {
        return format!("made by another command ({})", then["command"].as_str().unwrap_or("unknown"));
    }
    let keys = [then, now].into_iter().filter_map(|made_by| made_by["options"].as_object()).flat_map(|of| of.keys());
    let differ: BTreeSet<&String> = keys.filter(|key| then["options"][*key] != now["options"][*key]).collect();
    if !differ.is_empty() {
        let name = |key: &String| match key.as_str() {
            "shape" => "grid".to_owned(),
            "space" => "where the grid lies".to_owned(),
            "sizes" => "align-size".to_owned(),
            "entities" => "which sessions, runs, acquisitions or spaces".to_owned(),
            key => key.replace('_', "-"),
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
