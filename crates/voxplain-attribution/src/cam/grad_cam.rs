//! [`GradCam`]: activations of a layer, weighted by their mean gradient.

use super::activation_map::{self, Placement};
use super::options::CamOptions;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::Attribution;
use crate::schema::OptionSchema;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;

/// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2): `M = sum_k a_k A^k` with `a_k` the mean of
/// `dS/dA^k` over the cells of a layer.
///
/// Signed by default; the paper rectifies ([`CamOptions::rectify`]). Upsampled at the true centres of the layer's cells,
/// where the paper resizes. Taking the mean drops which position a weight belongs to: on networks that flatten into
/// a linear layer, as the paper's 3D network does, the map then says little, and a warning goes with it. [`crate::HiresCam`] is
/// exact there. One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradCam {
    /// The layer, and what is kept of its map.
    #[serde(flatten)]
    pub cam: CamOptions,
}

impl Method for GradCam {
    const NAME: &'static str = "grad-cam";
    const SUMMARY: &'static str = "activations of a layer weighted by their mean gradient (Selvaraju 2017)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::SELVARAJU_2017);
    const CONTOUR: Option<u8> = Some(2);
    const OPTIONS: &'static [OptionSchema] = &[OptionSchema::LAYER, OptionSchema::RECTIFY];

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.cam.suits(explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        activation_map::explain(self, (&self.cam, Placement::Centres), (explainer, cases), combine, |head, record| {
            activation_map::warn_of_flattening(Self::NAME, head, record);
        })
    }
}

/// `map_u = sum_k mean_v(g^k_v) A^k_u`.
pub(crate) fn combine(activations: &[f32], gradients: &[f32], map: &mut [f64]) {
    let cells = map.len();
    for (a, g) in activations.chunks(cells).zip(gradients.chunks(cells)) {
        let weight = g.iter().map(|&g| f64::from(g)).sum::<f64>() / cells as f64;
        map.iter_mut().zip(a).for_each(|(m, &a)| *m += weight * f64::from(a));
    }
}
