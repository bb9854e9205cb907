//! Baselines: which method takes which, and the name `mean` that two of them had.

use crate::support::*;
use voxplain_attribution::{Baseline, Case, METHODS, Record, Score, choose};

#[test]
fn a_method_refuses_what_it_does_not_take_and_says_what_it_takes() {
    let net = paper([24, 25, 23]);
    let explainer = with_training_subjects(&net, 1);
    let mut with_baseline = 0;
    for entry in METHODS {
        let default = (entry.defaults)()["baseline"].as_str().map(str::to_owned);
        assert_eq!(default.is_some(), !entry.baselines.is_empty(), "{}", entry.name);
        let Some(default) = default else { continue };
        with_baseline += 1;
        assert!(entry.baselines.iter().any(|b| b.name() == default), "{}", entry.name);
        for baseline in Baseline::ALL {
            let setting = format!("{}.baseline={baseline}", entry.name);
            let method = choose(&[entry.name], &[setting.as_str()], None).unwrap().remove(0);
            match method.suits(&explainer, Score::Logit) {
                Ok(()) => assert!(entry.baselines.contains(&baseline), "{setting}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!entry.baselines.contains(&baseline), "{error}");
                    assert!(entry.baselines.iter().all(|taken| error.contains(taken.name())), "{error}");
                }
            }
        }
        let unknown = format!("{}.baseline=grey", entry.name);
        let error = choose(&[entry.name], &[unknown.as_str()], None).unwrap_err().to_string();
        assert!(entry.baselines.iter().all(|taken| error.contains(taken.name())), "{error}");
    }
    assert_eq!(with_baseline, 9);
}

#[test]
fn the_old_name_mean_is_taken_with_a_warning_that_says_which_it_was() {
    let net = linear(|[i, ..]| i as f32);
    let image = volume(SHAPE, 1);
    let regions = octants(SHAPE);
    let case = Case { regions: Some(&regions), ..Case::new("a", &image) };
    for entry in METHODS.iter().filter(|entry| !entry.baselines.is_empty()) {
        let explain = |baseline: &str| {
            let setting = format!("{}.baseline={baseline}", entry.name);
            let settings: Vec<&str> = SHORT.iter().copied().chain([setting.as_str()]).collect();
            let method = choose(&[entry.name], &settings, None).unwrap().remove(0);
            (
                method.parameters(),
                all_of(&mut with_training_subjects(&net, 1), entry.name, &settings, &[case]).remove(0),
            )
        };
        let new = if ["integrated-gradients", "deeplift"].contains(&entry.name) { "cohort-mean" } else { "image-mean" };
        let ((parameters, renamed), (expected, by_name)) = (explain("mean"), explain(new));
        assert_eq!(parameters, expected);
        assert_eq!(parameters["baseline"], new);
        assert_eq!(renamed.map, by_name.map);
        assert_eq!(renamed.record.parameters, parameters);
        let warnings = &renamed.record.warnings[by_name.record.warnings.len()..];
        assert!(warnings.len() == 1 && warnings[0].contains(new) && warnings[0].contains("`mean`"), "{warnings:?}");

        // A record as it was written.
        let mut written = serde_json::to_value(&by_name.record).unwrap();
        written["Parameters"]["baseline"] = "mean".into();
        let read: Record = serde_json::from_value(written).unwrap();
        assert_eq!(read, renamed.record);
        // And one with the new name, word for word.
        let written = serde_json::to_string(&by_name.record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&written).unwrap(), by_name.record);
    }
}
