//! [`Tfce`]: threshold-free cluster enhancement, exactly.

use super::Lattice;
use serde::{Deserialize, Serialize};

/// Threshold-free cluster enhancement (Smith and Nichols 2009, `NeuroImage` 44:83): at a voxel of height `h`, the integral from 0 to
/// `h` of `e(t)^E t^H dt`, where `e(t)` is the number of voxels that hang together with it at the height `t`. A value below 0 counts by its
/// size among the voxels below 0, and the result has its sign.
///
/// Other programs add up a hundred steps or so; here the integral is exact: between two heights that occur the clusters stay the same, and
/// the integral of `t^H` is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tfce {
    /// The power of the extent, `E`.
    pub extent: f64,
    /// The power of the height, `H`.
    pub height: f64,
}

impl Default for Tfce {
    /// `E` = 0.5 and `H` = 2, for volumes with t.
    fn default() -> Self {
        Self { extent: 0.5, height: 2.0 }
    }
}

/// No voxel here, or none yet.
const NONE: u32 = u32::MAX;
/// The bit that says that a voxel's value is below 0.
const BELOW: u32 = 1 << 31;

/// Memory that [`Tfce::enhance`] works in, so that nothing is allocated map by map.
#[derive(Debug)]
pub struct TfceScratch {
    /// Of each place of the padded array, the voxel there that is in a cluster already, with [`BELOW`].
    seen: Vec<u32>,
    /// The voxels, the highest first, as height and number.
    order: Vec<u64>,
    sorted: Vec<u64>,
    parent: Vec<u32>,
    /// What a voxel has more than its parent; a root's own.
    sum: Vec<f64>,
    size: Vec<u32>,
    /// The height down to which a root's sum is counted, to the power `H + 1`.
    counted: Vec<f64>,
}

impl TfceScratch {
    /// For maps of this mask.
    pub fn new(lattice: &Lattice) -> Self {
        let n = lattice.len();
        Self {
            seen: vec![NONE; lattice.padded_len()],
            order: Vec::with_capacity(n),
            sorted: vec![0; n],
            parent: vec![0; n],
            sum: vec![0.0; n],
            size: vec![0; n],
            counted: vec![0.0; n],
        }
    }

    /// The root of a voxel's cluster. On the way each voxel is hung onto the parent of its parent.
    fn root(&mut self, mut voxel: u32) -> u32 {
        loop {
            let parent = self.parent[voxel as usize];
            let above = self.parent[parent as usize];
            if above == parent {
                return parent;
            }
            self.sum[voxel as usize] += self.sum[parent as usize];
            self.parent[voxel as usize] = above;
            voxel = above;
        }
    }
}

impl Tfce {
    /// Enhances a map: one value for each voxel of the mask, in the lattice's order. Values that are no numbers count as 0.
    #[expect(clippy::cast_possible_truncation, reason = "maps are float32, and a lattice has fewer than 2^31 voxels")]
    pub fn enhance(&self, lattice: &Lattice, map: &[f32], work: &mut TfceScratch, into: &mut [f32]) {
        work.order.clear();
        let heights = map.iter().zip(0u32..).filter(|(v, _)| v.abs() > 0.0 && v.is_finite());
        // Of floats above 0 the bits are in the floats' order; turned round, the highest comes first.
        work.order.extend(heights.map(|(v, n)| u64::from(!v.abs().to_bits()) << 32 | u64::from(n)));
        sort(&mut work.order, &mut work.sorted);
        into.fill(0.0);
        let order = std::mem::take(&mut work.order);
        for key in &order {
            let voxel = *key as u32;
            let value = map[voxel as usize];
            let side = if value < 0.0 { BELOW } else { 0 };
            let height = self.power(f64::from(value.abs()));
            let place = lattice.place(voxel as usize);
            let own = voxel as usize;
            (work.parent[own], work.sum[own], work.size[own], work.counted[own]) = (voxel, 0.0, 1, height);
            let mut root = voxel;
            for near in lattice.around(place) {
                let seen = work.seen[near];
                if seen == NONE || (seen ^ side) & BELOW != 0 {
                    continue;
                }
                let other = work.root(seen & !BELOW);
                if other == root {
                    continue;
                }
                self.count_to(work, other, height);
                self.count_to(work, root, height);
                let (large, small) =
                    if work.size[root as usize] >= work.size[other as usize] { (root, other) } else { (other, root) };
                work.parent[small as usize] = large;
                work.sum[small as usize] -= work.sum[large as usize];
                work.size[large as usize] += work.size[small as usize];
                root = large;
            }
            work.seen[place] = voxel | side;
        }
        for key in &order {
            let voxel = *key as u32;
            if work.parent[voxel as usize] == voxel {
                self.count_to(work, voxel, 0.0);
            }
        }
        for key in &order {
            let voxel = *key as u32;
            let (mut at, mut enhanced) = (voxel as usize, work.sum[voxel as usize]);
            while work.parent[at] as usize != at {
                at = work.parent[at] as usize;
                enhanced += work.sum[at];
            }
            into[voxel as usize] = (enhanced as f32).copysign(map[voxel as usize]);
            work.seen[lattice.place(voxel as usize)] = NONE;
        }
        work.order = order;
    }

    /// Adds to a cluster what it gathers from the height that it is counted to down to this one (to the power `H + 1`).
    fn count_to(&self, work: &mut TfceScratch, root: u32, height: f64) {
        let root = root as usize;
        let size = f64::from(work.size[root]);
        #[expect(clippy::float_cmp, reason = "these two powers are computed without a logarithm")]
        let extent = if self.extent == 0.5 { size.sqrt() } else { size.powf(self.extent) };
        work.sum[root] += extent * (work.counted[root] - height) / (self.height + 1.0);
        work.counted[root] = height;
    }

