//! [`confounds`]: how much of what a run tells above chance each confound explains, and how maps change with it.

mod maps;
mod matched;
mod words;

pub use maps::{Alike, MapChange, MapChanges};
pub use matched::MatchedArms;

use crate::{
    cohort::Cohort,
    comparators::{
        self, ClassificationTask, Features, Gram, LOGISTIC_VOXELS, ValueTask, logistic_of_gram, logistic_voxels, named,
    },
    covariate::doubts,
    folds::Split,
    imbalance::Learnt,
    listed::{and, counted},
    matched::MatchOn,
    recode::refuse_recode,
    run::{Prediction, Run},
    setting::{ARM, CALIPER, COVARIATES, LABEL, MATCH},
    spelling::number,
};
use matched::Matched;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use voxplain_core::{
    Action, Error, Progress, Result, Setting, Silent,
    random::{Random, Seed},
    remedy, seal,
};
use voxplain_nn::Engine;
use voxplain_stats::{Classification, Comparison, Estimate, FoldPrediction, Regression, ValuePrediction};

/// The name of the network as it is.
pub const AS_IS: &str = "as it is";

/// Resamples of people for the interval of a share.
const RESAMPLES: usize = 2000;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfoundOptions {
    /// Columns whose effect is taken out of the voxels; the volume of the masks is always one arm.
    pub covariates: Vec<String>,
    /// Columns on which the held-out are matched, two classes; nobody is where there are none.
    pub matched: MatchOn,
}

/// `confounds.json`: the arms of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confounds {
    /// The column that was learnt.
    pub label: String,
    /// BLAKE3 of the models of the run.
    pub models: Vec<String>,
    /// AUC, or macro AUC of more than two classes.
    pub measure: String,
    /// A row for each arm, each beside the one that it is compared with.
    pub arms: Vec<Arm>,
    /// The same arms over people who are alike in covariates, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<MatchedArms>,
    /// How maps change with the arms; absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maps: Option<MapChanges>,
    /// What the same volumes tell of the confounds.
    pub reverse: Vec<Reverse>,
    /// The result in sentences.
    pub summary: Vec<String>,
    /// What was asked; not known of files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What was asked about confounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The other runs, by name.
    pub arms: Vec<(String, PathBuf)>,
    /// [`ConfoundOptions::covariates`].
    pub covariates: Vec<String>,
    /// Columns on which the held-out were matched.
    pub matched: Vec<String>,
    /// How far apart the two of a pair may be, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caliper: Option<f64>,
}

impl Asked {
    /// As settings of the step `confounds`.
    pub fn settings(&self) -> Vec<(Setting, Option<String>)> {
        let list = |setting: Setting, of: &[String]| (!of.is_empty()).then(|| (setting, Some(of.join(","))));
        let arms = self.arms.iter().map(|(name, run)| (ARM, Some(format!("{name}={}", run.display()))));
        arms.chain(list(COVARIATES, &self.covariates))
            .chain(list(MATCH, &self.matched))
            .chain(self.caliper.map(|caliper| (CALIPER, Some(caliper.to_string()))))
            .collect()
    }
}

/// A model with a confound taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The model: `cnn`, `logistic-voxels`.
    pub model: String,
    /// What was done: `as it is`, `without mask volume`, the name of another run.
    pub arm: String,
    /// People, or images.
    pub subjects: usize,
    /// The area under the curve.
    pub area: Estimate,
    /// The area less that of the model as it is, over the same people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Estimate>,
    /// The share of what the model as it is has above 0.5 that is gone: 1 less the ratio of both; absent where it is not shown to be above 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<Estimate>,
    /// How its run was trained otherwise than the run, beside what takes the confound away: `epochs 1, not 20`. What is gone may then be
    /// for that, and no share of it is laid to the confound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trained_otherwise: Vec<String>,
    /// What shuffles of the columns take away in their place, where the loss was shown. Where one takes as much, no share is laid to the
    /// columns. Absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffled: Option<Shuffled>,
}

