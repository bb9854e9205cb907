//! [`evaluate`]: do the maps of a run lie where a simulation changed the brains?

use super::{Localisation, Relevance};
use crate::{
    cohort::Cohort,
    map::{read_image, read_record, target},
    run::{MadeFrom, Run, digest},
    setting::{METRIC, TRUTH},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain_core::{Action, Error, Progress, Result, Silent, Table, hash_file, remedy, seal};
use voxplain_stats::Interval;
use voxplain_volume::{Interpolation, Mask, MaskOptions, ReadOptions, read, read_mask};

/// Which maps are compared with the truth, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The methods; by default all that the run has maps of.
    pub methods: Option<Vec<String>>,
    /// The mask of the truth; by default `truth.nii.gz` of the cohort.
    pub truth: Option<PathBuf>,
    /// The value above which a voxel belongs to the truth; when `None`, its file must be a mask beyond doubt
    /// ([`read_mask`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Which part of a map counts as relevance.
    pub relevance: Relevance,
}

/// Localisation by one method: means over held-out subjects, with 95 % intervals by model ([`Interval::by_model`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodLocalisation {
    /// The method.
    pub method: String,
    /// BLAKE3 of the models that made the maps, fold by fold.
    #[serde(default)]
    pub models: Vec<String>,
    /// That the images were taken as whole heads, in a sentence; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_heads: Option<String>,
    /// The true class of the subjects; `None` for all subjects. A method that shows evidence for a class cannot find a change in
    /// subjects who do not have it.
    pub class: Option<String>,
    /// Number of maps.
    pub maps: usize,
    /// Volume of the truth over volume of the brain: the expected `mass` of a random map.
    pub chance: Interval,
    /// Relevance inside the truth over all relevance, 0 to 1; over maps that are not all zero.
    pub mass: Option<Interval>,
    /// `mass / chance`: 1 for a random map.
    pub enrichment: Option<Interval>,
    /// Of the `n` most relevant voxels, where `n` is the number of voxels of the truth, the share inside it.
    pub precision: Interval,
    /// Area under the ROC curve: probability that a voxel of the truth is more relevant than another voxel of the brain.
    pub auc: Interval,
    /// Pointing game: share of maps whose most relevant voxel lies in the truth; over maps that are not all zero.
    pub hits: Option<f64>,
    /// Number of maps that are zero everywhere.
    pub empty: usize,
    /// What the maps were compared with, and how; absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
    /// The maps, by what their records said when they were compared: of rows of all subjects. None in files of older versions.
    #[serde(default, skip_serializing_if = "MadeFrom::is_empty")]
    pub made_from: MadeFrom,
}

/// What maps were compared with, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The file of the truth, where it was given; the cohort's own otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<PathBuf>,
    /// BLAKE3 of the file.
    pub hash: String,
    /// The value above which a voxel belonged to it; absent where the file was a mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Which part of a map counted.
    pub relevance: Relevance,
}

impl Compared {
    /// How the truth was asked for.
    ///
    /// # Errors
    /// The file of the truth cannot be read.
    fn of(cohort: &Cohort, options: &Options) -> Result<Self> {
        let truth = options.truth.as_deref().map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        Ok(Self {
            hash: hash_file(&options.truth.clone().unwrap_or_else(|| cohort.layout().truth()))?,
            truth,
            threshold: options.threshold,
            relevance: options.relevance,
        })
    }

    /// The truth on the grid of a cohort; `None` where the file is not there any more, or is another one by its hash.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&self, cohort: &Cohort) -> Result<Option<Mask>> {
        let path = self.truth.clone().unwrap_or_else(|| cohort.layout().truth());
        if !path.is_file() || hash_file(&path)? != self.hash {
            return Ok(None);
        }
        let options = Options { truth: self.truth.clone(), threshold: self.threshold, ..Options::default() };
        read_truth(cohort, &options, &Silent).map(Some)
    }
}

