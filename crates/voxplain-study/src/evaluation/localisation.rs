//! [`Localisation`]: does a map lie where the truth is known to be?
//!
//! Only simulated cohorts know the truth. All measures look inside the brain mask alone.

use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result};
use voxplain_volume::{Mask, Volume};

/// Which part of a signed map counts as relevance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relevance {
    /// `|map|`: where the network looked, for or against (Oliveira 2024, XAI-TRIS).
    #[default]
    Absolute,
    /// `max(map, 0)`: what spoke for the explained score (Arras 2020).
    Positive,
}

impl Relevance {
    fn of(self, value: f32) -> f64 {
        match self {
            Self::Absolute => f64::from(value).abs(),
            Self::Positive => f64::from(value).max(0.0),
        }
    }
}

/// Agreement of one map with a mask of the truth `T`, inside the brain `B`. All shares lie in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Localisation {
    /// `|T| / |B|`: what [`Self::mass`] and [`Self::precision`] are on average for a map that knows nothing.
    pub chance: f64,
    /// Relevance mass accuracy (Arras 2020): relevance in `T` over relevance in `B`. Absent for a map of zeros.
    pub mass: Option<f64>,
    /// `mass / chance`: 1 for a map that knows nothing.
    pub enrichment: Option<f64>,
    /// Relevance rank accuracy (Arras 2020): of the `|T|` most relevant voxels, the share that lies in `T`.
    /// Voxels that tie at the edge count by their expected share.
    pub precision: f64,
    /// Probability that a voxel of `T` is more relevant than one of the rest of `B` (ties count half): 0.5 is chance.
    pub auc: f64,
    /// Whether the most relevant voxel lies in `T` (pointing game, no tolerance; the first of equals).
    /// Absent for a map of zeros.
    pub hit: Option<bool>,
}

impl Localisation {
    /// Compares a map with the truth. All three must lie on grids of one shape; where the truth leaves the brain
    /// it does not count.
    pub fn new(map: &Volume, truth: &Mask, brain: &Mask, relevance: Relevance) -> Result<Self> {
        if map.shape() != truth.shape() || map.shape() != brain.shape() {
            return Err(Error::request(
                format!(
                    "a map of shape {:?} cannot be compared with a truth of shape {:?} in a brain of shape {:?}",
                    map.shape(),
                    truth.shape(),
                    brain.shape()
                ),
                "bring all three to one grid",
            ));
        }
        let mut voxels: Vec<(f64, bool)> = (map.data().iter().zip(truth.data()).zip(brain.data()))
            .filter(|(_, brain)| **brain)
            .map(|((value, truth), _)| (relevance.of(*value), *truth))
            .collect();
        let inside = voxels.iter().filter(|(_, t)| *t).count();
        if inside == 0 || inside == voxels.len() {
            return Err(Error::request(
                format!("the truth covers {inside} of the {} voxels of the brain", voxels.len()),
                "a truth that is part of the brain, not none or all of it, is needed",
            ));
        }
        if voxels.iter().any(|(v, _)| !v.is_finite()) {
            return Err(Error::request("the map holds values that are not numbers", "make the map again"));
        }
        let chance = inside as f64 / voxels.len() as f64;
        let total: f64 = voxels.iter().map(|(v, _)| v).sum();
        let hit = (total > 0.0).then(|| {
            // `max_by` would keep the last of equals.
            voxels.iter().fold((f64::NEG_INFINITY, false), |best, &v| if v.0 > best.0 { v } else { best }).1
        });
        let mass = (total > 0.0).then(|| voxels.iter().filter(|(_, t)| *t).map(|(v, _)| v).sum::<f64>() / total);
        voxels.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (precision, auc) = ranks(&voxels, inside);
        Ok(Self { chance, mass, enrichment: mass.map(|m| m / chance), precision, auc, hit })
    }
}

