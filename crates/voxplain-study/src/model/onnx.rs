//! [`import_onnx`]: models from ONNX files, with what these do not say.

use super::{Card, Model, Quantity, Task};
use crate::{
    cohort::{Normalize, Placement, Preparation, usable_spacing},
    listed::listed,
    prepare::channels::{check_intensities, check_names},
    run::Run,
    setting::{ARCH, CHANNEL, CHECK, CLASSES, GRID, LIKE, NORMALIZE, ORIENTATION, SPACING, VALUE},
};
use serde::Serialize;
use std::io::Read;
use std::{collections::BTreeSet, path::Path};
use voxplain_core::{Error, Phrase, Remedy, Result, log_sum_exp, remedy, softmax};
use voxplain_nn::import::onnx::{self, Head, Imported};
use voxplain_nn::{Engine, Network, PlanOptions, Purpose};
use voxplain_volume::npy;

/// What an ONNX file does not hold and must be given.
#[derive(Clone, Debug, Default)]
pub struct OnnxOptions {
    /// Shape of the input, where the file leaves it open.
    pub grid: Option<[usize; 3]>,
    /// A run or a model file whose images are prepared as this network's are.
    pub like: Option<std::path::PathBuf>,
    /// Size of a voxel in mm, without [`OnnxOptions::like`].
    pub spacing: Option<[f64; 3]>,
    /// How intensities are normalised, without [`OnnxOptions::like`].
    pub normalize: Option<Normalize>,
    /// To which side each axis of the input grows, `RAS`, without [`OnnxOptions::like`].
    pub orientation: Option<String>,
    /// Whether it takes whole heads, without brain masks; without [`OnnxOptions::like`].
    pub whole_head: bool,
    /// Names of the images of each person that it takes, in the order of its input channels; where it takes one, a name for it or none.
    pub channels: Vec<String>,
    /// Names of the classes, in the order of the outputs. Two for one output: it is then the logit of the second.
    pub classes: Vec<String>,
    /// The value that its one output is, where it predicts no classes.
    pub value: Option<Quantity>,
    /// Pairs of inputs and outputs of the network's own framework: an `.npz` file with `x` and `y`.
    pub check: Option<std::path::PathBuf>,
}

/// A model that was imported.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    /// The model. It gives scores: a softmax or a sigmoid at the end is taken off.
    pub model: Model,
    /// What was compared, where pairs were given.
    pub check: Option<OutputCheck>,
}

/// How outputs compare with those of another framework.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutputCheck {
    /// Number of pairs.
    pub pairs: usize,
    /// The largest difference of an output.
    pub difference: f64,
    /// The largest of the outputs given.
    pub largest: f64,
    /// The most that an output given differs between two pairs.
    pub spread: f64,
}

/// Outputs that differ by more than this share of the largest, or of what they differ by from pair to pair, are another
/// network's.
const DIFFERENT: f64 = 1e-3;
/// What half precision leaves at most, as a share of the largest output: its step is 1 / 1024 of a value, and a network adds some up.
const HALF: f64 = 0.01;
/// What single precision leaves undecided, as a share of the largest output: ten times what the reference networks show.
const RESOLUTION: f64 = 1e-5;

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
    let check = options.check.as_deref().map(|pairs| compare(engine, &imported, pairs)).transpose()?;
    let [channels, shape @ ..] = imported.network.input_shape();
    let like = options.like.as_deref().map(example).transpose()?;
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
    let Imported { producer, opset, operators, batch_norms, head, .. } = imported;
    let card = Card {
        architecture: "onnx".into(),
        label: match (&task, &like) {
            (Task::Value { value }, _) => value.name.clone(),
            (Task::Classes { .. }, Some(card)) => card.label.clone(),
            (Task::Classes { .. }, None) => "class".into(),
        },
        task,
        preparation,
        grid_unknown: false,
        trained_on: BTreeSet::new(),
        training: serde_json::json!({
            "imported": true,
            "file": file.file_name().map(|name| name.to_string_lossy()),
            "producer": producer,
            "opset": opset,
            "operators": operators,
            "batch_norms": batch_norms,
            "one_output": one_output,
            "head": format!("{head:?}").to_lowercase(),
        }),
    };
    let model = Model { network, card };
    model.check().map_err(|what| Error::file(file, what, "give names to all of its classes"))?;
    Ok(OnnxModel { model, check })
}

