//! Who is explained by which model.

use super::image::{self, Loaded};
use super::{ExplainOptions, Images, Inputs, stem};
use crate::cohort::{Cohort, Placement};
use crate::{
    model::Model,
    run::{FoldModel, Run},
    setting::{IN_SAMPLE, INPUT, OUT},
};
use std::borrow::Cow;
use std::path::PathBuf;
use voxplain_attribution::Explainer;
use voxplain_core::{Error, Progress, Result, remedy};

/// Everyone to be explained.
pub(super) struct Plan<'a> {
    pub(super) groups: Vec<Group<'a>>,
    pub(super) left_out: Vec<String>,
}

/// The people that one model explains.
pub(super) struct Group<'a> {
    pub(super) model: ModelOf<'a>,
    from: Source<'a>,
    pub(super) people: Vec<Person>,
    trained_on: TrainedOn,
}

/// The people that a model was trained on: positions in the cohort, and the class of everyone in it; or why there is nobody and
/// what to do about it.
type TrainedOn = Result<(Vec<usize>, Vec<Option<usize>>), (String, &'static str)>;

/// A model that is there, or that of a fold, which is read when its turn comes.
pub(super) enum ModelOf<'a> {
    There(&'a Model),
    Fold(&'a Run, usize),
}

enum Source<'a> {
    Cohort(Box<Cow<'a, Cohort>>),
    Images(&'a Images),
}

/// One person to be explained.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// The subject's id, or the stem of the image's file name.
    pub(super) id: String,
    /// Where maps go, and how their names begin.
    pub(super) folder: PathBuf,
    pub(super) stem: String,
    /// The true class, where it is known.
    pub(super) label: Option<usize>,
    /// Position in the cohort.
    number: usize,
    /// The image, where the person belongs to no cohort.
    pub(super) file: Option<PathBuf>,
}

impl ModelOf<'_> {
    /// The model, with the hash that its maps name.
    pub(super) fn get(&self) -> Result<FoldModel> {
        match self {
            Self::There(model) => Ok(FoldModel { model: (*model).clone(), hash: model.hash() }),
            Self::Fold(run, fold) => run.model(*fold),
        }
    }
}

impl Group<'_> {
    /// Gives an explainer the people that its model was trained on.
    pub(super) fn people_of(&self, explainer: Explainer, model: &Model) -> Explainer {
        match (&self.from, &self.trained_on) {
            (Source::Cohort(cohort), Ok((numbers, labels))) => {
                explainer.with_training_subjects(cohort.training_subjects(numbers, labels, model.card.classes.len()))
            }
            (_, Err((why, hint))) => explainer.without_training_subjects(why.as_str(), *hint),
            (Source::Images(_), Ok(_)) => explainer,
        }
    }

    /// Reads a person's volume as the model takes it.
    pub(super) fn load(&self, person: &Person, model: &Model) -> Result<Loaded> {
        match (&self.from, &person.file) {
            (Source::Images(images), Some(file)) => image::load(file, images, &model.card),
            (Source::Cohort(cohort), _) => image::of_subject(cohort, person.number),
            (Source::Images(_), None) => Err(Error::request("an image without a file", "report this")),
        }
    }
}

/// Decides who is explained by which model; refused where what was asked for cannot be.
pub(super) fn plan<'a>(inputs: Inputs<'a>, options: &ExplainOptions, progress: &dyn Progress) -> Result<Plan<'a>> {
    match inputs {
        Inputs::Run(run) => of_run(run, options, progress),
        Inputs::Cohort(model, cohort) => of_cohort(model, cohort, options, progress),
        Inputs::Images(model, images) => of_images(model, images, options),
    }
}

