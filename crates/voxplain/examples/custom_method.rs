//! A method of attribution of one's own: what the score loses where an axial slice is set to 0.
//!
//! ```text
//! cargo run --example custom_method -p voxplain
//! ```

#![allow(clippy::print_stdout, reason = "it prints what it found")]

use serde::{Deserialize, Serialize};
use voxplain::Result;
use voxplain::attribution::{Attribution, Case, Explainer, Method, Passes};
use voxplain::nn::{Conv3d, Engine, EngineOptions, Linear, Network, Op};
use voxplain::volume::{Affine, Grid, Volume};

/// At every voxel of a slice: the explained score less the score with that slice, and those next to it, set to 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct SliceOcclusion {
    /// How many slices to either side are set to 0 too.
    neighbours: usize,
}

impl Default for SliceOcclusion {
    fn default() -> Self {
        Self { neighbours: 1 }
    }
}

// ANCHOR: method
impl Method for SliceOcclusion {
    const NAME: &'static str = "slice-occlusion";
    const SUMMARY: &'static str = "what the score loses without each slice";
    const BATCH: usize = 1;

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl SliceOcclusion {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let logits = explainer.logits(&[*case])?.remove(0);
        let objective = case.objective(self.target(), &logits)?;

        // The last axis is k, from foot to head, and lies side by side in memory. One pass forward for each slice.
        let (image, slices) = (case.values(), case.image.shape()[2]);
        let scores = explainer.scores(slices, &objective, |slice, copy| {
            copy.copy_from_slice(&image);
            let gone = slice.saturating_sub(self.neighbours)..(slice + self.neighbours + 1).min(slices);
            copy.chunks_mut(slices).for_each(|row| row[gone.clone()].fill(0.0));
        })?;

        let mut record = self.record(explainer, case, &objective, &logits);
        record.units = format!("{}, lost where a slice is set to 0", case.score);
        record.sign = "positive: without this slice the explained score is lower".into();
        record.passes = Passes { forward: slices + 1, backward: 0 };
        let lost = |voxel: usize| record.score - scores[voxel % slices];
        #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
        let map = (0..case.image.data().len()).map(|voxel| lost(voxel) as f32).collect();
        Attribution::new(case, map, record)
    }
}
// ANCHOR_END: method

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A small network with random weights and a phantom; `voxplain::model::Model::read` opens a trained one.
    let shape = [12, 14, 10];
    let mut network = Network::new([1, shape[0], shape[1], shape[2]]);
    network.then("conv", Conv3d::new(1, 4, [3; 3]))?;
    network.then("relu", Op::Relu)?;
    network.then("pool", Op::GlobalAvgPool)?;
    network.then("linear", Linear::new(4, 2))?;
    network.initialize(0);
    let grid = Grid::new(shape, Affine::from_spacing_origin([3.0; 3], [0.0; 3]))?;
    let head = Volume::from_fn(grid, |[i, j, k]| (0.4 * i as f32).sin() + (0.3 * j as f32).cos() + 0.1 * k as f32);

    let engine = Engine::new(EngineOptions::default())?;
    let classes = ["female".to_owned(), "male".to_owned()];
    let mut explainer = Explainer::new(&engine, &network, &classes, "random weights".into())?;
    let found = explainer.explain(&SliceOcclusion::default(), &[Case::new("phantom", &head)])?.remove(0);

    println!("{}, by {} {}", found.record.target, found.record.method, found.record.parameters);
    for slice in 0..shape[2] {
        println!("slice {slice}: {:+.4} {}", found.map.at(0, 0, slice), found.record.units);
    }
    Ok(())
}
