//! `voxplain regions`.

use crate::{
    argument,
    pipeline::{Maps, Needs},
    session::{Outcome, Session},
};
use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use voxplain::plural::counted;
use voxplain::{
    Table,
    regions::{RegionOptions, check_name, measure_regions},
    run::RunLayout,
    volume::Level,
};

/// Read maps off in the regions of an atlas.
///
/// A voxel of the map has the label that fills most of it: labels are looked up at evenly spaced points of each voxel, by the
/// affines of both files, as many as the voxel is larger than those of the labels. Nothing is registered or stretched.
/// Prints a table (TSV), a row for each map and region: the region's voxels, side, mean, sum, share of positive and negative
/// relevance, and peak in mm; for maps of a run also the person's true and predicted class, probabilities, outcome and fold. With
/// --out, means over several maps with 95 % intervals are in a file of their own beside it, NAME_means.tsv. What is doubtful
/// is said on stderr.
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
    /// The table of its labels (csv, tsv or txt); `freesurfer` is FreeSurferColorLUT.txt in $FREESURFER_HOME.
    #[arg(long, value_name = "FILE", value_parser = argument::labels)]
    labels: PathBuf,
    /// Brain mask on the maps' grid [default: that of a run's cohort, else labelled or nonzero voxels]; {id} as above.
    #[arg(long, value_name = "FILE")]
    mask: Option<String>,
    /// The value above which a voxel of a mask is in the brain, for masks with soft edges or other codes [default: a mask
    /// must hold 0 and one other value, or labels].
    #[arg(long, value_name = "VALUE", value_parser = argument::threshold, allow_hyphen_values = true, requires = "mask")]
    mask_threshold: Option<f64>,
    /// The cohort whose brain masks are taken [default: that of a run, where the run has it].
    #[arg(long, value_name = "COHORT", conflicts_with = "mask")]
    cohort: Option<PathBuf>,
    /// Of a network of several channels: the maps of this channel (T1w), where methods tell channels apart [default: their sums].
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Write the table there, its means (NAME_means.tsv) and how it was made (.json) beside it, instead of printing it.
    #[arg(long, value_name = "NAME.tsv")]
    out: Option<PathBuf>,
    /// Go on when label image and table do not match; names may then be wrong.
    #[arg(long)]
    allow_mismatch: bool,
}

impl Regions {
    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        let files = [
            ("atlas", Some(self.atlas.as_str().into())),
            ("labels", Some(self.labels.clone())),
            ("mask", self.mask.as_ref().map(PathBuf::from)),
        ];
        let files = files.into_iter().filter_map(|(key, file)| Some((key, file?)));
        Needs {
            cohort: self.cohort.clone(),
            on: self.maps.first().map(|first| ("maps", first.clone())),
            maps: Maps::All,
            files: self.maps.iter().skip(1).map(|map| ("maps", map.clone())).chain(files).collect(),
            ..Needs::default()
        }
    }

    /// Refuses an atlas, labels or a mask that cannot be read or do not belong together.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.out.as_deref().map(check_name).transpose()?;
        Ok(self.options().check()?)
    }

    fn options(&self) -> RegionOptions {
        RegionOptions {
            atlas: self.atlas.clone(),
            labels: self.labels.clone(),
            mask: self.mask.clone(),
            mask_threshold: self.mask_threshold,
            cohort: self.cohort.clone(),
            channel: self.channel.clone(),
            allow_mismatch: self.allow_mismatch,
        }
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let what = self.options();
        self.out.as_deref().map(check_name).transpose()?;
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
        // Without a file there are no means, and nothing to say of them but in JSON, where it stands beside them.
        if let (Some(about), Some(_)) = (table.about_intervals(), &self.out) {
            session.say(&about);
        }
        if let Some(out) = &self.out {
            table.write(out, &what).with_context(|| format!("cannot write {}", out.display()))?;
            session.say(&format!("{} of maps in {}", counted(table.rows.len(), "row"), out.display()));
            if !table.group.is_empty() {
                let file = RunLayout::region_means(out);
                session.say(&format!("{} of means over maps in {}", counted(table.group.len(), "row"), file.display()));
            }
            if let [run] = &self.maps[..]
                && RunLayout::at(run).manifest().is_file()
            {
                session.next(["report", &run.display().to_string()]);
            }
            if !session.global.json {
                return Ok(Outcome::Done);
            }
        }
        let rows = table.people_table();
        if !session.global.json {
            return session.result(&(), &rows.to_tsv()?).map(|()| Outcome::Done);
        }
        session.result(
            &json!({
                "findings": table.findings,
                "intervals": table.about_intervals(),
                "rows": documents(&rows),
                "means": documents(&table.means_table()),
            }),
            "",
        )?;
        Ok(Outcome::Done)
    }
}

/// Columns of words. A class or a region may be called `1` or `inf`.
const WORDS: [&str; 10] = [
    "participant_id",
    "label",
    "predicted",
    "outcome",
    "method",
    "map",
    "name",
    "hemisphere",
    "hemisphere_from",
    "note",
];

/// Every row as an object; missing cells are null, numbers are numbers.
fn documents(table: &Table) -> Vec<Value> {
    let value = |column: &String, cell: &Option<String>| match cell {
        None => Value::Null,
        Some(text) if WORDS.contains(&column.as_str()) => json!(text),
        Some(text) => text
            .parse::<u64>()
            .map(Value::from)
            .or_else(|_| text.parse::<f64>().map(Value::from))
            .unwrap_or_else(|_| json!(text)),
    };
    let cells = |row: &Vec<Option<String>>| {
        table.columns.iter().zip(row).map(|(c, cell)| (c.clone(), value(c, cell))).collect::<Map<_, _>>()
    };
    table.rows.iter().map(|row| Value::Object(cells(row))).collect()
}
