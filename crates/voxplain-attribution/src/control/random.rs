//! [`Random`]: a smooth random map, a control.

use super::map::map_each;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Control, Family};
use crate::method::Method;
use crate::record::Attribution;
use crate::schema::{OptionSchema, Unit};
use crate::target::Score;
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::{Error, Result, random::Seed};
use voxplain_volume::Border;

/// A smooth random map: independent standard normal numbers, smoothed by a Gaussian (renormalised at the edges).
/// Zero outside the brain mask, where there is one.
///
/// A control: it depends on neither network nor image, but on the seed and the subject's id. One pass forward, for
/// the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Random {
    /// Standard deviation of the smoothing, in mm.
    pub smooth: f64,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for Random {
    fn default() -> Self {
        Self { smooth: 6.0, seed: Seed::new(0) }
    }
}

impl Method for Random {
    const NAME: &'static str = "random";
    const SUMMARY: &'static str = "control: a smooth random map, by subject and seed";
    const FAMILY: Family = Family::Control;
    const CITATION: Option<Citation> = Some(citation::ADEBAYO_2018);
    const CONTROL: Option<Control> = Some(Control::Chance);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::number("smooth", Unit::Millimetre, 0.0, f64::MAX, "standard deviation of the smoothing"),
        OptionSchema::SEED,
    ];

    fn suits(&self, _explainer: &Explainer, _score: Score) -> Result<()> {
        if self.smooth.is_nan() || self.smooth < 0.0 {
            return Err(Error::request(
                format!("random.smooth={}: expected 0 mm or more", self.smooth),
                "6mm is the default",
            ));
        }
        Ok(())
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        map_each(self, explainer, cases, |case, record| {
            record.units = "none: random numbers".into();
            record.sign = "says nothing: random".into();
            let mut random = self.seed.child(Self::NAME).child(case.id).random();
            #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
            let noise = case.image.map(|_| random.normal() as f32);
            let mut map = noise.smooth(self.smooth, Border::Renormalize).into_data();
            if let Some(mask) = case.mask {
                map.iter_mut().zip(mask.data()).filter(|(_, inside)| !**inside).for_each(|(v, _)| *v = 0.0);
            }
            map
        })
    }
}
