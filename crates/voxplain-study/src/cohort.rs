//! [`Cohort`]: subjects with labels, covariates and prepared volumes.
//!
//! A cohort is a directory. `cohort.json` lists the subjects, their grids and how they were prepared. `participants.tsv` has labels
//! and covariates; row `n` is subject `n`. `volumes.npy` has the volumes, `[N, i, j, k]` (`[N, channels, i, j, k]` where there are several images of each subject), float32 or float16, RAS+ axes, C order. `masks.npy` has
//! the brain masks, the same shape, uint8, 1 in the brain. The directory appears only when it is complete: [`Writer`] builds it
//! beside its place.

mod checked;
mod dtype;
mod findings;
mod inclusion;
mod lattice;
mod layout;
mod made_by;
mod missing;
mod normalize;
mod persons;
mod preparation;
mod quality;
mod subject;
mod unseen;
mod writer;

pub use dtype::{Stored, VolumeType};
pub use inclusion::{Inclusion, LeftOut, OfSource};
pub use layout::CohortLayout;
pub(crate) use made_by::{differing, made_otherwise, option_name};
pub use missing::is_missing;
pub(crate) use missing::{doubtful, unmatched};
pub use normalize::Normalize;
pub use persons::{Headcount, PERSON, Persons, SESSION_ID};
pub(crate) use persons::{person_column, person_in, two_spellings};
pub(crate) use preparation::usable_spacing;
pub use preparation::{Placement, Preparation, Template};
pub use quality::{LIMIT, Measured, Outlier, Quality, Quantity, deviations};
pub use subject::{ChannelImage, Subject, hash};
pub(crate) use subject::{hash_all, values};
pub(crate) use writer::remove;
pub use writer::{Begun, Writer};
pub(crate) use writer::{begun_with as plan_of, count_marks, files_of_unfinished};

use crate::{setting::FORCE, spelling};
use checked::Checked;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxplain_attribution::{TrainingSubject, TrainingSubjects, VolumeSource};
use voxplain_core::{
    Action, Error, Fault, Remedy, Result, Silent, Table,
    plural::{counted, does},
    remedy, seal,
};
use voxplain_volume::{Dtype, Grid, Mask, Volume, npy};

/// Subjects with labels, covariates and prepared volumes, in a directory. [`CohortLayout`] says which file holds what.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// The directory.
    pub path: PathBuf,
    /// The subjects, in the order of `volumes.npy`.
    pub subjects: Vec<Subject>,
    /// How their volumes were made.
    pub preparation: Preparation,
    /// Labels and covariates; row `n` is subject `n`. The column of ids is `participant_id`.
    pub participants: Table,
    /// The command and options that made it, as JSON.
    pub made_by: serde_json::Value,
    /// What was found and who is not in it; absent in cohorts that were not prepared from images, and of older versions.
    pub inclusion: Option<Inclusion>,
    /// The type of the values of its volumes.
    pub dtype: VolumeType,
    /// The version of voxplain that made it.
    pub version: String,
    /// Words that stand for no value in the column of people, beside the usual ones.
    missing: Vec<String>,
    checked: Arc<Checked>,
}

impl VolumeSource for Cohort {
    fn volume(&self, number: usize) -> Result<Arc<[f32]>> {
        Ok(self.values(number)?.into())
    }
}

/// What `cohort.json` holds.
#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    voxplain: String,
    preparation: Preparation,
    made_by: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inclusion: Option<Inclusion>,
    #[serde(default, skip_serializing_if = "VolumeType::is_default")]
    dtype: VolumeType,
    subjects: Vec<Subject>,
}

/// The first line of every `cohort.json`; changes when an older reader would misread it.
const FORMAT: &str = "voxplain cohort 1";

