use super::comparison::corrected_t;
use super::*;
use crate::estimate::{Z, newcombe};
use proptest::prelude::*;

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
    let c = Classification::of(&eight(), 2, 1).unwrap();
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
    let (low, high) = Estimate::share(81, 263).ends().unwrap();
    assert!((low - 0.2553).abs() < 5e-4 && (high - 0.3662).abs() < 5e-4, "{low} {high}");
    // None of ten: 0 to z²/(n + z²).
    let (low, high) = Estimate::share(0, 10).ends().unwrap();
    assert!(low == 0.0 && (high - 3.8415 / 13.8415).abs() < 1e-4, "{low} {high}");
    assert_eq!(Estimate::share(10, 10).high, Some(1.0));
}

#[test]
fn newcombe_solves_its_equation_and_stays_open_at_one() {
    for (value, m, n) in [(0.85, 51.0, 56.0), (0.5, 10.0, 12.0), (1.0, 8.0, 8.0), (0.0, 5.0, 9.0)] {
        let (low, high) = newcombe(value, m, n, Z);
        for end in [low, high] {
            // Hanley and McNeil 1982 with both sizes replaced by their mean in the corrections.
            let (q1, q2, half) = (end / (2.0 - end), 2.0 * end * end / (1.0 + end), (m + n) / 2.0 - 1.0);
            let variance = (end * (1.0 - end) + half * (q1 - end * end) + half * (q2 - end * end)) / (m * n);
            let z = (value - end).abs() / variance.sqrt();
            assert!(end == value || (z - 1.95996).abs() < 1e-3, "{low} {high}: z = {z}");
        }
        assert!(low <= value && value <= high);
    }
    let (low, high) = newcombe(1.0, 8.0, 8.0, Z);
    assert!(high == 1.0 && low < 0.9, "{low}");
}

#[test]
fn delong_by_the_definition() {
    // Variance of the area from the structural components, written out over pairs.
    let predictions = eight();
    let (up, down): (Vec<f64>, Vec<f64>) = (vec![0.9, 0.6, 0.3, 0.8], vec![0.1, 0.4, 0.6, 0.2]);
    let wins = |u: f64, d: f64| if u > d { 1.0 } else { f64::from(u8::from(u == d)) / 2.0 };
    let v10: Vec<f64> = up.iter().map(|&u| down.iter().map(|&d| wins(u, d)).sum::<f64>() / 4.0).collect();
    let v01: Vec<f64> = down.iter().map(|&d| up.iter().map(|&u| wins(u, d)).sum::<f64>() / 4.0).collect();
    let area = v10.iter().sum::<f64>() / 4.0;
    let s = |v: &[f64]| v.iter().map(|x| (x - area).powi(2)).sum::<f64>() / 3.0;
    let influence = Influence::auc(&predictions, 2, 1).unwrap();
    assert!((influence.value - area).abs() < 1e-12);
    let of = |truth: usize| -> f64 {
        let both = predictions.iter().zip(&influence.of).filter(|(p, _)| p.truth == truth);
        both.map(|(_, i)| i * i).sum::<f64>() * 4.0 / 3.0
    };
    assert!((of(1) + of(0) - (s(&v10) / 4.0 + s(&v01) / 4.0)).abs() < 1e-12);
    assert!(influence.of.iter().sum::<f64>().abs() < 1e-12, "influences are deviations");
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
    let c = Classification::of(&predictions, 3, 2).unwrap();
    assert_eq!(c.accuracy.value, 5.0 / 6.0);
    assert!(c.sensitivity.is_none() && c.specificity.is_none());
    // By p0, 0 against 1: (0.8, 0.3) over (0.2, 0.4): 3 of 4; every other ordered pair of classes is perfect.
    assert!((c.auc.as_ref().unwrap().value - 5.75 / 6.0).abs() < 1e-12);
    // Against the rest: of 0 by p0, (0.8, 0.3) over (0.2, 0.4, 0.1, 0.2): 7 of 8. Of 1 by p1, (0.6, 0.5) over (0.1, 0.4, 0.1, 0.2), and of
    // 2 by p2, (0.8, 0.6) over (0.1, 0.3, 0.2, 0.1), all.
    let rest = c.one_versus_rest.as_ref().unwrap();
    assert_eq!(rest.auc.iter().map(|e| e.value).collect::<Vec<_>>(), [0.875, 1.0, 1.0]);
    assert!((rest.macro_auc.value - 2.875 / 3.0).abs() < 1e-12);
    assert_eq!((c.area(), c.area_name()), (Some(&rest.macro_auc), "macro AUC"));
    // Two people of a class say little: its interval, and so that of the mean, is wide.
    let (low, high) = rest.macro_auc.ends().unwrap();
    assert!(low < 0.75 && high > 0.99, "{low} {high}");
    let two = Classification::of(&eight(), 2, 1).unwrap();
    assert!(two.one_versus_rest.is_none() && two.area_name() == "AUC");
}

