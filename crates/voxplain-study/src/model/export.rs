//! [`Model::write_onnx`]: a model for other programs.

use super::Model;
use std::path::Path;
use voxplain_core::{Error, Result, atomic_file};

impl Model {
    /// Writes the network as an ONNX file, whole or not at all. What ONNX has no place for stands in its `metadata_props`, as
    /// text: the classes in the order of the outputs, the label, and how inputs are prepared (the preparation as JSON).
    ///
    /// # Errors
    /// The file cannot be written, or the network has an operation that ONNX lacks.
    pub fn write_onnx(&self, path: &Path) -> Result<()> {
        let card = &self.card;
        let preparation = if card.grid_unknown {
            "not known".to_owned()
        } else {
            serde_json::to_string(&card.preparation)
                .map_err(|e| Error::request(format!("the preparation cannot be written: {e}"), "report this"))?
        };
        let about = [
            ("architecture", card.architecture.clone()),
            (if card.task.value().is_some() { "value" } else { "classes" }, card.task.to_string()),
            ("label", card.label.clone()),
            ("axes", "N, channel, i, j, k; i grows to the subject's right, j to the front, k upwards".to_owned()),
            ("channels", card.preparation.channels.join(", ")),
            ("intensities", card.preparation.normalize.words().to_owned()),
            ("preparation", preparation),
            ("model", self.hash()),
        ];
        // Where one image is taken and has no name, there is nothing to say.
        let about: Vec<(&str, String)> =
            about.into_iter().filter(|(key, text)| *key != "channels" || !text.is_empty()).collect();
        let bytes = voxplain_nn::export::onnx::encode(&self.network, &about).map_err(|e| {
            Error::request(format!("the network cannot be written as ONNX: {e}"), "use another network")
        })?;
        atomic_file::write(path, &bytes)
    }
}
