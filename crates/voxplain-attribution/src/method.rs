//! [`Method`], a way to explain a score, and [`AnyMethod`], the same without its type.

use crate::baseline::Baseline;
use crate::case::Case;
use crate::explainer::{BackwardPass, Explainer};
use crate::facts::{Control, Family, Reading, RuleTarget};
use crate::record::{Attribution, Passes, Record};
use crate::schema::OptionSchema;
use crate::target::{Objective, Score, Target};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use voxplain_core::{Citation, Result};

/// A method of attribution: its options, and what it does with them.
///
/// A method is a struct of its options. It needs a name, a line about what it shows, and [`Method::explain`];
/// the rest has defaults. [`Method::record`] and [`Method::attributions`] do what most methods have in common.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use voxplain_attribution::{Attribution, Case, Explainer, Method};
/// use voxplain_core::Result;
/// use voxplain_nn::Rules;
///
/// /// The gradient's square, voxel by voxel.
/// #[derive(Clone, Debug, Default, Serialize, Deserialize)]
/// struct SquaredGradient {}
///
/// impl Method for SquaredGradient {
///     const NAME: &'static str = "squared-gradient";
///     const SUMMARY: &'static str = "square of the gradient of the score";
///
///     fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
///         let pass = explainer.backward(cases, self.target(), &Rules::GRADIENT, &[])?;
///         self.attributions(explainer, cases, &pass, |case, gradient, record| {
///             record.units = format!("square of {} per unit of input intensity", case.score);
///             record.sign = "never negative: how fast the score changes, in either direction".into();
///             Ok(gradient.iter().map(|g| g * g).collect())
///         })
///     }
/// }
/// ```
pub trait Method: Clone + Debug + Default + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Its name, `grad-cam`.
    const NAME: &'static str;
    /// What it shows, in a line.
    const SUMMARY: &'static str;

    /// Its family.
    const FAMILY: Family = Family::Own;

    /// The work that it comes from.
    const CITATION: Option<Citation> = None;

    /// What kind of control it is, for one that knows nothing of the network.
    const CONTROL: Option<Control> = None;

    /// What the sign of its maps means: by that deletion and insertion take the absolute or the signed values.
    const READING: Reading = Reading::Attribution;

    /// What its rule is applied to, where it has one.
    const RULE: Option<RuleTarget> = None;

    /// Its place among the methods whose strongest parts are drawn in one picture, from 1, where there is not room for all.
    const CONTOUR: Option<u8> = None;

    /// What its options may be. A method without it has its options set by the type of their defaults.
    const OPTIONS: &'static [OptionSchema] = &[];

    /// How many cases to give it at once.
    const BATCH: usize = 4;

    /// Whether it needs the regions of an atlas ([`Case::regions`]).
    const BY_REGION: bool = false;

    /// The baselines that its option `baseline` may be set to; none for a method without that option.
    const BASELINES: &'static [Baseline] = &[];

    /// What it explains unless told otherwise.
    fn target(&self) -> Target {
        Target::Predicted
    }

    /// Refuses, in words, options or a network or context that the method cannot work with.
    ///
    /// # Errors
    /// It cannot work with them.
    fn suits(&self, _explainer: &Explainer, _score: Score) -> Result<()> {
        Ok(())
    }

    /// One attribution per case, in their order. The cases have the network's shape and finite values.
    ///
    /// # Errors
    /// A case cannot be explained; the error names it.
    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>>;

    /// The record of a case so far: all but units, sign and what the method measured.
    fn record(&self, explainer: &Explainer, case: &Case<'_>, objective: &Objective, logits: &[f32]) -> Record {
        Record {
            method: Self::NAME.into(),
            subject: case.id.into(),
            target: objective.describe_for(explainer.task()),
            class: objective.class,
            score: objective.value(logits),
            classes: explainer.classes().to_vec(),
            value: explainer.task().value().cloned(),
            logits: logits.iter().map(|&z| f64::from(z)).collect(),
            truth: case.label,
            units: String::new(),
            sign: String::new(),
            parameters: parameters(self),
            rules_applied: None,
            measured: serde_json::json!({}),
            passes: Passes { forward: 1, backward: 1 },
            requested: (case.target.unwrap_or_else(|| self.target()), case.score),
            compat: None,
            atlas: case.regions.filter(|_| Self::BY_REGION).map(|regions| regions.atlas.clone()),
            model: explainer.model().into(),
            input: case.hash(),
            prepared: None,
            mask: None,
            whole_heads: None,
            imported: None,
            channels: None,
            zero: None,
            unseen: explainer.unseen(case),
            in_sample: case.in_sample,
            cost: None,
            layers: Vec::new(),
            files: Vec::new(),
            warnings: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            image_hash: None,
        }
    }

    /// One attribution per case from a backward pass. `map` is given a case, what reached its input and its record so far; it
    /// turns the second into the map (`[channels][i][j][k]`) and completes the third.
    ///
    /// # Errors
    /// Those of `map`; a map with a value that is not finite.
    fn attributions(
        &self,
        explainer: &Explainer,
        cases: &[Case<'_>],
        pass: &BackwardPass,
        map: impl Fn(&Case<'_>, &[f32], &mut Record) -> Result<Vec<f32>>,
    ) -> Result<Vec<Attribution>> {
        let values = pass.input.len() / cases.len();
        let one = |(n, case): (usize, &Case<'_>)| {
            let mut record = self.record(explainer, case, &pass.objectives[n], &pass.logits[n]);
            let map = map(case, &pass.input[n * values..(n + 1) * values], &mut record)?;
            Attribution::new(case, map, record)
        };
        cases.iter().enumerate().map(one).collect()
    }
}

/// A method with its options chosen: [`Method`] without its type, so that methods can be held in a list.
pub trait AnyMethod: Debug + Send + Sync {
    /// [`Method::NAME`].
    fn name(&self) -> &'static str;
    /// [`Method::BATCH`].
    fn batch(&self) -> usize;
    /// [`Method::BY_REGION`].
    fn by_region(&self) -> bool;
    /// Every option with its value, as JSON.
    fn parameters(&self) -> serde_json::Value;
    /// [`Method::target`].
    fn target(&self) -> Target;
    /// [`Method::suits`].
    ///
    /// # Errors
    /// The method cannot work with the network or in this context.
    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()>;
    /// [`Method::explain`], after [`Method::suits`] and a check of the cases' shapes.
    ///
    /// # Errors
    /// Those of [`Explainer::check`], [`Method::suits`] and [`Method::explain`].
    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>>;
}

impl<M: Method> AnyMethod for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn batch(&self) -> usize {
        M::BATCH
    }

    fn by_region(&self) -> bool {
        M::BY_REGION
    }

    fn parameters(&self) -> serde_json::Value {
        parameters(self)
    }

    fn target(&self) -> Target {
        Method::target(self)
    }

    fn suits(&self, explainer: &Explainer, score: Score) -> Result<()> {
        Method::suits(self, explainer, score)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        for case in cases {
            explainer.check(case)?;
            if case.score.of_task(explainer.task())? != case.score {
                return Err(case.refuse(
                    "the network predicts a value, and a logit was asked for",
                    "explain the value (`Score::Value`)",
                ));
            }
            Method::suits(self, explainer, case.score)?;
        }
        Method::explain(self, explainer, cases)
    }
}

impl Explainer {
    /// One attribution per case, in their order.
    ///
    /// # Errors
    /// The method cannot work with the network or in this context, or a case cannot be explained: another shape than the
    /// network's, values that are not finite, a target that does not exist.
    pub fn explain(&mut self, method: &dyn AnyMethod, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        method.explain(self, cases)
    }
}

/// Every option of a method with its value.
pub(crate) fn parameters(method: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(method).unwrap_or_default()
}