/// Of two classes both areas are one number, and their correlation is 1: the mean has the interval of either.
#[test]
fn the_interval_of_a_mean_of_one_area_is_its_own() {
    let predictions = eight();
    let intervals = Intervals::over(&predictions);
    let areas = Influence::versus_rest(&predictions, 2).unwrap();
    let mean = intervals.mean_area(&areas, &Influence::average(&areas).unwrap());
    let one = intervals.area(&areas[1], Some(1));
    assert!((mean.value - one.value).abs() < 1e-12);
    assert!((mean.low.unwrap() - one.low.unwrap()).abs() < 1e-9, "{mean:?} {one:?}");
    assert!((mean.high.unwrap() - one.high.unwrap()).abs() < 1e-9);
}

/// A class that nobody held out is of leaves no area against the rest, and no difference.
#[test]
fn macro_areas_need_every_class_and_are_compared_in_pairs() {
    let of = |scale: f64, classes: usize| -> Vec<FoldPrediction> {
        let one = |n: usize| {
            let truth = n % classes;
            let score =
                |c: usize| (n * 7 % 11) as f64 * 0.03 + if c == truth { scale } else { (c as f64 - 1.0) * 0.02 };
            let total: f64 = (0..3).map(|c| score(c).exp()).sum();
            FoldPrediction::new(n, n % 4, truth, None, (0..3).map(|c| score(c).exp() / total).collect())
        };
        (0..36).map(one).collect()
    };
    assert!(Classification::of(&of(0.1, 2), 3, 2).unwrap().one_versus_rest.is_none());
    let (good, poor) = (of(0.3, 3), of(-0.01, 3));
    let found = Comparison::of(("a", &good), ("b", &poor), (3, 2)).unwrap();
    let difference = found.area_difference().unwrap();
    let value = |p: &[FoldPrediction]| Classification::of(p, 3, 2).unwrap().one_versus_rest.unwrap().macro_auc.value;
    assert!((difference.value - (value(&good) - value(&poor))).abs() < 1e-12);
    let (low, high) = difference.ends().unwrap();
    assert!(low > 0.0 && low < difference.value && difference.value <= high && high <= 1.0, "{difference:?}");
    assert_eq!(difference.interval, "mover");
    let back = Comparison::of(("b", &poor), ("a", &good), (3, 2)).unwrap();
    assert!((back.area_difference().unwrap().value + difference.value).abs() < 1e-12);
}

#[test]
fn a_missing_class_leaves_numbers_out_and_nothing_is_not_finite() {
    let only: Vec<_> = eight().into_iter().filter(|v| v.truth == 1).collect();
    let c = Classification::of(&only, 2, 1).unwrap();
    assert!(c.auc.is_none() && c.specificity.is_none() && c.recall[0].is_none());
    assert!(!serde_json::to_string(&c).unwrap().contains("null,\"low\""));
    assert_eq!(Classification::of(&[], 2, 1), None);
}

