//! [`ScoreCam`]: activations of a layer weighted by the score of the input seen through each.

use super::activation_map::{self, Placement};
use super::head::Head;
use super::options::CamOptions;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::layer::Layer;
use crate::method::Method;
use crate::record::{Attribution, Passes, Record};
use crate::schema::OptionSchema;
use crate::target::{Objective, Score};
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::{Error, Result, softmax};

/// Score-CAM (Wang et al. 2020, arXiv 1910.01279), in three dimensions: `M = sum_k w_k A^k`,
/// where `w` is the softmax over channels of `S(x * H^k)` and `H^k` is the channel's activation, upsampled and
/// scaled to `[0, 1]`.
///
/// No gradient is used. The paper subtracts the score of a baseline from each, which the softmax cancels. What
/// `H^k` hides becomes 0, so the method means something where zero means "nothing there". A channel whose upsampled
/// map is the same everywhere (within 1e-8) shows nothing and is left out. Signed by default (negative only where
/// activations are); the paper rectifies. Upsampled at the true centres of the layer's cells.
///
/// A network that predicts a value is refused: the softmax of numbers in years is another one than of the same in months.
///
/// Cost: for each layer one pass forward, and one for each of its channels. Memory: a batch of volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScoreCam {
    /// The layer, and what is kept of its map.
    #[serde(flatten)]
    pub cam: CamOptions,
}

impl Method for ScoreCam {
    const NAME: &'static str = "score-cam";
    const SUMMARY: &'static str =
        "activations of a layer weighted by the score of the input seen through each (Wang 2020)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::WANG_2020);
    const OPTIONS: &'static [OptionSchema] = &[OptionSchema::LAYER, OptionSchema::RECTIFY];
    const BATCH: usize = 1;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        if let Some(value) = explainer.task().value() {
            return Err(Error::request(
                format!(
                    "score-cam weighs channels by a softmax of their scores, and the network predicts a value, {value}: weights \
                     would change with its unit"
                ),
                "take another method of the family, such as ablation-cam or hires-cam",
            ));
        }
        self.cam.suits(explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl ScoreCam {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let layers = self.cam.layers(explainer)?;
        let head = Head::of(explainer.network(), &layers[layers.len() - 1]);
        let (logits, activations) = activation_map::activations(explainer, case, &layers)?;
        let objective = case.objective(Method::target(self), &logits)?;
        let mut record = self.record(explainer, case, &objective, &logits);
        record.passes = Passes { forward: layers.len(), backward: 0 };
        let mut maps = Vec::with_capacity(layers.len());
        for (layer, activations) in layers.iter().zip(&activations) {
            maps.push(weighted(explainer, case, (layer, activations), &objective, &mut record)?);
        }
        activation_map::attribution_of_layers(case, &layers, maps, record, (&self.cam, Placement::Centres), |record| {
            activation_map::warn_of_flattening(Self::NAME, &head, record);
            record.units =
                format!("activation of {}, averaged over channels by their scores", layers[layers.len() - 1].name);
        })
    }
}

/// The map of one layer's cells; the record is told what it took.
fn weighted(
    explainer: &mut Explainer,
    case: &Case<'_>,
    (layer, activations): (&Layer, &[f32]),
    objective: &Objective,
    record: &mut Record,
) -> Result<Vec<f64>> {
    let (x, voxels) = (&*case.values(), case.voxels());
    let cells: usize = layer.cells().iter().product();
    let mut upsampling = layer.upsampling(case.image.shape());
    let mut seen = vec![0.0; voxels];
    // Channels that show something, and the range of each.
    let mut shown: Vec<(usize, f32, f32)> = Vec::new();
    for (k, a) in activations.chunks(cells).enumerate() {
        upsampling.apply(a, &mut seen);
        let (lowest, highest) = seen.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), &v| (l.min(v), m.max(v)));
        if highest - lowest >= 1e-8 {
            shown.push((k, lowest, highest - lowest));
        }
    }
    let scores = explainer.scores(shown.len(), objective, |n, out| {
        let (k, lowest, range) = shown[n];
        upsampling.apply(&activations[k * cells..][..cells], &mut seen);
        for (out, x) in out.chunks_mut(voxels).zip(x.chunks(voxels)) {
            out.iter_mut().zip(x).zip(&seen).for_each(|((o, &x), s)| *o = x * ((s - lowest) / range));
        }
    })?;
    let weights = softmax(&scores);
    let mut map = vec![0.0; cells];
    for (&(k, ..), w) in shown.iter().zip(&weights) {
        map.iter_mut().zip(&activations[k * cells..]).for_each(|(m, &a)| *m += w * f64::from(a));
    }
    record.passes.forward += shown.len();
    record.measured["Channels"] = shown.len().into();
    record.measured["LargestWeight"] = weights.iter().copied().fold(0.0, f64::max).into();
    Ok(map)
}
