//! [`AblationCam`]: activations of a layer weighted by what the score loses without each.

use super::activation_map::{self, Placement};
use super::head::Head;
use super::options::CamOptions;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::layer::Layer;
use crate::method::Method;
use crate::record::{Attribution, Passes};
use crate::schema::OptionSchema;
use crate::target::{Objective, Score};
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::{Error, Result};

/// Ablation-CAM (Desai and Ramaswamy 2020, WACV): `M = sum_k w_k A^k` with
/// `w_k = S(x) - S(x without channel k)`.
///
/// The paper divides the difference by `S(x)`, which turns the map's sign with the score's and has no meaning near
/// 0; here the difference is kept as it is, in the units of the score. A channel is taken away by setting all its
/// cells to 0; only the part of the network after the layer is then run. Signed by default; the paper
/// rectifies. Upsampled at the true centres of the layer's cells.
///
/// With the layer `all` maps are made of those activations that every path through the network passes.
///
/// Refused where the score depends on the input by other ways than through the layer (a layer inside a branch).
/// Cost: for each layer one pass forward, and the part after it once for each of its channels. Memory: a batch of the layer's
/// activations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AblationCam {
    /// The layer, and what is kept of its map.
    #[serde(flatten)]
    pub cam: CamOptions,
}

impl Method for AblationCam {
    const NAME: &'static str = "ablation-cam";
    const SUMMARY: &'static str = "activations of a layer weighted by what the score loses without each (Desai 2020)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::DESAI_2020);
    const OPTIONS: &'static [OptionSchema] = &[OptionSchema::LAYER, OptionSchema::RECTIFY];
    const BATCH: usize = 1;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        self.layers(explainer).map(|_| ())
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl AblationCam {
    /// The layers that were asked for; of all, those that every way leads through.
    fn layers(&self, explainer: &Explainer) -> Result<Vec<Layer>> {
        let through = |layer: &Layer| {
            explainer.network().subgraph_from(layer.node).map(|_| ()).map_err(|e| {
                Error::request(
                    format!("ablation-cam cannot take channels of layer {} away: {e}", layer.name),
                    "name a layer that every way leads through with ablation-cam.layer",
                )
            })
        };
        let layers = self.cam.layers(explainer)?;
        let (able, unable): (Vec<Layer>, Vec<Layer>) = layers.into_iter().partition(|layer| through(layer).is_ok());
        match unable.first() {
            Some(layer) if !self.cam.sweeps() || able.is_empty() => through(layer).map(|()| able),
            _ => Ok(able),
        }
    }

    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let layers = self.layers(explainer)?;
        let head = Head::of(explainer.network(), &layers[layers.len() - 1]);
        let (logits, activations) = activation_map::activations(explainer, case, &layers)?;
        let objective = case.objective(Method::target(self), &logits)?;
        let mut record = self.record(explainer, case, &objective, &logits);
        record.passes = Passes { forward: layers.len(), backward: 0 };
        let (mut maps, mut passes_after) = (Vec::with_capacity(layers.len()), 0);
        for (layer, activations) in layers.iter().zip(&activations) {
            passes_after += layer.shape[0] + 1;
            maps.push(weighted(explainer, (layer, activations), &objective)?);
        }
        record.measured["PassesBehindLayer"] = passes_after.into();
        activation_map::attribution_of_layers(case, &layers, maps, record, (&self.cam, Placement::Centres), |record| {
            activation_map::warn_of_flattening(Self::NAME, &head, record);
        })
    }
}

/// The map of one layer's cells.
fn weighted(
    explainer: &mut Explainer,
    (layer, activations): (&Layer, &[f32]),
    objective: &Objective,
) -> Result<Vec<f64>> {
    let cells: usize = layer.cells().iter().product();
    // The last is whole: the score after the layer by the same arithmetic.
    let channels = layer.shape[0];
    let scores = explainer.scores_from(layer.node, channels + 1, objective, |n, out| {
        out.copy_from_slice(activations);
        out.chunks_mut(cells).skip(n).take(1).for_each(|channel| channel.fill(0.0));
    })?;
    let mut map = vec![0.0; cells];
    for (a, score) in activations.chunks(cells).zip(&scores) {
        let weight = scores[channels] - score;
        map.iter_mut().zip(a).for_each(|(m, &a)| *m += weight * f64::from(a));
    }
    Ok(map)
}