#[test]
fn a_comparison_is_paired_and_signed() {
    let better: Vec<_> = eight();
    let worse: Vec<_> = better.iter().map(|v| prediction(v.truth, 0.5, v.fold)).collect();
    let setting = (2, 1);
    let c = Comparison::of(("a", &better), ("b", &worse), setting).unwrap();
    assert_eq!(c.auc_difference.as_ref().unwrap().value, 13.5 / 16.0 - 0.5);
    assert_eq!(c.accuracy_difference.value, 0.25);
    let back = Comparison::of(("b", &worse), ("a", &better), setting).unwrap();
    assert_eq!(back.accuracy_difference.value, -0.25);
    let same = Comparison::of(("a", &better), ("a", &better), setting).unwrap();
    let zero = same.auc_difference.unwrap();
    assert_eq!((zero.low, zero.value, zero.high), (Some(0.0), 0.0, Some(0.0)));
    assert!(Comparison::of(("a", &better), ("b", &worse[1..]), setting).is_none());
}

/// Neither says how far the other would be off elsewhere: the interval has the width of one of them.
#[test]
fn two_without_a_fault_need_not_be_alike() {
    let of = |scale: f64| -> Vec<FoldPrediction> {
        let p = |n: usize| 0.5 + scale * if n % 2 == 1 { 1.0 } else { -1.0 };
        (0..12).map(|n| FoldPrediction::new(n, 0, n % 2, None, vec![1.0 - p(n), p(n)])).collect()
    };
    let difference = Comparison::of(("a", &of(0.2)), ("b", &of(0.4)), (2, 1)).unwrap().auc_difference.unwrap();
    let (low, high) = difference.ends().unwrap();
    assert!(difference.value == 0.0 && low < -0.1 && (low + high).abs() < 1e-12, "{difference:?}");
}

#[test]
fn the_corrected_t_by_hand() {
    // Ten subjects a fold in five folds; differences in accuracy 0.1, 0.2, 0.0, 0.1, 0.1: mean 0.1, variance 0.005.
    let with = |wrong: [usize; 5]| -> Vec<FoldPrediction> {
        (0..50)
            .map(|n| prediction(n % 2, if (n % 10 < wrong[n / 10]) == (n % 2 == 0) { 0.9 } else { 0.1 }, n / 10))
            .collect()
    };
    let (t, freedom) = corrected_t(&with([0; 5]), &with([1, 2, 0, 1, 1]), 2, 1).unwrap();
    assert_eq!(freedom, 4.0);
    assert!((t - 0.1 / ((0.2 + 0.25) * 0.005f64).sqrt()).abs() < 1e-9, "{t}");
    assert_eq!(corrected_t(&with([0; 5]), &with([0; 5]), 2, 1), None);
}

/// Every subject `times` over: the numbers stay, the evidence does not grow.
fn repeated(times: usize, grouped: bool) -> Vec<FoldPrediction> {
    (0..30usize)
        .flat_map(|n| {
            let one = prediction(n % 2, ((n * 37) % 100) as f64 / 100.0, n % 3);
            vec![FoldPrediction { group: grouped.then_some(n), ..one }; times]
        })
        .collect()
}

#[test]
fn copies_of_subjects_add_nothing_where_they_are_groups() {
    let of = |predictions: &[FoldPrediction]| Classification::of(predictions, 2, 1).unwrap();
    let (once, alone, grouped) = (of(&repeated(1, true)), of(&repeated(3, false)), of(&repeated(3, true)));
    let numbers = |c: &Classification| {
        [&c.accuracy, &c.balanced_accuracy, c.auc.as_ref().unwrap(), c.sensitivity.as_ref().unwrap(), &c.brier]
            .map(Clone::clone)
    };
    let all = numbers(&once).into_iter().zip(numbers(&grouped)).zip(numbers(&alone));
    for ((once, grouped), alone) in all {
        assert_eq!(once.interval, grouped.interval);
        assert!(grouped.interval.starts_with("clustered-"), "{grouped:?}");
        let width = |e: &Estimate| e.high.unwrap() - e.low.unwrap();
        assert!((width(&grouped) / width(&once) - 1.0).abs() < 0.03, "{once:?} {grouped:?}");
        assert!(width(&grouped) > 1.5 * width(&alone), "{alone:?} {grouped:?}");
    }
}

