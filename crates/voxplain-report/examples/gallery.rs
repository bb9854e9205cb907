//! A gallery: every map of one image in the same three cuts.
//!
//! ```text
//! voxplain explain model.safetensors --input head.nii.gz --method all --atlas atlas.nii.gz --labels atlas.txt --out maps
//! cargo run --release --example gallery -p voxplain-report -- head.nii.gz maps gallery.png 20 10 15
//! ```
//!
//! The image lies on the model's grid. The last three numbers are where it is cut: x, y and z in RAS+ mm. The figure is the one
//! that `voxplain report maps` writes to `figures/method-gallery`, which finds a place to cut by itself.

use std::path::Path;
use voxplain_attribution::{METHODS, Record};
use voxplain_report::figure::{ColourRange, Gallery, GalleryPanel, Underlay};
use voxplain_volume::{ReadOptions, Volume, image_stem, read};

type Failure = Box<dyn std::error::Error>;

/// Percentile of |values| in the brain at which colours end.
const PERCENTILE: f64 = 99.5;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, maps, out, place @ ..] = &arguments[..] else {
        return Err("give IMAGE MAPS OUT.png X Y Z".into());
    };
    let place = place.iter().map(|mm| mm.parse()).collect::<Result<Vec<f64>, _>>()?;
    let at = <[f64; 3]>::try_from(place).map_err(|_| "give IMAGE MAPS OUT.png X Y Z")?;
    let name = Path::new(image).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = image_stem(&name).unwrap_or(&name);
    let brain = read(Path::new(image), &ReadOptions::default())?.volume.to_ras();
    let mask = brain.map(|&v| v != 0.0);
    let underlay = Underlay::new(brain, &mask)?;

    let mut shown: Vec<(Record, Volume)> = Vec::new();
    for method in METHODS {
        let file = format!("{stem}_desc-{}_attribution.nii.gz", method.name.replace('-', ""));
        let path = Path::new(maps).join(file);
        if path.exists() {
            let sidecar = std::fs::read(path.with_extension("").with_extension("json"))?;
            let map = read(&path, &ReadOptions::default())?.volume.to_ras();
            shown.push((serde_json::from_slice(&sidecar)?, map));
        }
    }
    let panels: Vec<GalleryPanel<'_>> = shown
        .iter()
        .map(|(record, map)| GalleryPanel {
            name: record.method.clone(),
            units: record.units.clone(),
            map,
            range: ColourRange::percentile(&underlay, map, PERCENTILE),
        })
        .collect();
    let title = format!("Maps of {stem} by all methods");
    let gallery = Gallery { title, underlay: &underlay, panels: &panels, at, width: 180.0, space: String::new() };
    gallery.draw()?.write_png(Path::new(out))?;
    Ok(())
}
