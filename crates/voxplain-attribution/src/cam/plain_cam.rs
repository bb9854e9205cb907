//! [`Cam`]: the class activation map of a network that averages and then weighs.

use super::activation_map::{self, Placement};
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
use voxplain_nn::{Linear, Network, Op, OpClass};

/// CAM (Zhou et al. 2016, arXiv 1512.04150, equation 2): `M = sum_k w_k A^k` with the weights of the linear layer
/// that follows a global average pool.
///
/// Works only for networks that end in global average pooling and one linear layer; others are refused. There the
/// mean of the map over cells is the logit without its bias, which the record holds with its residual. Scores on
/// other scales weigh the classes' weights by their own gradient at the logits. Signed; upsampled at the true
/// centres of the layer's cells. One pass forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cam {
    /// Keep what is positive only.
    pub rectify: bool,
}

/// The layer in front of the average, and the weights after it.
fn head(network: &Network) -> Result<(Layer, &Linear)> {
    let nodes = network.nodes();
    let refuse = |found: &str| {
        Error::request(
            format!("cam needs a network that ends in a global average and one linear layer; this one ends in {found}"),
            "use hires-cam, which is the same where cam exists, and weighs every position of a flattened layer by its own gradient",
        )
    };
    let last = &nodes[network.output().0];
    let Op::Linear(linear) = &last.op else { return Err(refuse("no linear layer")) };
    let mut at = last.inputs[0];
    while nodes[at.0].op.class() == OpClass::Identity {
        let from = nodes[at.0].inputs[0];
        let shape = network.shape(from)?;
        if network.shape(at)?.len() < shape.len() && shape[1..] != [1, 1, 1] {
            return Err(refuse("volumes that are flattened into a linear layer"));
        }
        at = from;
    }
    if nodes[at.0].op != Op::GlobalAvgPool {
        return Err(refuse(&format!("{} in front of its linear layer", nodes[at.0].name)));
    }
    Ok((Layer::find(network, &nodes[nodes[at.0].inputs[0].0].name)?, linear))
}

impl Method for Cam {
    const NAME: &'static str = "cam";
    const SUMMARY: &'static str = "activations weighted by the linear layer behind a global average (Zhou 2016)";
    const FAMILY: Family = Family::Cam;
    const CITATION: Option<Citation> = Some(citation::ZHOU_2016);
    const OPTIONS: &'static [OptionSchema] = &[OptionSchema::RECTIFY];
    const BATCH: usize = 1;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        head(explainer.network()).map(|_| ())
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl Cam {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let (layer, linear) = head(explainer.network())?;
        let linear = linear.clone();
        let (logits, activations) = explainer.activations(case, layer.node)?;
        let objective = case.objective(Method::target(self), &logits)?;
        let mut of_class = vec![0.0; logits.len()];
        objective.output_gradient(&logits, &mut of_class);
        let cells: usize = layer.cells().iter().product();
        let mut map = vec![0.0; cells];
        for (k, a) in activations.chunks(cells).enumerate() {
            let rows = linear.weight.data().chunks(linear.input).zip(&of_class);
            let weight: f64 = rows.map(|(row, &s)| f64::from(row[k]) * f64::from(s)).sum();
            map.iter_mut().zip(a).for_each(|(m, &a)| *m += weight * f64::from(a));
        }
        let mean = map.iter().sum::<f64>() / cells as f64;
        let mut record = self.record(explainer, case, &objective, &logits);
        record.passes = Passes { forward: 1, backward: 0 };
        let Objective { class, minus, score } = objective;
        activation_map::attribution(case, &layer, map, record, (self.rectify, Placement::Centres), |record| {
            record.units = format!("{} times the {cells} cells of {}", case.score, layer.name);
            if matches!(score, Score::Logit | Score::Value) {
                let bias = |c: usize| f64::from(linear.bias.data()[c]);
                let sum = record.measured["Sum"].clone();
                record.complete(mean, record.score - bias(class) + minus.map_or(0.0, bias), 0.01);
                record.measured["Sum"] = sum;
                record.measured["Mean"] = mean.into();
            }
        })
    }
}