/// What is taken away with columns that are dealt out among people at random: what any column takes, of so many people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shuffled {
    /// How often they were dealt out.
    pub shuffles: usize,
    /// How often the area was no larger than without the columns as they are.
    pub as_much: usize,
    /// The mean of the areas less that of the model as it is.
    pub difference: f64,
}

/// Shuffles that a loss is set against: where none takes as much, as many would by chance once in 21 times.
const SHUFFLES: usize = 20;

/// A confound predicted from the volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reverse {
    /// The confound.
    pub of: String,
    /// Correlation of what ridge regression on the voxels says of the held-out with the truth.
    pub r: Estimate,
    /// Share of its variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<Estimate>,
}

/// How much of what a run tells above chance is gone when a confound is taken away: from the voxels of the linear model, by residuals on the
/// confound in each training part; and from the network, by other runs on the same people (`arms`, by name), such as one of a cohort whose
/// brains were brought to one size; beside these their own linear model. All of these over people of two classes who are alike in covariates too,
/// where that is asked for; and how alike the maps of the arms are to those of the run. The reverse: what the same volumes tell of the confound.
///
/// # Errors
/// The run learnt a value, or has no predictions; its cohort has moved; another run is of other people or classes; no such column, or one that is
/// the label; too few people are alike.
pub fn confounds(
    run: &Run,
    arms: &[(String, Run)],
    options: &ConfoundOptions,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Confounds> {
    let mut names = BTreeSet::new();
    if let Some((name, _)) = arms.iter().find(|(name, _)| !names.insert(name.as_str())) {
        return Err(Error::request(format!("two arms are called {name}"), "give each arm a name of its own"));
    }
    let models = run.models()?;
    for (name, other) in arms {
        if other.models()? == models {
            progress.warn(&format!(
                "the arm {name} ({}) is the run itself, for both have the same models: its rows can differ in nothing",
                other.path.display()
            ));
        }
    }
    let own = run.predictions()?;
    let classes = run.manifest.task.classes().to_vec();
    let metrics = run.metrics()?.ok_or_else(|| run.unfinished())?;
    let positive = classes.iter().position(|c| *c == metrics.positive).unwrap_or(classes.len() - 1);
    options.matched.check()?;
    let _claim = run.claim("confounds", progress)?;
    let of = Study::of(run, &own, &classes, positive)?;
    let network = of.predictions(&own, &classes);
    // What is refused is refused before the work.
    let matched = match options.matched.columns.as_slice() {
        [] => None,
        _ => Some(Matched::of(&of, &classes, &options.matched, network.iter().map(|p| p.subject).collect())?),
    };
    for term in options.matched.columns.iter().filter(|term| !options.covariates.contains(term)) {
        // What is to be doubted of it is said; volumes of masks are ours.
        if of.cohort.participants.columns.iter().any(|column| column == named(term).0) {
            of.covariates(std::slice::from_ref(term), &classes, progress)?;
        }
    }
    let mut taken = vec![("mask volume".to_owned(), of.volumes())];
    for term in &options.covariates {
        let features = of.covariates(std::slice::from_ref(term), &classes, progress)?;
        progress.note(&format!("covariate: {}", features.describe()));
        taken.push((named(term).0.to_owned(), features));
    }
    let mut rows = Rows::new(&of);
    rows.add("cnn", AS_IS, network.clone(), None)?;
    for (name, other) in arms {
        let said = other.predictions()?;
        rows.add("cnn", name, of.beside(name, other, &said, &classes)?, Some(&network))?;
        if let Some(arm) = rows.arms.last_mut() {
            arm.trained_otherwise = trained_otherwise(&run.manifest.options, &other.manifest.options);
            if !arm.trained_otherwise.is_empty() {
                arm.explained = None;
            }
        }
    }
    let (gram, seed) = (of.gram(engine, progress)?, Seed::new(run.manifest.seed));
    let task = of.task();
    let pool = engine.thread_pool();
    let linear = sorted(pool.install(|| logistic_voxels(&gram, &task, seed, progress))?.predictions);
    rows.add(LOGISTIC_VOXELS, AS_IS, linear.clone(), None)?;
    for (name, other) in arms {
        // Runs of older versions have none.
        if other.layout().comparator_predictions(LOGISTIC_VOXELS).is_file() {
            let said = other.comparator_predictions(LOGISTIC_VOXELS)?;
            rows.add(LOGISTIC_VOXELS, name, of.beside(name, other, &said, &classes)?, Some(&linear))?;
        }
    }
    let without = |features: &Features| -> Result<Vec<FoldPrediction>> {
        Ok(sorted(pool.install(|| logistic_of_gram(&gram, features, &task, seed, progress))?.predictions))
    };
    for (name, features) in &taken {
        rows.add_without(&format!("without {name}, voxel by voxel"), features, &linear, &without)?;
    }
    if !options.covariates.is_empty() {
        let features = of.covariates(&options.covariates, &classes, &Silent)?.with(of.volumes());
        rows.add_without("without all of these", &features, &linear, &without)?;
    }
    let reverse = of.reverse(&gram, options, engine)?;
    let maps = pool.install(|| maps::changes(run, &of.cohort, &own, &classes, arms, progress))?;
    let matched = matched.map(|matched| pool.install(|| matched.arms(&of, &rows.said)));
    let mut found = Confounds {
        label: run.manifest.label.clone(),
        models: run.models()?.all(),
        measure: if classes.len() > 2 { "macro AUC" } else { "AUC" }.to_owned(),
        arms: rows.arms,
        matched,
        maps: Some(maps).filter(|_| !arms.is_empty()),
        reverse,
        summary: Vec::new(),
        asked: Some(Asked {
            arms: arms
                .iter()
                .map(|(name, run)| (name.clone(), run.path.canonicalize().unwrap_or_else(|_| run.path.clone())))
                .collect(),
            covariates: options.covariates.clone(),
            matched: options.matched.columns.clone(),
            caliper: options.matched.caliper,
        }),
    };
    found.summary = found.sentences(of.cohort.noun());
    seal::declare(&run.layout().confounds(), &found, [])?;
    Ok(found)
}

/// Options that say who is learnt from and what is learnt, and the seed: not how a network is trained.
const NOT_OF_TRAINING: [&str; 17] = [
    "label",
    "positive",
    "missing",
    "unit",
    "holding",
    "group",
    "stratify",
    "match",
    "caliper",
    "test",
    "near-duplicates",
    "covariates",
    "region-volumes",
    "seed",
    "keep-going",
    "init",
    "table",
];

/// How another run was trained otherwise, `epochs 1, not 20`. What a run of an older version does not say is not compared.
fn trained_otherwise(own: &serde_json::Value, other: &serde_json::Value) -> Vec<String> {
    let (Some(own), Some(other)) = (own.as_object(), other.as_object()) else { return Vec::new() };
    let pairs = own.iter().filter(|(name, _)| !NOT_OF_TRAINING.contains(&name.as_str()));
    let unlike = pairs.filter_map(|(name, ours)| Some((name, ours, other.get(name)?))).filter(|(_, a, b)| a != b);
    unlike
        .map(|(name, ours, theirs)| match [ours, theirs] {
            [serde_json::Value::Object(_), _] | [_, serde_json::Value::Object(_)] => name.clone(),
            [ours, theirs] => format!("{name} {theirs}, not {ours}").replace('"', ""),
        })
        .collect()
}

/// The rows of a table, with what was said of people in each.
struct Rows<'a> {
    of: &'a Study<'a>,
    arms: Vec<Arm>,
    /// The model, the arm and what was said.
    said: Vec<(String, String, Vec<FoldPrediction>)>,
}

