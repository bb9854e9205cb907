//! Networks and volumes small enough to know the answer, and explaining them in a line.

use super::mrinet;
use voxplain_attribution::{Attribution, Case, Explainer, Regions, TrainingSubjects, choose};
use voxplain_nn::{Engine, EngineOptions, Linear, Network, Op, Tensor};
use voxplain_volume::{Affine, Grid, Labels, Volume};

pub(crate) const SHAPE: [usize; 3] = [8, 9, 7];

/// Few iterations, and no price of the area: an untrained network is worth none.
pub(crate) const SHORT: [&str; 11] = [
    "meaningful-perturbation.iterations=12",
    "meaningful-perturbation.copies=3",
    "meaningful-perturbation.l1=0",
    "integrated-gradients.steps=11",
    "smoothgrad.samples=9",
    "gradient-shap.samples=13",
    "rise.masks=20",
    "occlusion.stride=16",
    "extremal-perturbation.iterations=6",
    "extremal-perturbation.areas=5,20",
    "shapley-sampling.permutations=4",
];

/// Eight boxes, and a slab that belongs to none.
pub(crate) fn octants(shape: [usize; 3]) -> Regions {
    let labels = Labels::from_fn(grid(shape), |at| {
        let upper: [u32; 3] = std::array::from_fn(|a| u32::from(2 * at[a] >= shape[a]));
        if at[1] + 2 >= shape[1] { 0 } else { 1 + 4 * upper[0] + 2 * upper[1] + upper[2] }
    });
    let names = (1..=8).map(|id| (id, (format!("box {id}"), None))).collect();
    Regions::new(labels, names, "octants".into())
}

pub(crate) fn engine(threads: usize) -> Engine {
    Engine::new(EngineOptions { threads: Some(threads), ..EngineOptions::default() }).unwrap()
}

pub(crate) fn explainer_of(network: &Network, threads: usize) -> Explainer {
    let classes = ["female".to_owned(), "male".to_owned()];
    Explainer::new(&engine(threads), network, &classes, "test".into()).unwrap()
}

/// The same with six people that it was trained on.
pub(crate) fn with_training_subjects(network: &Network, threads: usize) -> Explainer {
    let [_, shape @ ..] = network.input_shape();
    let people = (0..6).map(|n| (format!("subject{n}"), n % 2, [volume(shape, 10 + n)]));
    explainer_of(network, threads).with_training_subjects(TrainingSubjects::of_volumes(people, 2))
}

/// Class 0 always 0.25; class 1 the sum of weight times voxel, plus 0.5.
pub(crate) fn linear(weight: impl Fn([usize; 3]) -> f32) -> Network {
    let grid = grid(SHAPE);
    let mut weights = vec![0.0; grid.len()];
    weights.extend((0..grid.len()).map(|n| weight(grid.voxel(n))));
    let mut net = Network::new([1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    net.then("flat", Op::Flatten).unwrap();
    let mut last = Linear::new(grid.len(), 2);
    last.weight = Tensor::new([2, grid.len()], weights);
    last.bias = Tensor::new([2], vec![0.25, 0.5]);
    net.then("linear", last).unwrap();
    net
}

pub(crate) fn grid(shape: [usize; 3]) -> Grid {
    Grid::new(shape, Affine::from_spacing_origin([3.0; 3], [-10.0, -12.0, -9.0])).unwrap()
}

/// Smooth, never 0, another one for every seed.
pub(crate) fn volume(shape: [usize; 3], seed: usize) -> Volume {
    Volume::from_fn(grid(shape), |[i, j, k]| {
        let wave = (i * (3 + seed)) as f32 * 0.31 + j as f32 * 0.7 - k as f32 * 0.43;
        1.5 + wave.sin() + 0.2 * ((i * 7 + j * 5 + k * 3 + seed) % 11) as f32
    })
}

pub(crate) fn paper(shape: [usize; 3]) -> Network {
    let mut net = mrinet(shape, 4, 2);
    net.initialize(3);
    net
}

pub(crate) fn all_of(
    explainer: &mut Explainer,
    method: &str,
    settings: &[&str],
    cases: &[Case<'_>],
) -> Vec<Attribution> {
    choose(&[method], settings, None).unwrap()[0].explain(explainer, cases).unwrap()
}

pub(crate) fn one(network: &Network, method: &str, settings: &[&str], case: &Case<'_>) -> Attribution {
    all_of(&mut explainer_of(network, 2), method, settings, std::slice::from_ref(case)).remove(0)
}

/// Relative L2 distance.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v).powi(2);
    let off: f64 = a.iter().zip(b).map(|(&a, &b)| square(a - b)).sum();
    (off / b.iter().map(|&b| square(b)).sum::<f64>().max(1e-30)).sqrt()
}
