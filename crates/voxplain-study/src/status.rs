//! [`status`]: what there is in a run, a training on a table or a cohort, who is at work there, and what comes next.
//!
//! | file | holds |
//! |---|---|
//! | `run.rs` | of a run of networks |
//! | `table.rs` | of a training on a table |
//! | `cohort.rs` | of a cohort, finished or being built |
//! | `size.rs` | what the parts of a folder take on the disk |

mod cohort;
mod run;
mod size;
mod table;

pub use cohort::{CohortStatus, UnfinishedCohort};
pub use run::{MethodStatus, RunStatus, UnfinishedFold};
pub use size::{Size, bytes_in_words};
pub use table::TableStatus;

use crate::{
    cohort::CohortLayout,
    prepare::is_shared,
    run::{Run, RunLayout},
    setting::OUT,
    train::{TableRecord, TrainOptions},
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Claim, Error, Occupied, Progress, Remedy, Result, remedy, seal};

/// What there is in a folder that voxplain made.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Status {
    /// A run of networks.
    Run(Box<RunStatus>),
    /// A training on a table.
    Table(Box<TableStatus>),
    /// A finished cohort.
    Cohort(Box<CohortStatus>),
    /// A cohort that is being built, or was begun.
    UnfinishedCohort(Box<UnfinishedCohort>),
}

/// Something that was made of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name: of an evaluation the metric, of a test the classifier, of a comparison its folder.
    pub name: String,
    /// The file that says that it is done.
    pub file: PathBuf,
    /// Why it does not count, in a sentence: it is damaged, or was made of other models or maps than those there now. `null` where it
    /// counts.
    pub problem: Option<String>,
    /// Whether it, or a file that it vouches for, is not as it was written.
    pub damaged: bool,
    /// What to do about it, where it does not count.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

/// A file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// Which.
    pub file: PathBuf,
    /// What is wrong with it, with its name.
    pub what: String,
    /// What to do about it.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

impl Damaged {
    fn of(error: &Error) -> Self {
        let file = match error {
            Error::File { path, .. } | Error::Io { path, .. } => path.clone(),
            _ => PathBuf::new(),
        };
        Self { file, what: error.to_string(), remedy: error.remedy() }
    }
}

impl Made {
    fn new<T>(name: impl Into<String>, file: PathBuf, read: &Result<T>) -> Self {
        let error = read.as_ref().err();
        let (problem, remedy) = (error.map(ToString::to_string), error.and_then(Error::remedy));
        // What does not count for another reason can be read; a table has a document beside it.
        let document = file.with_extension("json");
        let damaged = problem.is_some() && seal::read_with_files::<serde_json::Value>(&document, "").is_err();
        Self { name: name.into(), file, problem, damaged, remedy }
    }

    /// Whether it can be taken as it is.
    pub fn counts(&self) -> bool {
        self.problem.is_none()
    }
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What.
    pub what: String,
    /// The step that makes it.
    pub step: Action,
}

impl Lack {
    fn new(what: impl Into<String>, step: Action) -> Self {
        Self { what: what.into(), step }
    }
}

impl Status {
    /// Who is at work there.
    pub fn at_work(&self) -> &Occupied {
        match self {
            Self::Run(run) => &run.at_work,
            Self::Table(table) => &table.at_work,
            Self::Cohort(cohort) => &cohort.at_work,
            Self::UnfinishedCohort(cohort) => &cohort.at_work,
        }
    }

    /// What is missing, in the order of the work.
    pub fn lacks(&self) -> &[Lack] {
        match self {
            Self::Run(run) => &run.lacks,
            Self::Table(table) => &table.lacks,
            Self::Cohort(cohort) => &cohort.lacks,
            Self::UnfinishedCohort(_) => &[],
        }
    }

    /// The step that comes next; `None` where nothing is missing, where somebody is at work, or may be, and where only whoever began it
    /// knows it.
    pub fn next(&self) -> Option<&Action> {
        match self.at_work() {
            Occupied::Nobody | Occupied::Gone(_) => self.lacks().first().map(|lack| &lack.step),
            Occupied::AtWork(_) | Occupied::Elsewhere(_) | Occupied::Unknown => None,
        }
    }
}

/// The step that trains on `what` with these options into `out`. Options that this version does not know are not guessed.
pub(crate) fn train_again(what: &Path, options: &serde_json::Value, out: &Path) -> Action {
    let settings = serde_json::from_value::<TrainOptions>(options.clone()).map(|of| of.settings());
    Action { settings: settings.unwrap_or_default(), ..Action::new("train").on(what) }.with(OUT, out.display())
}

/// What there is in the folder of a run, of a training on a table, or of a cohort; of a cohort that is being built, too, by its own name or by
/// that of the folder where it is built. Nothing is written.
///
/// # Errors
/// It is none of these, or it is damaged so far that nothing can be said of it.
pub fn status(path: &Path) -> Result<Status> {
    look(path, None)
}

/// [`status`], with every volume, mask and map read and compared with its hash: as long as that takes.
///
/// # Errors
/// Those of [`status`]; [`Error::Interrupted`].
pub fn status_of_all(path: &Path, progress: &dyn Progress) -> Result<Status> {
    look(path, Some(progress))
}

fn look(path: &Path, check: Option<&dyn Progress>) -> Result<Status> {
    if RunLayout::at(path).manifest().is_file() {
        return RunStatus::of(&Run::open(path)?, check).map(|run| Status::Run(Box::new(run)));
    }
    if TableRecord::path(path).is_file() {
        return TableStatus::of(path).map(|table| Status::Table(Box::new(table)));
    }
    if CohortLayout::at(path).document().is_file() {
        return CohortStatus::of(path, check).map(|cohort| Status::Cohort(Box::new(cohort)));
    }
    if let Some(unfinished) = UnfinishedCohort::of(path)? {
        return Ok(Status::UnfinishedCohort(Box::new(unfinished)));
    }
    if is_shared(path) {
        let shards = CohortLayout::at(path).shards();
        return Err(Error::file(
            path,
            format!("is not there yet: it is prepared in shards, in {}", shards.display()),
            remedy!["put them together, or see which are missing: ", Action::new("merge").on(path)],
        ));
    }
    let what = if !path.exists() {
        "is not there".to_owned()
    } else if !path.is_dir() {
        "is a file, and no folder of a run or a cohort".to_owned()
    } else if Claim::look(path)? == Occupied::Nobody {
        "is neither a run nor a cohort: it has no manifest.json, table.json or cohort.json".to_owned()
    } else {
        format!("nothing is in it yet; {}", Claim::look(path)?)
    };
    let made_by = [Action::new("train"), Action::new("prepare"), Action::new("simulate")];
    let [train, prepare, simulate] = made_by;
    Err(Error::file(
        path,
        what,
        remedy!["give a directory that `", train, "`, `", prepare, "` or `", simulate, "` made"],
    ))
}
