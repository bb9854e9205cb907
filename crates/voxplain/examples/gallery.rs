//! A gallery: every map of one image in the same three cuts.
//!
//! ```text
//! voxplain explain model.safetensors --input head.nii.gz --method all --atlas atlas.nii.gz --labels atlas.txt --out maps
//! cargo run --release --example gallery -p voxplain -- head.nii.gz maps gallery.png 20 10 15
//! ```
//!
//! The image lies on the model's grid. The last three numbers are where it is cut: x, y and z in RAS+ mm.

use base64::Engine as _;
use std::fmt::Write as _;
use std::path::Path;
use voxplain::attribution::METHODS;
use voxplain::figure::{Cut, Figure, Layer, Plane, Scale, thumbnail};
use voxplain::volume::{ReadOptions, Volume, quantiles, read};

type Failure = Box<dyn std::error::Error>;

/// Methods side by side.
const COLUMNS: usize = 4;

/// Size of the figure on the page, of its own units: pictures at 300 dpi are no sharper than they need to be.
const ON_PAGE: f64 = 0.5;

/// Share of |values| in the brain that the colours tell apart.
const PERCENTILE: f64 = 0.995;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, maps, out, x, y, z] = &arguments[..] else {
        return Err("give IMAGE MAPS OUT.png X Y Z".into());
    };
    let name = Path::new(image).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.trim_end_matches(".gz").trim_end_matches(".nii");
    let brain = read(Path::new(image), &ReadOptions::default())?.volume.to_ras();
    let mask = brain.map(|&v| v != 0.0);
    let layer = Layer::new(brain, &mask)?;
    let cuts = [(Plane::Axial, z), (Plane::Coronal, y), (Plane::Sagittal, x)];
    let cuts = cuts.map(|(plane, at)| at.parse().map(|at| Cut { plane, at }));

    // Millimetres of brain a pixel of the picture, and pixels a unit of the figure.
    let (step, cell, row) = (1.5, [210.0, 64.0], 92.0);
    let mut body = String::new();
    let mut shown = Vec::new();
    for method in METHODS {
        let file = format!("{stem}_desc-{}_attribution.nii.gz", method.name.replace('-', ""));
        let path = Path::new(maps).join(file);
        if !path.exists() {
            continue;
        }
        let map = read(&path, &ReadOptions::default())?.volume.to_ras();
        let most = strongest(&map, mask.data());
        let place = shown.len();
        let at = [cell[0] * (place % COLUMNS) as f64, row * (place / COLUMNS) as f64];
        let _ = write!(
            body,
            r##"<text x="{:.1}" y="{:.1}" font-family="sans-serif" font-size="10" fill="#222">{}</text>"##,
            at[0] + 4.0,
            at[1] + 14.0,
            method.name
        );
        for (n, cut) in cuts.iter().cloned().enumerate() {
            let png = thumbnail(&layer, &map, cut?, Scale { most, percentile: None }, step)?;
            let _ = write!(
                body,
                r#"<image x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" href="data:image/png;base64,{}"/>"#,
                at[0] + 4.0 + n as f64 * (cell[0] - 8.0) / 3.0,
                at[1] + 20.0,
                (cell[0] - 8.0) / 3.0 - 2.0,
                cell[1],
                base64::engine::general_purpose::STANDARD.encode(png)
            );
        }
        shown.push(method.name);
    }
    let (width, height) = (cell[0] * COLUMNS as f64, row * shown.len().div_ceil(COLUMNS) as f64);
    let svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{:.0}" height="{:.0}" viewBox="0 0 {width} {height}"><rect width="{width}" height="{height}" fill="#fff"/>{body}</svg>"##,
        width * ON_PAGE,
        height * ON_PAGE
    );
    let alt = format!("Maps of one image by {}, each in three cuts, in colours of its own scale.", shown.join(", "));
    let png = Figure { svg, alt, width }.png()?;
    std::fs::write(out, png)?;
    Ok(())
}

/// A high quantile of |values| in the brain, and where that is 0 the largest.
fn strongest(map: &Volume, inside: &[bool]) -> f64 {
    let mut sizes: Vec<f32> = map.data().iter().zip(inside).filter(|(_, i)| **i).map(|(v, _)| v.abs()).collect();
    let [most, largest] = quantiles(&mut sizes, [PERCENTILE, 1.0]);
    if most > 0.0 { most } else { largest.max(f64::MIN_POSITIVE) }
}
