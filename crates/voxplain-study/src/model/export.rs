//! [`Model::write_onnx`]: a model for other programs.

use super::Model;
use std::path::Path;
use voxplain_core::{Error, Result, atomic_file};

/// The name of the preparation in the metadata, and what stands there where it is not known.
pub(super) const PREPARATION: &str = "preparation";
pub(super) const NOT_KNOWN: &str = "not known";
/// The name of what is predicted, as JSON.
pub(super) const TASK: &str = "task";
/// That nobody said where heads lie for it.
pub(super) const PLACE_NOT_ASKED: &str = "placement not asked";

impl Model {
    /// Writes the network as an ONNX file, whole or not at all. What ONNX has no place for stands in its `metadata_props`, as
    /// text: the classes in the order of the outputs, the label, and how inputs are prepared (the preparation as JSON).
    ///
    /// # Errors
    /// The file cannot be written, or the network has an operation that ONNX lacks.
    pub fn write_onnx(&self, path: &Path) -> Result<()> {
        let card = &self.card;
        let preparation = if card.grid_unknown {
            NOT_KNOWN.to_owned()
        } else {
            serde_json::to_string(&card.preparation)
                .map_err(|e| Error::request(format!("the preparation cannot be written: {e}"), "report this"))?
        };
        let task = serde_json::to_string(&card.task)
            .map_err(|e| Error::request(format!("what it predicts cannot be written: {e}"), "report this"))?;
        let not_asked = card.place_not_asked().unwrap_or_default().to_owned();
        let about = [
            ("architecture", card.architecture.clone()),
            (TASK, task),
            (if card.task.value().is_some() { "value" } else { "classes" }, card.task.to_string()),
            ("label", card.label.clone()),
            ("axes", "N, channel, i, j, k; i grows to the subject's right, j to the front, k upwards".to_owned()),
            ("channels", card.preparation.channels.join(", ")),
            ("intensities", card.preparation.normalize.words().to_owned()),
            (PREPARATION, preparation),
            (PLACE_NOT_ASKED, not_asked),
            ("model", self.hash()),
        ];
        // Where one image is taken and has no name, and the place of heads was asked for, there is nothing to say.
        let silent = |key: &str| ["channels", PLACE_NOT_ASKED].contains(&key);
        let about: Vec<(&str, String)> =
            about.into_iter().filter(|(key, text)| !silent(key) || !text.is_empty()).collect();
        let bytes = voxplain_nn::export::onnx::encode(&self.network, &about).map_err(|e| {
            Error::request(format!("the network cannot be written as ONNX: {e}"), "use another network")
        })?;
        atomic_file::write(path, &bytes)
    }
}