/// Where the classes of a simulated cohort differ, on its grid; `None` for a cohort that knows no truth, or whose classes were made to differ
/// nowhere.
///
/// # Errors
/// A file that cannot be read.
pub fn planted(cohort: &Cohort) -> Result<Option<Mask>> {
    if !cohort.layout().truth().is_file() || plants_nothing(cohort)? {
        return Ok(None);
    }
    read_truth(cohort, &Options::default(), &Silent).map(Some)
}

/// The regions of the atlas of a simulated cohort that a mask lies in, with the voxels in each, the most first; `None` stands for no
/// region. Empty for a cohort without such an atlas on its grid.
///
/// # Errors
/// A file that cannot be read.
pub fn regions_of(cohort: &Cohort, mask: &Mask) -> Result<Vec<(Option<String>, usize)>> {
    let (image, table) = (cohort.layout().atlas(), cohort.layout().atlas_labels());
    if !image.is_file() || !table.is_file() {
        return Ok(Vec::new());
    }
    let labels = read(&image, &ReadOptions::default())?.volume.to_ras();
    if !labels.grid().same_space(mask.grid(), 0.01) {
        return Ok(Vec::new());
    }
    let names = Table::read(&table)?;
    let (index, name) = (names.column("index")?, names.column("name")?);
    let name_of = |label: f32| {
        let row = names.rows.iter().find(|row| row[index].as_deref() == Some(&label.to_string()))?;
        row[name].clone()
    };
    let mut voxels = BTreeMap::<u32, (Option<String>, usize)>::new();
    for (label, _) in labels.data().iter().zip(mask.data()).filter(|(_, inside)| **inside) {
        voxels.entry(label.to_bits()).or_insert_with(|| (name_of(*label), 0)).1 += 1;
    }
    let mut all: Vec<(Option<String>, usize)> = voxels.into_values().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(all)
}

/// Reads what [`evaluate`] wrote; `None` where nothing was compared yet.
///
/// # Errors
/// A damaged file, or one of other models or maps than those that the run has now.
pub fn read_found(run: &Run) -> Result<Option<Vec<MethodLocalisation>>> {
    let path = run.layout().evaluation().summary(LOCALISATION);
    if !path.is_file() {
        return Ok(None);
    }
    let again = || remedy!["make it again: ", Action::new("evaluate").on(&run.path).with(METRIC, LOCALISATION)];
    let found = match seal::read_with_files(&path, again())? {
        Document::Found(found) => found.methods,
        Document::Rows(rows) => rows,
    };
    for row in &found {
        run.models_there()?.0.check(&path, &row.models, again())?;
        row.made_from.check(run, &path, again())?;
    }
    Ok((!found.is_empty()).then_some(found))
}

/// What `localisation.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    methods: Vec<MethodLocalisation>,
}

/// `localisation.json`, and as older versions wrote it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Document {
    Found(Found),
    Rows(Vec<MethodLocalisation>),
}

/// The name of the measure, and of its files.
const LOCALISATION: &str = "localisation";

