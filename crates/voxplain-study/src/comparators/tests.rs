#![expect(clippy::cast_possible_truncation, reason = "values are drawn in f64 and held as the volumes are")]

use super::{
    gram::{products_with, reads},
    *,
};
use crate::folds::{Split, SplitScheme, splits};
use std::sync::atomic::{AtomicUsize, Ordering};
use voxplain_core::{Silent, random::Seed};

#[test]
fn logistic_by_hand() {
    // Intercept only: the probabilities are the (weighted) shares.
    let none = DMatrix::zeros(4, 0);
    let fit = Logistic::fit(&none, &[0, 1, 1, 1], &[1.0; 4], 2, 1.0);
    assert!((fit.probabilities(&[])[1] - 0.75).abs() < 1e-6);
    let fit = Logistic::fit(&none, &[0, 1, 1, 1], &[3.0, 1.0, 1.0, 1.0], 2, 1.0);
    assert!((fit.probabilities(&[])[1] - 0.5).abs() < 1e-6);
    let fit = Logistic::fit(&none, &[0, 1, 2, 2], &[1.0; 4], 3, 1.0);
    assert!((fit.probabilities(&[])[2] - 0.5).abs() < 1e-6);
    // x = -1, 1 of classes 0, 1 and C = 1: w solves w = 2 (1 - sigmoid(w)); the intercept is 0.
    let rows = DMatrix::from_column_slice(2, 1, &[-1.0, 1.0]);
    let fit = Logistic::fit(&rows, &[0, 1], &[1.0; 2], 2, 1.0);
    let w = (fit.probabilities(&[1.0])[1] / fit.probabilities(&[1.0])[0]).ln();
    assert!((w - 2.0 / (1.0 + w.exp())).abs() < 1e-6, "{w}");
    // Separable without end: finite all the same.
    assert!(Logistic::fit(&rows, &[0, 1], &[1.0; 2], 2, 1e9).probabilities(&[9.0]).iter().all(|p| p.is_finite()));
}

/// A fit at whose optimum the slow gradient is not zero is no optimum.
#[test]
fn three_classes_reach_the_optimum() {
    let mut random = Seed::new(4).random();
    let rows = DMatrix::from_fn(40, 3, |_, _| random.normal());
    let labels: Vec<usize> =
        (0..40).map(|s| usize::from(rows[(s, 0)] > 0.2) + usize::from(rows[(s, 1)] > 0.0)).collect();
    let fit = Logistic::fit(&rows, &labels, &[1.0; 40], 3, 0.5);
    let loss = |fit: &Logistic| {
        let data: f64 =
            (0..40).map(|s| -fit.probabilities(&rows.row(s).iter().copied().collect::<Vec<_>>())[labels[s]].ln()).sum();
        data + fit.weights.iter().flat_map(|w| &w[1..]).map(|w| w * w).sum::<f64>()
    };
    for class in 0..2 {
        for weight in 0..4 {
            let moved = |by: f64| {
                let mut other = fit.clone();
                other.weights[class][weight] += by;
                loss(&other)
            };
            let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!(slope.abs() < 1e-4, "{class} {weight}: {slope}");
        }
    }
}

