//! [`Reference`]: the input that the explained one is compared with, by methods that share out a difference of scores.
//! Papers on integrated gradients call it the baseline, DeepLIFT's calls it the reference.

use crate::{Case, Explainer, Objective};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use voxplain_core::random::Seed;
use voxplain_volume::Border;

/// The input that the explained one is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// Zeros: the background, and after robust or z-scored normalisation also the median or mean intensity of the
    /// brain.
    #[default]
    Zero,
    /// The image itself, blurred over the whole grid.
    Blur,
    /// The mean of everyone that the model was trained on.
    Mean,
    /// The mean of those of another class than the explained one (the class whose score is subtracted, for a
    /// difference; all others, where there are more than two classes).
    Opposite,
    /// Each of several people that the model was trained on in turn; the map is the mean over them.
    Expected,
}

/// What a baseline is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making<'a> {
    /// The method, for messages.
    pub(crate) method: &'a str,
    pub(crate) baseline: Reference,
    /// Standard deviation of the blur, in mm.
    pub(crate) blur: f64,
    /// People of [`Reference::Expected`].
    pub(crate) donors: usize,
    pub(crate) seed: Seed,
}

impl Making<'_> {
    /// Refuses what cannot be made, here or anywhere.
    pub(crate) fn suits(&self, explainer: &Explainer) -> Result<()> {
        let Self { method, baseline, blur, donors, .. } = *self;
        let wrong = |what: String| Err(Error::request(what, "leave it out to take the default"));
        match baseline {
            Reference::Blur if blur.is_nan() || blur <= 0.0 => {
                wrong(format!("{method}.blur={blur}: expected more than 0"))
            }
            Reference::Expected if donors == 0 => wrong(format!("{method}.donors=0: expected at least 1")),
            Reference::Mean | Reference::Opposite | Reference::Expected => {
                explainer.require_donors(&format!("{method} with baseline {}", name(baseline)))
            }
            Reference::Zero | Reference::Blur => Ok(()),
        }
    }

    /// The baselines of a case, one or several.
    pub(crate) fn of(
        &self,
        explainer: &mut Explainer,
        case: &Case<'_>,
        objective: &Objective,
    ) -> Result<Vec<Arc<[f32]>>> {
        let classes = explainer.network().outputs();
        Ok(match self.baseline {
            Reference::Zero => vec![vec![0.0; case.values().len()].into()],
            Reference::Blur => {
                vec![case.each_channel(|channel| channel.smooth(self.blur, Border::Renormalize).into_data()).into()]
            }
            Reference::Mean => {
                vec![explainer.donors(self.method)?.mean(&(0..classes).collect::<Vec<_>>(), case)?.into()]
            }
            Reference::Opposite => {
                let others: Vec<usize> = match objective.minus {
                    Some(minus) => vec![minus],
                    None => (0..classes).filter(|&c| c != objective.class).collect(),
                };
                vec![explainer.donors(self.method)?.mean(&others, case)?.into()]
            }
            Reference::Expected => {
                let drawn = explainer.donors(self.method)?.draw(self.donors, self.seed, case)?;
                drawn.into_iter().map(|d| d.values).collect()
            }
        })
    }

    /// The baseline in words.
    pub(crate) fn describe(&self, count: usize) -> String {
        match self.baseline {
            Reference::Zero => "zeros".into(),
            Reference::Blur => format!("the image blurred by {} mm", self.blur),
            Reference::Mean => "the mean of the people that the model was trained on".into(),
            Reference::Opposite => "the mean of the people of the opposite class that the model was trained on".into(),
            Reference::Expected => format!("{count} people that the model was trained on, averaged over"),
        }
    }
}

fn name(baseline: Reference) -> String {
    serde_json::to_value(baseline).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
