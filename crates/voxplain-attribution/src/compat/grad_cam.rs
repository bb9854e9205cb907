//! Grad-CAM as of 2020.

use crate::cam::activation_map::{self, Placement};
use crate::cam::{CamOptions, grad_cam};
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::Attribution;
use crate::target::Target;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;

/// The rectified map, always of class 1, stretched to the input's size without regard to where its cells lie.
///
/// The 2020 code then divided by the largest value, 0/0 where the map was empty. That is left out, so that maps can be
/// compared in size; the value is in the record (`Maximum`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GradCam2020 {
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
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::SELVARAJU_2017);
    const CONTOUR: Option<u8> = Some(2);

    fn target(&self) -> Target {
        Target::Class(1)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let options = CamOptions { layer: self.layer.clone(), rectify: true };
        let how = (&options, Placement::Stretched);
        activation_map::explain(self, how, (explainer, cases), grad_cam::combine, |_, record| {
            record.warnings.push(
                "As in 2020: negative evidence is cut off, and the map is stretched to the input's size, which moves it \
                 by up to several voxels from where its cells lie."
                    .into(),
            );
        })
    }
}
