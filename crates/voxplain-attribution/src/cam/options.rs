//! [`CamOptions`]: what class activation maps have in common to choose.

use crate::explainer::Explainer;
use crate::layer::Layer;
use serde::{Deserialize, Serialize};
use voxplain_core::Result;

/// Which layer a class activation map is made of, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct CamOptions {
    /// Name of the layer; `last` is the last activation that holds volumes, `all` makes a map of each activation that does.
    pub layer: String,
    /// Keep what is positive only, as most papers do; a map is signed otherwise.
    pub rectify: bool,
}

/// The last activation, signed.
impl Default for CamOptions {
    fn default() -> Self {
        Self { layer: "last".into(), rectify: false }
    }
}

impl CamOptions {
    /// The layer of that name, `last` or `all`, signed.
    pub fn of_layer(layer: impl Into<String>) -> Self {
        Self { layer: layer.into(), ..Self::default() }
    }

    /// Whether a map is made of every activation.
    pub(crate) fn sweeps(&self) -> bool {
        self.layer == "all"
    }

    /// The layers that are meant.
    pub(crate) fn layers(&self, explainer: &Explainer) -> Result<Vec<Layer>> {
        if self.sweeps() {
            Layer::activations(explainer.network())
        } else {
            Ok(vec![Layer::find(explainer.network(), &self.layer)?])
        }
    }

    /// Refuses a network that has no such layer.
    pub(crate) fn suits(&self, explainer: &Explainer) -> Result<()> {
        self.layers(explainer).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use crate::cam::{GradCam, GradCamPlusPlus, LayerCam};
    use serde_json::{from_value, json, to_string};

    #[test]
    fn options_lie_flat_beside_those_of_the_method() {
        assert_eq!(to_string(&GradCam::default()).unwrap(), r#"{"layer":"last","rectify":false}"#);
        let plus_plus = r#"{"layer":"last","rectify":false,"denominator":"paper"}"#;
        assert_eq!(to_string(&GradCamPlusPlus::default()).unwrap(), plus_plus);
        let layer_cam: LayerCam = from_value(json!({ "layer": "all", "gamma": 3.0 })).unwrap();
        assert_eq!((layer_cam.cam.layer.as_str(), layer_cam.cam.rectify, layer_cam.gamma), ("all", false, 3.0));
        let unknown = from_value::<LayerCam>(json!({ "layer": "all", "gama": 3.0 })).unwrap_err();
        assert!(unknown.to_string().contains("gama"), "{unknown}");
    }
}