/// Refuses what is known to be something else than an ONNX file, with its name.
fn recognise(file: &Path) -> Result<()> {
    let start = start(file)?;
    let is_archive = start.starts_with(b"PK");
    // The name of the first file of an archive.
    let first = start.get(30..).unwrap_or_default();
    let first = &first[..first.len().min(start.get(26..28).map_or(0, |n| usize::from(n[0]) + 256 * usize::from(n[1])))];
    let of_torch = start.first() == Some(&0x80) || is_archive && first.contains(&b'/');
    if of_torch && !first.ends_with(b".npy") {
        return Err(Error::file(
            file,
            "is a PyTorch checkpoint: it holds weights and no network",
            remedy!["export the network with torch.onnx.export, or say which one it belongs to with ", ARCH],
        ));
    }
    let is = if start.is_empty() {
        "it is empty"
    } else if start.starts_with(b"version https://git-lfs") {
        return Err(Error::file(
            file,
            "is not an ONNX file: it is a pointer of Git LFS, not the file that it stands for",
            "fetch the file with git lfs pull",
        ));
    } else if is_archive && first.ends_with(b".npy") {
        "it holds arrays of NumPy (.npz)"
    } else if is_archive {
        "it is a zip archive"
    } else if start.starts_with(b"\x93NUMPY") {
        "it is an array of NumPy (.npy)"
    } else if start.starts_with(&[0x1f, 0x8b]) {
        "it is compressed by gzip"
    } else if start.starts_with(b"\x89HDF") {
        "it is an HDF5 file"
    } else if matches!(start.get(344..347), Some(b"n+1" | b"ni1")) || matches!(start.get(4..7), Some(b"n+2" | b"ni2")) {
        "it is a NIfTI image"
    } else if start.get(8) == Some(&b'{') && start.get(5..8) == Some(&[0; 3]) {
        "it is a safetensors file: weights, or a model of voxplain"
    } else if start.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace()) {
        "it is text"
    } else {
        return Ok(());
    };
    Err(Error::file(file, format!("is not an ONNX file: {is}"), "give the file that torch.onnx.export wrote"))
}

/// The first bytes of a file.
fn start(file: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let open = std::fs::File::open(file).map_err(Error::io(file))?;
    open.take(400).read_to_end(&mut start).map_err(Error::io(file))?;
    Ok(start)
}

/// Whether it begins as ONNX files do: with the version of their format, and then another field of them.
pub(super) fn is_onnx(file: &Path) -> Result<bool> {
    Ok(matches!(start(file)?.as_slice(), [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x28 | 0x3a | 0x42, ..]))
}

/// The card of the first model of a run, or that of a model file.
fn example(path: &Path) -> Result<Card> {
    if !path.is_dir() {
        return Ok(Model::read(path)?.card);
    }
    let run = Run::open(path)?;
    let trained = (0..run.manifest.folds).find(|&fold| run.layout().fold(fold).model().is_file());
    Ok(run.model(trained.unwrap_or(0))?.model.card)
}

