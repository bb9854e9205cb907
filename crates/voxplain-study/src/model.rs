//! [`Model`]: a network with its expected input, what it predicts and its training subjects.

mod export;
mod import;
mod onnx;
pub(crate) mod tensors;
mod zoo;

pub use import::{Architecture, ImportOptions, import};
pub use onnx::{Align, OnnxModel, OnnxOptions, OutputCheck, import_onnx, is_onnx};
pub use zoo::{
    InputShape, NetworkKind, ResnetBlock, conv5_fc3, densenet, min_shape, mrinet, resnet, sfcn, whole_shape,
};

use crate::cohort::{Cohort, CohortLayout, Placement, Preparation};
use crate::run::RunLayout;
use crate::setting::{CHANNEL, OUT};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path};
use voxplain_attribution::{Explainer, Score, Target, Unseen};
pub use voxplain_attribution::{Quantity, Task};
use voxplain_core::{Action, Error, Phrase, Remedy, Result, atomic_file, remedy};
use voxplain_nn::{Engine, Network};
use voxplain_volume::Mask;

/// The key in the file's metadata under which graph and card are. One key only: a map of several has no fixed order.
const KEY: &str = "voxplain";

/// The column that a model was trained on, where an imported file does not say.
const UNKNOWN_LABEL: &str = "class";

/// The layout of graph and card in the metadata.
const FORMAT: u32 = 1;

/// A network with its expected input, what it predicts and its training subjects. It is one `.safetensors` file;
/// everything but the weights is in the metadata of this file.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network. It takes `[channels, i, j, k]` and gives one logit per class (a final log-softmax is allowed), or the value that it
    /// predicts, in its own unit.
    pub network: Network,
    /// What is stored beside the weights.
    pub card: Card,
}

/// The model card: what a model file holds besides the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The architecture: the name of a [`NetworkKind`], or of an imported network.
    pub architecture: String,
    /// What it predicts: classes, in the order of the outputs, or a value. Files of older versions are of classes.
    #[serde(flatten)]
    pub task: Task,
    /// The column of the participants' table that holds the classes or the value, `Sex`.
    pub label: String,
    /// How its inputs are prepared. Where the grid is unknown, placement and spacing have no meaning.
    pub preparation: Preparation,
    /// Whether the position of the grid in the world is unknown, as for an imported checkpoint. Such a model takes any
    /// image of the right shape.
    pub grid_unknown: bool,
    /// The [`Subject::hash`](crate::cohort::Subject::hash) of every training subject, with those of the validation set
    /// for early stopping.
    pub trained_on: BTreeSet<String>,
    /// Seed, fold, number of epochs, options and version, as JSON.
    pub training: serde_json::Value,
    /// Whether the file holds a checksum of itself; those of older versions do not.
    #[serde(skip)]
    pub sealed: bool,
}

impl Card {
    /// Whether it was trained elsewhere, on people and images that nothing is known of.
    pub(crate) fn imported(&self) -> bool {
        self.training["imported"] == true
    }

    /// Whether it does not say which column it was trained on: `class` is what is written where an imported file says nothing.
    pub(crate) fn label_unknown(&self) -> bool {
        self.imported() && self.label == UNKNOWN_LABEL
    }

    /// What was compared with its own framework when it was imported; none where nothing was, or an older version imported it.
    pub fn output_check(&self) -> Option<OutputCheck> {
        serde_json::from_value(self.training["check"].clone()).ok()
    }

    /// That it was imported, and whether its outputs were compared with those of its own framework, in a sentence; none of what was
    /// trained here.
    pub fn imported_words(&self) -> Option<String> {
        if !self.imported() {
            return None;
        }
        let from = self.training["file"].as_str().map_or_else(String::new, |file| format!(" from {file}"));
        let doubts = self.training["doubts"].as_array().into_iter().flatten().filter_map(|doubt| doubt.as_str());
        let doubts: String = doubts.map(|doubt| format!(" A doubt when it was imported: {doubt}.")).collect();
        let words = match (self.output_check(), self.training.get("check")) {
            (Some(OutputCheck { pairs, file, difference, largest, .. }), _) => format!(
                "The network was imported{from}; its outputs for {pairs} pairs ({file}) differ by at most {difference:.1e} from those of its own \
                 framework, which are up to {largest:.3}."
            ),
            (None, Some(_)) => format!(
                "The network was imported{from}, and its outputs were not compared with those of its own framework: nothing shows that it \
                 was read rightly."
            ),
            (None, None) => format!(
                "The network was imported{from} by an older version, which did not write down whether its outputs were compared with \
                 those of its own framework."
            ),
        };
        Some(words + &doubts)
    }

