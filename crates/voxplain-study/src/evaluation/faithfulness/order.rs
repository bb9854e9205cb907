//! [`Blocks`]: the brain in blocks of voxels, and the order in which a map takes them.

use serde::{Deserialize, Serialize};
use voxplain_attribution::{Reading, method_named};
use voxplain_core::{Action, Error, Result, remedy};
use voxplain_volume::{Mask, Volume};

/// What of a signed map says which voxels come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ranking {
    /// As each method declares ([`Reading`]): absolute for sensitivity maps, signed for attributions (Ancona et al. 2018). It is
    /// resolved before a map is ranked.
    #[default]
    ByMethod,
    /// `map`: what speaks most for the explained score comes first, what speaks most against it last.
    Signed,
    /// `|map|`: what matters most comes first, for or against.
    Absolute,
    /// `max(map, 0)`: what speaks most for the explained score comes first; all that speaks against it ties at 0.
    Positive,
}

impl Ranking {
    /// What ranks the maps of a method. Of one that is not in the registry nothing is declared: it is taken for an attribution.
    #[must_use]
    pub fn for_method(self, name: &str) -> Self {
        match self {
            Self::ByMethod => match method_named(name).map(|method| method.reading) {
                Some(Reading::Sensitivity) => Self::Absolute,
                Some(Reading::Attribution) | None => Self::Signed,
            },
            chosen => chosen,
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ByMethod => "each method's own order: absolute for sensitivity maps, signed for attributions",
            Self::Signed => "signed relevance, what speaks most for the explained class first",
            Self::Absolute => "absolute relevance, the largest first",
            Self::Positive => "positive relevance, the largest first",
        }
    }

    /// In a word, for tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ByMethod => "by method",
            Self::Signed => "signed",
            Self::Absolute => "absolute",
            Self::Positive => "positive",
        }
    }

    pub(super) fn of(self, value: f32) -> f64 {
        let value = f64::from(value);
        match self {
            Self::ByMethod | Self::Signed => value,
            Self::Absolute => value.abs(),
            Self::Positive => value.max(0.0),
        }
    }
}

/// The voxels of a brain in blocks that are at least so many millimetres wide along every axis.
///
/// Blocks begin at the volume's first voxel, so that they do not depend on the brain; at its rim they hold fewer voxels.
/// A block is taken as a whole, for an order of single voxels could hide in an image what a network sees and
/// nobody else does: the salt and pepper of adversarial patterns.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Voxels of a block along each axis.
    pub size: [usize; 3],
    /// Number of blocks along each axis.
    pub(super) shape: [usize; 3],
    /// Width of a block in mm along each axis.
    pub(super) width: [f64; 3],
    /// Of each block that holds some of the brain: its place among all blocks, in C order, and its voxels of the brain.
    pub(super) blocks: Vec<(usize, Vec<usize>)>,
}

impl Blocks {
    /// The blocks of a brain; `width` in mm.
    ///
    /// # Errors
    /// A width that is not above 0; a mask without a voxel.
    pub fn new(brain: &Mask, width: f64) -> Result<Self> {
        if !(width.is_finite() && width > 0.0) {
            return Err(Error::request(format!("blocks of {width} mm"), "give a width above 0 mm"));
        }
        let (shape, spacing) = (brain.shape(), brain.grid().spacing());
        // A rounding error in the affine is not a reason for another voxel.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the volume")]
        let size: [usize; 3] =
            std::array::from_fn(|a| (width / spacing[a] - 1e-6).ceil().clamp(1.0, shape[a] as f64) as usize);
        let counts: [usize; 3] = std::array::from_fn(|a| shape[a].div_ceil(size[a]));
        let mut members = vec![Vec::new(); counts.iter().product()];
        for (n, _) in brain.data().iter().enumerate().filter(|(_, inside)| **inside) {
            let at: [usize; 3] = std::array::from_fn(|a| brain.grid().voxel(n)[a] / size[a]);
            members[(at[0] * counts[1] + at[1]) * counts[2] + at[2]].push(n);
        }
        let blocks: Vec<_> = members.into_iter().enumerate().filter(|(_, voxels)| !voxels.is_empty()).collect();
        if blocks.is_empty() {
            return Err(Error::request("the brain mask is empty", "prepare the subject again, with a mask"));
        }
        let width = std::array::from_fn(|a| size[a] as f64 * spacing[a]);
        Ok(Self { size, shape: counts, width, blocks })
    }

    /// Number of voxels of the brain.
    pub fn voxels(&self) -> usize {
        self.blocks.iter().map(|(_, voxels)| voxels.len()).sum()
    }

