//! [`KernelShap`]: Shapley values of the regions of an atlas, by a weighted regression.

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
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use serde_json::json;
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_core::random::{Random, Seed};

/// `KernelSHAP` (Lundberg and Lee 2017, arXiv 1705.07874, section 4.1), over the regions of an atlas.
///
/// The players are the regions and the brain that no region covers; `v(T)` is the score of the image in which all players but those of
/// `T` are replaced by the baseline. With `z` the indicator of `T`, the values are the `phi` that minimise
///
/// ```text
/// sum over coalitions z of  w(|z|) (v(z) - v(0) - z . phi)^2,   w(k) = (M - 1) / (C(M, k) k (M - k)),
/// ```
///
/// under `sum phi = v(1) - v(0)`. The two ends, whose weight is infinite, are that constraint, met exactly (other
/// implementations give them a large weight). Where all coalitions fit into `samples` they are taken, each with its
/// weight, and the values are exact. Otherwise coalitions are drawn with probabilities in proportion to their weights, each with its
/// complement (Covert and Lee 2021, arXiv 2012.01536). The map shares each region's value out evenly
/// among its voxels, so that it sums to `S(x) - v(0)`.
///
/// Standard errors are those of the regression with pairs as clusters (the sandwich of White 1980, with its correction for
/// the `M - 1` free values); 0 where the values are exact.
///
/// Cost: `samples + 1` passes forward, by default `2 M + 2048` samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct KernelShap {
    /// Coalitions, without the two ends; 0 for `2 M + 2048` with `M` regions.
    pub samples: usize,
    /// What takes the place of players who are out.
    pub baseline: Baseline,
    /// Standard deviation of the Gaussian of the baseline `blur`, in mm.
    pub blur: f64,
    /// Where the random numbers start.
    pub seed: Seed,
}

impl Default for KernelShap {
    fn default() -> Self {
        Self { samples: 0, baseline: Baseline::Blur, blur: 10.0, seed: Seed::new(0) }
    }
}

impl Method for KernelShap {
    const NAME: &'static str = "kernel-shap";
    const SUMMARY: &'static str = "Shapley values of an atlas's regions, by weighted regression (Lundberg 2017)";
    const FAMILY: Family = Family::Shapley;
    const CITATION: Option<Citation> = Some(citation::LUNDBERG_2017);
    const OPTIONS: &'static [OptionSchema] = &[
        OptionSchema::whole(
            "samples",
            0,
            u64::MAX,
            "coalitions, without the two ends; 0 for 2 M + 2048 with M regions",
        ),
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

impl KernelShap {
    fn one(&self, explainer: &mut Explainer, case: &Case<'_>) -> Result<Attribution> {
        let baseline = BaselineOptions::new(Self::NAME, self.baseline, self.blur);
        let mut game = CoalitionGame::new(explainer, case, &baseline, self.target())?;
        let players = game.players();
        let samples = if self.samples == 0 { 2 * players + 2048 } else { self.samples };
        let drawn = Coalitions::new(players, samples, self.seed.child(Self::NAME).child(case.id)).ok_or_else(|| {
            case.refuse(
                format!("kernel-shap.samples={samples} is too few for {players} regions"),
                format!("give at least {}, or 0 for the default", 4 * players),
            )
        })?;
        // Nobody first.
        let scores = game.values(explainer, drawn.members.len() + 1, |n, present| {
            if let Some(n) = n.checked_sub(1) {
                present.copy_from_slice(&drawn.members[n]);
            }
        })?;
        let empty = scores[0];
        let gains: Vec<f64> = scores[1..].iter().map(|s| s - empty).collect();
        let (values, errors) = drawn.fit(&gains, game.grand() - empty).ok_or_else(|| {
            case.refuse(
                format!("kernel-shap: {} coalitions do not determine {players} values", drawn.members.len()),
                "give more samples",
            )
        })?;
        let own = json!({ "Coalitions": drawn.members.len(), "Exact": drawn.exact });
        attribution(self, explainer, &game, (&values, &errors), empty, own)
    }
}

/// Coalitions of players and how much each counts.
#[derive(Clone, Debug)]
struct Coalitions {
    players: usize,
    members: Vec<Vec<bool>>,
    weights: Vec<f64>,
    /// Whether these are all there are; otherwise they are pairs, each coalition followed by its complement.
    exact: bool,
}

impl Coalitions {
    /// All coalitions but the two ends where no more than `samples` are, else so many drawn in pairs; none where they could not
    /// determine the values and their errors.
    fn new(players: usize, samples: usize, seed: Seed) -> Option<Self> {
        // Beyond 2^20 coalitions nobody asks for all of them.
        if players <= 20 && (1usize << players) - 2 <= samples {
            let members: Vec<Vec<bool>> =
                (1..(1usize << players) - 1).map(|set| (0..players).map(|p| set >> p & 1 == 1).collect()).collect();
            let weights = members.iter().map(|m| kernel(players, size(m))).collect();
            return Some(Self { players, members, weights, exact: true });
        }
        if samples < 4 * players {
            return None;
        }
        let of_size: Vec<f64> = (1..players).map(|k| 1.0 / (k * (players - k)) as f64).collect();
        let members: Vec<Vec<bool>> = (0..samples / 2)
            .flat_map(|pair| {
                let mut random = seed.index(pair as u64).random();
                let size = 1 + draw(&of_size, &mut random);
                let mut present = vec![false; players];
                random.permutation(players)[..size].iter().for_each(|&player| present[player] = true);
                let complement = present.iter().map(|p| !p).collect();
                [present, complement]
            })
            .collect();
        Some(Self { players, weights: vec![1.0; members.len()], members, exact: false })
    }

