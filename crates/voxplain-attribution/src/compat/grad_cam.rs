//! Grad-CAM as of 2020.

use crate::Result;
use crate::{Attribution, Case, Explainer, Method, Target, cam, cam::grad_cam};
use serde::{Deserialize, Serialize};

/// The rectified map, always of class 1, stretched to the input's size without regard to where its cells lie.
///
/// The 2020 code then divided by the largest value, 0/0 where the map was empty. That is left out, so that maps can be
/// compared in size; the value is in the record (`Maximum`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct GradCam2020 {
    /// Name of the layer; `last` is the last activation that holds volumes.
    layer: String,
}

impl Default for GradCam2020 {
    fn default() -> Self {
        Self { layer: "last".into() }
    }
}

impl Method for GradCam2020 {
    const NAME: &'static str = "grad-cam";
    const SUMMARY: &'static str = "as in 2020: rectified, of class 1, stretched to the input's size";

    fn target(&self) -> Target {
        Target::Class(1)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let recipe = cam::Recipe { layer: &self.layer, rectify: true, stretch: true };
        cam::explain(self, &recipe, (explainer, cases), grad_cam::combine, |_, record| {
            record.warnings.push(
                "As in 2020: negative evidence is cut off, and the map is stretched to the input's size, which moves it \
                 by up to several voxels from where its cells lie."
                    .into(),
            );
        })
    }
}