impl<'a> Rows<'a> {
    fn new(of: &'a Study<'a>) -> Self {
        Self { of, arms: Vec::new(), said: Vec::new() }
    }

    fn add(
        &mut self,
        model: &str,
        arm: &str,
        said: Vec<FoldPrediction>,
        beside: Option<&[FoldPrediction]>,
    ) -> Result<()> {
        self.arms.push(self.of.row(model, arm, &said, beside)?);
        self.said.push((model.to_owned(), arm.to_owned(), said));
        Ok(())
    }

    /// The logistic regression without columns, which `fit` makes of them, and where that is worse, what shuffles of them take away.
    fn add_without(
        &mut self,
        arm: &str,
        features: &Features,
        linear: &[FoldPrediction],
        fit: &dyn Fn(&Features) -> Result<Vec<FoldPrediction>>,
    ) -> Result<()> {
        self.add(LOGISTIC_VOXELS, arm, fit(features)?, Some(linear))?;
        let Some(row) = self.arms.last_mut().filter(|row| row.is_worse()) else { return Ok(()) };
        let mut random = Seed::new(self.of.run.manifest.seed).child("shuffled confounds").random();
        let (mut as_much, mut sum) = (0, 0.0);
        for _ in 0..SHUFFLES {
            let shuffled =
                self.of.row(LOGISTIC_VOXELS, arm, &fit(&features.taken(&self.of.dealt(&mut random)))?, Some(linear))?;
            as_much += usize::from(shuffled.area.value <= row.area.value);
            sum += shuffled.difference.map_or(0.0, |difference| difference.value);
        }
        row.shuffled = Some(Shuffled { shuffles: SHUFFLES, as_much, difference: sum / SHUFFLES as f64 });
        if as_much > 0 {
            row.explained = None;
        }
        Ok(())
    }
}

