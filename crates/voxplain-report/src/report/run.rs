//! The page of a run.

use super::{
    order,
    page::Page,
    section::{
        accuracy::{self, Accuracy},
        agreement::{self, Agreement},
        cohort, faithfulness, learning,
        maps::{self, Maps},
        methods_text::MethodsText,
        provenance, quality, regions, subjects,
    },
    viewer::{self, Atlases, Scenes},
};
use crate::setting::{ATLAS, LABELS};
use std::path::Path;
use voxplain_core::{Action, Progress, Result};
use voxplain_study::{
    group::GroupSummary,
    run::Run,
    setting::{LABEL, METHOD, METRIC, OUT},
};

/// Where the viewer's volumes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volumes {
    /// With the page.
    Carried,
    /// On a server, made when they are asked for.
    OnRequest,
}

/// The page of a run.
pub(super) fn page(directory: &Path, volumes: Volumes, progress: &dyn Progress) -> Result<Page> {
    let run = Run::open(directory)?;
    let manifest = &run.manifest;
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
        page.facts.push(["Volumes".into(), cohort::preparation(cohort)]);
        page.cohort = Some(cohort::table(cohort, &manifest.label, &manifest.classes));
        page.quality = Some(quality::checks(cohort, progress)?);
    }
    let metrics = if directory.join("metrics.json").is_file() { Some(run.metrics()?) } else { None };
    let steps = Steps { directory, run: &run };
    page.charts.extend(learning::of_run(&run)?);
    match (&metrics, &predictions) {
        (Some(metrics), Some(predictions)) => {
            page.summary.clone_from(&metrics.summary);
            page.judging.clone_from(&metrics.method);
            let Accuracy { table, groups, comparisons, charts } = accuracy::of_run(&run, metrics, predictions);
            (page.accuracy, page.accuracy_by_group, page.comparisons) = (Some(table), groups, comparisons);
            page.charts.extend(charts);
        }
        _ => page.lacks("Accuracy on held-out subjects: training has not finished", steps.train()),
    }

    let groups =
        if directory.join("group/summary.json").is_file() { Some(GroupSummary::read(directory)?) } else { None };
    let methods = run.methods()?;
    if methods.is_empty() {
        page.lacks("Maps", steps.explain());
    } else if groups.is_none() {
        page.lacks("Group maps and the agreement of methods", steps.group());
    }
    if let Some(groups) = &groups {
        Maps { side_by_side: page.side_by_side, methods: page.methods } = maps::of_groups(&run, groups, progress)?;
        page.space.clone_from(&groups.space);
        if let Some(Agreement { figures, table }) = agreement::of_groups(groups) {
            (page.agreement, page.agreement_table) = (figures, Some(table));
        }
        page.warnings.extend(groups.warnings.iter().cloned());
        let new: Vec<&str> =
            methods.iter().filter(|m| !groups.methods.iter().any(|g| g.method == **m)).map(String::as_str).collect();
        if !new.is_empty() {
            page.lacks(format!("Group maps of {}", new.join(", ")), steps.group());
        }
    }
    page.faithfulness = faithfulness::of_run(directory, &mut page.warnings)?;
    if page.faithfulness.is_none() && !methods.is_empty() {
        page.lacks("Deletion and insertion curves: do maps name what the network uses?", steps.evaluate());
    }
    let tables = regions::tables(directory)?;
    page.regions = regions::of_run(&tables, &mut page.warnings);
    if page.regions.is_empty() && !methods.is_empty() {
        page.lacks("Region tables", steps.regions());
    }
    if let Some(predictions) = &predictions {
        let order = order::order(&manifest.classes, predictions);
        page.subjects = Some(subjects::of_run(&run, cohort.as_ref(), &order, &methods, progress)?);
        if let (Some(cohort), false) = (&cohort, methods.is_empty()) {
            let atlases = Atlases::new(&tables, &mut page.warnings);
            let scenes = Scenes::new(run.clone(), cohort.clone(), groups.clone(), &order, methods.clone(), atlases);
            if volumes == Volumes::Carried {
                page.viewer = scenes.all(progress, &mut page.warnings)?;
            } else {
                page.viewer = viewer::on_request(&scenes);
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
    page.provenance = Some(provenance::table(&run, cohort.as_ref())?);
    page.steps = vec![steps.train(), steps.explain(), steps.group(), steps.report()];
    for name in ["config.toml", "manifest.json", "metrics.json"] {
        if let Ok(text) = std::fs::read_to_string(directory.join(name)) {
            page.records.push([name.into(), text]);
        }
    }
    Ok(page)
}

/// The steps that make the parts of a run.
struct Steps<'a> {
    /// As the caller named it.
    directory: &'a Path,
    run: &'a Run,
}

impl Steps<'_> {
    fn on_run(&self, verb: &'static str) -> Action {
        Action::new(verb).on(self.directory)
    }

    fn train(&self) -> Action {
        let manifest = &self.run.manifest;
        Action::new("train").on(&manifest.cohort).with(LABEL, &manifest.label).with(OUT, self.directory.display())
    }

    fn explain(&self) -> Action {
        self.on_run("explain").with(METHOD, "hires-cam,guided-backprop,meaningful-perturbation")
    }

    fn group(&self) -> Action {
        self.on_run("group")
    }

    fn evaluate(&self) -> Action {
        self.on_run("evaluate").with(METRIC, "deletion,insertion")
    }

    fn regions(&self) -> Action {
        let out = self.directory.join("regions/ATLAS.tsv");
        self.on_run("regions").with(ATLAS, "ATLAS.nii.gz").with(LABELS, "LABELS.csv").with(OUT, out.display())
    }

    fn report(&self) -> Action {
        self.on_run("report")
    }
}