    /// That it is not known whether it takes heads that are turned to a template, in words: an older version did not ask for it.
    pub fn place_not_asked(&self) -> Option<&'static str> {
        let asked = self.training["placement_said"] == true
            || self.preparation.template.is_some()
            || self.preparation.placement != Placement::MaskCentre;
        (self.imported() && !self.grid_unknown && !asked).then_some(
            "whether the model takes heads turned to a template was not asked when an older version imported it (import it again to say it)",
        )
    }

    /// Refuses a cohort with other channels than the model was trained on, or with the same in another order; and says in a sentence
    /// where it is not known whether the one image of each that there is, is the one.
    ///
    /// # Errors
    /// The channels are others.
    pub(crate) fn refuse_other_channels(&self, cohort: &Cohort) -> Result<Option<String>> {
        let (ours, theirs) = (&self.preparation, &cohort.preparation);
        if ours.channels == theirs.channels {
            return Ok(None);
        }
        let named = |of: &Preparation| match of.channels.as_slice() {
            [] => "one image of each person, without a name".to_owned(),
            names => names.join(", "),
        };
        let what = format!("it has {}; the model takes {}", named(theirs), named(ours));
        let one_is_unnamed = ours.channels.is_empty() || theirs.channels.is_empty();
        if one_is_unnamed && ours.channel_count() == theirs.channel_count() {
            return Ok(Some(format!("{}: {what}: whether these are alike is not known", cohort.path.display())));
        }
        let same = ours.channel_count() == theirs.channel_count()
            && ours.channels.iter().all(|name| theirs.channels.contains(name));
        let order = if same { ", in this order" } else { "" };
        let mut remedy = vec![Phrase::from("prepare the cohort as the model's own was")];
        for (n, name) in ours.channels.iter().enumerate() {
            remedy.extend([Phrase::from(if n == 0 { ": " } else { " " }), CHANNEL.to(name)]);
        }
        Err(Error::file(&cohort.path, format!("{what}{order}"), Remedy::new(remedy)))
    }

    /// That scores are halves of the network's one output, in a sentence, where the score of one class is asked for.
    pub(crate) fn halves(&self, (target, score): (Target, Score)) -> Option<String> {
        let [first, second] = self.task.classes() else { return None };
        let asked =
            self.training["one_output"] == true && score == Score::Logit && !matches!(target, Target::Difference(..));
        asked.then(|| {
            format!(
                "The network gives one output z, the logit of {second}; the score of {second} is z / 2 and that of {first} \
                 -z / 2, and such a half is explained here. The score of {second} minus {first} is z itself."
            )
        })
    }
}

