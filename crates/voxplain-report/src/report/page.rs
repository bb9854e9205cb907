//! [`Page`]: what the template shows, gathered from a run.

use super::{
    Missing, Placed, drawing, faithfulness,
    methods_text::MethodsText,
    people, quality, regions,
    viewer::{self, Scenes, Viewer},
};
use crate::{
    Error, Progress, Result,
    cohort::Cohort,
    figure::{Curve, learning_curves},
    group::GroupSummary,
    run::{Metrics, Prediction, Run},
    stats::{Estimate, significant},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Everything that the template shows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Page {
    pub(super) title: String,
    /// Sentences under the title.
    pub(super) summary: Vec<String>,
    /// Term and description.
    pub(super) facts: Vec<[String; 2]>,
    pub(super) cohort: Option<Grid>,
    pub(super) quality: Option<quality::Checks>,
    pub(super) accuracy: Option<Grid>,
    pub(super) comparisons: Vec<String>,
    pub(super) judging: String,
    /// Figures on training and accuracy.
    pub(super) charts: Vec<Placed>,
    /// All methods at the same cuts.
    pub(super) side_by_side: Vec<Placed>,
    pub(super) methods: Vec<Method>,
    pub(super) space: String,
    pub(super) agreement: Vec<Placed>,
    pub(super) agreement_table: Option<Grid>,
    pub(super) faithfulness: Option<faithfulness::Faithfulness>,
    pub(super) regions: Vec<regions::Regions>,
    pub(super) people: Option<people::People>,
    pub(super) methods_text: Option<MethodsText>,
    /// What went in and what came out, by its hash.
    pub(super) provenance: Option<Grid>,
    pub(super) missing: Vec<Missing>,
    pub(super) warnings: Vec<String>,
    pub(super) commands: Vec<String>,
    /// Name and content of files that say how it was made.
    pub(super) records: Vec<[String; 2]>,
    pub(super) version: String,
    /// What the viewer shows; its part of the page is made last, from what room there is.
    #[serde(skip)]
    pub(super) viewer: Viewer,
    /// Where the viewer's scenes are made, for a page that asks for them.
    #[serde(skip)]
    pub(super) scenes: Option<Scenes>,
}

/// A table of text.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Grid {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) note: String,
}

/// A method with its figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) facts: Vec<[String; 2]>,
    pub(super) warnings: Vec<String>,
    pub(super) figures: Vec<Placed>,
}

impl Page {
    pub(super) fn new(title: String) -> Self {
        Self { title, version: env!("CARGO_PKG_VERSION").into(), ..Self::default() }
    }

    /// Writes every figure as SVG and PNG; those of an earlier report that are no longer made are left alone.
    pub(super) fn write_figures(&self, folder: &Path, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        let all: Vec<&Placed> = self
            .quality
            .iter()
            .filter_map(|q| q.figure.as_ref())
            .chain(&self.charts)
            .chain(&self.side_by_side)
            .chain(self.methods.iter().flat_map(|m| &m.figures))
            .chain(&self.agreement)
            .chain(self.faithfulness.iter().map(|f| &f.figure))
            .chain(self.regions.iter().flat_map(|r| &r.figures))
            .collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        progress.begin("figures", all.len());
        let mut written = Vec::with_capacity(all.len());
        for placed in all {
            progress.go_on()?;
            let stem = folder.join(&placed.stem);
            placed.figure.write(&stem)?;
            written.push(stem.with_extension("svg"));
            progress.advance(1, &placed.stem);
        }
        progress.end();
        Ok(written)
    }

    fn lacks(&mut self, what: &str, command: String) {
        self.missing.push(Missing { what: what.into(), command });
    }
}

/// Where the viewer's volumes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volumes {
    /// With the page.
    Carried,
    /// On a server, made when they are asked for.
    OnRequest,
}

