//! [`LayerCam`]: activations of a layer times their own positive gradient, for one layer or several together.

use super::activation_map::{self, Placement};
use super::options::CamOptions;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::layer::Layer;
use crate::method::Method;
use crate::record::{Attribution, float32};
use crate::schema::{OptionSchema, Unit};
use crate::target::Score;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::{Error, Result};
use voxplain_nn::{NodeId, Rules};

/// LayerCAM (Jiang et al. 2021, IEEE Transactions on Image Processing 30):
/// `M = sum_k relu(g^k) A^k`, cell by cell.
///
/// Weights are per position, so that early layers, whose cells are small, give maps too. With several layers, named
/// with commas, their maps are fused: each is rectified and upsampled, divided by its maximum (all but the last
/// named also go through `tanh(gamma x)`, which raises what is faint in shallow layers; 2 in the paper), and the
/// largest at each voxel is taken. A fused map is relative: its values are shares of each layer's maximum, not of
/// the score.
///
/// A single map is signed by default (negative only where activations are); the paper rectifies. Upsampled at the true
/// centres of the layer's cells. One pass forward and one back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LayerCam {
    /// The layer, or several by comma that are fused, the deepest last; and what is kept of the map.
    #[serde(flatten)]
    pub cam: CamOptions,
    /// How much faint cells of the shallower layers are raised when layers are fused.
    pub gamma: f64,
}

impl Default for LayerCam {
    fn default() -> Self {
        Self { cam: CamOptions::default(), gamma: 2.0 }
    }
}

impl Method for LayerCam {
    const NAME: &'static str = "layer-cam";
    const SUMMARY: &'static str = "activations of one or more layers times their positive gradient (Jiang 2021)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::JIANG_2021);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::LAYER,
        OptionSchema::RECTIFY,
        OptionSchema::number(
            "gamma",
            Unit::None,
            0.0,
            f64::MAX,
            "how much faint cells of the shallower layers are raised when layers are fused",
        ),
    ];

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        if self.gamma.is_nan() || self.gamma <= 0.0 {
            return Err(Error::request(
                format!("layer-cam.gamma={}: expected more than 0", self.gamma),
                "2 is the default",
            ));
        }
        self.cam.layer.split(',').try_for_each(|name| CamOptions::of_layer(name.trim()).suits(explainer))
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        let names: Vec<&str> = self.cam.layer.split(',').map(str::trim).collect();
        if names.len() > 1 {
            return self.fused(explainer, cases, &names);
        }
        let options = CamOptions { layer: names[0].into(), rectify: self.cam.rectify };
        activation_map::explain(self, (&options, Placement::Centres), (explainer, cases), combine, |_, _| {})
    }
}

impl LayerCam {
    fn fused(&self, explainer: &mut Explainer, cases: &[Case<'_>], names: &[&str]) -> Result<Vec<Attribution>> {
        let layers = names.iter().map(|name| Layer::find(explainer.network(), name)).collect::<Result<Vec<_>>>()?;
        let nodes: Vec<NodeId> = layers.iter().map(|layer| layer.node).collect();
        let pass = explainer.backward(cases, Method::target(self), &Rules::GRADIENT, &nodes)?;
        let fuse = |(n, case): (usize, &Case<'_>)| {
            let mut fused = vec![0.0f32; case.voxels()];
            for (l, layer) in layers.iter().enumerate() {
                let map = activation_map::combined(&pass, n, (l, layer), combine);
                let gamma = (l + 1 < layers.len()).then_some(self.gamma);
                let upsampled =
                    activation_map::upsample(layer, case, &float32(&scaled(&map, gamma)), Placement::Centres);
                fused.iter_mut().zip(upsampled).for_each(|(f, v)| *f = f.max(v));
            }
            let mut record = self.record(explainer, case, &pass.objectives[n], &pass.logits[n]);
            record.units = "share of each layer's maximum".into();
            record.sign = "never negative: evidence for the explained score in any of the layers".into();
            record.measured = json!({ "Fused": layers.iter().map(|l| l.name.as_str()).collect::<Vec<_>>() });
            Attribution::new(case, fused, record)
        };
        cases.iter().enumerate().map(fuse).collect()
    }
}

/// Rectified and divided by the maximum, then through `tanh(gamma x)` where there is a `gamma`; zeros where nothing
/// is positive.
fn scaled(map: &[f64], gamma: Option<f64>) -> Vec<f64> {
    let largest = map.iter().copied().fold(0.0, f64::max);
    let one = |v: f64| {
        let share = if largest > 0.0 { v.max(0.0) / largest } else { 0.0 };
        gamma.map_or(share, |gamma| (gamma * share).tanh())
    };
    map.iter().map(|&v| one(v)).collect()
}

/// `map_u = sum_k relu(g^k_u) A^k_u`.
fn combine(activations: &[f32], gradients: &[f32], map: &mut [f64]) {
    let cells = map.len();
    for (a, g) in activations.chunks(cells).zip(gradients.chunks(cells)) {
        for ((m, &a), &g) in map.iter_mut().zip(a).zip(g) {
            *m += f64::from(a) * f64::from(g).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cells_by_hand() {
        let mut map = [0.0; 2];
        combine(&[1.0, 3.0, 2.0, 4.0], &[5.0, -1.0, 0.5, 0.25], &mut map);
        assert_eq!(map, [6.0, 1.0]);
        assert_eq!(scaled(&map, None), [1.0, 1.0 / 6.0]);
        assert_eq!(scaled(&map, Some(2.0)), [2f64.tanh(), (1f64 / 3.0).tanh()]);
        assert_eq!(scaled(&[-1.0, 0.0], Some(2.0)), [0.0, 0.0], "nothing positive is no division by zero");
    }
}