/// Positions of the subjects that were asked for.
fn asked(cohort: &Cohort, options: &ExplainOptions) -> Result<Vec<usize>> {
    let Some(ids) = &options.subjects else { return Ok((0..cohort.subjects.len()).collect()) };
    let find = |id: &String| {
        cohort.find(id).ok_or_else(|| {
            let some: Vec<_> = cohort.subjects.iter().take(5).map(|s| s.id.as_str()).collect();
            Error::request(
                format!("there is no subject {id:?} in {}", cohort.path.display()),
                format!("it has {} subjects: {}, ...", cohort.subjects.len(), some.join(", ")),
            )
        })
    };
    let mut found = ids.iter().map(find).collect::<Result<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn person(cohort: &Cohort, number: usize, out: &std::path::Path, labels: &[Option<usize>]) -> Person {
    let id = cohort.subjects[number].id.clone();
    let stem = format!("sub-{id}");
    Person { folder: out.join(&stem), stem, id, label: labels[number], number, file: None }
}

/// The true class of every subject, where the cohort has the column and the value is a class.
fn labels(cohort: &Cohort, column: &str, classes: &[String]) -> Vec<Option<usize>> {
    match cohort.column(column) {
        Ok(cells) => cells.into_iter().map(|cell| classes.iter().position(|c| Some(c.as_str()) == cell)).collect(),
        Err(_) => vec![None; cohort.subjects.len()],
    }
}

fn of_run<'a>(run: &'a Run, options: &ExplainOptions, progress: &dyn Progress) -> Result<Plan<'a>> {
    let cohort = run.cohort()?;
    let held_out = run.held_out(&cohort)?;
    let out = options.out.clone().unwrap_or_else(|| run.path.clone());
    if options.compat.is_some() && options.out.is_none() {
        return Err(Error::request(
            "maps of the 2020 behaviour would take the place of this run's own",
            remedy!["say where they go with ", OUT],
        ));
    }
    let labels = labels(&cohort, &run.manifest.label, &run.manifest.classes);
    let mut folds: Vec<Vec<Person>> = vec![Vec::new(); run.manifest.folds];
    let mut left_out = Vec::new();
    let mut models: Option<Vec<Model>> = None;
    let mut seen = 0;
    for number in asked(&cohort, options)? {
        let person = person(&cohort, number, &out, &labels);
        let fold = match held_out.iter().find(|h| h.subject == number) {
            Some(h) => Some(h.fold),
            None => {
                // Not held out: without a label it may be that no model saw it.
                if models.is_none() {
                    let read = |fold| Ok(run.model(fold)?.model);
                    models = Some((0..run.manifest.folds).map(read).collect::<Result<_>>()?);
                }
                let hash = &cohort.subjects[number].hash;
                models.iter().flatten().position(|m| !m.has_seen(hash))
            }
        };
        match fold {
            Some(fold) => folds[fold].push(person),
            None if options.in_sample => {
                seen += 1;
                folds[0].push(person);
            }
            None if options.subjects.is_some() => {
                return Err(Error::Subject {
                    subject: person.id,
                    what: "every model of this run was trained on this subject".into(),
                    remedy: remedy![IN_SAMPLE, " explains it all the same, and its record says so"],
                });
            }
            None => left_out.push(person.id),
        }
    }
    if seen > 0 {
        progress.warn(&format!(
            "IN SAMPLE: {seen} subjects are explained by a model that was trained on them; their records say so"
        ));
    }
    let shared = |(fold, people)| {
        Ok(Group {
            model: ModelOf::Fold(run, fold),
            from: Source::Cohort(Box::new(Cow::Owned(cohort.clone()))),
            people,
            trained_on: Ok((run.split(fold)?.train, labels.clone())),
        })
    };
    Ok(Plan { groups: folds.into_iter().enumerate().map(shared).collect::<Result<_>>()?, left_out })
}

fn of_cohort<'a>(
    model: &'a Model,
    cohort: &'a Cohort,
    options: &ExplainOptions,
    progress: &dyn Progress,
) -> Result<Plan<'a>> {
    fits(model, cohort, progress)?;
    let out = place(options)?;
    let labels = labels(cohort, &model.card.label, &model.card.classes);
    let people: Vec<_> = asked(cohort, options)?.into_iter().map(|n| person(cohort, n, &out, &labels)).collect();
    let seen = people.iter().filter(|p| model.has_seen(&cohort.subjects[p.number].hash)).count();
    if options.in_sample && seen > 0 {
        progress.warn(&format!(
            "IN SAMPLE: the model was trained on {seen} of these {} subjects; their records say so",
            people.len()
        ));
    }
    let trained_on = trained_on(model, cohort, labels);
    let from = Source::Cohort(Box::new(Cow::Borrowed(cohort)));
    let group = Group { model: ModelOf::There(model), from, people, trained_on };
    Ok(Plan { groups: vec![group], left_out: Vec::new() })
}