fn preparation(file: &Path, shape: [usize; 3], options: &OnnxOptions, like: Option<&Card>) -> Result<Preparation> {
    if let Some(card) = like {
        if card.grid_unknown {
            return Err(Error::request(
                "the model that it shall be like does not say where its grid lies",
                remedy!["say it with ", SPACING, ", ", NORMALIZE, " and ", ORIENTATION],
            ));
        }
        if card.preparation.shape != shape {
            return Err(Error::file(
                file,
                format!("takes {shape:?}, the model that it shall be like {:?}", card.preparation.shape),
                remedy!["give a run on the network's own grid, or say how images are prepared with ", SPACING],
            ));
        }
        return Ok(card.preparation.clone());
    }
    let asked = [
        (options.spacing.is_none(), "the size of its voxels", SPACING.to("MM")),
        (options.normalize.is_none(), "how intensities are prepared", NORMALIZE.to("robust")),
        (options.orientation.is_none(), "to which side its axes grow", ORIENTATION.to("RAS")),
    ];
    let (Some(spacing), Some(normalize), Some(orientation)) =
        (options.spacing, options.normalize, &options.orientation)
    else {
        let missing = asked.iter().filter(|(missing, ..)| *missing);
        let names: Vec<&str> = missing.clone().map(|(_, name, _)| *name).collect();
        let mut say = vec![Phrase::from("say it: ")];
        say.extend(missing.flat_map(|(.., setting)| [setting.clone(), Phrase::from(", ")]));
        say.extend([Phrase::from("or that it is as with a run of voxplain: "), LIKE.to("RUN")]);
        let what = format!("does not say {}, and no guess would show that it is wrong", names.join(", "));
        return Err(Error::file(file, what, Remedy::new(say)));
    };
    if !usable_spacing(spacing) {
        let what = format!("voxels of {spacing:?} mm are not usable");
        return Err(Error::request(what, remedy!["choose ", SPACING, " from 0.1 to 50 mm"]));
    }
    if shape.iter().any(|&length| length > 1024) {
        return Err(Error::file(
            file,
            format!("takes {shape:?} voxels, expected at most 1024 a side"),
            "images of this size are not prepared; train a network on a smaller grid",
        ));
    }
    if !orientation.eq_ignore_ascii_case("RAS") {
        return Err(Error::request(
            format!(
                "the network's axes are {orientation:?}; images are given to it in RAS order: to the right, to the front, up"
            ),
            "train or wrap it so that it takes images in RAS order, and export that",
        ));
    }
    Ok(Preparation {
        shape,
        spacing,
        normalize,
        placement: Placement::MaskCentre,
        template: None,
        whole_head: options.whole_head,
        channels: Vec::new(),
    })
}

