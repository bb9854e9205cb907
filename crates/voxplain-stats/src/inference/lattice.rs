//! [`Lattice`]: the voxels of a mask, and which of them touch.

use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result};

/// Which voxels touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Neighbours {
    /// Those with a face in common: 6.
    #[serde(rename = "6")]
    Faces,
    /// With a face or an edge: 18.
    #[serde(rename = "18")]
    Edges,
    /// With a face, an edge or a corner: 26, as FSL's `randomise` has it.
    #[default]
    #[serde(rename = "26")]
    Corners,
}

impl Neighbours {
    /// How many a voxel inside has: 6, 18 or 26.
    pub const fn count(self) -> usize {
        match self {
            Self::Faces => 6,
            Self::Edges => 18,
            Self::Corners => 26,
        }
    }

    /// Along how many axes a neighbour may lie one step away.
    const fn steps(self) -> usize {
        match self {
            Self::Faces => 1,
            Self::Edges => 2,
            Self::Corners => 3,
        }
    }
}

/// No voxel of the mask.
const OUTSIDE: u32 = u32::MAX;

/// The voxels of a mask, by number in the order of the array (the last axis runs fastest), and which of them touch.
#[derive(Clone, Debug)]
pub struct Lattice {
    shape: [usize; 3],
    /// The place of each voxel in the array.
    voxels: Vec<usize>,
    /// The place of each voxel in an array that has one more plane on each side, so that a neighbour is never outside.
    padded: Vec<u32>,
    padded_len: usize,
    /// The number of the voxel at each place of that array, [`OUTSIDE`] where none is.
    numbers: Vec<u32>,
    /// What to add to a place in the padded array for each neighbour.
    offsets: Vec<isize>,
}

impl Lattice {
    /// The voxels of a mask in an array of this shape.
    ///
    /// # Errors
    /// The mask has another length than the array, holds no voxel, or more than fit 2^31.
    pub fn new(shape: [usize; 3], mask: &[bool], neighbours: Neighbours) -> Result<Self> {
        let wider = shape.map(|n| n + 2);
        let padded_len = wider.iter().product::<usize>();
        if mask.len() != shape.iter().product::<usize>() {
            return Err(Error::request(
                format!("a mask of {} voxels is not one of {shape:?}", mask.len()),
                "give a mask of the maps' grid",
            ));
        }
        if padded_len > i32::MAX as usize {
            return Err(Error::request(format!("{shape:?} are too many voxels"), "use a coarser grid"));
        }
        let voxels: Vec<usize> = (0..mask.len()).filter(|&at| mask[at]).collect();
        if voxels.is_empty() {
            return Err(Error::request("the mask holds no voxel", "give a mask of the part that is to be tested"));
        }
        let padded = voxels.iter().map(|&at| {
            let [i, j, k] = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
            #[expect(clippy::cast_possible_truncation, reason = "the length is below 2^31")]
            let place = (((i + 1) * wider[1] + j + 1) * wider[2] + k + 1) as u32;
            place
        });
        let padded: Vec<u32> = padded.collect();
        let mut numbers = vec![OUTSIDE; padded_len];
        (0u32..).zip(&padded).for_each(|(number, place)| numbers[*place as usize] = number);
        let row = isize::try_from(wider[2]).unwrap_or(isize::MAX);
        let plane = row * isize::try_from(wider[1]).unwrap_or(isize::MAX);
        let mut offsets = Vec::new();
        for (i, j, k) in (0..27).map(|n: isize| (n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1)) {
            let steps = [i, j, k].iter().filter(|step| **step != 0).count();
            if (1..=neighbours.steps()).contains(&steps) {
                offsets.push(i * plane + j * row + k);
            }
        }
        Ok(Self { shape, voxels, padded, padded_len, numbers, offsets })
    }

    /// So many values that touch nothing: regions of an atlas.
    ///
    /// # Errors
    /// None, or more than fit 2^31.
    pub fn apart(count: usize) -> Result<Self> {
        let line = Self::new([count, 1, 1], &vec![true; count], Neighbours::Faces)?;
        Ok(Self { offsets: Vec::new(), ..line })
    }

    /// Number of voxels in the mask.
    pub fn len(&self) -> usize {
        self.voxels.len()
    }

    /// Never: a lattice has a voxel.
    pub fn is_empty(&self) -> bool {
        self.voxels.is_empty()
    }

    /// The array's shape.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The place of each voxel of the mask in the array.
    pub fn voxels(&self) -> &[usize] {
        &self.voxels
    }

    /// Where a voxel of the mask lies in the array.
    pub fn voxel(&self, number: usize) -> [usize; 3] {
        let at = self.voxels[number];
        let [_, j, k] = self.shape;
        [at / (j * k), at / k % j, at % k]
    }

    /// Length of the padded array.
    pub(super) fn padded_len(&self) -> usize {
        self.padded_len
    }

    /// Where a voxel of the mask lies in the padded array.
    pub(super) fn place(&self, number: usize) -> usize {
        self.padded[number] as usize
    }

    /// The places of the neighbours of a place.
    pub(super) fn around(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.offsets.iter().map(move |offset| place.wrapping_add_signed(*offset))
    }

    /// The numbers of the neighbours of a voxel.
    pub fn neighbours(&self, number: usize) -> impl Iterator<Item = usize> + '_ {
        self.around(self.place(number)).map(|place| self.numbers[place]).filter(|n| *n != OUTSIDE).map(|n| n as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apart_touch_nothing() {
        let apart = Lattice::apart(5).unwrap();
        assert_eq!((apart.len(), apart.voxels()), (5, &[0, 1, 2, 3, 4][..]));
        assert!((0..5).all(|n| apart.neighbours(n).next().is_none()));
        assert!(Lattice::apart(0).is_err());
    }
}
