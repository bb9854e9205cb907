#![expect(clippy::cast_possible_truncation, reason = "values are drawn in f64 and held as the volumes are")]

use super::{gram::reads, *};
use crate::folds::{Split, SplitScheme, splits};
use voxplain_core::random::Seed;

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
    let read = std::cell::Cell::new(0);
    let gram = inner_products(150, |n| {
        read.set(read.get() + 1);
        Ok(volumes[n].clone())
    })
    .unwrap();
    assert_eq!((read.get(), reads(150)), (258, 258), "blocks of 64 begin at 0, 64 and 128");
    let (train, test): (Vec<usize>, Vec<usize>) = (0..150).partition(|n| n % 5 != 0);
    let (scores, others) = gram.principal_components(&train, &test, 5);
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
