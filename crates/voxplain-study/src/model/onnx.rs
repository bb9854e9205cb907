//! [`import_onnx`]: models from ONNX files, with what these do not say.

mod asked;
mod check;
mod exported;
mod kind;

pub use asked::Align;
pub use check::OutputCheck;
pub use kind::is_onnx;

use super::{Card, Model, Quantity, Task, UNKNOWN_LABEL};
use crate::{
    cohort::{Normalize, Preparation},
    listed::listed,
    prepare::channels::check_intensities,
    setting::{CLASSES, GRID, NORMALIZE, ORIGIN, VALUE},
};
use asked::{channel_names, example, preparation};
use check::compare;
use kind::recognise;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Remedy, Result, remedy};
use voxplain_nn::import::onnx::{self, Head, Imported};
use voxplain_nn::{Engine, Network};

/// What an ONNX file does not hold and must be given.
#[derive(Clone, Debug, Default)]
pub struct OnnxOptions {
    /// Shape of the input, where the file leaves it open.
    pub grid: Option<[usize; 3]>,
    /// A run or a model file whose images are prepared as this network's are.
    pub like: Option<PathBuf>,
    /// Size of a voxel in mm, without [`OnnxOptions::like`].
    pub spacing: Option<[f64; 3]>,
    /// How intensities are normalised, without [`OnnxOptions::like`].
    pub normalize: Option<Normalize>,
    /// To which side each axis of the input grows, `RAS`, without [`OnnxOptions::like`].
    pub orientation: Option<String>,
    /// Whether its heads are turned to a template, without [`OnnxOptions::like`].
    pub align: Option<Align>,
    /// World position (mm) of the first voxel of its one grid for all images; without it the grid is centred, on the template or on each
    /// mask.
    pub origin: Option<[f64; 3]>,
    /// Whether it takes whole heads, without brain masks; without [`OnnxOptions::like`].
    pub whole_head: bool,
    /// Names of the images of each person that it takes, in the order of its input channels; where it takes one, a name for it or none.
    pub channels: Vec<String>,
    /// Names of the classes, in the order of the outputs. Two for one output: it is then the logit of the second.
    pub classes: Vec<String>,
    /// The value that its one output is, where it predicts no classes.
    pub value: Option<Quantity>,
    /// Pairs of inputs and outputs of the network's own framework: an `.npz` file with `x` and `y`.
    pub check: Option<PathBuf>,
}

/// A model that was imported.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    /// The model. It gives scores: a softmax or a sigmoid at the end is taken off.
    pub model: Model,
    /// What was compared, where pairs were given.
    pub check: Option<OutputCheck>,
    /// What the pairs say against what was said of the network, in sentences, and what to do about it.
    pub warnings: Vec<(String, Remedy)>,
    /// The files that the network was read from.
    pub files: Vec<PathBuf>,
}

/// Imports a network that PyTorch exported ([`onnx`]).
///
/// # Errors
/// The file cannot be read or holds what cannot be taken; something that it does not say is not given; or its outputs are not
/// those of the pairs.
pub fn import_onnx(engine: &Engine, file: &Path, options: &OnnxOptions) -> Result<OnnxModel> {
    recognise(file)?;
    let imported = onnx::read(file, options.grid).map_err(|error| match error {
        voxplain_nn::Error::File { what, .. } if what.contains("say its grid") => {
            Error::file(file, what, remedy!["say the shape of its input with ", GRID.to("IxJxK")])
        }
        voxplain_nn::Error::File { what, .. } if what.contains("the grid that was asked for") => {
            Error::file(file, what, remedy!["leave out ", GRID, ": the file says the shape of its input"])
        }
        error => error.into(),
    })?;
    if let Some(p) = imported.network.state().iter().find(|p| p.tensor.data().iter().any(|v| !v.is_finite())) {
        return Err(Error::file(
            file,
            format!("holds weights that are not finite (of the layer that becomes {})", p.name),
            "export the network with the weights of a training that did not diverge",
        ));
    }
    let output = imported.network.output();
    if let Ok([channels, i, j, k]) = imported.network.shape(output) {
        return Err(Error::file(
            file,
            format!("gives an image of {channels} channel(s), {i} x {j} x {k}, as a segmentation does"),
            "export a network that gives one row of scores, such as each channel's mean over the voxels, before any softmax: \
             torch.nn.Sequential(net, torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten())",
        ));
    }
    let compared = options.check.as_deref().map(|pairs| compare(engine, &imported, pairs)).transpose()?;
    let [channels, shape @ ..] = imported.network.input_shape();
    let like = options.like.as_deref().map(example).transpose()?;
    // What voxplain wrote into the file itself counts, and what is said beside it must be the same.
    let exported = exported::card(file, &imported, options, like.as_ref())?;
    let like = exported.or(like);
    let names = channel_names(file, channels, options, like.as_ref())?;
    let preparation = Preparation { channels: names, ..preparation(file, shape, options, like.as_ref())? };
    check_intensities(&preparation.channels, preparation.normalize)?;
    let value = value(file, &imported, options, like.as_ref())?;
    let one_output = imported.network.outputs() == 1 && value.is_none();
    let (network, task) = match value {
        Some(value) => (imported.network.clone(), Task::Value { value }),
        None => {
            let (network, classes) = classes(file, &imported, options, like.as_ref())?;
            (network, Task::classes_named(classes))
        }
    };
    let mut warnings = Vec::new();
    if preparation.is_off_centre() {
        let extent = preparation.extent().unwrap_or_default();
        let what = format!("its grid does not hold the point (0, 0, 0), which is inside of most heads: {extent}");
        warnings.push((
            what,
            remedy!["check ", ORIGIN, ": the world position of the first voxel, of which most numbers are below 0"],
        ));
    }
    if let Some(compared) = &compared {
        let again =
            remedy!["choose ", NORMALIZE, " as the network's images were prepared; pairs of noise say nothing of it"];
        warnings.extend(compared.other_intensities(preparation.normalize).map(|what| (what, again)));
        if let (true, Head::Scores, [_, second]) = (one_output, imported.head, task.classes()) {
            let value = remedy!["name it with ", VALUE.to("age,years")];
            warnings.extend(compared.no_logit(second).map(|what| (what, value)));
        }
    }
    let check = compared.map(|compared| compared.check);
    let Imported { producer, opset, operators, batch_norms, head, files, .. } = imported;
    let card = Card {
        architecture: "onnx".into(),
        label: match (&task, &like) {
            (Task::Value { value }, _) => value.name.clone(),
            (Task::Classes { .. }, Some(card)) => card.label.clone(),
            (Task::Classes { .. }, None) => UNKNOWN_LABEL.into(),
        },
        task,
        preparation,
        grid_unknown: false,
        sealed: true,
        trained_on: BTreeSet::new(),
        training: serde_json::json!({
            "imported": true,
            "placement_said": true,
            "file": file.file_name().map(|name| name.to_string_lossy()),
            "producer": producer,
            "opset": opset,
            "operators": operators,
            "batch_norms": batch_norms,
            "one_output": one_output,
            "head": format!("{head:?}").to_lowercase(),
            "check": check,
            "doubts": warnings.iter().map(|(what, _)| what).collect::<Vec<_>>(),
        }),
    };
    let model = Model { network, card };
    model.check().map_err(|what| Error::file(file, what, "give names to all of its classes"))?;
    Ok(OnnxModel { model, check, warnings, files })
}

