//! The table of methods in `docs/methods.md`: what each shows, and what it cost on the maps in some folders.
//!
//! ```text
//! voxplain explain model.safetensors --input a.nii.gz b.nii.gz --method all --atlas atlas.nii.gz --labels atlas.txt --out maps
//! cargo run --release --example methods -p voxplain-attribution -- maps
//! ```

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use voxplain_attribution::{Cost, METHODS, Passes, Record};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut costs: BTreeMap<String, Vec<(Passes, Cost)>> = BTreeMap::new();
    for folder in std::env::args_os().skip(1).map(PathBuf::from) {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // One sidecar of each map is enough: those of its other spaces and layers say the same.
            if !name.ends_with("_attribution.json") || ["_space-", "_res-", "_layer-"].iter().any(|e| name.contains(e))
            {
                continue;
            }
            let record: Record =
                serde_json::from_slice(&std::fs::read(&path)?).map_err(|e| format!("{}: {e}", path.display()))?;
            if let Some(cost) = record.cost {
                costs.entry(record.method).or_default().push((record.passes, cost));
            }
        }
    }
    println!("| method | shows | forward | back | seconds |");
    println!("|---|---|---:|---:|---:|");
    for method in METHODS {
        let of = costs.get(method.name).map_or(&[][..], Vec::as_slice);
        let mean = |value: &dyn Fn(&(Passes, Cost)) -> f64, digits: usize| match of.len() {
            0 => "not measured".to_owned(),
            n => format!("{:.digits$}", of.iter().map(value).sum::<f64>() / n as f64),
        };
        println!(
            "| `{}` | {} | {} | {} | {} |",
            method.name,
            method.summary,
            mean(&|(passes, _)| passes.forward as f64, 0),
            mean(&|(passes, _)| passes.backward as f64, 0),
            mean(&|(_, cost)| cost.seconds, 2),
        );
    }
    Ok(())
}
