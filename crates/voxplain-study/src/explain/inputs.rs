//! [`Input`]: one volume to be explained, and which model explains it.

use super::load::{self, LoadedVolume};
use super::{ExplainOptions, Images, Inputs, stem};
use crate::cohort::{Cohort, Subject};
use crate::listed::{counted, listed};
use crate::{
    map::MapFiles,
    model::{Model, Task},
    prepare::{MaskFinder, Unit, freesurfer_subject, id_of},
    run::{FoldModel, Run},
    setting::{CHANNEL, COHORT, IN_SAMPLE, OUT, SUBJECTS, TEST},
    shard::Shard,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use voxplain_attribution::Explainer;
use voxplain_core::{Action, Error, Progress, Remedy, Result, remedy};

/// All inputs, model by model.
pub(super) struct Plan<'a> {
    pub(super) models: Vec<ModelInputs<'a>>,
    /// Ids of subjects that every model was trained on.
    pub(super) left_out: Vec<String>,
}

/// The inputs that one model explains.
pub(super) struct ModelInputs<'a> {
    pub(super) model: ModelSource<'a>,
    source: InputSource<'a>,
    pub(super) inputs: Vec<Input>,
    trained_on: TrainedOn,
}

/// The training subjects of a model as positions in the cohort, and the classes of all subjects of the cohort; or why they are not
/// known, and what to do about it.
type TrainedOn = Result<(Vec<usize>, Vec<Option<usize>>), (String, Remedy)>;

/// A model in memory, or that of a fold, which is read when it is needed.
pub(super) enum ModelSource<'a> {
    Memory(&'a Model),
    Fold(&'a Run, usize),
}

/// Where the volumes come from.
enum InputSource<'a> {
    Cohort(Box<Cow<'a, Cohort>>),
    Images(&'a Images, Box<MaskFinder>),
}

/// One volume to be explained.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// The subject's id, or the stem of the image's file name.
    pub(super) id: String,
    /// The folder of its maps.
    folder: PathBuf,
    /// How the names of its maps begin.
    stem: String,
    /// The true class, where it is known.
    pub(super) label: Option<usize>,
    /// Position in the cohort; 0 for an image file.
    number: usize,
    /// What models know other images of the same person in the cohort by.
    of_same_person: Vec<String>,
    /// The image file, for an input that belongs to no cohort.
    pub(super) file: Option<PathBuf>,
}

/// What a model was trained on.
pub(super) const ITSELF: &str = "this subject";
pub(super) const ANOTHER: &str = "another image of this person";

/// How many of the subjects that are explained were trained on, or other images of their persons were, in words.
fn in_sample_words(seen: &[&str]) -> String {
    let alone = seen.iter().filter(|what| **what != ITSELF).count();
    match (alone, seen.len()) {
        (0, n) => format!("{} {} trained on", counted(n, "subject"), if n == 1 { "was" } else { "were" }),
        (n, all) if n == all => format!("of {} another image of the same person was trained on", counted(n, "subject")),
        (n, all) => format!(
            "{} {} trained on, and of {n} another image of the same person",
            counted(all - n, "subject"),
            if all - n == 1 { "was" } else { "were" }
        ),
    }
}

impl Input {
    /// What of this person a model was trained on, in words; `None` where it has seen nothing of it.
    fn seen_by(&self, model: &Model, subject: &Subject) -> Option<&'static str> {
        if model.has_seen_any(subject.marks()) { Some(ITSELF) } else { self.person_is_known(model).then_some(ANOTHER) }
    }

    /// Whether a model was trained on another image of the same person.
    pub(super) fn person_is_known(&self, model: &Model) -> bool {
        model.has_seen_any(self.of_same_person.iter().map(String::as_str))
    }

    /// The files of its map by a method.
    pub(super) fn files(&self, method: &str) -> MapFiles {
        MapFiles::new(&self.folder, &self.stem, method)
    }
}

impl ModelSource<'_> {
    /// The model with the hash that its maps name.
    pub(super) fn get(&self) -> Result<FoldModel> {
        match self {
            Self::Memory(model) => Ok(FoldModel { model: (*model).clone(), hash: model.hash() }),
            Self::Fold(run, fold) => run.model(*fold),
        }
    }

    /// Refuses a person whom a run keeps for a test that is not made yet: a map names what the model says.
    pub(super) fn refuse_test_set(&self, input: &Input, loaded: &LoadedVolume, model: &Model) -> Result<()> {
        let Some(set) = model.keeps_for_test(loaded.marks()) else { return Ok(()) };
        match self {
            Self::Fold(run, _) if !run.test_set_asked().is_empty() => Ok(()),
            Self::Fold(run, _) => Err(before_the_test(run, &input.id, set)),
            Self::Memory(_) => Err(Error::subject(
                &input.id,
                format!(
                    "is in the test set ({set}) of the run that the model is of, and to explain is to look at what the model says"
                ),
                "explain the person with the run, once that was asked about its test set",
            )),
        }
    }
}