/// Rank accuracy and area under the curve of voxels sorted by falling relevance; ties are handled as groups.
fn ranks(voxels: &[(f64, bool)], inside: usize) -> (f64, f64) {
    let outside = voxels.len() - inside;
    let (mut seen, mut outside_above) = (0, 0);
    let (mut found, mut won) = (0.0, 0.0);
    for group in voxels.chunk_by(|a, b| a.0 == b.0) {
        let truths = group.iter().filter(|(_, t)| *t).count();
        let others = group.len() - truths;
        let room = inside.saturating_sub(seen).min(group.len());
        found += truths as f64 * room as f64 / group.len() as f64;
        won += truths as f64 * ((outside - outside_above - others) as f64 + 0.5 * others as f64);
        seen += group.len();
        outside_above += others;
    }
    (found / inside as f64, won / (inside as f64 * outside as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use voxplain_volume::{Affine, Grid};

    fn line<T>(values: Vec<T>) -> Volume<T> {
        let grid = Grid::new([1, 1, values.len()], Affine::IDENTITY).unwrap();
        Volume::new(grid, values).unwrap()
    }

    fn measure(map: Vec<f32>, truth: Vec<bool>) -> Localisation {
        let brain = line(vec![true; map.len()]);
        Localisation::new(&line(map), &line(truth), &brain, Relevance::Absolute).unwrap()
    }

    #[test]
    fn by_hand() {
        // Six voxels, two of them true: relevance 4 + 1 of 10 lies inside; the top two hold one of the two.
        let l = measure(vec![-4.0, 3.0, 1.0, 2.0, 0.0, 0.0], vec![true, false, true, false, false, false]);
        assert_eq!(l.chance, 2.0 / 6.0);
        assert_eq!(l.mass, Some(0.5));
        assert!((l.enrichment.unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(l.precision, 0.5);
        // Pairs won: voxel 0 beats all 4; voxel 2 beats the two zeros: 6 of 8.
        assert_eq!(l.auc, 0.75);
        assert_eq!(l.hit, Some(true));
    }

    #[test]
    fn a_map_of_zeros_is_at_chance_and_says_no_more() {
        let l = measure(vec![0.0; 4], vec![true, false, false, false]);
        assert_eq!((l.mass, l.enrichment, l.hit), (None, None, None));
        assert_eq!((l.precision, l.auc), (0.25, 0.5));
    }

    #[test]
    fn positive_relevance_leaves_out_what_spoke_against() {
        let (map, truth) = (line(vec![-4.0, 1.0]), line(vec![true, false]));
        let brain = line(vec![true; 2]);
        let l = Localisation::new(&map, &truth, &brain, Relevance::Positive).unwrap();
        assert_eq!((l.mass, l.hit), (Some(0.0), Some(false)));
    }

    #[test]
    fn what_lies_outside_the_brain_does_not_count() {
        let map = line(vec![1.0, 1.0, 100.0]);
        let l = Localisation::new(
            &map,
            &line(vec![true, false, true]),
            &line(vec![true, true, false]),
            Relevance::Absolute,
        );
        assert_eq!(l.unwrap().mass, Some(0.5));
    }

    #[test]
    fn nonsense_is_refused() {
        let (map, brain) = (line(vec![1.0, 2.0]), line(vec![true; 2]));
        for truth in [vec![true; 2], vec![false; 2]] {
            assert!(Localisation::new(&map, &line(truth), &brain, Relevance::Absolute).is_err());
        }
        assert!(
            Localisation::new(&line(vec![f32::NAN, 1.0]), &line(vec![true, false]), &brain, Relevance::Absolute)
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn agrees_with_counting_pairs(voxels in prop::collection::vec((0u8..6, any::<bool>()), 2..40)) {
            let inside = voxels.iter().filter(|v| v.1).count();
            prop_assume!(inside > 0 && inside < voxels.len());
            let l = measure(voxels.iter().map(|v| f32::from(v.0)).collect(), voxels.iter().map(|v| v.1).collect());
            let mut won = 0.0;
            for t in voxels.iter().filter(|v| v.1) {
                for o in voxels.iter().filter(|v| !v.1) {
                    won += if t.0 > o.0 { 1.0 } else if t.0 == o.0 { 0.5 } else { 0.0 };
                }
            }
            prop_assert!((l.auc - won / (inside * (voxels.len() - inside)) as f64).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&l.precision));
        }
    }
}