#[test]
fn components_from_inner_products_are_those_of_the_voxels() {
    let mut random = Seed::new(1).random();
    let volumes: Vec<Vec<f32>> =
        (0..150).map(|_| (0..19).map(|v| random.range(-1.0, 1.0 + f64::from(v)) as f32).collect()).collect();
    let read = AtomicUsize::new(0);
    let gram = inner_products(150, |n| {
        read.fetch_add(1, Ordering::Relaxed);
        Ok(volumes[n].clone())
    })
    .unwrap();
    assert_eq!((read.into_inner(), reads(150)), (258, 258), "blocks of 64 begin at 0, 64 and 128");
    let (train, test): (Vec<usize>, Vec<usize>) = (0..150).partition(|n| n % 5 != 0);
    let (scores, others) = gram.principal_components(&Split { train: train.clone(), test: test.clone() }, 5);
    // The slow way: centre the voxels by the training mean, eigenvectors of their covariance.
    let matrix = |of: &[usize]| DMatrix::from_fn(of.len(), 19, |s, v| f64::from(volumes[of[s]][v]));
    let mean: Vec<f64> = matrix(&train).column_iter().map(|c| c.mean()).collect();
    let centred = |of: &[usize]| {
        let mut m = matrix(of);
        m.column_iter_mut().enumerate().for_each(|(v, mut c)| c.add_scalar_mut(-mean[v]));
        m
    };
    let covariance = centred(&train).transpose() * centred(&train) / train.len() as f64;
    let eigen = nalgebra::SymmetricEigen::new(covariance);
    let mut order: Vec<usize> = (0..19).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    for c in 0..5 {
        let axis = eigen.eigenvectors.column(order[c]) / eigen.eigenvalues[order[c]].sqrt();
        let (a, b) = (centred(&train) * &axis, centred(&test) * &axis);
        let sign = (a[0] * scores[(0, c)]).signum();
        assert!((0..train.len()).all(|s| (sign * a[s] - scores[(s, c)]).abs() < 1e-6));
        assert!((0..test.len()).all(|s| (sign * b[s] - others[(s, c)]).abs() < 1e-6));
    }
}

#[test]
fn a_signal_is_found_and_noise_is_not() {
    let labels: Vec<usize> = (0..60).map(|n| n % 2).collect();
    let splits = splits(&labels, None, SplitScheme::Folds(5), Seed::new(0)).unwrap();
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
    let right = |all: &[FoldPrediction]| all.iter().filter(|p| p.predicted == labels[p.subject]).count();
    let mut random = Seed::new(2).random();
    let mut volumes = |effect: f32| -> Vec<Vec<f32>> {
        labels.iter().map(|&l| (0..300).map(|_| random.normal() as f32 + effect * l as f32).collect()).collect()
    };
    let correct =
        |volumes: &[Vec<f32>]| right(&linear_voxels(&inner_products(60, |n| Ok(volumes[n].clone())).unwrap(), &task));
    assert_eq!(correct(&volumes(2.0)), 60);
    let chance = correct(&volumes(0.0));
    assert!((15..45).contains(&chance), "{chance} of 60");
    let sizes: Vec<f64> = labels.iter().map(|&l| if l == 1 { 1.5e6 } else { 1.2e6 }).collect();
    assert_eq!(right(&mask_volume(&sizes, &task).unwrap()), 60);
    assert!(mask_volume(&vec![1e6; 60], &task).unwrap().iter().all(|s| s.probabilities[0].is_finite()));
    assert!(mask_volume(&vec![0.0; 60], &task).unwrap_err().to_string().contains("0 mm³"));
}

#[test]
fn guessing_and_ranks_by_hand() {
    let labels = [0, 0, 0, 1, 1, 0];
    let split = |train: &[usize], test: &[usize]| Split { train: train.to_vec(), test: test.to_vec() };
    let splits = [split(&[0, 1, 3, 4], &[2, 5]), split(&[2, 5, 0], &[1, 3, 4])];
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
    let guess = majority_class(&task);
    assert_eq!(guess.iter().map(|p| p.predicted).collect::<Vec<_>>(), [0; 5]);
    assert_eq!(
        (guess[0].probabilities.as_slice(), guess[2].probabilities.as_slice()),
        (&[0.5, 0.5][..], &[1.0, 0.0][..])
    );
    // Ranks 1, 2.5, 2.5, 5, 6, 4 of six less a half. Class 1 is the larger in the first fold; in the second no one is of it.
    let volumes = [1.0e6, 1.1e6, 1.1e6, 1.4e6, 1.5e6, 1.2e6];
    let ranked = volume_rank(&volumes, &task).unwrap().unwrap();
    let p: Vec<f64> = ranked.iter().map(|p| p.probabilities[1]).collect();
    assert!((p[0] - 2.0 / 6.0).abs() < 1e-12 && (p[1] - 3.5 / 6.0).abs() < 1e-12, "{p:?}");
    assert!(volume_rank(&[0.0; 6], &task).is_err());
    assert!(volume_rank(&volumes, &ClassificationTask { classes: 3, ..task }).unwrap().is_none());
}

