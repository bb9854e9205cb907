//! `voxplain import`.

use crate::{
    argument::Intensities,
    session::{Outcome, Session},
};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use voxplain::model::{Architecture, Card, ImportOptions, import};

/// Turn a PyTorch checkpoint into a model file.
///
/// The file is read without running anything from it: it may hold a state dictionary of tensors and nothing else.
/// Where the network's input lies in the world is not known; the model takes any image of its shape.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain import best_model_all_grad --arch mrinet-grad --classes female,male --out kan2020.safetensors
  voxplain import checkpoint.pt --arch mrinet --shape 58x70x58 --out model.safetensors")]
pub(crate) struct Import {
    /// The checkpoint, a state dictionary as `torch.save` writes it.
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// The network it belongs to.
    #[arg(long, value_enum)]
    arch: Arch,
    /// Names of the classes in the order of the outputs [default: class0,class1,...].
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    classes: Vec<String>,
    /// The model file to write.
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// How intensities of images are to be prepared.
    #[arg(long, value_enum, default_value_t = Intensities::None)]
    normalize: Intensities,
    /// Shape of the input [default: 58x70x58, where the weights fit it].
    #[arg(long, value_name = "IxJxK", value_parser = shape)]
    shape: Option<[usize; 3]>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Arch {
    /// `hidden1.0` ... `linear`; ends in log-softmax.
    Mrinet,
    /// `features.0` ... `classifier.3`; ends in logits.
    MrinetGrad,
}

/// The result as JSON.
#[derive(Serialize)]
struct Document<'a> {
    model: &'a std::path::Path,
    hash: String,
    #[serde(flatten)]
    card: &'a Card,
}

fn shape(text: &str) -> Result<[usize; 3], String> {
    let lengths: Option<Vec<usize>> = text.split('x').map(|n| n.trim().parse().ok()).collect();
    lengths
        .and_then(|l| <[usize; 3]>::try_from(l).ok())
        .ok_or_else(|| "expected three lengths, such as 58x70x58".to_owned())
}

impl Import {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let options = ImportOptions {
            architecture: match self.arch {
                Arch::Mrinet => Architecture::Mrinet,
                Arch::MrinetGrad => Architecture::MrinetGrad,
            },
            classes: self.classes.clone(),
            shape: self.shape,
            normalize: self.normalize.into(),
        };
        let model = import(&self.checkpoint, &options)?;
        model.write(&self.out)?;
        let [_, i, j, k] = model.network.input_shape();
        let weights: usize = model.network.parameters().iter().map(|p| p.tensor.len()).sum();
        let text = format!(
            "{}: {} with {weights} weights, input {i} x {j} x {k}, classes {}",
            self.out.display(),
            model.card.architecture,
            model.card.classes.join(", ")
        );
        session.result(&Document { model: &self.out, hash: model.hash(), card: &model.card }, &text)?;
        let model = self.out.display().to_string();
        session.next(["explain", &model, "--input", "IMAGE", "--method", "hires-cam", "--out", "maps"]);
        Ok(Outcome::Done)
    }
}
