//! `voxplain import`.

use crate::{
    argument::{Intensities, shape},
    session::{Outcome, Session},
    verb::prepare::{Size, origin, spacing},
};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use voxplain::cohort::Normalize;
use voxplain::model::{
    Align, Architecture, Card, ImportOptions, OnnxModel as Imported, OnnxOptions, OutputCheck, Quantity, import,
    import_onnx,
};
use voxplain::{Error, atomic_file::refuse_source};

/// Turn a network of PyTorch into a model file.
///
/// An ONNX file (torch.onnx.export) holds the whole network. What it does not say is asked for: the size of voxels, how
/// intensities are prepared, to which side the axes grow, whether heads are turned to a template, the names of the classes; or it is taken from a run whose images
/// are prepared alike (--like). A checkpoint (torch.save of a state dictionary) holds weights alone, and --arch says of
/// which network. Files are read without running anything from them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain import net.onnx --spacing 2 --normalize robust --orientation RAS --align none --classes female,male --check pairs.npz --out net.safetensors
  voxplain import net.onnx --like run --out net.safetensors
  voxplain import two.onnx --channel T1w --channel FLAIR --spacing 2 --normalize robust --orientation RAS --align none --classes a,b --out two.safetensors
  voxplain import age.onnx --like run --value age,years --out age.safetensors
  voxplain import best_model_all_grad --arch mrinet-grad --classes female,male --out kan2020.safetensors
  voxplain import checkpoint.pt --arch mrinet --shape 58x70x58 --out model.safetensors")]
pub(crate) struct Import {
    /// The ONNX file, or a checkpoint as `torch.save` writes it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network that a checkpoint belongs to.
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Names of the classes in the order of the outputs; two for one output z, which is then the logit of the second:
    /// its score is z / 2, that of the first -z / 2, and their difference z.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    classes: Vec<String>,
    /// Of an ONNX file: the value that its one output is, with its unit, where it predicts no classes.
    #[arg(long, value_name = "NAME,UNIT", value_parser = quantity, conflicts_with_all = ["classes", "arch"])]
    value: Option<Quantity>,
    /// The model file to write.
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// How intensities of images are to be prepared [default for a checkpoint: none].
    #[arg(long, value_enum)]
    normalize: Option<Intensities>,
    /// Of an ONNX file: size of a voxel in mm, one or three, from 0.1 to 50.
    #[arg(long, value_name = "MM", value_parser = spacing, conflicts_with = "like")]
    spacing: Option<[f64; 3]>,
    /// Of an ONNX file: to which side each axis of the input grows.
    #[arg(long, value_name = "RAS", conflicts_with = "like")]
    orientation: Option<String>,
    /// Of an ONNX file: a run or model whose images are prepared as those of this network.
    #[arg(long, value_name = "RUN", conflicts_with = "normalize")]
    like: Option<PathBuf>,
    /// Of an ONNX file: the skull-stripped template that heads are turned to before the network takes them, as with
    /// `prepare --align`; `none` for heads that lie as they are.
    #[arg(long, value_name = "TEMPLATE|none", conflicts_with = "like")]
    align: Option<PathBuf>,
    /// Whether heads keep their size under --align, or are scaled to the template's.
    #[arg(long, value_enum, default_value_t = Size::Keep, requires = "align")]
    align_size: Size,
    /// Of an ONNX file: one grid for all images, with its first voxel there: world position in mm, `-84,-123,-72` [default:
    /// centred on the template, or with --align none on each brain mask].
    #[arg(long, value_name = "X,Y,Z", value_parser = origin, allow_hyphen_values = true, requires = "align")]
    origin: Option<[f64; 3]>,
    /// Of an ONNX file: the network takes whole heads, without brain masks.
    #[arg(long, conflicts_with = "like")]
    whole_head: bool,
    /// Of an ONNX file with several input channels: the image of each person that each of them takes, once for each, in their order.
    /// Names are those of `prepare --channel`: T1w, FLAIR.
    #[arg(long = "channel", value_name = "NAME", conflicts_with = "arch")]
    channels: Vec<String>,
    /// Of an ONNX file: shape of the input, where the file leaves it open.
    #[arg(long, value_name = "IxJxK", value_parser = shape)]
    grid: Option<[usize; 3]>,
    /// Of an ONNX file: inputs `x` and outputs `y` of the network in its own framework, to compare with (numpy.savez).
    #[arg(long, value_name = "PAIRS.npz")]
    check: Option<PathBuf>,
    /// Of a checkpoint: shape of the input [default: 58x70x58, where the weights fit it].
    #[arg(long, value_name = "IxJxK", value_parser = shape, requires = "arch")]
    shape: Option<[usize; 3]>,
    /// Replace a model file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Arch {
    /// `hidden1.0` ... `linear`; ends in log-softmax.
    Mrinet,
    /// `features.0` ... `classifier.3`; ends in logits.
    MrinetGrad,
}

/// Of a network that nothing was compared with.
const NOT_COMPARED: &str =
    "\nWhether it gives what its own framework gives was not checked: give pairs of inputs and outputs with --check.";

