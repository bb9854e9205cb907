//! One image explained by one model.
//!
//! ```text
//! cargo run --release -p voxplain --example explain_one -- run/folds/fold-0/model.safetensors head.nii.gz maps hires-cam
//! ```
//!
//! The image is prepared as the model expects it. The map is written into the folder `maps`, on the grid of the model and
//! in the space of the image, each with its record beside it.

#![allow(clippy::print_stdout, reason = "it prints what it wrote")]

use std::path::{Path, PathBuf};
use voxplain::explain::Images;
use voxplain::map::record_path;
use voxplain::{Engine, EngineOptions, ExplainOptions, Inputs, Model, Silent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, image, out, method] = &arguments[..] else {
        return Err("give MODEL IMAGE OUT METHOD".into());
    };
    let model = Model::read(Path::new(model))?;
    let images = Images { files: vec![PathBuf::from(image)], ..Images::default() };
    let options = ExplainOptions {
        methods: voxplain::choose(&[method], &[], None)?,
        out: Some(PathBuf::from(out)),
        ..ExplainOptions::default()
    };
    let engine = Engine::new(EngineOptions::default())?;
    let done = voxplain::explain(&engine, Inputs::Images(&model, &images), &options, &Silent)?;
    if let Some(failure) = done.failures.first() {
        return Err(failure.error.clone().into());
    }
    for map in &done.maps {
        println!("{} of {}: {} is {:.4}", map.method, map.subject, map.target, map.score);
        println!("map: {}, record: {}", map.map.display(), record_path(&map.map).display());
        if let Some(native) = &map.native_space {
            println!("in the space of the image: {}", native.display());
        }
    }
    Ok(())
}