/// That somebody of a test set is to be explained before the test.
fn before_the_test(run: &Run, id: &str, set: &str) -> Error {
    Error::subject(
        id,
        format!(
            "is in the test set ({set}), about which the run was not asked yet, and to explain is to look at what its models say"
        ),
        remedy!["ask about it first: ", Action::new("predict").on(&run.path).switch(TEST)],
    )
}

impl ModelInputs<'_> {
    /// Gives an explainer the training subjects of its model.
    pub(super) fn with_training_subjects(&self, explainer: Explainer, model: &Model) -> Explainer {
        match (&self.source, &self.trained_on) {
            (InputSource::Cohort(cohort), Ok((numbers, labels))) => {
                explainer.with_training_subjects(cohort.training_subjects(numbers, labels, model.card.task.outputs()))
            }
            (_, Err((why, remedy))) => explainer.without_training_subjects(why.as_str(), remedy.clone()),
            (InputSource::Images(..), Ok(_)) => explainer,
        }
    }

    /// Reads the volume of an input as the model takes it.
    pub(super) fn load(&self, input: &Input, model: &Model) -> Result<LoadedVolume> {
        match (&self.source, &input.file) {
            (InputSource::Images(images, masks), Some(file)) => load::of_image(file, images, masks, &model.card),
            (InputSource::Cohort(cohort), _) => load::of_subject(cohort, input.number, &model.card),
            (InputSource::Images(..), None) => Err(Error::request("an image without a file", "report this")),
        }
    }
}

/// Chooses the model for every input.
///
/// # Errors
/// What was asked for cannot be explained.
pub(super) fn plan<'a>(inputs: Inputs<'a>, options: &ExplainOptions, progress: &dyn Progress) -> Result<Plan<'a>> {
    let mut plan = match inputs {
        Inputs::Run(run) => of_run(run, options, progress),
        Inputs::Cohort(model, cohort) => of_cohort(model, cohort, options, progress),
        Inputs::Images(model, images) => of_images(model, images, options),
    }?;
    if let Some(shard) = options.shard {
        plan.keep(shard, progress);
    }
    Ok(plan)
}

impl Plan<'_> {
    /// Leaves the inputs of a shard alone, of all sorted by id, and says which they are.
    fn keep(&mut self, shard: Shard, progress: &dyn Progress) {
        let all: BTreeSet<String> =
            self.models.iter().flat_map(|of| &of.inputs).map(|input| input.id.clone()).collect();
        let ids: Vec<&String> = all.iter().collect();
        let kept: BTreeSet<&String> = shard.units(ids.len()).map(|unit| ids[unit]).collect();
        let noun =
            if self.models.iter().any(|of| matches!(of.source, InputSource::Images(..))) { "image" } else { "subject" };
        progress.note(&shard.describe(&kept.iter().collect::<Vec<_>>(), ids.len(), noun));
        for of in &mut self.models {
            of.inputs.retain(|input| kept.contains(&input.id));
        }
    }
}