/// The value that the network predicts, where it was said or that of the model whose images it takes.
fn value(file: &Path, imported: &Imported, options: &OnnxOptions, like: Option<&Card>) -> Result<Option<Quantity>> {
    let outputs = imported.network.outputs();
    let Some(value) = &options.value else {
        let of_like = like.filter(|_| options.classes.is_empty() && outputs == 1 && imported.head == Head::Scores);
        return Ok(of_like.and_then(|card| card.task.value().cloned()));
    };
    if outputs != 1 {
        return Err(Error::file(
            file,
            format!("gives {outputs} outputs, and a value is one"),
            remedy!["name its classes in the order of the outputs: ", CLASSES.to("NAME,NAME")],
        ));
    }
    if imported.head != Head::Scores {
        return Err(Error::file(
            file,
            "ends in a sigmoid or softmax, so that its output is a probability and no value",
            remedy!["name two classes with ", CLASSES, ": the output is then the probability of the second"],
        ));
    }
    Ok(Some(value.clone()))
}

/// The network with one score for each class, and their names.
fn classes(
    file: &Path,
    imported: &Imported,
    options: &OnnxOptions,
    like: Option<&Card>,
) -> Result<(Network, Vec<String>)> {
    let outputs = imported.network.outputs();
    let mut names: Vec<String> = options.classes.iter().map(|name| name.trim().to_owned()).collect();
    if names.is_empty()
        && let Some(card) = like.filter(|card| card.task.classes().len() == outputs)
    {
        names = card.task.classes().to_vec();
    }
    if names.is_empty() {
        return Err(Error::file(
            file,
            format!("gives {outputs} output(s) and does not say of what"),
            remedy![
                "name its classes in the order of the outputs: ",
                CLASSES.to("NAME,NAME"),
                ", or the value: ",
                VALUE.to("age,years")
            ],
        ));
    }
    refuse_probabilities(file, imported)?;
    if outputs == 1 && names.len() == 2 {
        return Ok((onnx::two_classes(&imported.network)?, names));
    }
    if outputs == 1 {
        return Err(Error::file(
            file,
            "gives one output, and a model tells at least two classes apart",
            remedy![
                "name two classes with ",
                CLASSES,
                ": the output is then the logit of the second; or the value with ",
                VALUE
            ],
        ));
    }
    if imported.head == Head::Sigmoid {
        return Err(Error::file(
            file,
            format!("gives {outputs} probabilities, each by itself; classes exclude each other"),
            "export one of its outputs",
        ));
    }
    if names.len() != outputs {
        return Err(Error::file(
            file,
            format!("gives {outputs} output(s), found {} name(s): {}", names.len(), listed(&names, 8)),
            remedy!["name each output with ", CLASSES, "; one output is the logit of the second of two classes"],
        ));
    }
    Ok((imported.network.clone(), names))
}

/// Refuses a network whose outputs are probabilities or their logarithms by what it ends in, where that was not taken off: as scores
/// they would be taken for other probabilities, and for other classes where one output is the score of the second.
fn refuse_probabilities(file: &Path, imported: &Imported) -> Result<()> {
    let [low, high] = imported.network.output_range();
    let (least, most) = (-1e-6, 1.0 + 1e-6);
    let bounded;
    let what = if low >= least && high <= most {
        "its outputs lie between 0 and 1 whatever the image is: they are probabilities, by another end than a softmax or a sigmoid, and not \
         scores"
    } else if high <= -least {
        "its outputs are never above 0 whatever the image is: they are logarithms of probabilities, by another end than a log-softmax, and \
         not scores"
    } else {
        let [low, high] = imported.network.range_of_end();
        if !(low.is_finite() && high.is_finite()) {
            return Ok(());
        }
        bounded = format!(
            "its outputs are held between {low} and {high} by what the network ends in: they are no scores, of which probabilities could be made"
        );
        &bounded
    };
    Err(Error::file(
        file,
        what,
        "export the network up to the layer before that end (logits): what is explained are scores, of which voxplain makes the \
         probabilities",
    ))
}