fn sorted(mut predictions: Vec<FoldPrediction>) -> Vec<FoldPrediction> {
    predictions.sort_by_key(|p| p.subject);
    predictions
}

/// The people of a run, by position among those of its folds.
struct Study<'a> {
    run: &'a Run,
    cohort: Cohort,
    /// Positions in the cohort.
    members: Vec<usize>,
    labels: Vec<usize>,
    groups: Option<Vec<usize>>,
    splits: Vec<Split>,
    classes: usize,
    positive: usize,
}

impl Arm {
    /// Whether a loss is shown.
    fn is_worse(&self) -> bool {
        self.difference.as_ref().and_then(Estimate::ends).is_some_and(|(_, high)| high < 0.0)
    }
}

impl<'a> Study<'a> {
    /// Whose values each gets where they are dealt out among people; those of a group get the values of the first of another group.
    fn dealt(&self, random: &mut Random) -> Vec<usize> {
        let Some(groups) = &self.groups else { return random.permutation(self.members.len()) };
        let mut first = BTreeMap::new();
        groups.iter().enumerate().for_each(|(member, group)| _ = first.entry(*group).or_insert(member));
        let mut from: Vec<usize> = first.values().copied().collect();
        random.shuffle(&mut from);
        let dealt: BTreeMap<usize, usize> = first.into_keys().zip(from).collect();
        groups.iter().map(|group| dealt[group]).collect()
    }

    fn of(run: &'a Run, own: &[Prediction], classes: &[String], positive: usize) -> Result<Self> {
        let cohort = run.cohort()?;
        let members: Vec<usize> = run.members()?.into_iter().collect();
        let cells = cohort.column(&run.manifest.label)?;
        let class = |cell: Option<&str>| classes.iter().position(|c| cell.map(str::trim) == Some(c.as_str()));
        let labels = members.iter().map(|&n| class(cells[n])).collect::<Option<Vec<usize>>>();
        let now = |id: &str| cohort.find(id).and_then(|n| cells[n]).map(str::trim);
        let changed = own.iter().find(|p| now(&p.participant_id) != Some(p.truth.as_str()));
        let (Some(labels), None) = (labels, changed) else {
            return Err(Error::file(
                cohort.layout().participants(),
                format!("the column {} is another one than that which the run was trained on", run.manifest.label),
                "give back the table of the training, or train again",
            ));
        };
        let place = |n: &usize| members.binary_search(n).ok();
        let mut splits = Vec::new();
        for fold in 0..run.manifest.folds {
            let split = run.split(fold)?;
            let of = |of: &[usize]| of.iter().filter_map(place).collect();
            splits.push(Split { train: of(&split.train), test: of(&split.test) });
        }
        let groups = run.groups_of(&cohort, &members)?;
        Ok(Self { run, members, labels, groups, splits, classes: classes.len(), positive, cohort })
    }

