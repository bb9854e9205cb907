//! `voxplain export`.

use crate::session::{Outcome, Session};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use voxplain::{Error, Model, atomic_file::refuse_source};

/// Turn a model into a file that other programs run.
///
/// An ONNX file (opset 17) holds the network and its weights, and is run by onnxruntime and many others. It takes
/// float32 [N, channels, i, j, k], prepared as the model says, and gives what the network gives: logits of the classes. How images are
/// prepared, and the names of the classes, stand in the file's metadata as text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain export run/folds/fold-0/model.safetensors --onnx fold-0.onnx
  voxplain export imported.safetensors --onnx net.onnx --force")]
pub(crate) struct Export {
    /// The model (.safetensors).
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The ONNX file to write.
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        if self.onnx.exists() && !self.force {
            let remedy = "choose another --onnx, or replace it with --force";
            return Err(Error::file(&self.onnx, "is there already", remedy).into());
        }
        refuse_source(&self.onnx, [self.model.as_path()], "choose another --onnx")?;
        let model = Model::read(&self.model)?;
        model.write_onnx(&self.onnx)?;
        let [channels, i, j, k] = model.network.input_shape();
        let card = &model.card;
        let prepared = if card.grid_unknown {
            "how images lie on this grid is not known".to_owned()
        } else {
            let spacing = card.preparation.spacing.map(|mm| mm.to_string()).join(" x ");
            format!(
                "voxels of {spacing} mm, axes to right, front and top, intensities {}",
                card.preparation.normalize.words()
            )
        };
        let images = match card.preparation.channels.as_slice() {
            [] => String::new(),
            names => format!("{}; ", names.join(", ")),
        };
        let text = format!(
            "{}: takes float32 [N, {channels}, {i}, {j}, {k}] ({images}{prepared}), gives [N, {}]: {}",
            self.onnx.display(),
            model.network.outputs(),
            card.task
        );
        let mut document = json!({
            "onnx": self.onnx,
            "model": self.model,
            "hash": model.hash(),
            "input": model.network.input_shape(),
            "classes": card.task.classes(),
        });
        if let Some(value) = card.task.value() {
            document["value"] = json!(value);
        }
        session.result(&document, &text)?;
        Ok(Outcome::Done)
    }
}