#[test]
fn few_groups_give_no_interval_and_say_so() {
    let mut predictions = repeated(1, false);
    predictions.iter_mut().enumerate().for_each(|(n, p)| p.group = Some(n % 9));
    let c = Classification::of(&predictions, 2, 1).unwrap();
    for e in [Some(&c.accuracy), Some(&c.balanced_accuracy), c.auc.as_ref(), c.sensitivity.as_ref(), Some(&c.brier)] {
        let e = e.unwrap();
        assert!(e.ends().is_none() && e.interval == "none: 9 groups are too few, at least 10 are needed", "{e:?}");
    }
    let comparison = Comparison::of(("a", &predictions), ("b", &predictions), (2, 1)).unwrap();
    assert!(comparison.accuracy_difference.ends().is_none() && comparison.auc_difference.unwrap().ends().is_none());
    predictions.iter_mut().enumerate().for_each(|(n, p)| p.group = Some(n % 10));
    assert!(Classification::of(&predictions, 2, 1).unwrap().auc.unwrap().ends().is_some());
}

#[test]
fn perfect_separation_and_few_subjects_leave_room() {
    let perfect = |n: usize, groups: Option<usize>| -> Vec<FoldPrediction> {
        (0..n)
            .map(|i| FoldPrediction {
                group: groups.map(|g| i % g),
                ..prediction(i % 2, (i % 2) as f64 * 0.8 + 0.1, 0)
            })
            .collect()
    };
    let four = Classification::of(&perfect(4, None), 2, 1).unwrap();
    for e in [&four.accuracy, &four.balanced_accuracy, four.auc.as_ref().unwrap()] {
        assert!(e.value == 1.0 && e.high == Some(1.0) && e.low.unwrap() < 0.6, "{e:?}");
    }
    let twelve = Classification::of(&perfect(120, Some(12)), 2, 1).unwrap();
    for e in [&twelve.accuracy, &twelve.balanced_accuracy, twelve.auc.as_ref().unwrap()] {
        assert!(e.value == 1.0 && e.low.unwrap() < 0.8, "twelve groups are not 120 people: {e:?}");
    }
    // Half of four: not 0.50 (0.50 to 0.50). Wilson's interval of one of two reaches 0.4055 to either side, and two such halves
    // put together reach 0.4055 sqrt(2) / 2.
    let half =
        Classification::of(&[(0, 0.1), (0, 0.9), (1, 0.9), (1, 0.1)].map(|(t, p)| prediction(t, p, 0)), 2, 1).unwrap();
    let (low, high) = half.balanced_accuracy.ends().unwrap();
    assert!((low - 0.2133).abs() < 1e-4 && (high - 0.7867).abs() < 1e-4, "{low} {high}");
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
        people in prop::collection::vec((0usize..2, 0.0f64..=1.0, 0usize..3, prop::option::of(0usize..15)), 1..40),
    ) {
        let predictions: Vec<_> =
            people.into_iter().map(|(t, p, f, group)| FoldPrediction { group, ..prediction(t, p, f) }).collect();
        if let Some(c) = Classification::of(&predictions, 2, 1) {
            for e in [Some(&c.accuracy), Some(&c.balanced_accuracy), Some(&c.brier), c.auc.as_ref(), c.sensitivity.as_ref()].into_iter().flatten() {
                prop_assert!(e.value.is_finite());
                if let Some((low, high)) = e.ends() {
                    prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high), "{e:?}");
                    prop_assert!(low <= e.value && e.value <= high, "{e:?}");
                }
            }
        }
        let others: Vec<_> = predictions.iter().map(|p| FoldPrediction { probabilities: vec![0.5; 2], predicted: 0, ..p.clone() }).collect();
        if let Some(c) = Comparison::of(("a", &predictions), ("b", &others), (2, 1)) {
            for e in [Some(&c.accuracy_difference), c.auc_difference.as_ref()].into_iter().flatten() {
                if let Some((low, high)) = e.ends() {
                    prop_assert!(-1.0 <= low && low <= e.value && e.value <= high && high <= 1.0, "{e:?}");
                }
            }
        }
    }
}