/// The page of a run.
pub(super) fn of_run(directory: &Path, volumes: Volumes, progress: &dyn Progress) -> Result<Page> {
    let run = Run::open(directory)?;
    let manifest = &run.manifest;
    let here = directory.display().to_string();
    let mut page = Page::new(format!("{} from brain MRI", manifest.label));
    page.facts = vec![
        ["Label".into(), format!("{} ({})", manifest.label, manifest.classes.join(", "))],
        [
            "Held out".into(),
            if manifest.folds > 1 {
                format!("{} folds; every subject is judged and explained by a model that never saw it", manifest.folds)
            } else {
                "one part, judged and explained by a model that never saw it".into()
            },
        ],
        ["Seed".into(), manifest.seed.to_string()],
        ["Cohort".into(), manifest.cohort.display().to_string()],
    ];
    let cohort = match run.cohort() {
        Ok(cohort) => Some(cohort),
        Err(error) => {
            page.warnings.push(format!("The cohort cannot be read, so that brains are not shown: {error}"));
            None
        }
    };
    let predictions = if directory.join("predictions.tsv").is_file() { Some(run.predictions()?) } else { None };
    if let Some(cohort) = &cohort {
        page.facts.push(["Volumes".into(), preparation(cohort)]);
        page.cohort = Some(people::cohort_table(cohort, &manifest.label, &manifest.classes));
        page.quality = Some(quality::checks(cohort, progress)?);
    }
    let metrics = if directory.join("metrics.json").is_file() { Some(run.metrics()?) } else { None };
    let train = format!("voxplain train {} --label {} --out {here}", manifest.cohort.display(), manifest.label);
    learning(&mut page, &run)?;
    match (&metrics, &predictions) {
        (Some(metrics), Some(predictions)) => accuracy(&mut page, &run, metrics, predictions)?,
        _ => page.lacks("Accuracy on held-out subjects: training has not finished", train.clone()),
    }

    let groups =
        if directory.join("group/summary.json").is_file() { Some(GroupSummary::read(directory)?) } else { None };
    let methods = run.methods()?;
    let explain = format!("voxplain explain {here} --method hires-cam,guided-backprop,meaningful-perturbation");
    if methods.is_empty() {
        page.lacks("Maps", explain.clone());
    } else if groups.is_none() {
        page.lacks("Group maps and the agreement of methods", format!("voxplain group {here}"));
    }
    if let Some(groups) = &groups {
        drawing::groups(&mut page, &run, groups, progress)?;
        page.warnings.extend(groups.warnings.iter().cloned());
        let new: Vec<&str> =
            methods.iter().filter(|m| !groups.methods.iter().any(|g| g.method == **m)).map(String::as_str).collect();
        if !new.is_empty() {
            page.lacks(&format!("Group maps of {}", new.join(", ")), format!("voxplain group {here}"));
        }
    }
    page.faithfulness = faithfulness::of_run(directory, &mut page.warnings)?;
    if page.faithfulness.is_none() && !methods.is_empty() {
        page.lacks(
            "Deletion and insertion curves: do maps name what the network uses?",
            format!("voxplain evaluate {here} --metric deletion,insertion"),
        );
    }
    let tables = regions::tables(directory)?;
    page.regions = regions::of_run(&tables, &mut page.warnings);
    if page.regions.is_empty() && !methods.is_empty() {
        page.lacks(
            "Region tables",
            format!("voxplain regions {here} --atlas ATLAS.nii.gz --labels LABELS.csv --out {here}/regions/ATLAS.tsv"),
        );
    }
    if let Some(predictions) = &predictions {
        let order = people::order(&manifest.classes, predictions);
        page.people = Some(people::people(&run, cohort.as_ref(), &order, &methods, progress)?);
        if let (Some(cohort), false) = (&cohort, methods.is_empty()) {
            let names = viewer::Names::new(&tables, &mut page.warnings);
            let scenes = Scenes::new(run.clone(), cohort.clone(), groups.clone(), &order, methods.clone(), names);
            if volumes == Volumes::Carried {
                page.viewer = scenes.all(progress, &mut page.warnings)?;
            } else {
                page.viewer = Viewer::on_request(&scenes);
                page.scenes = Some(scenes);
            }
        }
    }
    let atlases: Vec<String> =
        tables.iter().map(|t| t.file_stem().unwrap_or_default().to_string_lossy().into_owned()).collect();
    let mut text = MethodsText::of_run(&run, cohort.as_ref(), metrics.as_ref(), groups.as_ref(), &atlases);
    if let Some(faithfulness) = &page.faithfulness {
        text.faithfulness(&faithfulness.summaries);
    }
    page.methods_text = Some(text);
    page.provenance = Some(provenance(&run, cohort.as_ref())?);
    page.commands = vec![train, explain, format!("voxplain group {here}"), format!("voxplain report {here}")];
    for name in ["config.toml", "manifest.json", "metrics.json"] {
        if let Ok(text) = std::fs::read_to_string(directory.join(name)) {
            page.records.push([name.into(), text]);
        }
    }
    Ok(page)
}

