//! What confounds explain.

use crate::support::{engine, explain_run};
use std::path::Path;
use voxplain_core::{Silent, Table};
use voxplain_study::{
    cohort::Cohort,
    confounds::{AS_IS, Arm, ConfoundOptions, Confounds, confounds},
    folds::SplitScheme,
    group::{GroupOptions, group},
    matched::MatchOn,
    run::{GroupLayout, Run},
    simulate::{Effect, SimulateOptions, simulate},
    train::{TrainOptions, train},
};
use voxplain_volume::{ReadOptions, read};

/// Simulated people on a coarse grid, whose classes differ by size or by a ventricle.
fn people(folder: &Path, name: &str, subjects: usize, (size_effect, ventricle): (f64, f64)) -> Cohort {
    let effects = [("left-lateral-ventricle", ventricle)].into_iter().filter(|(_, change)| *change > 0.0);
    let options = SimulateOptions {
        subjects,
        shape: [22, 28, 22],
        spacing: 7.0,
        effects: effects.map(|(region, change)| Effect { region: region.into(), change }).collect(),
        size_effect,
        seed: 5,
        ..SimulateOptions::default()
    };
    simulate(&folder.join(name), &options, false, &Silent).unwrap()
}

fn options() -> TrainOptions {
    TrainOptions {
        label: "label".into(),
        epochs: 1,
        width: Some(1),
        split: SplitScheme::Folds(4),
        ..TrainOptions::default()
    }
}

fn trained(cohort: &Cohort, options: &TrainOptions, out: &Path) -> voxplain_core::Result<Run> {
    Ok(train(cohort, options, out, false, &engine(2), &Silent, &Silent)?.run)
}

fn on(columns: &[&str], caliper: Option<f64>) -> MatchOn {
    MatchOn { columns: columns.iter().map(|c| (*c).to_owned()).collect(), caliper }
}

