//! Networks and volumes small enough to know the answer.

use voxplain_attribution::Explainer;
use voxplain_nn::{Engine, EngineOptions, Linear, Network, Op, Tensor};
use voxplain_volume::{Affine, Grid, Volume};

pub(crate) const SHAPE: [usize; 3] = [8, 9, 7];

pub(crate) fn engine(threads: usize) -> Engine {
    Engine::new(EngineOptions { threads: Some(threads), ..EngineOptions::default() }).unwrap()
}

pub(crate) fn explainer_of(network: &Network, threads: usize) -> Explainer {
    let classes = ["female".to_owned(), "male".to_owned()];
    Explainer::new(&engine(threads), network, &classes, "test".into()).unwrap()
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