/// Positions of the subjects that were asked for, ascending.
fn chosen(cohort: &Cohort, options: &ExplainOptions) -> Result<Vec<usize>> {
    let Some(ids) = &options.subjects else { return Ok((0..cohort.subjects.len()).collect()) };
    let find = |id: &String| {
        cohort.find(id).ok_or_else(|| {
            Error::request(
                format!("there is no subject {id:?} in {}", cohort.path.display()),
                format!(
                    "it has {}: {}",
                    counted(cohort.subjects.len(), "subject"),
                    listed(cohort.subjects.iter().map(|s| s.id.as_str()), 5)
                ),
            )
        })
    };
    let mut found = ids.iter().map(find).collect::<Result<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn input(cohort: &Cohort, number: usize, (out, bids): (&Path, bool), labels: &[Option<usize>]) -> Input {
    let id = cohort.subjects[number].id.clone();
    let stem = format!("sub-{id}");
    let of_same_person =
        cohort.others_of_person(number).flat_map(|n| cohort.subjects[n].marks()).map(str::to_owned).collect();
    let folder = out.join(if bids { Unit::of_id(&id).folder() } else { PathBuf::from(&stem) });
    Input { folder, stem, id, label: labels[number], number, of_same_person, file: None }
}

/// The true class of every subject, where its value in a column is a class; for a network that predicts a value, 0 for each
/// subject with a number there, as if all were of one class.
fn labels(cohort: &Cohort, column: &str, task: &Task) -> Result<Vec<Option<usize>>> {
    let class = |cell: Option<&str>| match task {
        Task::Classes { classes } => classes.iter().position(|class| Some(class.as_str()) == cell),
        Task::Value { .. } => cell.and_then(|cell| cell.trim().parse::<f64>().ok()).map(|_| 0),
    };
    Ok(cohort.column(column)?.into_iter().map(class).collect())
}

fn of_run<'a>(run: &'a Run, options: &ExplainOptions, progress: &dyn Progress) -> Result<Plan<'a>> {
    let cohort = run.cohort()?;
    run.warn_of_changed_labels(&cohort, progress);
    if let Some(what) = cohort.unchecked() {
        progress.note(&what);
    }
    let held_out = run.held_out(&cohort)?;
    let out = options.out.clone().unwrap_or_else(|| run.path.clone());
    if options.compat.is_some() && options.out.is_none() {
        return Err(Error::request(
            "maps of the 2020 behaviour would take the place of this run's own",
            remedy!["say where they go with ", OUT],
        ));
    }
    let labels = labels(&cohort, &run.manifest.label, &run.manifest.task)?;
    let mut folds: Vec<Vec<Input>> = vec![Vec::new(); run.manifest.folds];
    let mut left_out = Vec::new();
    let mut models: Option<Vec<Model>> = None;
    let mut in_sample = Vec::new();
    let not_asked = run.test_set_asked().is_empty();
    for number in chosen(&cohort, options)? {
        let id = &cohort.subjects[number].id;
        if let Some(test) = run.manifest.test.as_ref().filter(|test| test.subjects.contains(id)) {
            match &options.subjects {
                None => continue,
                Some(_) if not_asked => return Err(before_the_test(run, id, &test.set.to_string())),
                Some(_) => {}
            }
        }
        let input = input(&cohort, number, (&out, options.bids), &labels);
        let subject = &cohort.subjects[number];
        let fold = match held_out.iter().find(|h| h.subject == number) {
            Some(h) => Some(h.fold),
            None => {
                // Not held out: a subject without a label was not trained on either, but another image of the person may have been.
                if models.is_none() {
                    let read = |fold| Ok(run.model(fold)?.model);
                    models = Some((0..run.manifest.folds).map(read).collect::<Result<_>>()?);
                }
                models.iter().flatten().position(|m| input.seen_by(m, subject).is_none())
            }
        };
        match fold {
            Some(fold) => folds[fold].push(input),
            None if options.in_sample => {
                in_sample.extend(models.iter().flatten().next().and_then(|m| input.seen_by(m, subject)));
                folds[0].push(input);
            }
            None if options.subjects.is_some() => {
                let seen = |what| models.iter().flatten().any(|m| input.seen_by(m, subject) == Some(what));
                let on = match (seen(ITSELF), seen(ANOTHER)) {
                    (true, true) => format!("{ITSELF} or on {ANOTHER}"),
                    (true, false) => ITSELF.to_owned(),
                    (false, _) => ANOTHER.to_owned(),
                };
                return Err(Error::Subject {
                    what: format!("every model of this run was trained on {on}"),
                    subject: input.id,
                    remedy: remedy![IN_SAMPLE, " explains it all the same, and its record says so"],
                });
            }
            None => left_out.push(input.id),
        }
    }
    if !in_sample.is_empty() {
        progress.warn(&format!(
            "IN SAMPLE by the model that explains: {}; the records say so",
            in_sample_words(&in_sample)
        ));
    }
    let of_fold = |(fold, inputs)| {
        Ok(ModelInputs {
            model: ModelSource::Fold(run, fold),
            source: InputSource::Cohort(Box::new(Cow::Owned(cohort.clone()))),
            inputs,
            trained_on: Ok((run.split(fold)?.train, labels.clone())),
        })
    };
    Ok(Plan { models: folds.into_iter().enumerate().map(of_fold).collect::<Result<_>>()?, left_out })
}

fn of_cohort<'a>(
    model: &'a Model,
    cohort: &'a Cohort,
    options: &ExplainOptions,
    progress: &dyn Progress,
) -> Result<Plan<'a>> {
    load::fits(&model.card, cohort, progress)?;
    let out = place(options)?;
    // A cohort of others need not have the label.
    let has_label = cohort.participants.columns.contains(&model.card.label);
    let labels = if has_label {
        labels(cohort, &model.card.label, &model.card.task)?
    } else {
        vec![None; cohort.subjects.len()]
    };
    let inputs: Vec<_> =
        chosen(cohort, options)?.into_iter().map(|n| input(cohort, n, (&out, options.bids), &labels)).collect();
    let seen = |input: &Input| input.seen_by(model, &cohort.subjects[input.number]);
    let seen: Vec<&str> = inputs.iter().filter_map(seen).collect();
    if options.in_sample && !seen.is_empty() {
        progress.warn(&format!(
            "IN SAMPLE, of {}: {}; the records say so",
            counted(inputs.len(), "subject"),
            in_sample_words(&seen)
        ));
    }
    let trained_on = trained_on(model, cohort, labels);
    let source = InputSource::Cohort(Box::new(Cow::Borrowed(cohort)));
    let of_model = ModelInputs { model: ModelSource::Memory(model), source, inputs, trained_on };
    Ok(Plan { models: vec![of_model], left_out: Vec::new() })
}

