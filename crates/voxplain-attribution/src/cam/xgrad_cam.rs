//! [`XGradCam`]: Grad-CAM with gradients averaged by activation.

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

/// XGrad-CAM (Fu et al. 2020, arXiv 2008.02312): `M = sum_k w_k A^k` with
/// `w_k = sum_u g^k_u A^k_u / (sum_v A^k_v + 1e-7)`, the mean gradient weighted by the activation.
///
/// Signed by default; the authors' code rectifies. Upsampled at the true centres of the layer's cells. A channel
/// that is silent has no weight. One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct XGradCam {
    /// The layer, and what is kept of its map.
    #[serde(flatten)]
    pub cam: CamOptions,
}

impl Method for XGradCam {
    const NAME: &'static str = "xgrad-cam";
    const SUMMARY: &'static str = "activations of a layer weighted by gradients where it is active (Fu 2020)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::FU_2020);
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

fn combine(activations: &[f32], gradients: &[f32], map: &mut [f64]) {
    let cells = map.len();
    for (a, g) in activations.chunks(cells).zip(gradients.chunks(cells)) {
        let product: f64 = a.iter().zip(g).map(|(&a, &g)| f64::from(a) * f64::from(g)).sum();
        let total: f64 = a.iter().map(|&a| f64::from(a)).sum();
        let weight = product / (total + 1e-7);
        map.iter_mut().zip(a).for_each(|(m, &a)| *m += weight * f64::from(a));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cells_by_hand() {
        // (1 * 5 + 3 * 1) / 4 = 2, and a silent channel.
        let mut map = [0.0; 2];
        combine(&[1.0, 3.0, 0.0, 0.0], &[5.0, 1.0, 9.0, 9.0], &mut map);
        assert!((map[0] - 2.0).abs() < 1e-6 && (map[1] - 6.0).abs() < 1e-6, "{map:?}");
    }
}