/// Compares each map of a run with the truth, inside the brain mask of the subject. Writes `evaluation/localisation.tsv` (a row a
/// map) and `evaluation/localisation.json` (the return value, as `methods`).
///
/// # Errors
/// There is no truth, it lies elsewhere than the maps, or a map is missing or comes from another model than those of the run.
pub fn evaluate(run: &Run, options: &Options, progress: &dyn Progress) -> Result<Vec<MethodLocalisation>> {
    let cohort = run.cohort()?;
    run.warn_of_changed_labels(&cohort, progress);
    refuse_other_label(run, &cohort, options)?;
    let truth = read_truth(&cohort, options, progress)?;
    let maps = run.maps()?;
    let methods = maps.chosen(options.methods.as_deref(), progress);
    if methods.is_empty() {
        return Err(maps.none("guided-backprop,grad-cam"));
    }
    let people = run.held_out(&cohort)?;
    let ids = people.iter().map(|person| cohort.subjects[person.subject].id.as_str()).collect();
    maps.warn_of_others(&ids, &methods, progress);
    // Before the work, not in the midst of it.
    for method in &methods {
        for person in &people {
            maps.require(run, &cohort.subjects[person.subject].id, method)?;
        }
    }
    let models_of = run.models()?;
    let models = models_of.among(people.iter().filter_map(|person| models_of.of_fold(person.fold)));
    let _claim = run.claim("evaluate", progress)?;
    let files = run.layout().evaluation();
    std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;

    let labels = cohort.column(&run.manifest.label)?;
    let count = |of: &[usize]| cohort.people(&of.iter().map(|n| people[*n].subject).collect::<Vec<_>>());
    progress.begin("compare with the truth", methods.len() * people.len());
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for method in &methods {
        let (mut each, mut made_from) = (Vec::new(), MadeFrom::default());
        let mut targets = BTreeMap::<String, usize>::new();
        for person in &people {
            progress.go_on()?;
            let id = &cohort.subjects[person.subject].id;
            let path = run.layout().map(id, method).path();
            let map = read_image(&path)?.to_ras();
            let found = Localisation::new(&map, &truth, &cohort.mask(person.subject)?, options.relevance).map_err(
                |e| match e {
                    Error::Request { what, remedy } => Error::file(&path, what, remedy),
                    other => other,
                },
            )?;
            let record = read_record(&path)?;
            made_from.add(id, method, digest(&record));
            *targets.entry(target(&record)).or_default() += 1;
            rows.push(row(id, method, &found));
            each.push((found, models_of.of_fold(person.fold)));
            progress.advance(1, method);
        }
        if targets.len() > 1 {
            let words =
                targets.iter().map(|(target, maps)| format!("{target} ({maps})")).collect::<Vec<_>>().join(", ");
            progress.warn(&format!(
                "{method}: the maps do not explain the same, and their means are of different things: {words}"
            ));
        }
        let everyone: Vec<usize> = (0..each.len()).collect();
        let of_all = summary(method, None, &models, &each, count(&everyone)?);
        all.extend(of_all.map(|row| MethodLocalisation { made_from, ..row }));
        for class in run.manifest.task.classes() {
            let truly = |n: usize| labels[people[n].subject] == Some(class.as_str());
            let of_class: Vec<usize> = (0..each.len()).filter(|&n| truly(n)).collect();
            let found: Vec<_> = of_class.iter().map(|&n| each[n]).collect();
            all.extend(summary(method, Some(class.as_str()), &models, &found, count(&of_class)?));
        }
    }
    progress.end();
    let compared = Compared::of(&cohort, options)?;
    for row in &mut all {
        row.whole_heads = cohort.preparation.whole_heads().map(str::to_owned);
        row.compared = Some(compared.clone());
    }

    let columns =
        ["participant_id", "method", "chance", "mass", "enrichment", "precision", "auc", "hit"].map(String::from);
    Table { columns: columns.to_vec(), rows }.write_tsv(&files.table(LOCALISATION))?;
    let found = Found { methods: all };
    seal::vouch(&files.summary(LOCALISATION), &found, [files.table(LOCALISATION)])?;
    Ok(found.methods)
}

/// Whether a cohort was simulated without a place where its classes differ: its truth is there and holds no voxel.
///
/// # Errors
/// The file of the truth cannot be read.
pub fn plants_nothing(cohort: &Cohort) -> Result<bool> {
    let path = cohort.layout().truth();
    Ok(path.is_file() && read(&path, &ReadOptions::default())?.volume.data().iter().all(|v| *v == 0.0))
}