/// The result as JSON.
#[derive(Serialize)]
struct Document<'a> {
    model: &'a Path,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<OutputCheck>,
    #[serde(flatten)]
    card: &'a Card,
}

/// A value with its unit: `age,years`.
fn quantity(text: &str) -> Result<Quantity, String> {
    let (name, unit) = text.split_once(',').map_or((text, None), |(name, unit)| (name, Some(unit.trim())));
    if name.trim().is_empty() || unit.is_some_and(|unit| unit.is_empty() || unit.contains(',')) {
        return Err("write a name and a unit, such as age,years".into());
    }
    Ok(Quantity { name: name.trim().to_owned(), unit: unit.map(str::to_owned) })
}

impl Import {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        if self.out.exists() && !self.force {
            let remedy = "choose another --out, or replace it with --force";
            return Err(Error::file(&self.out, "is there already", remedy).into());
        }
        let mut sources: Vec<&Path> = vec![&self.file];
        sources.extend([&self.check, &self.like, &self.align].into_iter().flatten().map(PathBuf::as_path));
        refuse_source(&self.out, sources, "choose another --out")?;
        let Imported { model, check, warnings, files } = self.model(session)?;
        refuse_source(&self.out, files.iter().map(PathBuf::as_path), "choose another --out")?;
        for (warning, remedy) in &warnings {
            session.progress().advise(warning, remedy);
        }
        model.write(&self.out)?;
        let [_, i, j, k] = model.network.input_shape();
        let images = match model.card.preparation.channels.as_slice() {
            [] => String::new(),
            names => format!(" of {}", names.join(", ")),
        };
        let weights: usize = model.network.parameters().iter().map(|p| p.tensor.len()).sum();
        let mut text = format!(
            "{}: {} with {weights} weights, input {i} x {j} x {k}{images}, {} {}",
            self.out.display(),
            model.card.architecture,
            if model.card.task.value().is_some() { "value" } else { "classes" },
            model.card.task
        );
        let preparation = &model.card.preparation;
        if !model.card.grid_unknown {
            write!(
                text,
                "\nIt takes {} with voxels of {} mm, axes to right, front and top, intensities {} (`{}`), of heads {}.",
                if preparation.whole_head { "whole heads" } else { "brains inside masks" },
                preparation.spacing.map(|mm| mm.to_string()).join(" x "),
                preparation.normalize.words(),
                preparation.normalize,
                preparation.place()
            )?;
            if let Some(extent) = preparation.extent() {
                write!(text, "\nOf its grid {extent}.")?;
            }
        }
        match &check {
            Some(check) => {
                write!(text, "\n{}\n{}", check.words(), check.inputs_words(preparation.normalize))?;
            }
            None if self.arch.is_none() => text += NOT_COMPARED,
            None => {}
        }
        let of_onnx = self.arch.is_none();
        let one_output = model.card.training["one_output"] == true;
        if one_output && let [first, second] = model.card.task.classes() {
            write!(
                text,
                "\nThe network's one output z is the logit of {second}: the score of {second} is z / 2, that of {first} -z / 2, \
                 and their difference (--target diff:1,0) is z itself."
            )?;
        }
        session.result(&Document { model: &self.out, hash: model.hash(), check, card: &model.card }, &text)?;
        let difference = (one_output && of_onnx).then_some("diff:1,0");
        let path = self.out.display().to_string();
        // Any network has a gradient; not every one has a layer for class activation maps.
        let method = if of_onnx { "saliency" } else { "hires-cam" };
        let mut next = vec!["explain", path.as_str(), "--input", "IMAGE", "--method", method, "--out", "maps"];
        next.extend(difference.into_iter().flat_map(|target| ["--target", target]));
        session.next(next);
        Ok(Outcome::Done)
    }

    fn model(&self, session: &Session) -> anyhow::Result<Imported> {
        if self.align.as_deref() == Some(Path::new("none")) && self.align_size == Size::Remove {
            bail!(
                "--align none turns heads to nothing, so that --align-size remove has nothing to scale them to: give the template"
            );
        }
        let Some(arch) = self.arch else {
            let options = OnnxOptions {
                grid: self.grid,
                like: self.like.clone(),
                spacing: self.spacing,
                normalize: self.normalize.map(Normalize::from),
                orientation: self.orientation.clone(),
                align: self.align.as_ref().map(|path| match path.to_str() {
                    Some("none") => Align::Nothing,
                    _ => Align::Template { path: path.clone(), sizes: self.align_size.into() },
                }),
                origin: self.origin,
                whole_head: self.whole_head,
                channels: self.channels.clone(),
                classes: self.classes.clone(),
                value: self.value.clone(),
                check: self.check.clone(),
            };
            return Ok(import_onnx(&session.engine()?, &self.file, &options)?);
        };
        let options = ImportOptions {
            architecture: match arch {
                Arch::Mrinet => Architecture::Mrinet,
                Arch::MrinetGrad => Architecture::MrinetGrad,
            },
            classes: self.classes.clone(),
            shape: self.shape,
            normalize: self.normalize.map_or(Normalize::None, Normalize::from),
        };
        let model = import(&self.file, &options)?;
        Ok(Imported { model, check: None, warnings: Vec::new(), files: vec![self.file.clone()] })
    }
}
