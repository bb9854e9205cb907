//! The page of a run.

use super::{
    element::{NotSeen, Person, Warning, file_name},
    page::Page,
    section::{
        accuracy::{self, Accuracy},
        agreement::{self, Agreement},
        cohort, faithfulness, imbalance, leakage, learning, linear,
        maps::{self, Maps},
        methods_text::{MapsOf, MethodsText, ReadOff},
        provenance, quality, regions, significance, subjects, truth, value_errors,
    },
    viewer::{self, Atlases, Opening, Scenes},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_attribution::{
    GuidedBackprop, HiresCam, MeaningfulPerturbation, Method as _,
    setting::{ATLAS, LABELS},
};
use voxplain_core::{Action, Error, Progress, Result, Table};
use voxplain_study::{
    cohort::Cohort,
    compare::comparisons,
    confounds::Confounds,
    evaluation::{
        Relevance,
        faithfulness::{Ranking, Settings, Summary},
        truth::MethodLocalisation,
    },
    explain::steps_again,
    group::{GroupSummary, Scale, describe_maps},
    model::Task,
    regions::RegionRecord,
    run::Run,
    setting::{KEEP_GOING, LABEL, METHOD, METRIC, OUT, RELEVANCE, SCALE, STEPS, SUBJECTS, SUBSTRATE, TEST, TRUTH},
    train::TrainOptions,
};
use voxplain_volume::setting::MASK_THRESHOLD;

/// Where the viewer's volumes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volumes {
    /// With the page.
    Carried,
    /// On a server, made when they are asked for.
    OnRequest,
}