impl Cohort {
    /// Opens a cohort directory; checks that its files agree.
    pub fn open(path: &Path) -> Result<Self> {
        let layout = CohortLayout::at(path);
        let json = layout.document();
        if !json.is_file() {
            if !path.exists() && !layout.partial().exists() {
                return Err(Error::file(path, "is not there", "check the path"));
            }
            let remedy = if layout.partial().is_dir() {
                "its preparation was interrupted: run the same command again to finish it".into()
            } else {
                remedy!["make one with `", Action::new("prepare"), "` or `", Action::new("simulate"), "`"]
            };
            return Err(Error::file(path, "this is not a cohort (no cohort.json in it)", remedy));
        }
        let document: Document = seal::read(&json, again())?;
        if document.format != FORMAT {
            let what = format!("format is `{}`, this version reads `{FORMAT}`", document.format);
            return Err(Error::file(&json, what, "use the version of voxplain that made it"));
        }
        let Document { preparation, made_by, inclusion, dtype, subjects, voxplain: version, .. } = document;
        if subjects.is_empty() {
            return Err(Error::file(&json, "the cohort has no subjects", again()));
        }
        if let Some(s) = subjects.iter().find(|s| s.grid.shape != preparation.shape) {
            let what = format!("subject {} has shape {:?}, the cohort {:?}", s.id, s.grid.shape, preparation.shape);
            return Err(Error::file(&json, what, again()));
        }
        let tsv = layout.participants();
        let participants = Table::read(&tsv)?;
        let ids: Vec<_> =
            participants.cells(participants.column("participant_id")?).map(Option::unwrap_or_default).collect();
        if !ids.iter().map(|id| bare(id)).eq(subjects.iter().map(|s| s.id.as_str())) {
            let what = format!(
                "{} rows do not match the {} subjects of cohort.json, in their order",
                ids.len(),
                subjects.len()
            );
            return Err(Error::file(&tsv, what, "columns may be added, rows may not be added, removed or moved"));
        }
        let cohort = Self {
            path: path.to_owned(),
            checked: Arc::new(Checked::none(subjects.len())),
            subjects,
            preparation,
            participants,
            made_by,
            inclusion,
            dtype,
            version,
            missing: Vec::new(),
        };
        cohort.volumes()?;
        cohort.masks()?;
        Ok(cohort)
    }