    fn power(&self, height: f64) -> f64 {
        #[expect(clippy::float_cmp, reason = "these two powers are computed without a logarithm")]
        if self.height == 2.0 { height * height * height } else { height.powf(self.height + 1.0) }
    }
}

/// Sorts keys by their upper half, of equal ones the lower number first: three passes of eleven bits. The keys come in order of
/// their lower half.
fn sort(keys: &mut [u64], other: &mut [u64]) {
    const BITS: u32 = 11;
    let mut counts = vec![[0u32; 1 << BITS]; 3];
    #[expect(clippy::cast_possible_truncation, reason = "eleven bits")]
    let digit = |key: u64, pass: usize| (key >> [32, 32 + BITS, 32 + 2 * BITS][pass]) as usize & ((1 << BITS) - 1);
    for key in keys.iter() {
        (0..3).for_each(|pass| counts[pass][digit(*key, pass)] += 1);
    }
    let n = keys.len();
    let other = &mut other[..n];
    for (pass, counts) in counts.iter_mut().enumerate() {
        let mut next = 0;
        counts.iter_mut().for_each(|count| next += std::mem::replace(count, next));
        let (from, into): (&[u64], &mut [u64]) = if pass == 1 { (other, keys) } else { (keys, other) };
        for key in from {
            let place = &mut counts[digit(*key, pass)];
            into[*place as usize] = *key;
            *place += 1;
        }
    }
    keys.copy_from_slice(other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Neighbours;
    use proptest::prelude::*;

    /// The integral height by height, each cluster found anew.
    fn slowly(tfce: Tfce, lattice: &Lattice, map: &[f32]) -> Vec<f64> {
        let mut result = vec![0.0; map.len()];
        for sign in [1.0f32, -1.0] {
            let mut heights: Vec<f32> = map.iter().map(|v| sign * v).filter(|v| *v > 0.0).collect();
            heights.sort_by(f32::total_cmp);
            heights.dedup();
            let mut below = 0.0f64;
            for height in heights {
                let inside: Vec<bool> = map.iter().map(|v| sign * v >= height).collect();
                let mut size = vec![0usize; map.len()];
                let mut done = vec![false; map.len()];
                for start in 0..map.len() {
                    if done[start] || !inside[start] {
                        continue;
                    }
                    let (mut cluster, mut next) = (vec![start], 0);
                    done[start] = true;
                    while next < cluster.len() {
                        let around: Vec<usize> = lattice.around(lattice.place(cluster[next])).collect();
                        for other in 0..map.len() {
                            if inside[other] && !done[other] && around.contains(&lattice.place(other)) {
                                done[other] = true;
                                cluster.push(other);
                            }
                        }
                        next += 1;
                    }
                    cluster.iter().for_each(|voxel| size[*voxel] = cluster.len());
                }
                let h = f64::from(height);
                let power = |x: f64| x.powf(tfce.height + 1.0) / (tfce.height + 1.0);
                for (voxel, size) in size.into_iter().enumerate().filter(|(_, size)| *size > 0) {
                    result[voxel] += f64::from(sign) * (size as f64).powf(tfce.extent) * (power(h) - power(below));
                }
                below = h;
            }
        }
        result
    }

    #[test]
    fn by_hand() {
        // A row of 1, 3, 2, and one of -2 alone: with E = 1 and H = 1. The 3 has an extent of 1 from 2 to 3, of 2 from 1 to 2,
        // of 3 from 0 to 1: (9 - 4) / 2 + 2 (4 - 1) / 2 + 3 / 2 = 7.
        let lattice = Lattice::new([1, 1, 5], &[true, true, true, true, true], Neighbours::Faces).unwrap();
        let mut found = [0.0; 5];
        let tfce = Tfce { extent: 1.0, height: 1.0 };
        tfce.enhance(&lattice, &[1.0, 3.0, 2.0, 0.0, -2.0], &mut TfceScratch::new(&lattice), &mut found);
        assert_eq!(found, [1.5, 7.0, 4.5, 0.0, -2.0]);
    }

    proptest! {
        #[test]
        fn as_the_integral_of_the_definition(
            values in prop::collection::vec(-4i8..5, 60), mask in prop::collection::vec(prop::bool::weighted(0.8), 60),
            fine in prop::bool::ANY, which in 0usize..3, powers in prop::sample::select(vec![(0.5, 2.0), (1.0, 1.0), (0.7, 1.3)]),
        ) {
            prop_assume!(mask.contains(&true));
            let neighbours = [Neighbours::Faces, Neighbours::Edges, Neighbours::Corners][which];
            let lattice = Lattice::new([3, 4, 5], &mask, neighbours).unwrap();
            // Equal heights, and none.
            let value = |(n, v): (usize, &i8)| f32::from(*v) * if fine { 1.0 + 0.01 * n as f32 } else { 1.0 };
            let map: Vec<f32> = values.iter().enumerate().map(value).zip(&mask).filter(|(_, m)| **m).map(|(v, _)| v).collect();
            let tfce = Tfce { extent: powers.0, height: powers.1 };
            let mut work = TfceScratch::new(&lattice);
            let mut found = vec![0.0; map.len()];
            // A second map in the same memory gives the same.
            for _ in 0..2 {
                tfce.enhance(&lattice, &map, &mut work, &mut found);
                for (found, slow) in found.iter().zip(slowly(tfce, &lattice, &map)) {
                    prop_assert!((f64::from(*found) - slow).abs() <= 1e-5 * slow.abs().max(1.0), "{found} {slow}");
                }
            }
        }
    }
}
