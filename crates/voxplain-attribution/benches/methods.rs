//! How long each method of attribution takes for one volume, on the paper's network with random weights.
//!
//! `cargo bench -p voxplain-attribution`; methods that need people, an atlas or another head than the network's are left out.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[path = "../tests/it/support/mrinet.rs"]
mod network;

use criterion::{Criterion, criterion_group, criterion_main};
use network::mrinet;
use voxplain_attribution::{Case, Explainer, METHODS, choose};
use voxplain_core::random::Seed;
use voxplain_nn::{Engine, EngineOptions};
use voxplain_volume::{Affine, Grid, Volume};

/// Methods that take minutes get fewer passes: what is compared is a pass.
const SETTINGS: &[&str] = &["meaningful-perturbation.iterations=3"];

fn methods(criterion: &mut Criterion) {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let mut network = mrinet([58, 70, 58], 32, 2);
    network.initialize(0);
    let classes = ["a".to_owned(), "b".to_owned()];
    let mut explainer = Explainer::new(&engine, &network, &classes, "random".into()).unwrap();
    let grid = Grid::new([58, 70, 58], Affine::from_spacing_origin([3.0; 3], [0.0; 3])).unwrap();
    let mut random = Seed::new(1).random();
    #[allow(clippy::cast_possible_truncation, reason = "volumes are f32")]
    let volume = Volume::from_fn(grid, |_| random.normal() as f32);
    let mut group = criterion.benchmark_group("method");
    group.sample_size(10);
    for entry in METHODS {
        let method = choose(&[entry.name], SETTINGS, None).unwrap().remove(0);
        let case = Case::new("random", &volume);
        if method.explain(&mut explainer, &[case]).is_err() {
            continue;
        }
        group.bench_function(entry.name, |bencher| {
            bencher.iter(|| method.explain(&mut explainer, &[case]).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, methods);
criterion_main!(benches);
