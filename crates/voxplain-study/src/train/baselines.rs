//! [`Tables`]: what the comparators without an image are fitted to; and the comparators that were added to those of the volumes.

use super::{dataset::Dataset, linear_maps::LinearModel, metrics::Classifier, options::TrainOptions, value::Values};
use crate::{
    comparators::{self, Chosen, ClassificationTask, Features, Gram, Tuned, named},
    listed::counted,
    morphometry::Morphometry,
    setting::{COVARIATES, LABEL},
};
use voxplain_core::{Error, Progress, Result, plural::does, random::Seed, remedy};
use voxplain_nn::Engine;

/// Columns that the comparators without an image are fitted to.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Columns of the table of people.
    pub(super) covariates: Option<Features>,
    /// Volumes of regions.
    pub(super) regions: Option<Features>,
}

impl Tables {
    /// The columns that were asked for, of the people of the folds; says what they are.
    ///
    /// # Errors
    /// A column that is not there, that is the label, or that holds nothing to tell people apart by; a table of regions that lacks people or
    /// that holds the label.
    pub(super) fn of(dataset: &Dataset<'_>, options: &TrainOptions, progress: &dyn Progress) -> Result<Self> {
        let covariates = match options.covariates.as_slice() {
            [] => None,
            terms => Some(covariates(dataset, terms, options, progress)?),
        };
        if let Some(of) = &covariates {
            let how = if of.has_gaps() {
                ": without a value it is the mean of the training part, and a column of its own says who has none"
            } else {
                ""
            };
            progress.note(&format!("covariates: {}{how}", of.describe()));
        }
        let regions = options.region_volumes.as_deref().map(|path| -> Result<Features> {
            let ids: Vec<&str> = (0..dataset.len()).map(|n| dataset.id(n)).collect();
            let table = Morphometry::read(path)?;
            let found = table.volumes_of_people(&ids)?;
            let labels: Vec<&str> = (0..dataset.len()).map(|n| dataset.value(n, false)).collect();
            let own = [Some(options.label.as_str())];
            let values = dataset.values.as_ref().map(|values: &Values| values.of.as_slice());
            found.refuse_label(&labels, values, &own)?;
            progress.note(&found.describe());
            Ok(found.features())
        });
        Ok(Self { covariates, regions: regions.transpose()? })
    }
}

/// The covariates of the people of the folds.
fn covariates(
    dataset: &Dataset<'_>,
    terms: &[String],
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<Features> {
    let mut of: Vec<(String, Vec<Option<&str>>)> = Vec::new();
    for term in terms {
        let (name, _) = named(term);
        if name == options.label {
            return Err(Error::request(
                format!("the covariate {name} is the label itself"),
                remedy!["leave it out of ", COVARIATES, ", or learn another column with ", LABEL],
            ));
        }
        if of.iter().any(|(other, _)| named(other).0 == name) {
            return Err(Error::request(
                format!("the covariate {name} is named twice"),
                remedy!["name each column once with ", COVARIATES],
            ));
        }
        let cells = dataset.cohort.column(name)?;
        let cells: Vec<Option<&str>> = dataset.subjects.iter().map(|&n| cells[n]).collect();
        dataset.refuse_recode((name, &cells), options, COVARIATES)?;
        dataset.doubts_of((name, &cells), options).iter().for_each(|what| progress.warn(what));
        of.push((term.clone(), cells));
    }
    Features::of(&of, dataset.len(), &options.missing)
}

/// What is said of held-out people with a class of a covariate that nobody of their training part has.
pub(super) fn about_unseen<'a>(
    features: &Features,
    splits: impl Iterator<Item = (&'a [usize], &'a [usize])>,
) -> Option<String> {
    let unseen: usize = splits.map(|(train, test)| features.unseen(train, test)).sum();
    (unseen > 0).then(|| {
        format!(
            "{} a class of a covariate that nobody of the training part has, and {} taken as of none of its classes",
            counted_has(unseen),
            does(unseen, "is", "are")
        )
    })
}

fn counted_has(n: usize) -> String {
    format!("{} {}", counted(n, "held-out subject"), does(n, "has", "have"))
}

/// The comparators of classes whose penalty is chosen inside, and those without an image. One that the data do not allow is left out
/// with a warning. `positive` is what linear models of two classes speak for: the second class.
pub(super) fn of_classes(
    (gram, tables, positive): (&Gram, &Tables, &str),
    task: &ClassificationTask<'_>,
    seed: u64,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<(Vec<Classifier>, Vec<LinearModel>)> {
    let seed = Seed::new(seed);
    let (mut all, mut models) = (Vec::new(), Vec::new());
    let mut model = |name: &'static str, unit: &str, found: &mut Tuned| {
        let folds = std::mem::take(&mut found.linear);
        models.push(LinearModel { name, towards: positive.to_owned(), unit: unit.to_owned(), folds });
    };
    let pool = engine.thread_pool();
    let mut logistic = pool.install(|| comparators::logistic_voxels(gram, task, seed, progress))?;
    let of = format!("logistic regression on the prepared volumes{}", gram.in_words());
    model(comparators::LOGISTIC_VOXELS, "logit", &mut logistic);
    all.push(tuned(comparators::LOGISTIC_VOXELS, &of, logistic));
    match pool.install(|| comparators::svm_voxels(gram, task, seed, progress))? {
        Some(mut found) => {
            model(comparators::SVM_VOXELS, "margin", &mut found);
            let of = "linear support vector machine on the prepared volumes, with Platt's probabilities";
            all.push(tuned(comparators::SVM_VOXELS, of, found));
        }
        None if !gram.is_exact() => progress.note(&format!(
            "no baseline by a support vector machine: it takes the inner products of all pairs, which are held of {} volumes at most",
            comparators::EXACT
        )),
        None => progress.warn(
            "no baseline by a support vector machine: its penalty and probability take two people (or groups) of each class in every \
             training part",
        ),
    }
    if let Some(features) = &tables.covariates {
        let description = format!("logistic regression on {}, without an image", features.describe());
        all.push(Classifier::new(comparators::COVARIATES, description, comparators::covariates(features, task)));
        let splits = task.splits.iter().map(|split| (split.train.as_slice(), split.test.as_slice()));
        if let Some(what) = about_unseen(features, splits) {
            progress.note(&what);
        }
    }
    if let Some(features) = &tables.regions {
        let found = pool.install(|| comparators::logistic_features(features, task, seed, progress))?;
        let of = format!("logistic regression on {} of a table", counted(features.len(), "column"));
        all.push(tuned(comparators::REGION_VOLUMES, &of, found));
    }
    Ok((all, models))
}

/// A classifier with how its penalty was chosen.
fn tuned(name: &'static str, of: &str, found: Tuned) -> Classifier {
    Classifier::tuned(name, describe_tuned(of, &found.chosen), found.predictions, found.chosen)
}

/// A tuned classifier in words.
pub(crate) fn describe_tuned(of: &str, chosen: &Chosen) -> String {
    let but = match chosen.untuned() {
        0 => String::new(),
        n => format!("; 1 in {}, which had too few people for that", counted(n, "fold")),
    };
    format!("{of}, the penalty chosen inside the training part ({}{but})", chosen.in_words())
}