/// The cohort, the template and the models, each with its BLAKE3.
fn provenance(run: &Run, cohort: Option<&Cohort>) -> Result<Grid> {
    let manifest = &run.manifest;
    let mut rows = vec![vec![
        "Volumes of the cohort".to_owned(),
        manifest.cohort.display().to_string(),
        manifest.cohort_hash.clone(),
    ]];
    if let Some(template) = cohort.and_then(|c| c.preparation.template.as_ref()) {
        rows.push(vec!["Template".into(), template.path.display().to_string(), template.hash.clone()]);
    }
    for fold in 0..manifest.folds {
        let path = run.model_path(fold);
        if path.is_file() {
            let hash = voxplain_core::hash_file(&path)?;
            rows.push(vec![format!("Model of fold {fold}"), format!("folds/fold-{fold}/model.safetensors"), hash]);
        }
    }
    Ok(Grid {
        head: ["What", "Where", "BLAKE3"].map(str::to_owned).to_vec(),
        rows,
        note: "The hash of the cohort is over the hashes of its volumes, as kept in manifest.json.".into(),
    })
}

fn preparation(cohort: &Cohort) -> String {
    let p = &cohort.preparation;
    let join = |v: &[String]| v.join(" × ");
    format!(
        "{} voxels of {} mm, intensities {}, {}",
        join(&p.shape.map(|n| n.to_string())),
        join(&p.spacing.map(|n| significant(n, 3))),
        match p.normalize {
            crate::cohort::Normalize::None => "as they are",
            crate::cohort::Normalize::Robust => "by median and interquartile range in the brain",
            crate::cohort::Normalize::Zscore => "by mean and standard deviation in the brain",
        },
        match p.placement {
            crate::cohort::Placement::MaskCentre => "placed on the centre of each brain mask, not registered",
            crate::cohort::Placement::Fixed(_) => "on one grid for all",
        }
    )
}

fn learning(page: &mut Page, run: &Run) -> Result<()> {
    let mut curves = Vec::new();
    for fold in 0..run.manifest.folds {
        if !run.fold_path(fold).join("history.jsonl").is_file() {
            continue;
        }
        let history = run.history(fold)?;
        curves.push(Curve {
            loss: history.iter().map(|e| e.loss).collect(),
            accuracy: history.iter().map(|e| e.accuracy).collect(),
            validation_loss: history.iter().filter_map(|e| e.validation_loss).collect(),
            validation_accuracy: history.iter().filter_map(|e| e.validation_accuracy).collect(),
        });
    }
    if !curves.is_empty() {
        let caption = format!("{} of {} folds.", curves.len(), run.manifest.folds);
        page.charts.push(Placed::new("learning-curves", learning_curves(&curves, 130.0), caption));
    }
    Ok(())
}

/// `0.87 [0.79, 0.92]`.
pub(super) fn estimate(e: &Estimate) -> String {
    format!("{:.2} [{:.2}, {:.2}]", e.value, e.low, e.high)
}

fn accuracy(page: &mut Page, run: &Run, metrics: &Metrics, predictions: &[Prediction]) -> Result<()> {
    page.summary.clone_from(&metrics.summary);
    page.judging.clone_from(&metrics.method);
    let or = |e: &Option<Estimate>| e.as_ref().map_or_else(|| "n/a".into(), estimate);
    let two = metrics.classes.len() == 2;
    let mut head: Vec<String> = ["Classifier", "AUC", "Accuracy", "Balanced accuracy"].map(str::to_owned).to_vec();
    if two {
        head.extend([format!("Sensitivity ({})", metrics.positive), "Specificity".into()]);
    }
    head.push("Brier score".into());
    let rows = metrics.classifiers.iter().map(|j| {
        let c = &j.classification;
        let mut row = vec![
            format!("{}: {}", j.classifier, j.description),
            or(&c.auc),
            estimate(&c.accuracy),
            estimate(&c.balanced_accuracy),
        ];
        if two {
            row.extend([or(&c.sensitivity), or(&c.specificity)]);
        }
        row.push(estimate(&c.brier));
        row
    });
    page.accuracy = Some(Grid { head, rows: rows.collect(), note: "With 95 % intervals over subjects.".into() });
    for c in &metrics.comparisons {
        let auc = c.auc_difference.as_ref().map_or(String::new(), |d| format!("AUC {}, ", difference(d)));
        page.comparisons.push(format!(
            "{} less {}: {auc}accuracy {}",
            c.of,
            c.with,
            difference(&c.accuracy_difference)
        ));
    }
    drawing::accuracy(page, run, metrics, predictions)
}

fn difference(e: &Estimate) -> String {
    format!("{:+.2} [{:+.2}, {:+.2}]", e.value, e.low, e.high).replace('-', "\u{2212}")
}
