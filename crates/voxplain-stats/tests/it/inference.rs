//! Inference on voxels beside statsmodels and nilearn; `fixtures/generate_inference.py` made the numbers.

use serde::Deserialize;
use voxplain_core::{Silent, random::Seed};
use voxplain_stats::inference::{
    Contrast, Counts, Design, Exchange, Family, Fit, InMemory, Lattice, Model, Neighbours, Permutation, Shuffles,
    Sides, Tfce, Variance,
};

#[derive(Deserialize)]
struct Reference {
    shape: [usize; 3],
    mask: Vec<u8>,
    group: Vec<f64>,
    age: Vec<f64>,
    values: Vec<f32>,
    t: Vec<f64>,
    effect: Vec<f64>,
    error: Vec<f64>,
    f_of_both: Vec<f64>,
    hc3: Vec<f64>,
    tfce_of_nilearn: Vec<f64>,
    log_p_of_largest_t: Vec<f64>,
    p_of_largest_tfce: Vec<f64>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("fixtures/inference.json")).unwrap()
}

fn analysis(
    of: &Reference,
    contrast: &Contrast,
    variance: Variance,
    neighbours: Neighbours,
    shuffles: usize,
) -> Permutation {
    let ones = vec![1.0; of.age.len()];
    let columns = [("one", ones), ("age", of.age.clone()), ("group", of.group.clone())];
    let design = Design::new(columns.map(|(name, column)| (name.to_owned(), column)).to_vec()).unwrap();
    let mask: Vec<bool> = of.mask.iter().map(|v| *v == 1).collect();
    Permutation {
        model: Model::new(&design, contrast, variance).unwrap(),
        shuffles: Shuffles::new(&design, &Exchange::default(), shuffles, Seed::new(2)).unwrap(),
        lattice: Lattice::new(of.shape, &mask, neighbours).unwrap(),
        sides: if contrast.rows.len() > 1 { Sides::Above } else { Sides::Two },
        tfce: Some(Tfce::default()),
        threshold: None,
    }
}

fn close(found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((f64::from(*found) - wanted).abs() <= tolerance * (1.0 + wanted.abs()), "{found} {wanted}");
    }
}

#[test]
fn statistics_are_those_of_statsmodels() {
    let of = reference();
    let rows = InMemory::new(of.age.len(), of.values.clone()).unwrap();
    let group = Contrast::t("group", vec![0.0, 0.0, 1.0]);
    let fit = |contrast: &Contrast, variance| -> Fit {
        analysis(&of, contrast, variance, Neighbours::Corners, 10).observe(&rows).unwrap().0
    };
    let found = fit(&group, Variance::Equal);
    close(&found.statistic, &of.t, 2e-6);
    close(&found.effect, &of.effect, 2e-6);
    close(&found.error, &of.error, 2e-6);
    close(&fit(&group, Variance::Robust).statistic, &of.hc3, 2e-6);
    let both = Contrast::f("both", vec![vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]]);
    close(&fit(&both, Variance::Equal).statistic, &of.f_of_both, 2e-6);
}

/// nilearn adds up steps; its neighbours are those with a face in common.
#[test]
fn the_enhancement_is_that_of_nilearn_but_for_its_steps() {
    let of = reference();
    let rows = InMemory::new(of.age.len(), of.values.clone()).unwrap();
    let group = Contrast::t("group", vec![0.0, 0.0, 1.0]);
    let (_, enhanced) = analysis(&of, &group, Variance::Equal, Neighbours::Faces, 10).observe(&rows).unwrap();
    // Steps of 0.02: each enhanced value is off by less than the last of them adds.
    for (found, wanted) in enhanced.unwrap().iter().zip(&of.tfce_of_nilearn) {
        let found = f64::from(found.abs());
        assert!((found - wanted).abs() < 0.03 * found + 0.05, "{found} {wanted}");
    }
}

/// Two samples of shuffles, 20000 by nilearn: their p-values differ by chance alone.
#[test]
fn corrected_p_values_are_those_of_nilearn_within_chance() {
    let of = reference();
    let rows = InMemory::new(of.age.len(), of.values.clone()).unwrap();
    let group = Contrast::t("group", vec![0.0, 0.0, 1.0]);
    let analysis = analysis(&of, &group, Variance::Equal, Neighbours::Faces, 20_000);
    let (fit, enhanced) = analysis.observe(&rows).unwrap();
    let mut counts = Counts::default();
    analysis.run(&rows, (&fit, enhanced.as_deref()), &mut counts, 1 << 28, &Silent).unwrap();
    let sizes = |values: &[f32]| values.iter().map(|v| v.abs()).collect::<Vec<_>>();
    let by_t = counts.corrected(Family::Voxel, sizes(&fit.statistic));
    let by_tfce = counts.corrected(Family::Tfce, sizes(&enhanced.unwrap()));
    for (found, log) in by_t.iter().zip(&of.log_p_of_largest_t) {
        let p = 10f64.powf(-log);
        // Five standard errors of the difference of two such shares.
        assert!((found - p).abs() < 5.0 * (2.0 * p * (1.0 - p) / 20_000.0).sqrt() + 1e-3, "{found} {p}");
    }
    for (found, p) in by_tfce.iter().zip(&of.p_of_largest_tfce) {
        assert!((found - p).abs() < 5.0 * (1.25 * p * (1.0 - p) / 4000.0).sqrt() + 3e-3, "{found} {p}");
    }
}