    /// The values and their standard errors from what each coalition gains over nobody, when all together gain `whole`.
    fn fit(&self, gains: &[f64], whole: f64) -> Option<(Vec<f64>, Vec<f64>)> {
        let players = self.players;
        let mut normal = DMatrix::<f64>::zeros(players, players);
        let mut right = DVector::<f64>::zeros(players);
        for ((members, &weight), &gain) in self.members.iter().zip(&self.weights).zip(gains) {
            let present: Vec<usize> = (0..players).filter(|&p| members[p]).collect();
            for &a in &present {
                right[a] += weight * gain;
                present.iter().for_each(|&b| normal[(a, b)] += weight);
            }
        }
        if players == 1 {
            return Some((vec![whole], vec![0.0]));
        }
        let inverse = normal.cholesky()?.inverse();
        // Lagrange's multiplier brings the sum to `whole`: the solution moves along inverse * 1.
        let along = &inverse * DVector::from_element(players, 1.0);
        let free = &inverse * &right;
        let values = &free - &along * ((free.sum() - whole) / along.sum());
        let errors = if self.exact { vec![0.0; players] } else { self.errors(gains, &values, &inverse, &along) };
        Some((values.iter().copied().collect(), errors))
    }

    /// `sqrt diag(H (sum over pairs of g g^T) H)` with `g` a pair's `z * residual` and `H` the constrained inverse, times the correction.
    fn errors(&self, gains: &[f64], values: &DVector<f64>, inverse: &DMatrix<f64>, along: &DVector<f64>) -> Vec<f64> {
        let constrained = inverse - along * along.transpose() / along.sum();
        let pairs = self.members.len() / 2;
        let mut variance = vec![0.0; self.players];
        for (members, gains) in self.members.chunks_exact(2).zip(gains.chunks_exact(2)) {
            let mut pull = DVector::<f64>::zeros(self.players);
            for (members, gain) in members.iter().zip(gains) {
                let present = || (0..self.players).filter(|&p| members[p]);
                let residual = gain - present().map(|p| values[p]).sum::<f64>();
                present().for_each(|p| pull[p] += residual);
            }
            let moved = &constrained * pull;
            variance.iter_mut().zip(&moved).for_each(|(v, m)| *v += m * m);
        }
        let (n, free) = (pairs as f64, (self.players - 1) as f64);
        variance.iter().map(|v| (v * n / (n - free)).sqrt()).collect()
    }
}

/// The Shapley kernel of a coalition of `size` among `players`.
fn kernel(players: usize, size: usize) -> f64 {
    let choose = (0..size).fold(1.0, |c, n| c * (players - n) as f64 / (n + 1) as f64);
    (players - 1) as f64 / (choose * (size * (players - size)) as f64)
}

fn size(members: &[bool]) -> usize {
    members.iter().filter(|m| **m).count()
}

/// A position, in proportion to the weights.
fn draw(weights: &[f64], random: &mut Random) -> usize {
    let mut left = random.uniform() * weights.iter().sum::<f64>();
    let place = weights.iter().position(|w| {
        left -= w;
        left < 0.0
    });
    place.unwrap_or(weights.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A game of `players` whose worth is a rough function of the coalition.
    fn worth(members: &[bool]) -> f64 {
        let set = members.iter().enumerate().fold(0u64, |set, (p, &m)| set | u64::from(m) << p);
        if set == 0 {
            return 0.0;
        }
        let mut random = Seed::new(17).index(set).random();
        members.iter().enumerate().map(|(p, &m)| if m { p as f64 * 0.3 - 1.0 } else { 0.0 }).sum::<f64>()
            + random.normal()
            + 2.0 * f64::from(u8::from(members[0] && members[1]))
    }

    /// The definition: the mean gain over all coalitions of the others, weighted by `|T|! (M - |T| - 1)! / M!`.
    fn exact(players: usize) -> Vec<f64> {
        let members = |set: usize| -> Vec<bool> { (0..players).map(|p| set >> p & 1 == 1).collect() };
        let factorial = |n: usize| (1..=n).map(|x| x as f64).product::<f64>();
        (0..players)
            .map(|player| {
                (0..1usize << players)
                    .filter(|set| set >> player & 1 == 0)
                    .map(|set| {
                        let t = set.count_ones() as usize;
                        let weight = factorial(t) * factorial(players - t - 1) / factorial(players);
                        weight * (worth(&members(set | 1 << player)) - worth(&members(set)))
                    })
                    .sum()
            })
            .collect()
    }

    #[test]
    fn all_coalitions_give_the_exact_values() {
        for players in 2..=8 {
            let all = Coalitions::new(players, 300, Seed::new(0)).unwrap();
            assert!(all.exact && all.members.len() == (1 << players) - 2);
            let gains: Vec<f64> = all.members.iter().map(|m| worth(m)).collect();
            let (values, errors) = all.fit(&gains, worth(&vec![true; players])).unwrap();
            for (value, expected) in values.iter().zip(exact(players)) {
                assert!((value - expected).abs() < 1e-9, "{players}: {values:?}");
            }
            assert!(errors.iter().all(|&e| e == 0.0));
        }
    }

    #[test]
    fn drawn_coalitions_come_near_as_their_errors_say() {
        let (players, draws) = (8, 60);
        let truth = exact(players);
        let (mut squared, mut claimed, mut bias) = (0.0, 0.0, vec![0.0; players]);
        for seed in 0..draws {
            let some = Coalitions::new(players, 200, Seed::new(seed)).unwrap();
            assert!(!some.exact);
            assert!(some.members.chunks(2).all(|pair| pair[0].iter().zip(&pair[1]).all(|(a, b)| a != b)));
            let gains: Vec<f64> = some.members.iter().map(|m| worth(m)).collect();
            let whole = worth(&vec![true; players]);
            let (values, errors) = some.fit(&gains, whole).unwrap();
            assert!((values.iter().sum::<f64>() - whole).abs() < 1e-9);
            for p in 0..players {
                squared += (values[p] - truth[p]).powi(2);
                claimed += errors[p].powi(2);
                bias[p] += (values[p] - truth[p]) / draws as f64;
            }
        }
        let ratio = (squared / claimed).sqrt();
        assert!((0.8..1.25).contains(&ratio), "true over claimed error: {ratio}");
        let error = (squared / (draws * players as u64) as f64).sqrt();
        assert!(bias.iter().all(|b| b.abs() < 4.0 * error / (draws as f64).sqrt()), "{bias:?} {error}");
    }

    #[test]
    fn the_kernel_by_hand() {
        // Four players: 3 / (4 * 1 * 3), 3 / (6 * 2 * 2), 3 / (4 * 3 * 1).
        assert_eq!([1, 2, 3].map(|k| kernel(4, k)), [0.25, 0.125, 0.25]);
    }

    #[test]
    fn too_few_samples_are_refused() {
        assert!(Coalitions::new(30, 119, Seed::new(0)).is_none());
        assert!(Coalitions::new(30, 120, Seed::new(0)).is_some());
    }
}
