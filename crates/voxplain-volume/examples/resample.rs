//! Reads a head, turns it to RAS, brings it to 3 mm, writes it, and says how long each step took.
//!
//! `cargo run --release -p voxplain-volume --example resample -- T1.nii.gz out.nii.gz`

use std::path::Path;
use std::time::Instant;
use voxplain_volume::{Affine, Grid, Interpolation, ReadOptions, WriteOptions, read, write};

#[expect(clippy::print_stdout, clippy::cast_possible_truncation, reason = "prints a result; lengths are small")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: resample INPUT OUTPUT".into());
    };
    let start = Instant::now();
    let image = read(Path::new(&input), &ReadOptions::default())?;
    let after_read = start.elapsed();
    let ras = image.volume.to_ras();

    // 3 mm voxels over the same box: the outer faces coincide, so centres move by half the difference.
    let (shape, spacing) = (ras.shape(), ras.grid().spacing());
    let scale = spacing.map(|s| 3.0 / s);
    let coarse = [0, 1, 2].map(|a| (shape[a] as f64 / scale[a]).round() as usize);
    let shift = scale.map(|s| (s - 1.0) / 2.0);
    let grid = Grid::new(coarse, ras.grid().affine * Affine::from_spacing_origin(scale, shift))?;
    let small = ras.resample_antialiased(&grid, Interpolation::Linear, 0.0);
    let after_resampling = start.elapsed();
    write(Path::new(&output), &small, &WriteOptions::default())?;

    println!("{} {:?} as {}", image.format, image.volume.shape(), image.axis_codes);
    for finding in &image.findings {
        println!("{}: {}", finding.id, finding.what);
    }
    println!("to {:?} at {:?} mm", small.shape(), small.grid().spacing());
    println!(
        "read {after_read:.1?}, turned and resampled {:.1?}, written {:.1?}",
        after_resampling - after_read,
        start.elapsed() - after_resampling
    );
    Ok(())
}
