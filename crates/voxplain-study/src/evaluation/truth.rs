//! [`compare`]: the maps of a run beside the truth that a simulation planted.

use super::{Localisation, Relevance};
use crate::{cohort::Cohort, run::Run, setting::TRUTH};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Error, Progress, Result, Table, atomic_file, remedy};
use voxplain_stats::Interval;
use voxplain_volume::{Interpolation, Mask, MaskOptions, ReadOptions, read_mask};

/// What to compare with the truth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The methods; all that the run has maps of, where nothing is said.
    pub methods: Option<Vec<String>>,
    /// The mask of the truth; `truth.nii.gz` of the cohort where nothing is said.
    pub truth: Option<PathBuf>,
    /// What counts as relevance.
    pub relevance: Relevance,
}

/// How well one method finds the truth, over subjects that the models never saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The method.
    pub method: String,
    /// BLAKE3 of the models that made the maps, fold by fold.
    #[serde(default)]
    pub models: Vec<String>,
    /// The subjects' true class; all subjects where it is absent. A method that looks for what speaks for a class cannot
    /// find a change in subjects who do not have it.
    pub class: Option<String>,
    /// Number of maps.
    pub maps: usize,
    /// Share of the brain that the truth takes: what a map that knows nothing has in it.
    pub chance: Interval,
    /// Share of relevance inside the truth; over maps that are not all zero.
    pub mass: Option<Interval>,
    /// The same over chance: 1 for a map that knows nothing.
    pub enrichment: Option<Interval>,
    /// Of as many most relevant voxels as the truth has, the share inside it.
    pub precision: Interval,
    /// Probability that a voxel of the truth is more relevant than another one of the brain.
    pub auc: Interval,
    /// Share of maps whose most relevant voxel lies in the truth; over maps that are not all zero.
    pub hits: Option<f64>,
    /// Maps that are zero everywhere.
    pub empty: usize,
}

/// Compares each map of a run with the truth, inside the subject's brain mask. Writes `evaluation/localisation.tsv`
/// (one row a map) and `evaluation/localisation.json` (what is returned).
///
/// # Errors
/// Where there is no truth, it lies elsewhere than the maps, or a map is missing or of another model than the run's.
pub fn compare(run: &Run, options: &Options, progress: &dyn Progress) -> Result<Vec<Found>> {
    let cohort = run.cohort()?;
    let truth = read_truth(&cohort, options.truth.as_deref())?;
    let maps = run.maps()?;
    let methods = maps.chosen(options.methods.as_deref(), progress);
    if methods.is_empty() {
        return Err(maps.none("guided-backprop,grad-cam"));
    }
    let people = run.held_out(&cohort)?;
    // Before the work, not in the midst of it.
    for method in &methods {
        for person in &people {
            maps.require(run, &cohort.subjects[person.subject].id, method)?;
        }
    }
    let models = run.models()?;
    let models = models.among(people.iter().filter_map(|person| models.of_fold(person.fold)));
    let files = run.layout().evaluation();
    std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;

    let labels = cohort.column(&run.manifest.label)?;
    progress.begin("compare with the truth", methods.len() * people.len());
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for method in &methods {
        let mut each = Vec::new();
        for person in &people {
            progress.go_on()?;
            let id = &cohort.subjects[person.subject].id;
            let path = run.layout().map(id, method).path();
            let map = voxplain_volume::read(&path, &ReadOptions::default())?.volume.to_ras();
            let found = Localisation::new(&map, &truth, &cohort.mask(person.subject)?, options.relevance).map_err(
                |e| match e {
                    Error::Request { what, remedy } => Error::file(&path, what, remedy),
                    other => other,
                },
            )?;
            rows.push(row(id, method, &found));
            each.push(found);
            progress.advance(1, method);
        }
        all.extend(summary(method, None, &models, &each));
        for class in &run.manifest.classes {
            let truly = |n: usize| labels[people[n].subject] == Some(class.as_str());
            let of_class: Vec<_> = (0..each.len()).filter(|&n| truly(n)).map(|n| each[n]).collect();
            all.extend(summary(method, Some(class.as_str()), &models, &of_class));
        }
    }
    progress.end();

    let columns =
        ["participant_id", "method", "chance", "mass", "enrichment", "precision", "auc", "hit"].map(String::from);
    Table { columns: columns.to_vec(), rows }.write_tsv(&files.table("localisation"))?;
    atomic_file::write_json(&files.summary("localisation"), &all)?;
    Ok(all)
}

fn read_truth(cohort: &Cohort, file: Option<&Path>) -> Result<Mask> {
    let path = file.map_or_else(|| cohort.layout().truth(), Path::to_owned);
    if !path.is_file() {
        return Err(Error::file(
            &path,
            "no mask of the truth",
            remedy![
                "only simulated cohorts know it (",
                Action::new("simulate"),
                "); for another one, give its file with ",
                TRUTH
            ],
        ));
    }
    let truth = read_mask(&path, &MaskOptions::anywhere())?.mask;
    let grid = cohort.grid();
    if truth.grid().same_space(&grid, 0.01) {
        return Ok(truth);
    }
    let weight = truth.map(|inside| f32::from(u8::from(*inside)));
    Ok(weight.resample(&grid, Interpolation::Nearest, 0.0).map(|v| *v != 0.0))
}

fn row(id: &str, method: &str, found: &Localisation) -> Vec<Option<String>> {
    let number = |v: f64| Some(format!("{v:.6}"));
    vec![
        Some(id.to_owned()),
        Some(method.to_owned()),
        number(found.chance),
        found.mass.and_then(number),
        found.enrichment.and_then(number),
        number(found.precision),
        number(found.auc),
        found.hit.map(|h| u8::from(h).to_string()),
    ]
}

/// `None` for no map at all.
fn summary(method: &str, class: Option<&str>, models: &[String], each: &[Localisation]) -> Option<Found> {
    let all = |f: fn(&Localisation) -> f64| Interval::of(&each.iter().map(f).collect::<Vec<_>>());
    let some = |f: fn(&Localisation) -> Option<f64>| Interval::of(&each.iter().filter_map(f).collect::<Vec<_>>());
    let hits = some(|l| l.hit.map(|h| f64::from(u8::from(h))));
    Some(Found {
        method: method.to_owned(),
        models: models.to_vec(),
        class: class.map(str::to_owned),
        maps: each.len(),
        chance: all(|l| l.chance)?,
        mass: some(|l| l.mass),
        enrichment: some(|l| l.enrichment),
        precision: all(|l| l.precision)?,
        auc: all(|l| l.auc)?,
        hits: hits.map(|h| h.mean),
        empty: each.iter().filter(|l| l.hit.is_none()).count(),
    })
}