    fn task(&self) -> ClassificationTask<'_> {
        ClassificationTask {
            labels: &self.labels,
            groups: self.groups.as_deref(),
            classes: self.classes,
            splits: &self.splits,
            balanced: self.run.manifest.options.get("balanced").and_then(serde_json::Value::as_bool).unwrap_or(false),
        }
    }

    fn id(&self, member: usize) -> &str {
        &self.cohort.subjects[self.members[member]].id
    }

    /// As the table has it.
    fn written_id(&self, member: usize) -> &str {
        self.cohort.written_id(self.members[member])
    }

    /// What was said of the held-out, in the order of the people.
    fn predictions(&self, said: &[Prediction], classes: &[String]) -> Vec<FoldPrediction> {
        let by_id: BTreeMap<&str, &Prediction> = said.iter().map(|p| (p.participant_id.as_str(), p)).collect();
        let of = |member: usize| {
            let said = by_id.get(self.id(member))?;
            let truth = classes.iter().position(|c| *c == said.truth)?;
            let group = self.groups.as_ref().map(|groups| groups[member]);
            Some(FoldPrediction::new(member, said.fold, truth, group, said.probabilities.clone()))
        };
        (0..self.members.len()).filter_map(of).collect()
    }

    /// What another run said of the same people, in the folds of this one.
    fn beside(&self, name: &str, other: &Run, said: &[Prediction], classes: &[String]) -> Result<Vec<FoldPrediction>> {
        let refused = |what: String| {
            Err(Error::file(
                &other.path,
                format!("the arm {name} {what}"),
                "give a run on the same people and classes, such as one of a cohort that was prepared in another way",
            ))
        };
        if other.manifest.task.classes() != classes {
            return refused(format!("tells {} apart, not {}", and(other.manifest.task.classes()), and(classes)));
        }
        let own: BTreeSet<&str> = self.members.iter().map(|&n| self.cohort.subjects[n].id.as_str()).collect();
        let more: Vec<&str> = said.iter().map(|p| p.participant_id.as_str()).filter(|id| !own.contains(id)).collect();
        if !more.is_empty() {
            return refused(format!(
                "is of other people too: {} that {} not in this run ({})",
                counted(more.len(), self.cohort.noun()),
                crate::listed::does(more.len(), "is", "are"),
                crate::listed::listed(&more, 5)
            ));
        }
        let mut all = self.predictions(said, classes);
        let mut folds = BTreeMap::new();
        for split in self.splits.iter().enumerate() {
            split.1.test.iter().for_each(|&member| {
                folds.insert(member, split.0);
            });
        }
        let without: Vec<&str> = folds
            .keys()
            .filter(|member| all.binary_search_by_key(*member, |p| p.subject).is_err())
            .map(|&member| self.written_id(member))
            .collect();
        if !without.is_empty() {
            let listed = crate::listed::listed(&without, 5);
            return refused(format!(
                "says nothing of {} of the run: {listed}",
                counted(without.len(), self.cohort.noun())
            ));
        }
        all.retain(|p| folds.contains_key(&p.subject));
        if let Some(p) = all.iter().find(|p| p.truth != self.labels[p.subject]) {
            return refused(format!("has another class for {}", self.written_id(p.subject)));
        }
        // Differences are over people; whose model said what is of no matter to them.
        all.iter_mut().for_each(|p| p.fold = folds[&p.subject]);
        Ok(all)
    }

    fn gram(&self, engine: &Engine, progress: &dyn Progress) -> Result<Gram> {
        comparators::gram(self.members.len(), engine, progress, |n| self.cohort.values(self.members[n]))
    }

    /// The logarithm of the volume of the masks.
    fn volumes(&self) -> Features {
        let log = |&n: &usize| Some(self.cohort.subjects[n].mask_volume.ln()).filter(|v| v.is_finite());
        Features::of_numbers(vec![("mask volume".into(), self.members.iter().map(log).collect())])
    }

    /// Columns of the table of people; says of one that it all but is the label.
    fn covariates(&self, terms: &[String], classes: &[String], progress: &dyn Progress) -> Result<Features> {
        let missing = self.run.manifest.missing();
        let mut of = Vec::new();
        for term in terms {
            let (name, _) = named(term);
            if name == self.run.manifest.label {
                return Err(Error::request(
                    format!("the covariate {name} is the label itself"),
                    remedy!["leave it out of ", COVARIATES, ", or train a run with another ", LABEL],
                ));
            }
            let cells = self.cohort.column(name)?;
            let cells: Vec<Option<&str>> = self.members.iter().map(|&n| cells[n]).collect();
            let filled: Vec<Option<&str>> =
                cells.iter().map(|cell| cell.filter(|c| !crate::cohort::is_missing(c, &missing))).collect();
            let label = (self.run.manifest.label.as_str(), Learnt::Classes(&self.labels, classes));
            let leave = remedy!["leave it out of ", COVARIATES, ": without it there is nothing left of the label"];
            refuse_recode((name, &filled), label, leave)?;
            doubts((name, &filled), label, self.run.manifest.seed).iter().for_each(|what| progress.warn(what));
            of.push((term.clone(), cells));
        }
        Features::of(&of, self.members.len(), &missing)
    }

    /// The area that a model's result is told by; `None` where a class is missing.
    fn area(&self, said: &[FoldPrediction]) -> Option<Estimate> {
        Classification::of(said, self.classes, self.positive).and_then(|found| found.area().cloned())
    }

    /// A row; `of` is the same model as it is.
    fn row(&self, model: &str, arm: &str, said: &[FoldPrediction], of: Option<&[FoldPrediction]>) -> Result<Arm> {
        let shape = (self.classes, self.positive);
        let Some(own) = self.area(said) else {
            return Err(Error::file(
                &self.run.path,
                "a class is not among the held-out: there is no area under the curve",
                "use a run of more people",
            ));
        };
        let difference = of
            .and_then(|of| Comparison::of((arm, said), (AS_IS, of), shape))
            .and_then(|comparison| comparison.area_difference().cloned());
        let before = of.and_then(|of| self.area(of));
        let explained =
            before.filter(|before| self.classes == 2 && before.ends().is_some_and(|(low, _)| low > 0.5)).zip(of).map(
                |(before, of)| explained((before.value, own.value), (of, said), self.positive, self.run.manifest.seed),
            );
        Ok(Arm {
            model: model.to_owned(),
            arm: arm.to_owned(),
            subjects: said.len(),
            area: own,
            difference,
            explained,
            trained_otherwise: Vec::new(),
            shuffled: None,
        })
    }

    /// What ridge regression on the voxels says of the confounds that are numbers.
    fn reverse(&self, gram: &Gram, options: &ConfoundOptions, engine: &Engine) -> Result<Vec<Reverse>> {
        let logs = self.members.iter().map(|&n| Some(self.cohort.subjects[n].mask_volume.ln()));
        let mut all: Vec<(String, Vec<Option<f64>>)> = vec![("mask volume".into(), logs.collect())];
        for term in &options.covariates {
            let (name, is_factor) = named(term);
            let cells = self.cohort.column(name)?;
            let missing = self.run.manifest.missing();
            let cell = |&n: &usize| cells[n].filter(|c| !crate::cohort::is_missing(c, &missing));
            let numbers: Vec<Option<f64>> = self.members.iter().map(|n| cell(n).and_then(number)).collect();
            if !is_factor && self.members.iter().filter_map(cell).count() == numbers.iter().flatten().count() {
                all.push((name.to_owned(), numbers));
            }
        }
        let mut found = Vec::new();
        for (of, values) in all {
            let has = |n: &usize| values[*n].is_some_and(f64::is_finite);
            let part = |of: &[usize]| of.iter().copied().filter(has).collect::<Vec<usize>>();
            let splits: Vec<Split> =
                self.splits.iter().map(|s| Split { train: part(&s.train), test: part(&s.test) }).collect();
            if splits.iter().any(|split| split.train.len() < 3 || split.test.is_empty()) {
                continue;
            }
            let values: Vec<f64> = values.iter().map(|v| v.unwrap_or(0.0)).collect();
            let task = ValueTask { values: &values, groups: self.groups.as_deref(), splits: &splits };
            let mut said: Vec<ValuePrediction> =
                engine.thread_pool().install(|| comparators::ridge_voxels(gram, &task)).predictions;
            said.sort_by_key(|p| p.subject);
            if let Some(Regression { r: Some(r), r2, .. }) = Regression::of(&said) {
                found.push(Reverse { of, r, r2 });
            }
        }
        Ok(found)
    }
}