/// Two cohorts. Where the label is told by size alone, nothing is left over people of one size; where it is told by a ventricle, all is.
#[test]
fn size_goes_over_matched_people_and_a_ventricle_stays() {
    let folder = tempfile::tempdir().unwrap();
    let asked = |columns: &[&str]| ConfoundOptions { matched: on(columns, None), ..ConfoundOptions::default() };
    let linear = |found: &Confounds| -> (Arm, Arm) {
        let of = |arms: &[Arm]| arms.iter().find(|a| a.model == "logistic-voxels" && a.arm == AS_IS).unwrap().clone();
        (of(&found.arms), of(&found.matched.as_ref().unwrap().arms))
    };
    let cohort = people(folder.path(), "size", 100, (0.1, 0.0));
    let twice = TrainOptions { split: SplitScheme::Folds(2), ..options() };
    let run = trained(&cohort, &twice, &folder.path().join("size-run")).unwrap();
    let found = confounds(&run, &[], &asked(&["mask_volume"]), &engine(2), &Silent).unwrap();
    let (all, matched) = linear(&found);
    assert!(all.area.ends().unwrap().0 > 0.6, "{all:?}");
    let (low, high) = matched.area.ends().unwrap();
    assert!(low < 0.5 && 0.5 < high, "{matched:?}");
    assert!(matched.difference.as_ref().unwrap().ends().unwrap().1 < 0.0, "{matched:?}");
    let of = found.matched.as_ref().unwrap();
    assert!(of.balance[0].before.unwrap() < -0.8 && of.balance[0].after.unwrap().abs() < 0.1, "{:?}", of.balance);
    assert_eq!((of.people, of.on.as_slice()), (100, &["mask volume".to_owned()][..]));
    assert_eq!(of.arms.len(), found.arms.len());
    let left = 2 * (100 - of.without_alike.len());
    assert!(of.pairs >= 10.0 && 2 * of.most <= left, "{of:?}");
    assert!(
        found.summary.iter().any(|line| line.starts_with("Matched on mask volume within 0.2 standard")),
        "{found:?}"
    );
    // Any number of threads: the same.
    assert_eq!(confounds(&run, &[], &asked(&["mask_volume"]), &engine(1), &Silent).unwrap().matched, found.matched);
    assert_eq!(Confounds::read(&run).unwrap().unwrap().matched, found.matched);

    let cohort = people(folder.path(), "ventricle", 100, (0.0, 0.7));
    let run = trained(&cohort, &twice, &folder.path().join("ventricle-run")).unwrap();
    let found = confounds(&run, &[], &asked(&["mask_volume", "age"]), &engine(2), &Silent).unwrap();
    let (all, matched) = linear(&found);
    assert!(all.area.ends().unwrap().0 > 0.6 && matched.area.ends().unwrap().0 > 0.55, "{all:?} {matched:?}");
    let (low, high) = matched.difference.as_ref().unwrap().ends().unwrap();
    assert!(low < 0.0 && 0.0 < high, "{matched:?}");
    // Of what may be no loss nothing is said to be gone.
    let said = found.summary.iter().find(|line| line.contains("voxels, as it is, over people who are alike")).unwrap();
    assert!(said.contains("not shown to differ from over all people") && !said.contains("is gone"), "{said}");
    for (asked, words) in [
        (asked(&["label"]), "is the label itself"),
        (asked(&["age", "age"]), "is named twice"),
        (asked(&["place"]), "place"),
        (
            ConfoundOptions { matched: on(&["age", "mask_volume"], Some(1e-6)), ..ConfoundOptions::default() },
            "fewer than the 10 that something is said of",
        ),
        (ConfoundOptions { matched: on(&[], Some(0.2)), ..ConfoundOptions::default() }, "nobody is matched"),
        (ConfoundOptions { matched: on(&["age"], Some(-1.0)), ..ConfoundOptions::default() }, "a caliper of -1"),
    ] {
        let error = confounds(&run, &[], &asked, &engine(2), &Silent).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Folds train on pairs who are alike, and hold out whom they held out without that; the record has them.
#[test]
fn folds_train_on_matched_people() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = people(folder.path(), "cohort", 80, (0.05, 0.5));
    let at = |name: &str| folder.path().join(name);
    let plain = trained(&cohort, &options(), &at("plain")).unwrap();
    let asked = TrainOptions { matched: vec!["mask_volume".into()], caliper: Some(0.3), ..options() };
    let run = trained(&cohort, &asked, &at("matched")).unwrap();
    let text = std::fs::read_to_string(run.layout().matching()).unwrap();
    let record: voxplain_study::train::TrainedOnMatched = serde_json::from_str(&text).unwrap();
    assert_eq!((record.on.as_slice(), record.caliper, record.folds.len()), (&["mask volume".to_owned()][..], 0.3, 4));
    let labels = cohort.column("label").unwrap();
    for fold in 0..4 {
        let (was, now) = (plain.split(fold).unwrap(), run.split(fold).unwrap());
        assert_eq!(was.test, now.test);
        assert!(now.train.iter().all(|n| was.train.contains(n)) && now.train.len() < was.train.len());
        let cases = now.train.iter().filter(|&&n| labels[n] == Some("case")).count();
        assert_eq!(2 * cases, now.train.len());
        // The pairs of the record are those who are trained on, and alike: by the deviation within the classes of the whole training part.
        let pairs = &record.folds[fold].pairs;
        let place = |id: &String| cohort.find(id).unwrap();
        let mut trained_on: Vec<usize> = pairs.iter().flatten().map(place).collect();
        trained_on.sort_unstable();
        assert_eq!(trained_on, now.train);
        let volume = |n: usize| cohort.subjects[n].mask_volume;
        let variance = |class: &str| {
            let of: Vec<f64> = was.train.iter().filter(|&&n| labels[n] == Some(class)).map(|&n| volume(n)).collect();
            let mean = of.iter().sum::<f64>() / of.len() as f64;
            of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64
        };
        let deviation = f64::midpoint(variance("case"), variance("control")).sqrt();
        for [one, other] in pairs {
            let (one, other) = (place(one), place(other));
            // Classes in their order: case, control.
            assert_eq!((labels[one], labels[other]), (Some("case"), Some("control")));
            assert!((volume(one) - volume(other)).abs() <= 0.3 * deviation * (1.0 + 1e-12));
        }
        let mean = |class: &str, of: &[usize]| {
            let of: Vec<f64> = of.iter().filter(|&&n| labels[n] == Some(class)).map(|&n| volume(n)).collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        let by_hand = (mean("control", &now.train) - mean("case", &now.train)) / deviation;
        assert!((record.folds[fold].balance[0].after.unwrap() - by_hand).abs() < 1e-9);
    }
    // It is an arm of the plain run, over the same held-out people.
    let arms = [("trained on matched".to_owned(), run.clone())];
    let found = confounds(&plain, &arms, &ConfoundOptions::default(), &engine(2), &Silent).unwrap();
    assert!(found.arms.iter().any(|arm| arm.arm == "trained on matched" && arm.subjects == 80));
    // A network of another matching is another network; who is dealt other labels cannot be matched by them.
    let error = trained(&cohort, &options(), &at("matched")).unwrap_err().to_string();
    assert!(error.contains("it was made with other options"), "{error}");
    let error = voxplain_study::train::permute(&run, &Default::default(), &engine(2), &Silent).unwrap_err().to_string();
    assert!(error.contains("matched by their labels"), "{error}");
    for (matched, words) in [
        (
            &["mask_volume", "volume_left-lateral-ventricle", "age", "brain_volume"][..],
            "fewer than the 10 that are trained on",
        ),
        (&["label"], "is the label itself"),
        (&["place"], "place"),
    ] {
        let asked = TrainOptions { matched: matched.iter().map(|c| (*c).to_owned()).collect(), ..options() };
        let error = trained(&cohort, &asked, &at("none")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let value = TrainOptions { label: "age".into(), matched: vec!["mask_volume".into()], ..options() };
    let error = trained(&cohort, &value, &at("none")).unwrap_err().to_string();
    assert_eq!(error, "age is learnt as a value, and people of two classes are matched");
}

/// A column that is the label by another name is refused by each option that takes columns; people of whom a column does not say stay out of pairs.
#[test]
fn the_label_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let own = people(folder.path(), "own", 40, (0.05, 0.5));
    let labels = own.column("label").unwrap();
    let rows = (0..40).map(|n| {
        let ill = labels[n] == Some("case");
        let site = Some(if n % 4 < 2 { "A" } else { "B" }.to_owned()).filter(|_| n != 7);
        vec![labels[n].map(str::to_owned), Some(u8::from(ill).to_string()), site]
    });
    let table = Table { columns: ["label", "ill", "site"].map(str::to_owned).to_vec(), rows: rows.collect() };
    let volumes: Vec<_> =
        (0..40).map(|n| (own.subjects[n].clone(), own.volume(n).unwrap(), own.mask(n).unwrap())).collect();
    let cohort = Cohort::write(&folder.path().join("cohort"), &own.preparation, &table, &volumes).unwrap();
    let at = |name: &str| folder.path().join(name);
    let ill = || vec!["ill".to_owned()];
    for asked in [
        TrainOptions { covariates: ill(), ..options() },
        TrainOptions { stratify: ill(), ..options() },
        TrainOptions { matched: ill(), ..options() },
    ] {
        let error = trained(&cohort, &asked, &at("none")).unwrap_err().to_string();
        assert_eq!(error, "column ill is the label label by another name: `0` is control, `1` is case");
    }
    let asked = TrainOptions { matched: vec!["site".into()], ..options() };
    let run = trained(&cohort, &asked, &at("run")).unwrap();
    let covariates = ConfoundOptions { covariates: ill(), ..ConfoundOptions::default() };
    let error = confounds(&run, &[], &covariates, &engine(2), &Silent).unwrap_err().to_string();
    assert!(error.starts_with("column ill is the label label by another name"), "{error}");
    let asked = ConfoundOptions { matched: on(&["site"], None), ..ConfoundOptions::default() };
    let found = confounds(&run, &[], &asked, &engine(2), &Silent).unwrap().matched.unwrap();
    assert_eq!(found.without_value.len(), 1);
    assert!(cohort.written_id(7) == found.without_value[0] && found.without_alike.is_empty());
    assert!(found.about("subject").contains("site the same in every pair"), "{}", found.about("subject"));
}

/// An arm that is the run itself has the same maps: it is as like the run's folds as these are like each other. Without maps, with others, and on
/// another grid it is said why nothing is compared.
#[test]
fn maps_of_arms() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = people(folder.path(), "cohort", 16, (0.0, 0.8));
    let at = |name: &str| folder.path().join(name);
    let run = trained(&cohort, &options(), &at("run")).unwrap();
    let ask = |arm: &Run| {
        let arms = [("arm".to_owned(), arm.clone())];
        confounds(&run, &arms, &ConfoundOptions::default(), &engine(2), &Silent).unwrap().maps.unwrap()
    };
    let none = ask(&run);
    assert!(none.rows.is_empty() && none.not_compared[0].contains("neither it nor the run has any"), "{none:?}");
    explain_run(&run, &["saliency"]);
    let itself = ask(&run);
    assert_eq!(itself.rows.len(), 3, "all, and each class: {itself:?}");
    let all = &itself.rows[0];
    assert_eq!((all.class.as_deref(), all.subjects, all.method.as_str()), (None, 16, "saliency"));
    assert!((all.means - 1.0).abs() < 1e-12, "{all:?}");
    let (folds, across) = (all.folds.unwrap(), all.across.unwrap());
    assert_eq!((folds.pairs, across.pairs), (6, 12));
    // Pairs of folds in both orders.
    assert!((folds.mean - across.mean).abs() < 1e-12 && all.folds == all.folds_of_arm);
    assert!((folds.least, folds.most) == (across.least, across.most));
    assert!(Confounds::read(&run).unwrap().unwrap().maps.is_some());
    let other = trained(&cohort, &TrainOptions { seed: 9, ..options() }, &at("other")).unwrap();
    assert!(ask(&other).not_compared[0].contains("it has none"));
    explain_run(&other, &["saliency"]);
    let others = ask(&other);
    let all = &others.rows[0];
    assert!(all.means < 1.0 && all.across.is_none(), "other folds: {all:?}");
    assert!(others.sentences()[0].contains("the arm has other folds"));
    // The mean maps are those that `group` writes, in its mask.
    let grouped = |run: &Run| {
        group(run, &GroupOptions::default(), &Silent).unwrap();
        let file = |path: std::path::PathBuf| read(&path, &ReadOptions::default()).unwrap().volume.to_ras();
        let layout = run.layout().group();
        let mask = file(layout.brain_mask());
        let map = file(layout.map(&GroupLayout::map_name("group-all", "mean", "saliency")));
        let inside = map.data().iter().zip(mask.data()).filter(|(_, m)| **m > 0.0).map(|(v, _)| *v);
        inside.collect::<Vec<f32>>()
    };
    let by_group = voxplain_stats::spearman(&grouped(&run), &grouped(&other)).unwrap().unwrap();
    assert!((all.means - by_group).abs() < 1e-6, "{} {by_group}", all.means);
    let coarse = SimulateOptions {
        subjects: 16,
        shape: [24, 30, 24],
        spacing: 6.5,
        effects: vec![Effect { region: "left-lateral-ventricle".into(), change: 0.8 }],
        seed: 5,
        ..SimulateOptions::default()
    };
    let coarse = simulate(&at("coarse"), &coarse, false, &Silent).unwrap();
    let coarse = trained(&coarse, &options(), &at("coarse-run")).unwrap();
    explain_run(&coarse, &["saliency"]);
    let refused = ask(&coarse);
    assert!(refused.rows.is_empty(), "{refused:?}");
    let words = "its grid is another one (24x30x24 voxels of 6.5 x 6.5 x 6.5 mm on a template) than that of the run (22x28x22 voxels of 7 x 7 x 7 mm";
    assert!(refused.not_compared[0].contains(words), "{refused:?}");
}

/// Cases are larger by size alone: what the linear model has is gone with the volume of the masks, an arm that is the run itself differs in
/// nothing, and the volumes tell the volume. A run on other people is refused.
#[test]
fn size_explains_a_difference_of_size() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, subjects: usize, seed: u64| {
        let options = SimulateOptions {
            subjects,
            shape: [22, 28, 22],
            spacing: 7.0,
            effects: Vec::new(),
            size_effect: 0.15,
            seed,
            ..SimulateOptions::default()
        };
        let cohort = simulate(&folder.path().join(name), &options, false, &Silent).unwrap();
        let options = TrainOptions {
            label: "label".into(),
            epochs: 1,
            width: Some(1),
            split: SplitScheme::Folds(4),
            ..TrainOptions::default()
        };
        let out = folder.path().join(format!("{name}-run"));
        train(&cohort, &options, &out, false, &engine(2), &Silent, &Silent).unwrap().run
    };
    let run = made("a", 40, 5);
    let arms = [("itself".to_owned(), run.clone())];
    let found = confounds(&run, &arms, &ConfoundOptions::default(), &engine(2), &Silent).unwrap();
    let row = |model: &str, arm: &str| found.arms.iter().find(|a| a.model == model && a.arm == arm).unwrap();
    assert_eq!(row("cnn", "itself").difference.as_ref().unwrap().value, 0.0);
    let linear = row("logistic-voxels", "itself").difference.as_ref().unwrap().value;
    assert!(linear.abs() < 1e-9, "{linear}");
    let (whole, without) =
        (row("logistic-voxels", AS_IS), row("logistic-voxels", "without mask volume, voxel by voxel"));
    assert!(whole.area.value > 0.8, "{whole:?}");
    let gone = without.explained.as_ref().unwrap().value;
    assert!(gone > 0.5 && without.difference.as_ref().unwrap().value < 0.0, "{without:?}");
    let shuffled = without.shuffled.as_ref().unwrap();
    assert_eq!((shuffled.shuffles, shuffled.as_much), (20, 0));
    assert!(shuffled.difference > without.difference.as_ref().unwrap().value, "{without:?}");
    // By hand: 1 less the ratio of both, above 0.5.
    assert!((gone - (1.0 - (without.area.value - 0.5) / (whole.area.value - 0.5))).abs() < 1e-12);
    assert!(found.reverse[0].of == "mask volume" && found.reverse[0].r.value > 0.8, "{:?}", found.reverse);
    // And that there are no maps to compare.
    assert_eq!(found.summary.len(), found.arms.len() + found.reverse.len() + 1);
    assert_eq!(Confounds::read(&run).unwrap(), Some(found));
    let arms = [("others".to_owned(), made("b", 24, 6))];
    let error = confounds(&run, &arms, &ConfoundOptions::default(), &engine(2), &Silent).unwrap_err().to_string();
    assert!(error.contains("the arm others says nothing of"), "{error}");
    // With as many columns of noise as there are people to train on, nothing is left, and nothing is laid to them.
    let mut cohort = run.cohort().unwrap();
    let mut random = voxplain_core::random::Seed::new(8).random();
    for n in 0..29 {
        cohort.participants.columns.push(format!("noise{n}"));
        cohort.participants.rows.iter_mut().for_each(|row| row.push(Some(random.normal().to_string())));
    }
    cohort.participants.write_tsv(&cohort.layout().participants()).unwrap();
    let covariates = (0..29).map(|n| format!("noise{n}")).collect();
    let options = ConfoundOptions { covariates, ..ConfoundOptions::default() };
    let found = confounds(&run, &[], &options, &engine(2), &Silent).unwrap();
    let all = found.arms.iter().find(|arm| arm.arm == "without all of these").unwrap();
    let shuffled = all.shuffled.as_ref().unwrap();
    assert!(shuffled.as_much > 0 && all.explained.is_none(), "{all:?}");
    assert!(
        found
            .summary
            .iter()
            .any(|line| line.contains("without all of these") && line.contains("nothing is laid to these"))
    );
    let label = ConfoundOptions { covariates: vec!["label".into()], ..ConfoundOptions::default() };
    assert!(confounds(&run, &[], &label, &engine(2), &Silent).unwrap_err().to_string().contains("is the label itself"));
}