/// The training subjects of a model that a cohort holds, with a class.
fn trained_on(model: &Model, cohort: &Cohort, labels: Vec<Option<usize>>) -> TrainedOn {
    let all = model.card.trained_on.len();
    if all == 0 {
        return Err((
            "the model does not say whom it was trained on (it was imported)".into(),
            "where the method takes a baseline, choose one that needs nobody (zero or blur); else another method, or a model that voxplain trained".into(),
        ));
    }
    let seen = |&n: &usize| model.has_seen(&cohort.subjects[n].hash) && labels[n].is_some();
    let numbers: Vec<usize> = (0..cohort.subjects.len()).filter(seen).collect();
    if numbers.is_empty() {
        let place = cohort.path.display();
        let column = &model.card.label;
        return Err((
            format!(
                "{place} holds, with a class in its column {column:?}, none of the {} it was trained on",
                counted(all, "subject")
            ),
            remedy![
                "give the cohort that the model was trained on with ",
                COHORT,
                " (and those to explain with ",
                SUBJECTS,
                ")"
            ],
        ));
    }
    Ok((numbers, labels))
}

/// Where the maps go.
fn place(options: &ExplainOptions) -> Result<PathBuf> {
    options
        .out
        .clone()
        .ok_or_else(|| Error::request("nothing says where the maps go", remedy!["give a folder with ", OUT]))
}

fn of_images<'a>(model: &'a Model, images: &'a Images, options: &ExplainOptions) -> Result<Plan<'a>> {
    let out = place(options)?;
    let mut inputs: Vec<Input> = Vec::with_capacity(images.files.len());
    if !images.channels.is_empty() && images.files.len() != 1 {
        return Err(Error::request(
            format!("files of channels are given, and {} to explain", counted(images.files.len(), "image")),
            remedy!["explain one after another, or call them as BIDS does and leave out ", CHANNEL],
        ));
    }
    for file in &images.files {
        // Of FreeSurfer, every image is called brain.mgz.
        let stem = freesurfer_subject(file).map_or_else(|| stem(file), str::to_owned);
        if let Some(other) = inputs.iter().find(|input| input.stem == stem) {
            return Err(Error::request(
                format!(
                    "{} and {} would be written under one name, {stem}",
                    other.file.as_deref().unwrap_or(file).display(),
                    file.display()
                ),
                remedy!["explain them one after another, with another ", OUT],
            ));
        }
        inputs.push(Input {
            id: stem.clone(),
            folder: out.clone(),
            stem,
            label: None,
            number: 0,
            of_same_person: Vec::new(),
            file: Some(file.clone()),
        });
    }
    if let Some(ids) = &options.subjects {
        if let Some(id) = ids.iter().find(|id| !inputs.iter().any(|input| input.id == **id)) {
            return Err(Error::request(
                format!("no image is called {id:?}"),
                format!("these are: {}", listed(inputs.iter().map(|input| input.id.as_str()), 5)),
            ));
        }
        inputs.retain(|input| ids.contains(&input.id));
    }
    let trained_on = Err((
        "images were given, and no cohort".into(),
        remedy![
            "put the images into a cohort with those that the model was trained on and give it with ",
            COHORT,
            ", or choose a baseline that needs nobody (zero or blur) where the method takes one, else another method"
        ],
    ));
    let mut masks = MaskFinder::new(&images.mask, None)?;
    masks.know(images.files.iter().map(|file| (file.clone(), id_of(file))));
    let source = InputSource::Images(images, Box::new(masks));
    let of_model = ModelInputs { model: ModelSource::Memory(model), source, inputs, trained_on };
    Ok(Plan { models: vec![of_model], left_out: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_trained_on_is_said_of_each() {
        for (seen, words) in [
            (&[ITSELF][..], "1 subject was trained on"),
            (&[ITSELF, ITSELF], "2 subjects were trained on"),
            (&[ANOTHER], "of 1 subject another image of the same person was trained on"),
            (&[ANOTHER, ITSELF], "1 subject was trained on, and of 1 another image of the same person"),
        ] {
            assert_eq!(in_sample_words(seen), words);
        }
    }
}
