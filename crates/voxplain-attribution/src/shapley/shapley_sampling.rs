//! [`ShapleySampling`]: Shapley values of the regions of an atlas, by random orders.

use super::attribution;
use crate::baseline::{Baseline, BaselineOptions};
use crate::case::Case;
use crate::citation;
use crate::coalition::CoalitionGame;
use crate::explainer::Explainer;
use crate::facts::Family;
use crate::method::Method;
use crate::record::Attribution;
use crate::schema::OptionSchema;
use crate::target::Score;
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::{Error, Result, random::Seed};

/// Shapley values by sampling of permutations (Castro et al. 2009; Strumbelj and Kononenko 2014).
///
/// The players are the regions of an atlas and the brain that no region covers; `v(T)` is the score of the image in which
/// all players but those of `T` are replaced by the baseline. A player's value is the mean, over random orders, of what the score
/// gains when the player comes in after those before it. The values of each order sum to `S(x) - v(nobody)` exactly,
/// so do their means; the record has what rounding leaves.
///
/// Orders come in antithetic pairs, each with its reverse (Mitchell et al. 2022), and a standard error is that of the mean over
/// pairs. The map shares each region's value out evenly among its voxels, so that it sums to
/// `S(x) - v(nobody)` too.
///
/// Cost: `permutations * (regions - 1)` passes forward. The papers take thousands of orders; the default of 20 takes
/// about 5000 passes for an atlas of 246 regions, and its standard errors say what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShapleySampling {
    /// Orders; an even number of at least 4.
    pub permutations: usize,
    /// What takes the place of players who are out.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for ShapleySampling {
    fn default() -> Self {
        Self { permutations: 20, baseline: Baseline::Blur, blur: 10.0, seed: Seed::new(0) }
    }
}

impl Method for ShapleySampling {
    const NAME: &'static str = "shapley-sampling";
    const SUMMARY: &'static str = "Shapley values of an atlas's regions, by random orders (Castro 2009)";
    const FAMILY: Family = Family::Shapley;
    const CITATION: Option<Citation> = Some(citation::CASTRO_2009);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::whole("permutations", 4, u64::MAX, "orders; an even number"),
        OptionSchema::baseline("what takes the place of regions that are out"),
        OptionSchema::BLUR,
        OptionSchema::SEED,
    ];
    const BATCH: usize = 1;
    const BY_REGION: bool = true;
    const BASELINES: &'static [Baseline] = Baseline::FOR_HOLES;

    fn suits(&self, explainer: &Explainer, _score: Score) -> Result<()> {
        BaselineOptions::new(Self::NAME, self.baseline, self.blur).check(Self::BASELINES, explainer)
    }

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        cases.iter().map(|case| self.one(explainer, case)).collect()
    }
}

impl ShapleySampling {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        if self.permutations < 4 || !self.permutations.is_multiple_of(2) {
            return Err(Error::request(
                format!("shapley-sampling.permutations={}: expected an even number of at least 4", self.permutations),
                "orders come in pairs, and a standard error needs two of them",
            ));
        }
        let baseline = BaselineOptions::new(Self::NAME, self.baseline, self.blur);
        let mut game = CoalitionGame::new(explainer, case, &baseline, self.target())?;
        let players = game.players();
        let random = self.seed.child(Self::NAME).child(case.id);
        let pairs = self.permutations / 2;
        let orders: Vec<Vec<usize>> = (0..pairs)
            .flat_map(|pair| {
                let order = random.index(pair as u64).random().permutation(players);
                let reverse = order.iter().rev().copied().collect();
                [order, reverse]
            })
            .collect();

        // Nobody, then every order's coalitions as its players come in, but for the last, which is the image.
        let steps = players - 1;
        let scores = game.values(explainer, 1 + orders.len() * steps, |n, present| {
            if let Some(n) = n.checked_sub(1) {
                orders[n / steps][..=n % steps].iter().for_each(|&player| present[player] = true);
            }
        })?;
        let (grand, empty) = (game.grand(), scores[0]);
        let (mut sums, mut squares) = (vec![0.0; players], vec![0.0; players]);
        for pair in 0..pairs {
            let mut gains = vec![0.0; players];
            for number in [2 * pair, 2 * pair + 1] {
                let mut before = empty;
                for (step, &player) in orders[number].iter().enumerate() {
                    let after = if step == steps { grand } else { scores[1 + number * steps + step] };
                    gains[player] += (after - before) / 2.0;
                    before = after;
                }
            }
            for ((sum, square), gain) in sums.iter_mut().zip(&mut squares).zip(gains) {
                *sum += gain;
                *square += gain * gain;
            }
        }
        let n = pairs as f64;
        let values: Vec<f64> = sums.iter().map(|s| s / n).collect();
        let variance = |(square, value): (&f64, &f64)| ((square / n - value * value) * n / (n - 1.0)).max(0.0);
        let errors: Vec<f64> = squares.iter().zip(&values).map(|pair| (variance(pair) / n).sqrt()).collect();
        attribution(self, explainer, &game, (&values, &errors), empty, json!({}))
    }
}