/// The metadata, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    graph: Network,
    card: Card,
    /// BLAKE3 of the file with zeros in its place. The last key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl Model {
    /// Reads a model file. No code of the file is run.
    ///
    /// # Errors
    /// The file cannot be read, or its parts do not fit together: weights are missing, of another shape or not finite,
    /// the number of classes is not that of the outputs, the shape of the input is not that of the grid.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with_hash(path).map(|(model, _)| model)
    }

    /// [`Model::read`], with BLAKE3 of the file's bytes.
    pub(crate) fn read_with_hash(path: &Path) -> Result<(Self, String)> {
        if path.is_dir() {
            return Err(is_a_folder(path));
        }
        if is_onnx(path)? {
            let import = Action::new("import").on(path.display().to_string()).with(OUT, "model.safetensors");
            return Err(Error::file(
                path,
                "is an ONNX file, and no model file of voxplain",
                remedy!["import it first: ", import],
            ));
        }
        let bytes = voxplain_core::input::read(path).map_err(Error::io(path))?;
        let model = Self::from_bytes(&bytes).map_err(|what| {
            let (train, import) = (Action::new("train"), Action::new("import"));
            let remedy = if what == DAMAGED {
                remedy!["copy it again from where it was made, or make it again with `", train, "` or `", import, "`"]
            } else {
                remedy!["give a model file that `", train, "` or `", import, "` wrote"]
            };
            Error::file(path, what, remedy)
        })?;
        Ok((model, voxplain_core::hash_bytes(&bytes)))
    }

    /// Whether the bytes of a model file are those that were written. Its checksum says; of a file without one, whether it can be read.
    pub(crate) fn is_whole(bytes: &[u8]) -> bool {
        let Some(digits) = place_of_checksum(bytes) else { return Self::from_bytes(bytes).is_ok() };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bytes[..digits.start]).update(&[b'0'; CHECKSUM]).update(&bytes[digits.end..]);
        hasher.finalize().to_hex().as_bytes() == &bytes[digits]
    }

    /// Writes a model file, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written, or the parts of the model do not fit together (see [`Model::read`]).
    pub fn write(&self, path: &Path) -> Result<()> {
        self.check().map_err(|what| Error::file(path, what, "report this: such a model should not have been made"))?;
        atomic_file::write_through(path, &self.to_bytes())
    }

    /// BLAKE3 hash of the bytes of the model file. Records of maps name the model by it.
    pub fn hash(&self) -> String {
        blake3::hash(&self.to_bytes()).to_hex().to_string()
    }

    /// An explainer of this model, for methods of attribution.
    ///
    /// # Errors
    /// Those of [`Explainer::new`].
    pub fn explainer(&self, engine: &Engine) -> Result<Explainer> {
        Explainer::of_task(engine, &self.network, self.card.task.clone(), self.hash())
    }

    /// What the network cannot see of its field of view, whatever its weights; none where it sees all. Sides of the body are
    /// named where it is known how the grid lies in the world.
    ///
    /// # Errors
    /// The grid of the preparation is none.
    pub fn unseen(&self) -> Result<Option<Unseen>> {
        let grid = if self.card.grid_unknown { None } else { Some(self.card.preparation.any_grid()?) };
        Ok(Unseen::of(&self.network.input_reach(), grid.as_ref(), None))
    }

    /// The voxels of its input that cannot change what it says, whatever its weights; none where there are none. In the space
    /// of the preparation's grid, whose place in the world may be any.
    ///
    /// # Errors
    /// The grid of the preparation is none.
    pub fn blind_voxels(&self) -> Result<Option<Mask>> {
        let reach = self.network.input_reach();
        if reach.blind() == 0 {
            return Ok(None);
        }
        let grid = self.card.preparation.any_grid()?;
        Ok(Some(Mask::from_fn(grid, |[i, j, k]| reach.is_blind(grid.index(i, j, k)))))
    }

    /// Whether a subject was in the training set, by the [`Subject::hash`](crate::cohort::Subject::hash) of its volume.
    pub fn has_seen(&self, subject_hash: &str) -> bool {
        self.card.trained_on.contains(subject_hash)
    }

    /// Whether a subject was in the training set by any of its marks: the hash of its volume, or of the bytes of a file that it was
    /// prepared from, which is the same whatever mask and scale it is prepared with.
    pub(crate) fn has_seen_any<'a>(&self, marks: impl IntoIterator<Item = &'a str>) -> bool {
        let lists = ["files", "before"].map(|key| self.card.training[key].as_array());
        let is_listed = |mark: &str| lists.iter().flatten().any(|list| list.iter().any(|other| other == mark));
        marks.into_iter().any(|mark| self.has_seen(mark) || is_listed(mark))
    }

    /// The test set that the run of this model keeps, in words (`site = B`), where somebody of these marks is in it. Older versions do not
    /// say.
    pub(crate) fn keeps_for_test<'a>(&self, marks: impl IntoIterator<Item = &'a str>) -> Option<&str> {
        let kept = &self.card.training["test_set"];
        let list = kept["marks"].as_array()?;
        let is_kept = |mark: &str| list.iter().any(|other| other == mark);
        marks.into_iter().any(is_kept).then(|| kept["set"].as_str().unwrap_or_default())
    }

    /// All marks of people whom it was trained on, and whom the model that it began from was.
    pub(crate) fn marks_of_training(&self) -> Vec<String> {
        let listed = ["files", "before"].map(|key| self.card.training[key].as_array());
        let listed = listed.into_iter().flatten().flatten().filter_map(|mark| mark.as_str().map(str::to_owned));
        self.card.trained_on.iter().cloned().chain(listed).collect()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let checksum = self.card.sealed.then(|| "0".repeat(CHECKSUM));
        let header = Header { format: FORMAT, graph: self.network.clone(), card: self.card.clone(), checksum };
        let header = serde_json::to_value(&header).expect("a graph and a card are JSON").to_string();
        let state = self.network.state();
        let mut bytes = tensors::to_bytes(KEY, &header, state.iter().map(|p| (p.name.as_str(), p.tensor)));
        if let Some(digits) = place_of_checksum(&bytes).filter(|_| self.card.sealed) {
            let checksum = voxplain_core::hash_bytes(&bytes);
            bytes[digits].copy_from_slice(checksum.as_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (header, tensors) = tensors::from_bytes(KEY, bytes)?;
        let value: serde_json::Value =
            serde_json::from_str(&header).map_err(|e| format!("the metadata is not JSON: {e}"))?;
        match value["format"].as_u64() {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(format!("the model's format is {format}, this version reads {FORMAT}")),
            None => return Err("the metadata does not say its format".into()),
        }
        let Header { graph: mut network, mut card, checksum, .. } =
            serde_json::from_value(value).map_err(|e| format!("the metadata does not describe a model: {e}"))?;
        if let Some(checksum) = checksum {
            let mut written = bytes.to_vec();
            let digits = place_of_checksum(bytes).ok_or(DAMAGED)?;
            written[digits].fill(b'0');
            if voxplain_core::hash_bytes(&written) != checksum {
                return Err(DAMAGED.into());
            }
            card.sealed = true;
        }
        network.load_state(tensors).map_err(|e| e.to_string())?;
        let model = Self { network, card };
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<(), String> {
        let (classes, outputs) = (self.card.task.classes(), self.network.outputs());
        if let Some(value) = self.card.task.value() {
            if outputs != 1 || value.name.is_empty() {
                return Err(format!("found {outputs} outputs for the value `{value}`, expected one, and a name"));
            }
        } else if classes.len() < 2 || classes.len() != outputs {
            return Err(format!("found {} classes for {outputs} outputs, expected as many, at least 2", classes.len()));
        }
        let names: BTreeSet<&str> = classes.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        if names.len() != classes.len() {
            return Err(format!("the classes' names {classes:?} are not all different and not empty"));
        }
        let preparation = &self.card.preparation;
        if self.network.input_shape() != preparation.input_shape() {
            let [channels, shape @ ..] = self.network.input_shape();
            return Err(format!(
                "the network takes {channels} channel(s) of {shape:?}, expected {} of {:?} as prepared",
                preparation.channel_count(),
                preparation.shape
            ));
        }
        match self.network.state().iter().find(|p| p.tensor.data().iter().any(|v| !v.is_finite())) {
            Some(p) => Err(format!("{} holds values that are not finite", p.name)),
            None => Ok(()),
        }
    }
}

/// What is said of a file that does not fit its checksum.
const DAMAGED: &str = "is not the model that was written: its bytes do not fit its checksum (a damaged disk, a copy that broke off, or a \
                       change by another program)";
/// Digits of a checksum.
const CHECKSUM: usize = 64;

/// Where in a file the digits of its checksum stand: behind the last key of the metadata, a text of JSON in a text of JSON.
fn place_of_checksum(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let key = br#"\"checksum\":\""#;
    let length = u64::from_le_bytes(bytes.first_chunk().copied()?);
    let header = bytes.get(8..)?.get(..usize::try_from(length).ok()?)?;
    let start = 8 + header.windows(key.len()).rposition(|window| window == key)? + key.len();
    (start + CHECKSUM <= 8 + header.len()).then_some(start..start + CHECKSUM)
}

/// Why a folder is no model file, and which of a run is.
fn is_a_folder(path: &Path) -> Error {
    let layout = RunLayout::at(path);
    if layout.manifest().is_file() {
        let model = layout.fold(0).model();
        let remedy = format!("give the model of one of its folds, such as {}", model.display());
        return Error::file(path, "is a run, and one model is asked for", remedy);
    }
    let what = if CohortLayout::at(path).document().is_file() { "is a cohort" } else { "is a folder" };
    let (train, import) = (Action::new("train"), Action::new("import"));
    Error::file(
        path,
        format!("{what}, expected a model file"),
        remedy!["give one that `", train, "` or `", import, "` wrote"],
    )
}

#[cfg(test)]
mod tests;
