use super::*;
use proptest::prelude::*;
use voxplain_core::random::Seed;

fn prediction(truth: usize, p: f64, fold: usize) -> FoldPrediction {
    FoldPrediction {
        subject: 0,
        fold,
        truth,
        predicted: usize::from(p > 0.5),
        probabilities: vec![1.0 - p, p],
        group: None,
    }
}

/// Four women (class 0), four men (class 1), two folds.
fn eight() -> Vec<FoldPrediction> {
    [(0, 0.1), (0, 0.4), (0, 0.6), (0, 0.2), (1, 0.9), (1, 0.6), (1, 0.3), (1, 0.8)]
        .into_iter()
        .enumerate()
        .map(|(n, (truth, p))| prediction(truth, p, n % 2))
        .collect()
}

#[test]
fn eight_subjects_by_hand() {
    let c = Classification::of(&eight(), 2, 1, &Resampling::seeded(0)).unwrap();
    assert_eq!(c.confusion, [[3, 1], [1, 3]]);
    assert_eq!(c.accuracy.value, 0.75);
    assert_eq!(c.balanced_accuracy.value, 0.75);
    assert_eq!(c.sensitivity.as_ref().unwrap().value, 0.75);
    // 16 pairs: 0.9 and 0.8 win 4 each, 0.6 wins 3 and ties 1, 0.3 wins 2.
    assert_eq!(c.auc.as_ref().unwrap().value, (4.0 + 4.0 + 3.5 + 2.0) / 16.0);
    // 0.01 0.16 0.36 0.04 0.01 0.16 0.49 0.04
    assert!((c.brier.value - 1.27 / 8.0).abs() < 1e-12);
    // Even positions: women 0.1 0.6, men 0.9 0.3.
    assert_eq!(c.folds[0], FoldScore { fold: 0, subjects: 4, accuracy: 0.5, auc: Some(0.75) });
    assert_eq!(c.folds[1].accuracy, 1.0);
}

#[test]
fn wilson_by_hand() {
    // Altman et al. 2000, Statistics with Confidence, p. 47: 81 of 263 is 0.308 (0.255 to 0.366).
    let e = wilson(81, 263);
    assert!((e.low - 0.2553).abs() < 5e-4 && (e.high - 0.3662).abs() < 5e-4, "{e:?}");
    // None of ten: 0 to z²/(n + z²).
    let e = wilson(0, 10);
    assert!(e.low == 0.0 && (e.high - 3.8415 / 13.8415).abs() < 1e-4, "{e:?}");
    assert_eq!(wilson(10, 10).high, 1.0);
}

#[test]
fn newcombe_solves_its_equation_and_stays_open_at_one() {
    for (value, m, n) in [(0.85, 51, 56), (0.5, 10, 12), (1.0, 8, 8), (0.0, 5, 9)] {
        let e = interval::newcombe(value, m, n);
        let (m, n) = (m as f64, n as f64);
        for end in [e.low, e.high] {
            // Hanley and McNeil 1982 with both sizes replaced by their mean in the corrections.
            let (q1, q2, half) = (end / (2.0 - end), 2.0 * end * end / (1.0 + end), (m + n) / 2.0 - 1.0);
            let variance = (end * (1.0 - end) + half * (q1 - end * end) + half * (q2 - end * end)) / (m * n);
            let z = (value - end).abs() / variance.sqrt();
            assert!(end == value || (z - 1.95996).abs() < 1e-3, "{e:?}: z = {z}");
        }
        assert!(e.low <= value && value <= e.high);
    }
    let perfect = interval::newcombe(1.0, 8, 8);
    assert!(perfect.high == 1.0 && perfect.low < 0.9, "{perfect:?}");
}

#[test]
fn three_classes_are_judged_by_pairs() {
    let row = |truth: usize, p: [f64; 3]| FoldPrediction {
        subject: 0,
        truth,
        predicted: (0..3).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap(),
        probabilities: p.to_vec(),
        fold: 0,
        group: None,
    };
    let predictions = [
        row(0, [0.8, 0.1, 0.1]),
        row(0, [0.3, 0.4, 0.3]),
        row(1, [0.2, 0.6, 0.2]),
        row(1, [0.4, 0.5, 0.1]),
        row(2, [0.1, 0.1, 0.8]),
        row(2, [0.2, 0.2, 0.6]),
    ];
    let c = Classification::of(&predictions, 3, 2, &Resampling::seeded(1)).unwrap();
    assert_eq!(c.accuracy.value, 5.0 / 6.0);
    assert!(c.sensitivity.is_none() && c.specificity.is_none());
    // By p0, 0 against 1: (0.8, 0.3) over (0.2, 0.4): 3 of 4; every other ordered pair of classes is perfect.
    assert!((c.auc.unwrap().value - 5.75 / 6.0).abs() < 1e-12);
}

#[test]
fn a_missing_class_leaves_numbers_out_and_nothing_is_not_finite() {
    let only: Vec<_> = eight().into_iter().filter(|v| v.truth == 1).collect();
    let c = Classification::of(&only, 2, 1, &Resampling::seeded(0)).unwrap();
    assert!(c.auc.is_none() && c.specificity.is_none() && c.recall[0].is_none());
    assert!(!serde_json::to_string(&c).unwrap().contains("null,\"low\""));
    assert_eq!(Classification::of(&[], 2, 1, &Resampling::seeded(0)), None);
}

