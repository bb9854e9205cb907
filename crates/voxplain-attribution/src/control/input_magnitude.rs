//! [`InputMagnitude`]: the size of the image's values, a control.

use super::map::map_each;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Control, Family};
use crate::method::Method;
use crate::record::Attribution;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;

/// The size of the image's values, `|x|`.
///
/// A control: it does not depend on the network. One pass forward, for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct InputMagnitude {}

impl Method for InputMagnitude {
    const NAME: &'static str = "input-magnitude";
    const SUMMARY: &'static str = "control: the size of the image's values";
    const FAMILY: Family = Family::Control;
    const CITATION: Option<Citation> = Some(citation::ADEBAYO_2018);
    const CONTROL: Option<Control> = Some(Control::Input);

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        map_each(self, explainer, cases, |case, record| {
            record.units = "input intensity".into();
            record.sign = "never negative: how far the intensity is from 0".into();
            case.values().iter().map(|v| v.abs()).collect()
        })
    }
}