/// The share of an area above 0.5 that is gone, with a percentile interval over resampled people (or groups).
fn explained(
    (before, after): (f64, f64),
    (of, said): (&[FoldPrediction], &[FoldPrediction]),
    positive: usize,
    seed: u64,
) -> Estimate {
    let share = |before: f64, after: f64| 1.0 - (after - 0.5) / (before - 0.5);
    let mut units = BTreeMap::<usize, Vec<usize>>::new();
    of.iter().enumerate().for_each(|(at, p)| units.entry(p.group.unwrap_or(p.subject)).or_default().push(at));
    let units: Vec<Vec<usize>> = units.into_values().collect();
    let mut random = Seed::new(seed).child("confounds").random();
    let area = |all: &[FoldPrediction], taken: &[usize]| {
        let of = |is: bool| {
            let of = taken.iter().filter(|&&at| (all[at].truth == positive) == is);
            of.map(|&at| all[at].probabilities[positive]).collect::<Vec<f64>>()
        };
        voxplain_stats::roc::area_under_curve(&of(true), &of(false))
    };
    let mut shares = Vec::new();
    for _ in 0..RESAMPLES {
        let taken: Vec<usize> =
            (0..units.len()).flat_map(|_| units[random.below(units.len())].iter().copied()).collect();
        if let (Some(a), Some(b)) = (area(of, &taken), area(said, &taken))
            && a > 0.5
        {
            shares.push(share(a, b));
        }
    }
    shares.sort_by(f64::total_cmp);
    // Where resamples fall to chance the ratio has no meaning.
    let enough = shares.len() * 100 >= RESAMPLES * 99 && units.len() >= voxplain_stats::MIN_GROUPS;
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in a list")]
        let n = (share * (shares.len() - 1) as f64).round() as usize;
        shares[n]
    };
    let (low, high, interval) = if enough {
        (Some(at(0.025)), Some(at(0.975)), format!("percentiles of {RESAMPLES} resamples of people"))
    } else {
        (None, None, "none: the area is too near to chance for a share of it".to_owned())
    };
    Estimate { value: share(before, after), low, high, interval }
}