/// The page of a run.
pub(super) fn page(run: &Run, volumes: Volumes, progress: &dyn Progress) -> Result<Page> {
    let (manifest, layout) = (&run.manifest, run.layout());
    let mut page = Page::new(String::new());
    page.facts = vec![
        [
            "Label".into(),
            match &manifest.task {
                Task::Classes { .. } => format!("{} ({})", manifest.label, manifest.task),
                Task::Value { value } => format!("{value}, a value"),
            },
        ],
        [
            "Held out".into(),
            if manifest.folds > 1 {
                format!("{} folds; every subject is judged and explained by a model that never saw it", manifest.folds)
            } else {
                "one part, judged and explained by a model that never saw it".into()
            },
        ],
        ["Seed".into(), manifest.seed.to_string()],
    ];
    let without = "The cohort cannot be read, so that the viewer, the pictures of people, the description of the cohort and the quality \
                   of its volumes are left out";
    let cohort = page.current(without, run.cohort().map(Some));
    page.organ = organ(run, cohort.as_ref());
    page.title = format!("{} from {} MRI", manifest.label, page.organ);
    let place = cohort.as_ref().map_or_else(|| manifest.cohort.path(), |cohort| &cohort.path);
    page.facts.push(["Cohort".into(), place.display().to_string()]);
    page.of_value = manifest.task.value().is_some();
    let there = layout.predictions().is_file();
    let predictions = if there && !page.of_value { Some(run.predictions()?) } else { None };
    let values = if there && page.of_value { Some(run.value_predictions()?) } else { None };
    if let Some(cohort) = &cohort {
        if let Some(left_out) = manifest.about_left_out(cohort.noun()) {
            page.facts.push(["Left out".into(), left_out]);
        }
        page.facts.push(["Volumes".into(), cohort::preparation(cohort)]);
        if let Err(error) = cohort.column(&manifest.label) {
            page.warnings.push(Warning::left_out("The subjects cannot be counted by their label", &error));
        } else if let Some(changed) = run.changed_labels(cohort)? {
            page.warnings.push(Warning::new(changed.sentence(), changed.remedy()));
        }
        page.cohort = Some(cohort::table(cohort, &manifest.label, &manifest.task, &manifest.missing()));
        page.quality = Some(quality::checks(cohort, progress)?);
    }
    let metrics = page.current("Accuracy is left out", run.metrics());
    let value_metrics = page.current("Errors are left out", run.value_metrics());
    let held_out = predictions.as_ref().map_or(0, Vec::len).max(values.as_ref().map_or(0, Vec::len));
    let steps = Steps { run, cohort: place, held_out };
    page.imbalance =
        page.current("What goes with the label is left out", run.imbalance()).map(|of| imbalance::table(&of));
    let confounds = page.current("Confounds are left out", Confounds::read(run));
    page.confound_maps = confounds.as_ref().and_then(imbalance::maps);
    page.confounds = confounds.as_ref().map(imbalance::confounds);
    match linear::of_run(run) {
        Ok(figures) => page.linear = figures,
        Err(error) => page.warnings.push(Warning::left_out("Maps of linear baselines are left out", &error)),
    }
    match learning::of_run(run) {
        Ok(curves) => page.charts.extend(curves),
        Err(error) => page.warnings.push(Warning::left_out("Learning curves are left out", &error)),
    }
    if let (Some(metrics), Some(predictions)) = (&metrics, &predictions) {
        page.summary.clone_from(&metrics.summary);
        page.judging.clone_from(&metrics.method);
        let Accuracy { table, groups, classes, comparisons, charts } =
            accuracy::of_run(run, metrics, predictions, &mut page.warnings);
        (page.accuracy, page.accuracy_by_group, page.comparisons) = (Some(table), groups, comparisons);
        page.accuracy_by_class = classes;
        page.charts.extend(charts);
    }
    if let (Some(metrics), Some(values)) = (&value_metrics, &values) {
        page.summary.clone_from(&metrics.summary);
        page.judging.clone_from(&metrics.method);
        let Accuracy { table, groups, comparisons, charts, .. } = value_errors::of_run(metrics, values);
        (page.accuracy, page.accuracy_by_group, page.comparisons) = (Some(table), groups, comparisons);
        page.charts.extend(charts);
    }
    if page.accuracy.is_none() {
        let what = if page.of_value { "Errors" } else { "Accuracy" };
        page.lacks(format!("{what} on held-out subjects: training has not finished"), steps.train());
    }

    let not_seen = NotSeen::of_run(run, cohort.as_ref())?;
    page.facts.extend(not_seen.as_ref().map(|not_seen| ["Not seen".into(), not_seen.fact()]));
    let groups = page.current("Group maps are left out", GroupSummary::read(run));
    let there = run.maps()?;
    page.warnings.extend(there.left_out().into_iter().map(|(what, remedy)| Warning::new(what, remedy)));
    let methods = there.methods();
    page.leakage = Some(leakage::of_run(run, cohort.as_ref(), &there));
    let explained = steps_again(run, &there)?;
    let map = |method: &String, id: &str| layout.map(id, method).path();
    let all_maps: BTreeSet<PathBuf> = methods
        .iter()
        .flat_map(|m| there.subjects(m).map(move |id| (m, id)))
        .filter(|(_, id)| !manifest.is_kept_for_test(id))
        .map(|(m, id)| map(m, id))
        .collect();
    if methods.is_empty() {
        page.lacks("Maps", steps.explain());
    } else if groups.is_none() {
        page.lacks("Group maps and the agreement of methods", steps.group());
    }
    if let Some(groups) = &groups {
        Maps { side_by_side: page.side_by_side, methods: page.methods } =
            maps::of_groups(run, groups, not_seen.as_ref(), progress)?;
        page.space.clone_from(&groups.space);
        if let Some(Agreement { figures, table }) = agreement::of_groups(groups) {
            (page.agreement, page.agreement_table) = (figures, Some(table));
        }
        page.warnings.extend(groups.warnings.iter().cloned().map(Warning::from));
        let new: Vec<&str> =
            methods.iter().filter(|m| !groups.methods.iter().any(|g| g.method == **m)).map(String::as_str).collect();
        if !new.is_empty() {
            page.lacks(format!("Group maps of {}", new.join(", ")), steps.group());
        }
    }
    // What is not combined is known from the records of the maps.
    let combined = |method: &&str| groups.iter().flat_map(|g| &g.methods).any(|of| of.method == **method);
    let alone: Vec<&str> = methods.iter().map(String::as_str).filter(|method| !combined(method)).collect();
    let alone = describe_maps(run, &there, &alone)?;
    page.truth = truth::of_run(run, cohort.as_ref(), groups.as_ref(), &mut page.warnings)?;
    if page.truth.as_ref().is_some_and(|truth| truth.found.is_none()) && !methods.is_empty() {
        page.lacks("How much of the maps lies where the truth is", steps.localisation());
    }
    page.faithfulness = faithfulness::of_run(run, page.organ, &mut page.warnings);
    if page.faithfulness.is_none() && !methods.is_empty() && !page.of_value {
        page.lacks("Deletion and insertion curves: do maps name what the network uses?", steps.evaluate());
    }
    let tables = regions::current(run, &mut page.warnings)?;
    page.regions = regions::of_run(&tables, &mut page.warnings);
    if page.regions.is_empty() && !methods.is_empty() {
        page.lacks("Region tables", steps.regions());
    }
    let (tests, tested) = significance::of_maps(run, &mut page.warnings)?;
    page.tests = tests;
    page.permuted = significance::of_classifiers(run, &mut page.warnings)?;
    let order = match (&predictions, values.as_ref().zip(manifest.task.value())) {
        (Some(predictions), _) => Some(Person::of_classes(manifest.task.classes(), predictions)),
        (None, Some((values, value))) => Some(Person::of_values(value, values)),
        (None, None) => None,
    };
    if let Some(order) = order {
        page.subjects = Some(subjects::of_run(run, cohort.as_ref(), &order, &there, not_seen.as_ref(), progress)?);
        if let (Some(cohort), false) = (&cohort, methods.is_empty()) {
            let atlases = Atlases::new(run, &tables, &mut page.warnings);
            let scenes = Scenes::new(run.clone(), cohort.clone(), groups.clone(), &order, there, (atlases, tested));
            if volumes == Volumes::Carried {
                page.viewer = scenes.all(progress, &mut page.warnings)?;
            } else {
                page.viewer = viewer::on_request(&scenes);
                page.scenes = Some(scenes);
            }
            // The first scene is that of the first group.
            let first: Vec<String> = match &groups {
                Some(groups) => groups.methods.iter().map(|m| m.method.clone()).collect(),
                None => methods.clone(),
            };
            let measured = page.faithfulness.as_ref().map_or(&[][..], |measured| &measured.summaries);
            if let Some(opening) = Opening::of(&first, measured) {
                page.viewer.open_with(&opening.method);
                page.opens = if first.len() > 1 { opening.why } else { String::new() };
            }
        }
    }
    let atlases = tables.iter().map(|table| read_off(run, cohort.as_ref(), table)).collect::<Result<Vec<_>>>()?;
    let maps_of = MapsOf { groups: groups.as_ref(), alone, atlases: &atlases };
    let mut text = MethodsText::of_run(
        run,
        cohort.as_ref(),
        (metrics.as_ref(), value_metrics.as_ref()),
        &maps_of,
        not_seen.as_ref(),
    );
    if let Some(faithfulness) = &page.faithfulness {
        text.faithfulness(&faithfulness.summaries);
    }
    page.methods_text = Some(text);
    page.provenance = Some(provenance::table(run, cohort.as_ref(), place)?);
    if let Err(error) = steps.options() {
        page.warnings.push(Warning::left_out("The command that trains again lacks the options of this run", &error));
    }
    let mut unknown = BTreeSet::new();
    page.steps = vec![steps.train()];
    page.steps.extend(steps.predict_again());
    page.steps.extend(steps.permute_again(&mut unknown)?);
    page.steps.extend(explained);
    page.steps.extend(groups.as_ref().map(|groups| steps.group_again(groups, &methods)));
    if let Some(found) = page.truth.as_ref().and_then(|truth| truth.found.as_ref()) {
        page.steps.push(steps.localisation_again(found, &methods, &mut unknown));
    }
    if let Some(measured) = &page.faithfulness {
        page.steps.extend(steps.evaluate_again(&measured.summaries, &methods));
    }
    for table in &tables {
        page.steps.extend(steps.regions_again(table, &all_maps)?);
    }
    page.steps.extend(steps.compare_again(&mut unknown)?);
    if let Some(confounds) = &confounds {
        match &confounds.asked {
            Some(asked) => page.steps.push(Action { settings: asked.settings(), ..steps.on_run("confounds") }),
            None => _ = unknown.insert("what was asked about confounds".to_owned()),
        }
    }
    page.steps.push(steps.report());
    page.not_again = unknown.into_iter().collect();
    for file in [layout.config(), layout.manifest(), layout.metrics()].iter().filter(|file| file.is_file()) {
        let text = voxplain_core::input::read_to_string(file).map_err(Error::io(file))?;
        page.records.push([file_name(file), text]);
    }
    Ok(page)
}