/// A subject's own label must not reach its prediction.
#[test]
fn the_prediction_for_a_subject_does_not_know_its_label() {
    let mut labels: Vec<usize> = (0..30).map(|n| n % 2).collect();
    let splits = splits(&labels, None, SplitScheme::Folds(3), Seed::new(0)).unwrap();
    let mut random = Seed::new(8).random();
    let volumes: Vec<Vec<f32>> = (0..30).map(|_| (0..50).map(|_| random.normal() as f32).collect()).collect();
    let gram = inner_products(30, |n| Ok(volumes[n].clone())).unwrap();
    let of = |labels: &[usize], subject: usize| {
        let task = ClassificationTask { labels, groups: None, classes: 2, splits: &splits, balanced: true };
        // Balanced weights are those of the training part alone.
        linear_voxels(&gram, &task).into_iter().find(|p| p.subject == subject).unwrap().probabilities
    };
    let before = of(&labels, 7);
    labels[7] = 1 - labels[7];
    assert_eq!(of(&labels, 7), before);
}

/// Sums over runs of voxels are those of one voxel after another.
#[test]
fn products_are_sums_over_voxels() {
    let mut random = Seed::new(11).random();
    let volumes: Vec<Vec<f32>> = (0..3).map(|_| (0..9001).map(|_| random.normal() as f32).collect()).collect();
    let gram = inner_products(3, |n| Ok(volumes[n].clone())).unwrap();
    for (a, b) in [(0, 0), (0, 1), (2, 1)] {
        let slow: f64 = (0..9001).map(|v| f64::from(volumes[a][v]) * f64::from(volumes[b][v])).sum();
        assert!((gram.products[(a, b)] - slow).abs() < 1e-9 * 9001.0, "{a} {b}");
        assert_eq!(gram.products[(a, b)].to_bits(), gram.products[(b, a)].to_bits());
    }
}

/// Volumes of 12 voxels, of 90 people; the landmarks of every training part span all voxels, so that nothing is lost.
#[test]
fn landmarks_that_span_everything_give_what_all_products_give() {
    let mut random = Seed::new(12).random();
    let labels: Vec<usize> = (0..90).map(|n| n % 2).collect();
    let volumes: Vec<Vec<f32>> = labels
        .iter()
        .map(|&l| (0..12).map(|v| (2.0 + random.normal() * (1.0 + f64::from(v)) + 0.8 * l as f64) as f32).collect())
        .collect();
    let read = |n: usize| Ok(volumes[n].clone());
    let exact = inner_products(90, read).unwrap();
    let reads = AtomicUsize::new(0);
    let some = products_with(90, (0..90).step_by(3).collect(), |n| {
        reads.fetch_add(1, Ordering::Relaxed);
        read(n)
    })
    .unwrap();
    assert_eq!(reads.into_inner(), 30 + 90, "landmarks, then everybody");
    assert!(exact.is_exact() && exact.in_words().is_empty() && !some.is_exact());
    assert!(
        some.in_words().ends_with("30 landmark volumes that are trained on, all of which hold 100.0 % of the variance")
    );

    let splits = splits(&labels, None, SplitScheme::Folds(3), Seed::new(0)).unwrap();
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: false };
    let close = |a: &[FoldPrediction], b: &[FoldPrediction], within: f64| {
        assert_eq!(a.len(), 90);
        for (a, b) in a.iter().zip(b) {
            assert!(a.subject == b.subject && (a.probabilities[1] - b.probabilities[1]).abs() < within, "{a:?} {b:?}");
        }
    };
    // What a model's map is: its training volumes, each as often as it counts.
    let map = |counts: &[f64], split: &Split| -> Vec<f64> {
        let of = |v: usize| split.train.iter().zip(counts).map(|(&n, c)| c * f64::from(volumes[n][v])).sum();
        (0..12).map(of).collect()
    };
    let same_maps = |a: &[LinearFold], b: &[LinearFold], within: f64| {
        assert_eq!(a.len(), 3);
        for ((a, b), split) in a.iter().zip(b).zip(&splits) {
            for (a, b) in [(&a.weights, &b.weights), (&a.pattern, &b.pattern)] {
                let (a, b) = (map(a, split), map(b, split));
                let size = a.iter().map(|v| v.abs()).fold(0.0, f64::max);
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < within * size), "{a:?} {b:?}");
            }
        }
    };
    close(&linear_voxels(&exact, &task), &linear_voxels(&some, &task), 1e-6);
    let logistic = |gram: &Gram| logistic_voxels(gram, &task, Seed::new(1), &Silent).unwrap();
    let (a, b) = (logistic(&exact), logistic(&some));
    assert_eq!(a.chosen, b.chosen);
    close(&a.predictions, &b.predictions, 1e-5);
    same_maps(&a.linear, &b.linear, 1e-3);
    let ages = Features::of_numbers(vec![("age".into(), volumes.iter().map(|v| Some(f64::from(v[3]))).collect())]);
    let without = |gram: &Gram| logistic_of_gram(gram, &ages, &task, Seed::new(1), &Silent).unwrap().predictions;
    close(&without(&exact), &without(&some), 1e-5);
    assert!(svm_voxels(&exact, &task, Seed::new(1), &Silent).unwrap().is_some());
    assert!(svm_voxels(&some, &task, Seed::new(1), &Silent).unwrap().is_none());

    let values: Vec<f64> = volumes.iter().map(|v| f64::from(v[1] - v[5]) + random.normal()).collect();
    let task = ValueTask { values: &values, groups: None, splits: &splits };
    let (a, b) = (ridge_voxels(&exact, &task), ridge_voxels(&some, &task));
    assert_eq!(a.chosen, b.chosen);
    assert!(a.predictions.iter().zip(&b.predictions).all(|(a, b)| (a.predicted - b.predicted).abs() < 1e-6));
    same_maps(&a.linear, &b.linear, 1e-6);
}