    /// The mean over each block's voxels of the brain of what ranks them.
    ///
    /// # Errors
    /// A map of another shape, or with values that are not numbers.
    pub fn values(&self, map: &Volume, brain: &Mask, ranking: Ranking) -> Result<Vec<f64>> {
        if map.shape() != brain.shape() {
            return Err(Error::request(
                format!("a map of shape {:?} cannot order a brain of shape {:?}", map.shape(), brain.shape()),
                remedy!["make the map again with ", Action::new("explain")],
            ));
        }
        let mean = |(_, voxels): &(usize, Vec<usize>)| {
            voxels.iter().map(|&n| ranking.of(map.data()[n])).sum::<f64>() / voxels.len() as f64
        };
        let values: Vec<f64> = self.blocks.iter().map(mean).collect();
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(Error::request("the map holds values that are not numbers", "make the map again")),
        }
    }

    /// Voxels by falling value of their block. Blocks that tie come by falling `ties`, and by their place where these
    /// tie, too; voxels of a block by their place.
    pub fn order(&self, values: &[f64], ties: &[f64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        // -0 is 0.
        let falling = |of: &[f64], a: usize, b: usize| (of[b] + 0.0).total_cmp(&(of[a] + 0.0));
        order.sort_by(|&a, &b| falling(values, a, b).then_with(|| falling(ties, a, b)).then(a.cmp(&b)));
        order.iter().flat_map(|&n| self.blocks[n].1.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use voxplain_volume::{Affine, Grid};

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
        Grid::new(shape, Affine::from_spacing_origin(spacing, [0.0; 3])).unwrap()
    }

    #[test]
    fn by_hand() {
        // Five voxels of 3 mm in a line, the first no brain: blocks of 4 mm are {1}, {2, 3}, {4}.
        let grid = grid([1, 1, 5], [3.0; 3]);
        let brain = Mask::new(grid, vec![false, true, true, true, true]).unwrap();
        let blocks = Blocks::new(&brain, 4.0).unwrap();
        assert_eq!((blocks.size, blocks.voxels()), ([1, 1, 2], 4));
        let map = Volume::new(grid, vec![9.0, -3.0, 1.0, 2.0, -0.0]).unwrap();
        let values = |ranking| blocks.values(&map, &brain, ranking).unwrap();
        assert_eq!(values(Ranking::Signed), [-3.0, 1.5, 0.0]);
        assert_eq!(values(Ranking::Absolute), [3.0, 1.5, 0.0]);
        assert_eq!(values(Ranking::Positive), [0.0, 1.5, 0.0]);
        let ties = [1.0, 5.0, 2.0];
        assert_eq!(blocks.order(&values(Ranking::Signed), &ties), [2, 3, 4, 1]);
        assert_eq!(blocks.order(&values(Ranking::Absolute), &ties), [1, 2, 3, 4]);
        // The first and the last tie at 0 and -0: the last has the larger second value.
        assert_eq!(blocks.order(&values(Ranking::Positive), &ties), [2, 3, 4, 1]);
        assert_eq!(blocks.order(&[1.0; 3], &[1.0; 3]), [1, 2, 3, 4]);
    }

    #[test]
    fn blocks_are_no_narrower_than_asked() {
        let size = |spacing: [f64; 3], width| {
            Blocks::new(&Mask::filled(grid([10, 10, 10], spacing), true), width).unwrap().size
        };
        assert_eq!(size([3.0, 1.0, 4.0], 4.0), [2, 4, 1]);
        assert_eq!(size([4.000_001, 2.0, 0.7], 4.0), [1, 2, 6]);
        assert_eq!(size([1.0; 3], 1e6), [10; 3]);
        let whole = Mask::filled(grid([2, 2, 2], [1.0; 3]), true);
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Blocks::new(&whole, width).is_err());
        }
        assert!(Blocks::new(&Mask::filled(*whole.grid(), false), 4.0).is_err());
        let blocks = Blocks::new(&whole, 4.0).unwrap();
        assert!(blocks.values(&whole.map(|_| f32::NAN), &whole, Ranking::Signed).is_err());
        let other = Volume::filled(grid([2, 2, 1], [1.0; 3]), 0.0);
        assert!(blocks.values(&other, &whole, Ranking::Signed).is_err());
    }

    proptest! {
        #[test]
        fn an_order_holds_every_voxel_of_the_brain_once_and_blocks_whole(
            shape in prop::array::uniform3(1usize..7), spacing in prop::array::uniform3(0.7f64..5.0), seed in 0usize..1000
        ) {
            let grid = grid(shape, spacing);
            let mask = |n: usize| n == 0 || !(n * 7 + seed).is_multiple_of(3);
            let brain = Mask::new(grid, (0..grid.len()).map(mask).collect()).unwrap();
            let map = Volume::new(grid, (0..grid.len()).map(|n| ((n * 37 + seed) % 5) as f32 - 2.0).collect()).unwrap();
            let blocks = Blocks::new(&brain, 4.0).unwrap();
            prop_assert!((0..3).all(|a| blocks.width[a] >= 4.0 - 1e-5 || blocks.size[a] == shape[a]));
            let values = blocks.values(&map, &brain, Ranking::Signed).unwrap();
            let order = blocks.order(&values, &vec![0.0; values.len()]);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..grid.len()).filter(|&n| mask(n)).collect::<Vec<_>>());
            // Slowly: the value of a voxel is the mean over all voxels of the brain in its block.
            let block = |n: usize| -> [usize; 3] { std::array::from_fn(|a| grid.voxel(n)[a] / blocks.size[a]) };
            let slow = |n: usize| {
                let of: Vec<f64> = (0..grid.len())
                    .filter(|&m| mask(m) && block(m) == block(n))
                    .map(|m| f64::from(map.data()[m]))
                    .collect();
                of.iter().sum::<f64>() / of.len() as f64
            };
            for pair in order.windows(2) {
                let (before, after) = (slow(pair[0]), slow(pair[1]));
                prop_assert!(before > after || (before == after && (block(pair[0]), pair[0]) < (block(pair[1]), pair[1])));
            }
        }
    }
}