/// The atlas of a table of regions, by its record.
fn read_off(run: &Run, cohort: Option<&Cohort>, table: &Path) -> Result<ReadOff> {
    let name = table.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let Some(record) = RegionRecord::read(table)? else { return Ok(ReadOff { name, files: None, simulated: false }) };
    let survey = record.options(table, &run.path)?;
    let image = PathBuf::from(&survey.atlas);
    let whole = |path: &Path| path.canonicalize().ok();
    let simulated = cohort.is_some_and(|cohort| {
        let own = whole(&cohort.layout().atlas());
        own.is_some() && own == whole(&image)
    });
    Ok(ReadOff { name, files: Some((image, survey.labels)), simulated })
}

/// What the masks of a run's subjects hold, in a word: by the cohort or, without it, by a model that was trained on it.
fn organ(run: &Run, cohort: Option<&Cohort>) -> &'static str {
    let of_cohort = cohort.map(|cohort| cohort.preparation.organ());
    // A model that cannot be read says nothing, and is complained of where it is needed.
    of_cohort.or_else(|| Some(run.model(0).ok()?.model.card.preparation.organ())).unwrap_or("brain")
}

/// The steps that make the parts of a run.
struct Steps<'a> {
    run: &'a Run,
    /// Where its cohort lies.
    cohort: &'a Path,
    /// How many subjects were held out; 0 where that is not known yet.
    held_out: usize,
}

