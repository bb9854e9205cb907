//! The old name `mean`, which was two baselines.

use super::Baseline;
use serde_json::Value;

/// The methods for which `mean` was the mean of the cohort; for all others it was that of the image.
const MEAN_OF_COHORT: [&str; 2] = ["integrated-gradients", "deeplift"];

/// What an old name of a baseline meant for a method, and a warning that says so; none for a name that is in use.
pub(crate) fn renamed(method: &str, name: &str) -> Option<(Baseline, String)> {
    if name != "mean" {
        return None;
    }
    let (baseline, is) = if MEAN_OF_COHORT.contains(&method) {
        (Baseline::CohortMean, "the mean of the people that the model was trained on")
    } else {
        (Baseline::ImageMean, "the mean of the image over its mask")
    };
    let warning = format!(
        "The baseline `mean` is two baselines by now. For {method} it was, and is here, {is}; its name is now `{baseline}`."
    );
    Some((baseline, warning))
}

/// Writes the new name in place of an old one among the options of a method; the warning, where there was one.
pub(crate) fn rename_in(method: &str, options: &mut Value) -> Option<String> {
    let name = options.get_mut("baseline")?;
    let (baseline, warning) = renamed(method, name.as_str()?)?;
    *name = baseline.name().into();
    Some(warning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_old_mean_is_what_it_was() {
        for (method, name) in
            [("integrated-gradients", "cohort-mean"), ("deeplift", "cohort-mean"), ("rise", "image-mean")]
        {
            let mut options = json!({ "baseline": "mean", "blur": 10.0 });
            let warning = rename_in(method, &mut options).unwrap();
            assert_eq!(options, json!({ "baseline": name, "blur": 10.0 }));
            assert!(warning.contains(name) && warning.contains(method), "{warning}");
            assert!(rename_in(method, &mut options).is_none());
        }
        // Another option of that value is none of its business.
        assert!(rename_in("smoothgrad", &mut json!({ "mode": "mean" })).is_none());
    }
}