    /// Its files.
    pub fn layout(&self) -> CohortLayout<'_> {
        CohortLayout::at(&self.path)
    }

    /// Writes a cohort of one channel from volumes in memory. `participants` has a row per subject, in their order; a column
    /// `participant_id` is put first.
    pub fn write(
        path: &Path,
        preparation: &Preparation,
        participants: &Table,
        people: &[(Subject, Volume, Mask)],
    ) -> Result<Self> {
        let made_by = serde_json::json!({ "command": "write" });
        match Writer::begin(path, &made_by, preparation.input_shape().into(), people.len(), true, &Silent)? {
            Begun::Complete(cohort) => Ok(*cohort),
            Begun::Open(writer) => {
                for (n, (subject, volume, mask)) in people.iter().enumerate() {
                    writer.put(n, subject, std::slice::from_ref(volume), mask)?;
                }
                writer.finish(preparation, participants)
            }
        }
    }

    /// Reads one subject's prepared volume (RAS+); of several channels the first, which is the one to look at.
    pub fn volume(&self, subject: usize) -> Result<Volume> {
        let grid = self.subject(subject)?.grid;
        let mut values = self.values(subject)?;
        values.truncate(grid.shape.iter().product());
        Ok(Volume::new(grid, values)?)
    }

    /// Reads one subject's prepared volumes (RAS+), one for each channel.
    pub fn channels(&self, subject: usize) -> Result<Vec<Volume>> {
        let grid = self.subject(subject)?.grid;
        let values = self.values(subject)?;
        values.chunks_exact(grid.shape.iter().product()).map(|of| Ok(Volume::new(grid, of.to_vec())?)).collect()
    }

    /// Reads the values of one subject as a network takes them, `[channels][i][j][k]`.
    ///
    /// # Errors
    /// There is no such subject; the file cannot be read, or the values are not those that were prepared.
    pub fn values(&self, subject: usize) -> Result<Vec<f32>> {
        let of = self.subject(subject)?;
        let values = self.volumes()?.read_item(subject)?;
        self.checked.volume(subject, of, &values, &self.layout().volumes())?;
        Ok(values)
    }

    /// The subjects of those numbers as training subjects of a model; `labels` are the true classes of all
    /// subjects. Subjects without a class are left out.
    pub fn training_subjects(&self, numbers: &[usize], labels: &[Option<usize>], classes: usize) -> TrainingSubjects {
        let trained_on = |&number: &usize| {
            let subject = &self.subjects[number];
            let class = labels[number]?;
            Some(TrainingSubject { id: subject.id.clone(), hash: subject.hash.clone(), class, number })
        };
        TrainingSubjects::new(numbers.iter().filter_map(trained_on).collect(), Box::new(self.clone()), classes)
    }

    /// Reads one subject's brain mask on the same grid.
    ///
    /// # Errors
    /// There is no such subject; the file cannot be read, or the mask is not the one that was prepared.
    pub fn mask(&self, subject: usize) -> Result<Mask> {
        let of = self.subject(subject)?;
        let values = self.masks()?.read_item(subject)?;
        self.checked.mask(subject, of, &values, &self.layout().masks())?;
        let inside = values.iter().map(|v| *v != 0.0).collect();
        Ok(Volume::new(of.grid, inside)?)
    }

    /// What cannot be told to be as it was prepared, in a sentence: an older version kept no hash of it. `None` where all can.
    pub fn unchecked(&self) -> Option<String> {
        let without = self.subjects.iter().filter(|subject| subject.mask_hash.is_none()).count();
        (without > 0).then(|| {
            let masks = counted(without, "mask");
            format!(
                "{}: whether {masks} {} as prepared is not known: an older version prepared the cohort, and kept no hashes of masks",
                self.path.display(),
                does(without, "is", "are")
            )
        })
    }

    /// The cohort in which these words stand for no person, beside the usual ones ([`is_missing`]), as a training was told.
    pub(crate) fn with_missing(mut self, words: Vec<String>) -> Self {
        self.missing = words;
        self
    }

    /// The cells of a column, in the order of the subjects; the error lists the columns there are.
    pub fn column(&self, name: &str) -> Result<Vec<Option<&str>>> {
        Ok(self.participants.cells(self.participants.column(name)?).collect())
    }

    /// Columns of the table of which some values seem to be one in several spellings (by case, signs, zeros, or letters that look
    /// the same), each with a sentence that shows them. `missing` are words that stand for no value, beside the usual ones.
    pub fn spellings(&self, missing: &[String]) -> Vec<(String, String)> {
        spelling::columns(&self.participants, missing)
    }

    /// The id of a subject (by position) as the table of people writes it, `sub-004`: what a reader finds there.
    pub fn written_id(&self, subject: usize) -> &str {
        let own = self.subjects[subject].id.as_str();
        let column = self.participants.columns.iter().position(|column| column == "participant_id");
        column.and_then(|at| self.participants.rows.get(subject)?[at].as_deref()).unwrap_or(own)
    }

    /// Where a subject of that id stands.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.subjects.iter().position(|s| s.id == bare(id))
    }

    /// One grid that stands for all, for group maps: the fixed grid, or that of the first subject.
    pub fn grid(&self) -> Grid {
        match self.preparation.placement {
            Placement::Fixed(grid) => grid,
            Placement::MaskCentre => self.subjects[0].grid,
        }
    }

    fn subject(&self, n: usize) -> Result<&Subject> {
        self.subjects.get(n).ok_or_else(|| {
            let what = format!("there is no subject {n}: the cohort has {} (from 0)", self.subjects.len());
            Error::request(what, "ask for one of them")
        })
    }

    fn volumes(&self) -> Result<npy::Reader> {
        self.array(&self.layout().volumes(), self.preparation.input_shape(), self.dtype.dtype())
    }

    fn masks(&self) -> Result<npy::Reader> {
        self.array(&self.layout().masks(), one_channel(self.preparation.shape), MASK)
    }

    /// One of the cohort's arrays, checked against `cohort.json`.
    fn array(&self, path: &Path, of_one: [usize; 4], dtype: Dtype) -> Result<npy::Reader> {
        let reader = npy::Reader::open(path).map_err(|e| match Error::from(e) {
            e if e.fault() == Some(Fault::Missing) => {
                let what = "is not there, and cohort.json speaks of it: it was removed, or a copy broke off";
                Error::file(path, what, again())
            }
            e => e,
        })?;
        let shape = array_shape(self.subjects.len(), of_one);
        if reader.shape() != shape || reader.dtype() != dtype {
            let what =
                format!("holds {} {:?}, cohort.json speaks of {dtype} {shape:?}", reader.dtype(), reader.shape());
            return Err(Error::file(path, what, again()));
        }
        Ok(reader)
    }
}

/// Type of the values of brain masks, 1 inside.
const MASK: Dtype = Dtype::Uint8;

/// What to do about a cohort that is damaged.
fn again() -> Remedy {
    remedy!["prepare the cohort again with ", FORCE]
}

/// Shape of an array of so many subjects, each of `[channels, i, j, k]`. One channel has no axis of its own.
fn array_shape(count: usize, [channels, i, j, k]: [usize; 4]) -> Vec<usize> {
    if channels == 1 { vec![count, i, j, k] } else { vec![count, channels, i, j, k] }
}

/// The shape of masks, and of volumes of one channel.
fn one_channel([i, j, k]: [usize; 3]) -> [usize; 4] {
    [1, i, j, k]
}

/// An id without the `sub-` of BIDS.
pub fn bare(id: &str) -> &str {
    id.strip_prefix("sub-").unwrap_or(id)
}
