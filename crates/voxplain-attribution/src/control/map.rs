//! What the controls share.

use crate::case::Case;
use crate::explainer::Explainer;
use crate::method::Method;
use crate::record::{Attribution, Passes, Record};
use voxplain_core::Result;

/// A map of each case that needs nothing of the network but the record.
pub(super) fn map_each<M: Method>(
    method: &M,
    explainer: &mut Explainer,
    cases: &[Case<'_>],
    map: impl Fn(&Case<'_>, &mut Record) -> Vec<f32>,
) -> Result<Vec<Attribution>> {
    let logits = explainer.logits(cases)?;
    let one = |(case, logits): (&Case<'_>, &Vec<f32>)| {
        let objective = case.objective(method.target(), logits)?;
        let mut record = method.record(explainer, case, &objective, logits);
        record.passes = Passes { forward: 1, backward: 0 };
        record.warnings.push("A control: this map does not depend on the network.".into());
        let map = map(case, &mut record);
        Attribution::new(case, map, record)
    };
    cases.iter().zip(&logits).map(one).collect()
}