impl Steps<'_> {
    fn on_run(&self, verb: &'static str) -> Action {
        Action::new(verb).on(&self.run.path)
    }

    /// The options of the run's training, by its manifest.
    fn options(&self) -> Result<TrainOptions> {
        let manifest = &self.run.manifest;
        let options: TrainOptions = serde_json::from_value(manifest.options.clone()).map_err(|e| {
            let what = format!("`options` are not as this version has them ({e})");
            Error::file(self.run.layout().manifest(), what, "look at the files of the run at the end of the page")
        })?;
        Ok(TrainOptions { label: manifest.label.clone(), ..options })
    }

    /// With every option that is not as it is by default.
    fn train(&self) -> Action {
        let label = self.run.manifest.label.clone();
        let settings = self.options().map_or_else(|_| vec![(LABEL, Some(label))], |options| options.settings());
        let train = Action::new("train").on(self.cohort);
        Action { settings, ..train }.with(OUT, self.run.path.display())
    }

    fn explain(&self) -> Action {
        let methods = [HiresCam::NAME, GuidedBackprop::NAME, MeaningfulPerturbation::NAME].join(",");
        self.on_run("explain").with(METHOD, methods)
    }

    fn group(&self) -> Action {
        self.on_run("group")
    }

    /// As the groups were made.
    fn group_again(&self, groups: &GroupSummary, methods: &[String]) -> Action {
        let mut step = self.group();
        let own: Vec<&str> = groups.methods.iter().map(|m| m.method.as_str()).collect();
        if !own.iter().copied().eq(methods.iter().map(String::as_str)) {
            step = step.with(METHOD, own.join(","));
        }
        // Files of older versions did not scale.
        let scale = groups.methods.first().map(|m| m.scale.as_ref().map_or(Scale::None, |record| record.scale));
        if let Some(scale) = scale.filter(|scale| *scale != Scale::default()) {
            step = step.with(SCALE, scale.word());
        }
        if groups.methods.iter().any(|m| !m.missing.is_empty()) { step.switch(KEEP_GOING) } else { step }
    }

    /// Asks about the test set, where that was done.
    fn predict_again(&self) -> Option<Action> {
        self.run.layout().test_metrics().is_file().then(|| self.on_run("predict").switch(TEST))
    }

    /// As classifiers were tested on permuted labels.
    fn permute_again(&self, unknown: &mut BTreeSet<String>) -> Result<Vec<Action>> {
        let mut steps = Vec::new();
        for test in self.run.permutation_tests()?.current {
            match &test.options {
                Some(options) => steps.push(Action { settings: options.settings(), ..self.on_run("permute") }),
                None => _ = unknown.insert(format!("the permutation test of {}", test.classifier)),
            }
        }
        Ok(steps)
    }

    /// As maps were compared with the truth.
    fn localisation_again(
        &self,
        found: &[MethodLocalisation],
        methods: &[String],
        unknown: &mut BTreeSet<String>,
    ) -> Action {
        let mut step = self.localisation();
        let own: BTreeSet<&str> = found.iter().map(|f| f.method.as_str()).collect();
        if !own.iter().copied().eq(methods.iter().map(String::as_str)) {
            step = step.with(METHOD, own.into_iter().collect::<Vec<_>>().join(","));
        }
        let Some(compared) = &found[0].compared else {
            unknown.insert("with which mask, and by which part of the maps, these were compared with the truth".into());
            return step;
        };
        if let Some(truth) = &compared.truth {
            step = step.with(TRUTH, truth.display());
        }
        if let Some(threshold) = compared.threshold {
            step = step.with(MASK_THRESHOLD, threshold);
        }
        if compared.relevance == Relevance::Positive { step.with(RELEVANCE, "positive") } else { step }
    }

    /// As maps were tested.
    fn compare_again(&self, unknown: &mut BTreeSet<String>) -> Result<Vec<Action>> {
        let mut steps = Vec::new();
        for (folder, found) in comparisons(self.run)? {
            let name = file_name(&folder);
            // What cannot be read is left out above, and said.
            let Ok(summary) = found else { continue };
            let Some(options) = &summary.options else {
                unknown.insert(format!("the comparison {name}"));
                continue;
            };
            let step = Action { settings: options.settings(), ..self.on_run("compare") };
            steps.push(if options.out.is_some() { step.with(OUT, folder.display()) } else { step });
        }
        Ok(steps)
    }

    /// As the curves were made: one step for metrics that were measured in the same way.
    fn evaluate_again(&self, summaries: &[Summary], methods: &[String]) -> Vec<Action> {
        let mut steps: Vec<(Vec<&str>, Action)> = Vec::new();
        for summary in summaries {
            let step = self.curves_again(summary, methods);
            match steps.iter_mut().find(|(_, same)| *same == step) {
                Some((metrics, _)) => metrics.push(summary.metric.word()),
                None => steps.push((vec![summary.metric.word()], step)),
            }
        }
        let with_metrics = |(metrics, mut step): (Vec<&str>, Action)| {
            step.settings.insert(0, (METRIC, Some(metrics.join(","))));
            step
        };
        steps.into_iter().map(with_metrics).collect()
    }

    /// As the curves of a metric were made, without the metric.
    fn curves_again(&self, summary: &Summary, methods: &[String]) -> Action {
        let mut step = self.on_run("evaluate");
        let own: BTreeSet<&str> = summary.found.iter().map(|f| f.method.as_str()).collect();
        if !own.iter().copied().eq(methods.iter().map(String::as_str)) {
            step = step.with(METHOD, own.into_iter().collect::<Vec<_>>().join(","));
        }
        let subjects = summary.made_from.subjects();
        if !subjects.is_empty() && subjects.len() < self.held_out {
            step = step.with(SUBJECTS, subjects.into_iter().collect::<Vec<_>>().join(","));
        }
        let (settings, plain) = (&summary.settings, Settings::default());
        if settings.steps != plain.steps {
            step = step.with(STEPS, settings.steps);
        }
        if settings.substrates != plain.substrates {
            let words: Vec<&str> = settings.substrates.iter().map(|s| s.word()).collect();
            step = step.with(SUBSTRATE, words.join(","));
        }
        let relevance = match settings.ranking {
            Ranking::ByMethod => return step,
            Ranking::Signed => "signed",
            Ranking::Absolute => "absolute",
            Ranking::Positive => "positive",
        };
        step.with(RELEVANCE, relevance)
    }

    /// As a table was made, by its record; nothing for one without.
    fn regions_again(&self, table: &Path, all: &BTreeSet<PathBuf>) -> Result<Option<Action>> {
        let Some(record) = RegionRecord::read(table)? else { return Ok(None) };
        // The maps that the table has, if it has not those of the whole run.
        let names: BTreeSet<String> =
            Table::read(table).and_then(|t| Ok(t.cells(t.column("map")?).flatten().map(str::to_owned).collect()))?;
        let measured: Vec<&PathBuf> = all.iter().filter(|map| names.contains(&file_name(map))).collect();
        let step = if measured.len() == all.len() || measured.is_empty() {
            self.on_run("regions")
        } else {
            measured.into_iter().fold(Action::new("regions"), |step, map| step.on(map))
        };
        record.said(step, table, &self.run.path).map(Some)
    }

    fn evaluate(&self) -> Action {
        self.on_run("evaluate").with(METRIC, "deletion,insertion")
    }

    fn localisation(&self) -> Action {
        self.on_run("evaluate").with(METRIC, "localisation")
    }

    fn regions(&self) -> Action {
        let out = self.run.layout().regions().join("ATLAS.tsv");
        self.on_run("regions").with(ATLAS, "ATLAS.nii.gz").with(LABELS, "LABELS.csv").with(OUT, out.display())
    }

    fn report(&self) -> Action {
        self.on_run("report")
    }
}