/// Those subjects of a cohort that the model was trained on.
fn trained_on(model: &Model, cohort: &Cohort, labels: Vec<Option<usize>>) -> TrainedOn {
    let all = model.card.trained_on.len();
    if all == 0 {
        return Err((
            "the model does not say whom it was trained on (it was imported)".into(),
            "choose a baseline that needs nobody (zero or blur), or use a model that voxplain trained",
        ));
    }
    let seen = |&n: &usize| model.has_seen(&cohort.subjects[n].hash) && labels[n].is_some();
    let numbers: Vec<usize> = (0..cohort.subjects.len()).filter(seen).collect();
    if numbers.is_empty() {
        let place = cohort.path.display();
        let column = &model.card.label;
        return Err((
            format!(
                "{place} holds, with a class in its column {column:?}, none of the {all} subjects it was trained on"
            ),
            "give the cohort that the model was trained on with --cohort (and those to explain with --subjects)",
        ));
    }
    Ok((numbers, labels))
}

/// Refuses a cohort that was prepared in another way than the model's.
fn fits(model: &Model, cohort: &Cohort, progress: &dyn Progress) -> Result<()> {
    let (ours, theirs) = (&model.card.preparation, &cohort.preparation);
    let refuse = |what: String| {
        Err(Error::file(
            &cohort.path,
            what,
            remedy!["prepare the cohort as the model's own was, or give the images with ", INPUT],
        ))
    };
    if ours.shape != theirs.shape {
        return refuse(format!("its volumes are {:?}, the model takes {:?}", theirs.shape, ours.shape));
    }
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * b.abs();
    if !model.card.grid_unknown && ours.spacing.iter().zip(theirs.spacing).any(|(&a, b)| !close(a, b)) {
        return refuse(format!("its voxels are {:?} mm, the model takes {:?} mm", theirs.spacing, ours.spacing));
    }
    if ours.normalize != theirs.normalize {
        let what =
            format!("its intensities were normalised by `{}`, the model takes `{}`", theirs.normalize, ours.normalize);
        if !model.card.grid_unknown {
            return refuse(what);
        }
        progress.warn(&format!("{}: {what}", cohort.path.display()));
    }
    if let (Placement::Fixed(a), Placement::Fixed(b), false) =
        (ours.placement, theirs.placement, model.card.grid_unknown)
        && !a.same_space(&b, 0.01)
    {
        return refuse("its grid lies elsewhere than the one that the model takes".into());
    }
    Ok(())
}

fn place(options: &ExplainOptions) -> Result<PathBuf> {
    options
        .out
        .clone()
        .ok_or_else(|| Error::request("nothing says where the maps go", remedy!["give a folder with ", OUT]))
}

fn of_images<'a>(model: &'a Model, images: &'a Images, options: &ExplainOptions) -> Result<Plan<'a>> {
    let out = place(options)?;
    let mut people: Vec<Person> = Vec::with_capacity(images.files.len());
    for file in &images.files {
        let stem = stem(file);
        if let Some(other) = people.iter().find(|p| p.stem == stem) {
            return Err(Error::request(
                format!(
                    "{} and {} would be written under one name, {stem}",
                    other.file.as_deref().unwrap_or(file).display(),
                    file.display()
                ),
                remedy!["explain them one after another, with another ", OUT],
            ));
        }
        people.push(Person {
            id: stem.clone(),
            folder: out.clone(),
            stem,
            label: None,
            number: 0,
            file: Some(file.clone()),
        });
    }
    if let Some(ids) = &options.subjects {
        people.retain(|p| ids.contains(&p.id));
    }
    let trained_on = Err((
        "images were given, and no cohort".into(),
        "put the images into a cohort with those that the model was trained on and give it with --cohort, or choose a baseline that needs nobody (zero or blur)",
    ));
    let group = Group { model: ModelOf::There(model), from: Source::Images(images), people, trained_on };
    Ok(Plan { groups: vec![group], left_out: Vec::new() })
}