impl Confounds {
    /// Those of a run; `None` where there are none.
    ///
    /// # Errors
    /// The file is damaged, or of other models than those that the run has now.
    pub fn read(run: &Run) -> Result<Option<Self>> {
        let file = run.layout().confounds();
        if !file.is_file() {
            return Ok(None);
        }
        let again = || remedy!["find them again: ", Action::new("confounds").on(&run.path)];
        let found: Self = seal::read(&file, again())?;
        run.models_there()?.0.check(&file, &found.models, again())?;
        if let Some(maps) = &found.maps {
            maps.made_from.check(run, &file, again())?;
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn how_an_arm_was_trained_otherwise_is_named() {
        let own = json!({ "label": "sex", "epochs": 20, "width": 8, "model": "mrinet", "augment": { "shift": 2 }, "seed": 0 });
        let same =
            json!({ "label": "sex", "epochs": 20, "width": 8, "match": ["age"], "augment": { "shift": 2 }, "seed": 7 });
        assert!(trained_otherwise(&own, &same).is_empty(), "the seed, matching and what one of them does not say");
        let other = json!({ "epochs": 1, "width": 8, "model": "sfcn", "augment": { "shift": 0 } });
        let mut said = trained_otherwise(&own, &other);
        said.sort();
        assert_eq!(said, ["augment", "epochs 1, not 20", "model sfcn, not mrinet"]);
    }
}
