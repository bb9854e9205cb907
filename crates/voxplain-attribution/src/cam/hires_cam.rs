//! [`HiresCam`]: activations of a layer times their own gradient.

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

/// HiResCAM (Draelos and Carin 2020, arXiv 2011.08891): `M = sum_k dS/dA^k * A^k`, cell by cell.
///
/// For a layer followed by pooling, flattening and one linear layer the map sums to the logit without its bias,
/// exactly; the record holds the sum, the logit without bias and the residual. Signed by default. Upsampled at the
/// true centres of the layer's cells (the sum holds at the layer's own resolution). One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HiresCam {
    /// The layer, and what is kept of its map.
    #[serde(flatten)]
    pub cam: CamOptions,
}

impl Method for HiresCam {
    const NAME: &'static str = "hires-cam";
    const SUMMARY: &'static str = "activations of a layer times their gradient: sums to the score (Draelos 2020)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::DRAELOS_2020);
    const CONTOUR: Option<u8> = Some(4);
    const OPTIONS: &'static [OptionSchema] = &[OptionSchema::LAYER, OptionSchema::RECTIFY];

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.cam.suits(explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        activation_map::explain(self, (&self.cam, Placement::Centres), (explainer, cases), combine, |_, record| {
            if let (Some(sum), Some(score)) =
                (record.measured["Sum"].as_f64(), record.measured["ScoreMinusBias"].as_f64())
            {
                record.complete(sum, score, 0.01);
            }
        })
    }
}

/// `map_u = sum_k g^k_u A^k_u`.
fn combine(activations: &[f32], gradients: &[f32], map: &mut [f64]) {
    let cells = map.len();
    for (a, g) in activations.chunks(cells).zip(gradients.chunks(cells)) {
        for ((m, &a), &g) in map.iter_mut().zip(a).zip(g) {
            *m += f64::from(a) * f64::from(g);
        }
    }
}