/// The names of the images that it takes, one for each of its input channels: as they were said, else those of the model whose images
/// it takes.
fn channel_names(file: &Path, channels: usize, options: &OnnxOptions, like: Option<&Card>) -> Result<Vec<String>> {
    let of_like = like.map(|card| card.preparation.channels.clone()).unwrap_or_default();
    let names = if options.channels.is_empty() { of_like } else { options.channels.clone() };
    check_names(&names)?;
    // One image of each needs no name.
    if names.len() == channels || channels == 1 && names.is_empty() {
        return Ok(names);
    }
    let said = match names.len() {
        0 => "and does not say of which".to_owned(),
        n => format!("found {} {}: {}", n, if n == 1 { "name" } else { "names" }, names.join(", ")),
    };
    let images = if channels == 1 { "one image".to_owned() } else { format!("{channels} images, as channels,") };
    let what = format!("takes {images} of each person, {said}");
    let remedy = remedy![
        "name each in the order in which the network takes them, as ",
        CHANNEL.to("T1w"),
        " ",
        CHANNEL.to("FLAIR")
    ];
    Err(Error::file(file, what, remedy))
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

/// Outputs as the file gives them, from scores.
fn after(head: Head, scores: &[f32]) -> Vec<f64> {
    match head {
        Head::Scores => scores.iter().map(|&s| f64::from(s)).collect(),
        Head::Softmax => softmax(scores),
        Head::LogSoftmax => {
            let all = log_sum_exp(scores);
            scores.iter().map(|&s| f64::from(s) - all).collect()
        }
        Head::Sigmoid => scores.iter().map(|&s| 1.0 / (1.0 + (-f64::from(s)).exp())).collect(),
    }
}

/// Whether all values are those of half precision, as in an array of float16 or one made of it: 11 binary digits, and from 2^-14 to
/// 65504, or less than that by steps of 2^-24.
fn are_half(values: &[f32]) -> bool {
    values.iter().all(|v| {
        let step = f32::from_bits(v.abs().to_bits() & 0x7f80_0000) / 1024.0;
        v.abs() <= 65504.0 && v % step.max(2.0f32.powi(-24)) == 0.0
    })
}

/// Whether outputs differ by more than rounding from those given, in words, and whether half precision may be the reason. Of each
/// output the largest difference and what it differs by from pair to pair; of all the largest value; and the pairs by name.
fn disagreement(
    differences: &[f64],
    spreads: &[f64],
    largest: f64,
    pairs: [(&str, &[f32]); 2],
) -> Option<(String, bool)> {
    // What an output differs by from pair to pair decides, where single precision can tell.
    let taken = |output: usize| (DIFFERENT * largest).min((RESOLUTION * largest).max(DIFFERENT * spreads[output]));
    let excess = |output: usize| differences[output] / taken(output);
    let wrong = (0..differences.len()).filter(|&output| differences[output] > taken(output));
    let output = wrong.max_by(|&a, &b| excess(a).total_cmp(&excess(b)))?;
    let difference = differences[output];
    let of = if differences.len() == 1 { String::new() } else { format!(" in output {}", output + 1) };
    let mut what = format!(
        "its outputs differ by up to {difference:.2e} from what the imported network gives{of}, where at most {:.2e} is taken for \
         rounding (outputs are up to {largest:.2e}; this one differs by up to {:.2e} from pair to pair)",
        taken(output),
        spreads[output]
    );
    // Beyond what half precision leaves it explains nothing.
    let may_be_half = difference <= HALF * largest;
    let half: Vec<&str> = pairs.iter().filter(|(_, values)| are_half(values)).map(|(name, _)| *name).collect();
    if may_be_half && !half.is_empty() {
        what += &format!(". The values of {} are those of half precision (float16)", half.join(" and "));
    } else if may_be_half {
        what += ". Half precision leaves differences of this size";
    }
    Some((what, may_be_half))
}

/// Compares the outputs for given inputs with given ones.
fn compare(engine: &Engine, imported: &Imported, file: &Path) -> Result<OutputCheck> {
    let arrays = npy::read_npz(file)?;
    let array = |name: &str| {
        arrays.iter().find(|(there, _)| there == name).map(|(_, array)| array).ok_or_else(|| {
            let there = listed(arrays.iter().map(|(name, _)| name), 8);
            let remedy = "write it by numpy.savez(file, x=inputs, y=outputs)";
            Error::file(file, format!("holds no array {name}, found: {there}"), remedy)
        })
    };
    let (x, y) = (array("x")?, array("y")?);
    let (input, outputs) = (imported.network.input_shape(), imported.network.outputs());
    let pairs = x.shape.first().copied().unwrap_or(0);
    let fits = x.shape[1.min(x.shape.len())..].iter().filter(|&&n| n != 1).eq(input.iter().filter(|&&n| n != 1));
    if !fits || y.shape.first() != Some(&pairs) || y.data.len() != pairs * outputs {
        return Err(Error::file(
            file,
            format!("holds x of {:?} and y of {:?}, expected [n, {input:?}] and [n, {outputs}]", x.shape, y.shape),
            "write the inputs and outputs of the network that was exported, one image after the other",
        ));
    }
    if pairs < 2 {
        return Err(Error::file(
            file,
            format!("holds {pairs} pair(s), expected at least two"),
            "add inputs that are not the example of the export: what an exporter bakes in is right for that one alone",
        ));
    }
    let options = PlanOptions { purpose: Purpose::Infer, batch: 1, keep: Vec::new() };
    let mut plan = engine.plan(&imported.network, &options)?;
    for (name, array) in [("x", x), ("y", y)] {
        if let Some(n) = array.data.iter().position(|value| !value.is_finite()) {
            return Err(Error::file(
                file,
                format!("holds {} in {name}, in pair {} of {pairs}", array.data[n], 1 + n / (array.data.len() / pairs)),
                "write pairs of inputs and outputs that are numbers",
            ));
        }
    }
    let mut differences = vec![0.0f64; outputs];
    for (n, (x, y)) in x.data.chunks_exact(x.data.len() / pairs).zip(y.data.chunks_exact(outputs)).enumerate() {
        let found = after(imported.head, plan.forward(x)?.output());
        if let Some(found) = found.iter().find(|found| !found.is_finite()) {
            return Err(Error::file(
                file,
                format!("the imported network gives {found} for pair {} of {pairs}, expected {y:?}", n + 1),
                "check that x is what the network takes: its values may be too large for single precision",
            ));
        }
        for ((found, &expected), largest) in found.into_iter().zip(y).zip(&mut differences) {
            *largest = largest.max((found - f64::from(expected)).abs());
        }
    }
    let spread = |output: usize| {
        let values = || y.data.iter().skip(output).step_by(outputs).map(|&value| f64::from(value));
        values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    let check = OutputCheck {
        pairs,
        difference: differences.iter().copied().fold(0.0, f64::max),
        largest: y.data.iter().map(|&value| f64::from(value).abs()).fold(0.0, f64::max),
        spread: (0..outputs).map(spread).fold(0.0, f64::max),
    };
    let noise = RESOLUTION * check.largest;
    let spreads: Vec<f64> = (0..outputs).map(spread).collect();
    if let Some((what, half)) = disagreement(&differences, &spreads, check.largest, [("x", &x.data), ("y", &y.data)]) {
        let again = " with the same network, after model.eval(), from the inputs that it takes";
        let single = "; network and inputs in single precision (float32), without autocast";
        let remedy = remedy!["write the pairs of ", CHECK, again, if half { single } else { "" }];
        return Err(Error::file(file, what, remedy));
    }
    let tells = |output: usize| spread(output) > noise && differences[output] <= DIFFERENT * spread(output);
    if !(0..outputs).any(tells) {
        return Err(Error::file(
            file,
            format!(
                "these pairs differ by {:.2e} only (outputs of up to {:.2e}), so the check says little",
                check.spread, check.largest
            ),
            "give inputs whose outputs differ more: images of other people, or noise",
        ));
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_half_precision() {
        assert!(are_half(&[0.0, -1.0, 1.0 + 1.0 / 1024.0, 65504.0, 2.0f32.powi(-24), 3.0 * 2.0f32.powi(-20)]));
        for other in [1.0 + 1.0 / 2048.0, 65505.0, 0.1, 2.0f32.powi(-25)] {
            assert!(!are_half(&[other]), "{other}");
        }
    }

    /// Pairs of one output that should be 0.3, 0.6 and 0.9.
    #[test]
    fn refused_pairs_say_the_tolerance_and_half_precision() {
        let expected = [0.3f64, 0.6, 0.9];
        let refused = |found: [f32; 3], x: [f32; 3]| {
            let off = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs());
            let difference = off.fold(0.0, f64::max);
            let refusal = disagreement(&[difference], &[0.6], 0.9, [("x", &x), ("y", &found)]).unwrap();
            (format!("{difference:.2e}"), refusal)
        };
        let (difference, (what, hint)) = refused([0.3, 0.602, 0.9], [0.1, 0.2, 0.3]);
        assert!(what.contains(&difference) && what.contains("at most 6.00e-4 is taken for rounding"), "{what}");
        assert!(what.contains("Half precision leaves differences of this size") && hint, "{what}");
        let (_, (what, _)) = refused([0.30078125, 0.6015625, 0.90234375], [0.1, 0.2, 0.3]);
        assert!(what.ends_with("The values of y are those of half precision (float16)"), "{what}");
        let (_, (what, hint)) = refused([0.3, 1.0, 0.9], [0.5, 0.25, 0.125]);
        assert!(!what.contains("alf precision") && !hint, "{what}");
    }
}
