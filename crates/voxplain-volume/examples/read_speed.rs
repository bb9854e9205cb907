//! Reads an image and brings it to 3 mm by trilinear interpolation, over and over; prints the median time of each part
//! in milliseconds as JSON.
//!
//! `benches/beside_nilearn.py` runs it beside nibabel and nilearn:
//! `cargo run --release -p voxplain-volume --example read_speed -- T1.nii.gz 20`

use std::path::Path;
use std::time::Instant;
use voxplain_volume::{Affine, Grid, Interpolation, ReadOptions, read};

#[expect(clippy::print_stdout, clippy::cast_possible_truncation, reason = "prints a result; lengths are small")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(repeats)) = (arguments.next(), arguments.next()) else {
        return Err("usage: read_speed INPUT REPEATS".into());
    };
    let (mut reading, mut resampling, mut sum) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..repeats.parse::<usize>()?.max(1) {
        let start = Instant::now();
        let ras = read(Path::new(&input), &ReadOptions { ras: true, ..ReadOptions::default() })?.volume;
        reading.push(start.elapsed().as_secs_f64() * 1e3);
        let spacing = ras.grid().spacing();
        let shape = [0, 1, 2].map(|a| (ras.shape()[a] as f64 * spacing[a] / 3.0).ceil() as usize);
        let affine = ras.grid().affine * Affine::from_spacing_origin(spacing.map(|s| 3.0 / s), [0.0; 3]);
        let start = Instant::now();
        let small = ras.resample(&Grid::new(shape, affine)?, Interpolation::Linear, 0.0);
        resampling.push(start.elapsed().as_secs_f64() * 1e3);
        sum = small.data().iter().map(|&v| f64::from(v)).sum();
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    println!(
        r#"{{"read_ms": {:.3}, "resample_ms": {:.3}, "sum": {sum}}}"#,
        median(&mut reading),
        median(&mut resampling)
    );
    Ok(())
}
