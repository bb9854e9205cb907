//! How long a permutation test takes: two groups, two covariates, a ball of voxels, TFCE on both sides.
//!
//! ```text
//! cargo run --release -p voxplain-stats --example permutations -- [people] [permutations] [edge of the cube, voxels]
//! ```

#![expect(clippy::print_stdout, clippy::cast_possible_truncation, reason = "it prints, of noise in single precision")]

use std::time::Instant;
use voxplain_core::{
    Silent,
    random::{Random, Seed},
};
use voxplain_stats::inference::{
    Contrast, Counts, Design, Exchange, Family, InMemory, Lattice, Model, Neighbours, Permutation, Shuffles, Sides,
    Tfce, Variance,
};

fn main() -> voxplain_core::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse().expect("a number"));
    let mut next = |usual| numbers.next().unwrap_or(usual);
    let (people, permutations, edge): (usize, usize, usize) = (next(107), next(5000), next(48));
    // Noise that is smooth over some voxels, as maps are.
    let mut random = Random::new(1);
    let centre = (edge as f64 - 1.0) / 2.0;
    let inside = |at: [usize; 3]| at.map(|i| ((i as f64 - centre) / centre).powi(2)).iter().sum::<f64>() <= 1.0;
    let at = |n: usize| [n / (edge * edge), n / edge % edge, n % edge];
    let mask: Vec<bool> = (0..edge.pow(3)).map(|n| inside(at(n))).collect();
    let mut values = Vec::new();
    for _ in 0..people {
        let mut noise: Vec<f32> = (0..edge.pow(3)).map(|_| random.normal() as f32).collect();
        for step in [1, edge, edge * edge] {
            noise = (0..noise.len())
                .map(|n| noise[n] + noise[n.saturating_sub(step)] + noise[(n + step).min(noise.len() - 1)])
                .collect();
        }
        values.extend(noise.iter().zip(&mask).filter(|(_, m)| **m).map(|(v, _)| *v));
    }
    let columns = [
        ("intercept", vec![1.0; people]),
        ("age", (0..people).map(|_| random.range(20.0, 80.0)).collect()),
        ("volume", (0..people).map(|_| random.normal()).collect()),
        ("group", (0..people).map(|n| (n % 2) as f64).collect()),
    ];
    let design = Design::new(columns.map(|(name, column)| (name.to_owned(), column)).to_vec())?;
    let rows = InMemory::new(people, values)?;
    let analysis = Permutation {
        model: Model::new(&design, &Contrast::t("group", vec![0.0, 0.0, 0.0, 1.0]), Variance::Equal)?,
        shuffles: Shuffles::new(&design, &Exchange::default(), permutations, Seed::new(0))?,
        lattice: Lattice::new([edge; 3], &mask, Neighbours::Corners)?,
        sides: Sides::Two,
        tfce: Some(Tfce::default()),
        threshold: None,
    };
    let start = Instant::now();
    let (fit, enhanced) = analysis.observe(&rows)?;
    let mut counts = Counts::default();
    analysis.run(&rows, (&fit, enhanced.as_deref()), &mut counts, 256 << 20, &Silent)?;
    let seconds = start.elapsed().as_secs_f64();
    let least = counts.corrected(Family::Tfce, enhanced.iter().flatten().map(|v| v.abs()));
    println!(
        "{people} people, {} voxels, {permutations} permutations: {seconds:.1} s, {:.2} ms each; the least corrected p of this noise is {:.3}",
        analysis.lattice.len(),
        1e3 * seconds / permutations as f64,
        least.into_iter().fold(1.0, f64::min)
    );
    Ok(())
}