/// The truth on the grid of the cohort. What is odd about it is told.
fn read_truth(cohort: &Cohort, options: &Options, progress: &dyn Progress) -> Result<Mask> {
    let path = options.truth.as_deref().map_or_else(|| cohort.layout().truth(), Path::to_owned);
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
    if options.truth.is_none() && plants_nothing(cohort)? {
        return Err(Error::file(
            &path,
            "is 0 everywhere: the cohort was simulated without a place where the classes differ, so that maps cannot be compared with one",
            remedy!["leave out this measure, or simulate an effect in a region (", Action::new("simulate"), ")"],
        ));
    }
    let file = read_mask(&path, &MaskOptions { threshold: options.threshold, ..MaskOptions::anywhere() })?;
    let (truth, odd) = file.onto(&cohort.grid(), &cohort.path).map_err(|e| {
        let what = format!("the truth does not lie on the grid of the maps ({e})");
        Error::file(&path, what, remedy!["give the truth in the space of the cohort's images with ", TRUTH])
    })?;
    // By the nearest voxel: of a small truth on a coarse grid, shares above a half would leave the middle alone.
    let truth = if file.mask.grid().same_space(truth.grid(), 0.01) {
        truth
    } else {
        let weight = file.mask.map(|inside| f32::from(u8::from(*inside)));
        weight.resample(truth.grid(), Interpolation::Nearest, 0.0).map(|v| *v != 0.0)
    };
    // What holds of masks of brains does not of a truth.
    let told = file.warnings().chain(odd.iter().filter(|f| f.id != "mask-cut"));
    told.for_each(|finding| {
        progress.warn(&format!(
            "the truth {}: {}",
            path.display(),
            finding.what.replace(&format!("the mask {}", path.display()), "it").replace("the mask", "it")
        ));
    });
    let [mut inside, mut brain, all] = [0, 0, truth.count()];
    let first = cohort.mask(0)?;
    for (truth, is_brain) in truth.data().iter().zip(first.data()) {
        inside += usize::from(*truth && *is_brain);
        brain += usize::from(*is_brain);
    }
    let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    if 2 * inside > brain {
        progress.warn(&format!(
            "the truth {} takes {:.0} % of the {}: is it inverted, or a mask of the brain?",
            path.display(),
            share(inside, brain),
            cohort.preparation.organ()
        ));
    }
    if 2 * inside < all {
        progress.warn(&format!(
            "{:.0} % of the truth {} lie outside the {}, and are left aside",
            share(all - inside, all),
            path.display(),
            cohort.preparation.organ()
        ));
    }
    Ok(truth)
}

/// Refuses the truth of a simulated cohort for a run that learnt another column than that whose classes differ there.
fn refuse_other_label(run: &Run, cohort: &Cohort, options: &Options) -> Result<()> {
    let truth = cohort.layout().truth();
    if run.manifest.label == SIMULATED_LABEL
        || options.truth.as_ref().is_some_and(|path| *path != truth)
        || !truth.is_file()
    {
        return Ok(());
    }
    Err(Error::file(
        truth,
        format!(
            "is where the classes of the column `{SIMULATED_LABEL}` differ, and this run learnt `{}`: where that shows in the brain is not \
             known",
            run.manifest.label
        ),
        remedy!["give the mask of the truth for this column with ", TRUTH, ", or leave out this measure"],
    ))
}

/// The column of classes of a simulated cohort.
const SIMULATED_LABEL: &str = "label";

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
fn summary(
    method: &str,
    class: Option<&str>,
    models: &[String],
    each: &[(Localisation, Option<&str>)],
    people: usize,
) -> Option<MethodLocalisation> {
    let some = |f: &dyn Fn(&Localisation) -> Option<f64>| {
        let (values, models): (Vec<f64>, Vec<Option<&str>>) =
            each.iter().filter_map(|(found, model)| Some((f(found)?, *model))).unzip();
        Some(Interval::by_model(&values, &models)?.of_people(people.min(values.len())).within(0.0, f64::INFINITY))
    };
    let share = |f: &dyn Fn(&Localisation) -> Option<f64>| some(f).map(|i| i.within(0.0, 1.0));
    let hits = share(&|l| l.hit.map(|h| f64::from(u8::from(h))));
    Some(MethodLocalisation {
        method: method.to_owned(),
        models: models.to_vec(),
        whole_heads: None,
        class: class.map(str::to_owned),
        maps: each.len(),
        chance: share(&|l| Some(l.chance))?,
        mass: share(&|l| l.mass),
        enrichment: some(&|l| l.enrichment),
        precision: share(&|l| Some(l.precision))?,
        auc: share(&|l| Some(l.auc))?,
        hits: hits.map(|h| h.mean),
        empty: each.iter().filter(|(l, _)| l.hit.is_none()).count(),
        compared: None,
        made_from: MadeFrom::default(),
    })
}
