//! `voxplain regions`.

use crate::session::{Outcome, Session};
use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use voxplain::{
    Table,
    regions::{RegionOptions, measure_regions},
    run::RunLayout,
    volume::Level,
};

/// Read maps off in the regions of an atlas.
///
/// Labels are looked up where the map's voxels are, by the affines of both files; nothing is registered or stretched.
/// Prints a table (TSV): for every region its voxels, side, mean, sum, share of positive and negative relevance, and
/// peak in mm; with several maps also their mean with 95 % intervals. What is doubtful is said on stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain regions run --atlas BN_Atlas_246_1mm.nii.gz --labels BN_Atlas_246.txt --out run/regions/brainnetome.tsv
  voxplain regions run --atlas 'dlmuse/{id}_T1_DLMUSE.nii.gz' --labels MUSE_mapping.csv --out run/regions/dlmuse.tsv")]
pub(crate) struct Regions {
    /// Maps, or folders of maps (a run: all its subjects' maps).
    #[arg(required = true, value_name = "MAP")]
    maps: Vec<PathBuf>,
    /// The label image; {id} in it stands for the subject's id, for labels of each subject's own.
    #[arg(long, value_name = "FILE")]
    atlas: String,
    /// The table of its labels (csv, tsv or txt).
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Brain mask on the maps' grid [default: that of a run's cohort, else labelled or nonzero voxels]; {id} as above.
    #[arg(long, value_name = "FILE")]
    mask: Option<String>,
    /// The value above which a voxel of a mask is in the brain, for masks with soft edges or other codes [default: a mask
    /// must hold 0 and one other value, or labels].
    #[arg(long, value_name = "VALUE", requires = "mask")]
    mask_threshold: Option<f64>,
    /// The cohort whose brain masks are taken [default: that of a run, where the run has it].
    #[arg(long, value_name = "COHORT", conflicts_with = "mask")]
    cohort: Option<PathBuf>,
    /// Write the table there, and how it was made beside it (.json), instead of printing it.
    #[arg(long, value_name = "TSV")]
    out: Option<PathBuf>,
    /// Go on when label image and table do not match; names may then be wrong.
    #[arg(long)]
    allow_mismatch: bool,
}

impl Regions {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let what = RegionOptions {
            atlas: self.atlas.clone(),
            labels: self.labels.clone(),
            mask: self.mask.clone(),
            mask_threshold: self.mask_threshold,
            cohort: self.cohort.clone(),
            allow_mismatch: self.allow_mismatch,
        };
        let table = measure_regions(&self.maps, &what, session.progress())?;
        let mut said: Vec<&str> = Vec::new();
        for finding in &table.findings {
            let alike = table.findings.iter().filter(|f| f.id == finding.id).count();
            if finding.level >= Level::Warning && !said.contains(&finding.id) {
                said.push(finding.id);
                let more = if alike > 1 { format!(" (and {} more like this)", alike - 1) } else { String::new() };
                session.progress().warn(&format!("{}{more}; {}", finding.what, finding.remedy));
            } else if finding.level == Level::Note {
                session.say(&format!("note: {}; {}", finding.what, finding.remedy));
            }
        }
        if let Some(about) = table.about_intervals() {
            session.say(&about);
        }
        let rows = table.to_table();
        if let Some(out) = &self.out {
            table.write(out, &what).with_context(|| format!("cannot write {}", out.display()))?;
            session.say(&format!("{} rows in {}", rows.rows.len(), out.display()));
            if let [run] = &self.maps[..]
                && RunLayout::at(run).manifest().is_file()
            {
                session.next(["report", &run.display().to_string()]);
            }
            if !session.global.json {
                return Ok(Outcome::Done);
            }
        }
        session.result(
            &json!({"findings": table.findings, "intervals": table.about_intervals(), "rows": documents(&rows)}),
            &tsv(&rows),
        )?;
        Ok(Outcome::Done)
    }
}

/// Every row as an object; missing cells are null, numbers are numbers.
fn documents(table: &Table) -> Vec<Value> {
    let value = |cell: &Option<String>| match cell {
        None => Value::Null,
        Some(text) => text.parse::<f64>().map_or_else(|_| json!(text), |x| json!(x)),
    };
    table
        .rows
        .iter()
        .map(|row| Value::Object(table.columns.iter().cloned().zip(row.iter().map(value)).collect::<Map<_, _>>()))
        .collect()
}

fn tsv(table: &Table) -> String {
    let line = |cells: Vec<&str>| cells.join("\t").replace(['\r', '\n'], " ");
    std::iter::once(line(table.columns.iter().map(String::as_str).collect()))
        .chain(table.rows.iter().map(|row| line(row.iter().map(|c| c.as_deref().unwrap_or("n/a")).collect())))
        .collect::<Vec<_>>()
        .join("\n")
}