#[test]
fn a_comparison_is_paired_and_signed() {
    let better: Vec<_> = eight();
    let worse: Vec<_> = better.iter().map(|v| prediction(v.truth, 0.5, v.fold)).collect();
    let setting = (2, 1);
    let resampling = Resampling::seeded(5);
    let c = Comparison::of(("a", &better), ("b", &worse), setting, &resampling).unwrap();
    assert_eq!(c.auc_difference.as_ref().unwrap().value, 13.5 / 16.0 - 0.5);
    assert_eq!(c.accuracy_difference.value, 0.25);
    let back = Comparison::of(("b", &worse), ("a", &better), setting, &resampling).unwrap();
    assert_eq!(back.accuracy_difference.value, -0.25);
    let same = Comparison::of(("a", &better), ("a", &better), setting, &resampling).unwrap();
    let zero = same.auc_difference.unwrap();
    assert_eq!((zero.low, zero.value, zero.high), (0.0, 0.0, 0.0));
    assert!(Comparison::of(("a", &better), ("b", &worse[1..]), setting, &resampling).is_none());
}

#[test]
fn the_corrected_t_by_hand() {
    // Ten subjects a fold in five folds; differences in accuracy 0.1, 0.2, 0.0, 0.1, 0.1: mean 0.1, variance 0.005.
    let with = |wrong: [usize; 5]| -> Vec<FoldPrediction> {
        (0..50)
            .map(|n| prediction(n % 2, if (n % 10 < wrong[n / 10]) == (n % 2 == 0) { 0.9 } else { 0.1 }, n / 10))
            .collect()
    };
    let t = corrected_t(&with([0; 5]), &with([1, 2, 0, 1, 1]), 2, 1).unwrap();
    assert!((t - 0.1 / ((0.2 + 0.25) * 0.005f64).sqrt()).abs() < 1e-9, "{t}");
    assert_eq!(corrected_t(&with([0; 5]), &with([0; 5]), 2, 1), None);
}

#[test]
fn families_widen_the_interval() {
    // Every subject three times over: the numbers stay, the evidence does not grow.
    let once: Vec<FoldPrediction> =
        (0..30).map(|n| prediction(n % 2, f64::from(u8::try_from(n * 37 % 100).unwrap()) / 100.0, n % 3)).collect();
    let thrice = |grouped: bool| -> Vec<FoldPrediction> {
        once.iter()
            .enumerate()
            .flat_map(|(n, v)| vec![FoldPrediction { group: grouped.then_some(n), ..v.clone() }; 3])
            .collect()
    };
    let width = |predictions: &[FoldPrediction]| {
        let e = Classification::of(predictions, 2, 1, &Resampling::seeded(2)).unwrap().accuracy;
        (e.high - e.low, e.interval)
    };
    let (alone, grouped) = (width(&thrice(false)), width(&thrice(true)));
    assert_eq!((alone.1.as_str(), grouped.1.as_str()), ("wilson", "group-bootstrap"));
    assert!(grouped.0 > 1.5 * alone.0, "{alone:?} {grouped:?}");
}

#[test]
fn the_bootstrap_covers() {
    // 60 samples of 40 subjects told right with probability 0.8: a 95 % interval of balanced accuracy should miss
    // about 3 times; 10 would be a sign of something wrong.
    let mut misses = 0;
    for sample in 0..60 {
        let mut random = Seed::new(9).index(sample).random();
        let predictions: Vec<_> = (0..40)
            .map(|n| {
                let right = random.chance(0.8);
                prediction(n % 2, if right == (n % 2 == 1) { 0.9 } else { 0.1 }, 0)
            })
            .collect();
        let resampling = Resampling { resamples: 400, seed: sample };
        let e = Classification::of(&predictions, 2, 1, &resampling).unwrap().balanced_accuracy;
        misses += usize::from(e.low > 0.8 || e.high < 0.8);
    }
    assert!(misses < 10, "{misses}");
}

proptest! {
    #[test]
    fn area_is_the_share_of_pairs(
        up in prop::collection::vec(0u8..20, 1..40), down in prop::collection::vec(0u8..20, 1..40),
    ) {
        let (up, down): (Vec<f64>, Vec<f64>) = (up.into_iter().map(f64::from).collect(), down.into_iter().map(f64::from).collect());
        let mut won = 0.0;
        for u in &up {
            for d in &down {
                won += if u > d { 1.0 } else if u == d { 0.5 } else { 0.0 };
            }
        }
        let area = area_under_curve(&up, &down).unwrap();
        prop_assert!((area - won / (up.len() * down.len()) as f64).abs() < 1e-12);
        let swapped = area_under_curve(&down, &up).unwrap();
        prop_assert!((area + swapped - 1.0).abs() < 1e-12);
    }

    #[test]
    fn numbers_are_finite_and_inside_their_intervals(
        people in prop::collection::vec((0usize..2, 0.0f64..=1.0, 0usize..3, prop::option::of(0usize..6)), 1..30),
    ) {
        let predictions: Vec<_> =
            people.into_iter().map(|(t, p, f, group)| FoldPrediction { group, ..prediction(t, p, f) }).collect();
        let resampling = Resampling { resamples: 50, seed: 1 };
        if let Some(c) = Classification::of(&predictions, 2, 1, &resampling) {
            for e in [Some(&c.accuracy), Some(&c.brier), c.auc.as_ref(), c.sensitivity.as_ref()].into_iter().flatten() {
                prop_assert!(e.value.is_finite() && (0.0..=1.0).contains(&e.low) && (0.0..=1.0).contains(&e.high) && e.low <= e.high);
                prop_assert!(e.interval.ends_with("bootstrap") || (e.low <= e.value && e.value <= e.high));
            }
        }
    }
}
