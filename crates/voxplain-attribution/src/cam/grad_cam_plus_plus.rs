//! [`GradCamPlusPlus`]: Grad-CAM with weights that favour cells of high gradient.

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

/// Grad-CAM++ (Chattopadhyay et al. 2018, arXiv 1710.11063, equation 19): `M = sum_k w_k A^k` with
/// `w_k = sum_u alpha^k_u relu(g^k_u)` and `alpha^k_u = g^2 / (2 g^2 + D g^3)`, 0 where `g` or the denominator is.
///
/// `D` exists in two versions whose maps differ (correlation 0.85 on random numbers): the paper's `sum_v A^k_v`
/// over the whole channel, and `A^k_u` inside a sum of products, `sum_v A^k_v (g^k_v)^3`, as in MONAI, medcam and
/// torch-cam. They agree where the gradient is the same in all cells, as before global average pooling.
/// [`GradCamPlusPlus::denominator`] chooses.
///
/// The paper's gradients are of `exp(S)`, which multiplies all `g` by `exp(S)`: it cancels in `alpha` and scales
/// the map, so it is left out. Signed by default; the paper rectifies. Upsampled at the true centres of the layer's
/// cells. One pass forward and one back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradCamPlusPlus {
    /// The layer, and what is kept of its map.
    #[serde(flatten)]
    pub cam: CamOptions,
    /// Which version of the denominator.
    pub denominator: Denominator,
}

/// The version of the second term in the denominator of `alpha`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denominator {
    /// `(sum_v A^k_v) (g^k_u)^3`.
    #[default]
    Paper,
    /// `sum_v A^k_v (g^k_v)^3`.
    Monai,
}

impl Method for GradCamPlusPlus {
    const NAME: &'static str = "grad-cam-plus-plus";
    const SUMMARY: &'static str = "activations of a layer weighted by its positive gradients (Chattopadhyay 2018)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::CHATTOPADHAY_2018);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::LAYER,
        OptionSchema::RECTIFY,
        OptionSchema::choice("denominator", &["paper", "monai"], "which version of the denominator"),
    ];

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.cam.suits(explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let combine = |a: &[f32], g: &[f32], map: &mut [f64]| combine(self.denominator, a, g, map);
        activation_map::explain(self, (&self.cam, Placement::Centres), (explainer, cases), combine, |head, record| {
            activation_map::warn_of_flattening(Self::NAME, head, record);
        })
    }
}

fn combine(denominator: Denominator, activations: &[f32], gradients: &[f32], map: &mut [f64]) {
    let cells = map.len();
    for (a, g) in activations.chunks(cells).zip(gradients.chunks(cells)) {
        let pairs = || a.iter().zip(g).map(|(&a, &g)| (f64::from(a), f64::from(g)));
        let total: f64 = pairs().map(|(a, _)| a).sum();
        let cubes: f64 = pairs().map(|(a, g)| a * g.powi(3)).sum();
        let weight: f64 = pairs()
            .map(|(_, g)| {
                let second = match denominator {
                    Denominator::Paper => total * g.powi(3),
                    Denominator::Monai => cubes,
                };
                let below = 2.0 * g * g + second;
                let alpha = if below == 0.0 { 0.0 } else { g * g / below };
                alpha * g.max(0.0)
            })
            .sum();
        map.iter_mut().zip(a).for_each(|(m, &a)| *m += weight * f64::from(a));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cells_by_hand() {
        // Channel 0: A = 1, 3; g = 1, -1. Sum of A is 4, of A g^3 is -2.
        // Channel 1: A = 2, 0; g = 2, 0: nothing where g is 0. Sum of A is 2, of A g^3 is 16.
        let (a, g) = ([1.0, 3.0, 2.0, 0.0], [1.0, -1.0, 2.0, 0.0]);
        let of = |denominator| {
            let mut map = [0.0; 2];
            combine(denominator, &a, &g, &mut map);
            map
        };
        // Paper: w_0 = 1 / (2 + 4), w_1 = 2 * 4 / (8 + 2 * 8).
        let (w0, w1) = (1.0 / 6.0, 1.0 / 3.0);
        for (m, e) in of(Denominator::Paper).into_iter().zip([w0 + 2.0 * w1, 3.0 * w0]) {
            assert!((m - e).abs() < 1e-12);
        }
        // MONAI: 2 - 2 = 0 below, so w_0 = 0; w_1 = 2 * 4 / (8 + 16).
        assert_eq!(of(Denominator::Monai), [2.0 / 3.0, 0.0]);
    }

    #[test]
    fn versions_agree_where_the_gradient_is_the_same_in_all_cells() {
        let a: Vec<f32> = (0..12).map(|n| (n * 7 % 5) as f32).collect();
        let g: Vec<f32> = (0..12).map(|n| if n < 6 { 0.25 } else { -0.5 }).collect();
        let of = |denominator| {
            let mut map = [0.0; 6];
            combine(denominator, &a, &g, &mut map);
            map
        };
        for (p, m) in of(Denominator::Paper).into_iter().zip(of(Denominator::Monai)) {
            assert!((p - m).abs() < 1e-12 && p.is_finite());
        }
    }
}