/// Four volumes of two voxels around their mean: (3, 0), (-3, 0), (0, 1), (0, -1), and the first two as landmarks hold 18 of 20.
#[test]
fn the_share_of_the_variance_by_hand() {
    let volumes = [[3.0f32, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
    let gram = products_with(4, vec![0, 1], |n| Ok(volumes[n].to_vec())).unwrap();
    assert!(gram.in_words().ends_with("hold 90.0 % of the variance"), "{}", gram.in_words());
}

/// What is outside the span is left out, and a volume that is held out has no say in what the span is.
#[test]
fn the_span_is_of_the_training_part() {
    let mut random = Seed::new(13).random();
    let volumes: Vec<Vec<f32>> = (0..20).map(|_| (0..40).map(|_| random.normal() as f32).collect()).collect();
    let mut changed = volumes.clone();
    changed[4] = (0..40).map(|_| random.normal() as f32).collect();
    let split = Split { train: (0..20).filter(|n| *n != 4).collect(), test: vec![4] };
    let of = |volumes: &[Vec<f32>]| {
        products_with(20, (0..20).step_by(4).collect(), |n| Ok(volumes[n].clone())).unwrap().span(&split)
    };
    let (span, other) = (of(&volumes), of(&changed));
    assert_eq!((span.train.shape(), span.landmarks.as_slice()), ((19, 4), &[0, 7, 11, 15][..]));
    assert_eq!(span.train, other.train);
    // By hand: an orthonormal basis of the landmarks, and distances along it.
    let basis = DMatrix::from_fn(40, 4, |v, l| f64::from(volumes[split.train[span.landmarks[l]]][v])).qr().q();
    let along = |n: usize| basis.tr_mul(&DMatrix::from_fn(40, 1, |v, _| f64::from(volumes[n][v])));
    for (a, b) in [(0, 5), (3, 12), (7, 18)] {
        let slow = (along(split.train[a]) - along(split.train[b])).norm();
        assert!(((span.train.row(a) - span.train.row(b)).norm() - slow).abs() < 1e-6);
    }
}
