//! [`Inputs`] and [`ExplainOptions`]: what is explained, by which model, and how.

use super::AtlasFiles;
use crate::cohort::{Cohort, Normalize};
use crate::{model::Model, prepare::MaskRule, run::Run, shard::Shard};
use std::path::PathBuf;
use voxplain_attribution::{AnyMethod, Compat, Score};

/// What is explained, and by which model.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// The subjects of a run. Each is explained by the model of the fold in which the subject was held out.
    Run(&'a Run),
    /// The subjects of a cohort, by one model.
    Cohort(&'a Model, &'a Cohort),
    /// Image files, by one model.
    Images(&'a Model, &'a Images),
}

/// Image files that belong to no cohort.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The files; where the model takes several images of each person, those of the first channel.
    pub files: Vec<PathBuf>,
    /// Of one file: the files of the other channels that the model takes, by their names. Those that are not given are looked for beside
    /// the image by its name in BIDS (`sub-1_T1w` and `sub-1_FLAIR`).
    pub channels: Vec<(String, PathBuf)>,
    /// Where the brain masks are. Without masks, all voxels other than 0 are brain.
    pub mask: MaskRule,
    /// The value above which a voxel of a mask is in the brain. Without one, each file must be a mask beyond doubt
    /// ([`read_mask`](voxplain_volume::read_mask)).
    pub mask_threshold: Option<f64>,
    /// How intensities are normalised; by default as the model was trained.
    pub normalize: Option<Normalize>,
}

/// Which methods explain the inputs, and how.
#[derive(Debug, Default)]
pub struct ExplainOptions {
    /// The methods with their options.
    pub methods: Vec<Box<dyn AnyMethod>>,
    /// A method that cannot work with the network or the inputs is left out with a warning. Otherwise it is an error.
    pub where_possible: bool,
    /// The target as text (see [`voxplain_attribution::Target::parse`]); by default each method's own.
    pub target: Option<String>,
    /// The scale of the explained score: logit, log-probability or probability.
    pub score: Score,
    /// An older behaviour that the methods reproduce; it is written into the records.
    pub compat: Option<Compat>,
    /// The atlas, for methods that work by region.
    pub atlas: Option<AtlasFiles>,
    /// Where the maps go: `OUT/sub-<id>/` for subjects, `OUT` for images. For a run the default is the run's directory.
    pub out: Option<PathBuf>,
    /// The maps of a cohort's subjects lie as BIDS derivatives do, in `OUT/sub-<label>/[ses-<label>/]anat`.
    pub bids: bool,
    /// Ids of the subjects to explain; by default all.
    pub subjects: Option<Vec<String>>,
    /// Only the inputs of this shard, of all that are asked for, sorted by id. Others may explain other shards at the same time.
    pub shard: Option<Shard>,
    /// Subjects are also explained by a model that was trained on them. The records then say `InSample: true`.
    pub in_sample: bool,
    /// Maps are made again even where a current one is there.
    pub force: bool,
    /// Maps are made on the model's grid alone, and not in the space of the images.
    pub no_native: bool,
    /// Upper bound on the memory of the compiled network, in bytes.
    pub memory: Option<usize>,
}
