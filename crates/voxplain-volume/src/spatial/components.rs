//! Connected parts of a mask.

use crate::{Labels, Mask, Volume};

/// Which voxels touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// 6 neighbours, across faces.
    Faces,
    /// 18 neighbours, across faces and edges.
    Edges,
    /// 26 neighbours, across faces, edges and corners.
    Corners,
}

impl Connectivity {
    /// Steps to all neighbours.
    fn steps(self) -> Vec<[isize; 3]> {
        let most = match self {
            Self::Faces => 1,
            Self::Edges => 2,
            Self::Corners => 3,
        };
        let axis = [-1isize, 0, 1];
        let all = axis.into_iter().flat_map(|i| axis.into_iter().flat_map(move |j| axis.map(|k| [i, j, k])));
        all.filter(|s| (1..=most).contains(&s.iter().map(|x| x.unsigned_abs()).sum::<usize>())).collect()
    }
}

impl Mask {
    /// Parts numbered 1, 2, ... from the largest to the smallest (equal ones in array order), 0 outside; and
    /// the number of voxels of each, the first being that of part 1.
    pub fn components(&self, connectivity: Connectivity) -> (Labels, Vec<usize>) {
        let (mut labels, sizes) = label(self.shape(), self.data(), connectivity);
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&n| std::cmp::Reverse(sizes[n]));
        let mut rank = vec![0u32; sizes.len() + 1];
        for (&n, new) in order.iter().zip(1u32..) {
            rank[n + 1] = new;
        }
        labels.iter_mut().for_each(|l| *l = rank[*l as usize]);
        (Volume::from_parts(*self.grid(), labels), order.into_iter().map(|n| sizes[n]).collect())
    }

    /// The largest part alone; an empty mask stays empty.
    pub fn largest_component(&self, connectivity: Connectivity) -> Self {
        self.components(connectivity).0.map(|&l| l == 1)
    }

    /// Holes filled: background that does not reach the border of the array across faces becomes part of the mask.
    pub fn fill_holes(&self) -> Self {
        let [ni, nj, nk] = self.shape();
        let outside: Vec<bool> = self.data().iter().map(|m| !m).collect();
        let (labels, sizes) = label(self.shape(), &outside, Connectivity::Faces);
        let mut open = vec![false; sizes.len() + 1];
        for (n, &l) in labels.iter().enumerate() {
            let [i, j, k] = self.grid().voxel(n);
            if i == 0 || j == 0 || k == 0 || i + 1 == ni || j + 1 == nj || k + 1 == nk {
                open[l as usize] = true;
            }
        }
        open[0] = false;
        Volume::from_parts(*self.grid(), labels.into_iter().map(|l| !open[l as usize]).collect())
    }

    /// Number of voxels that belong.
    pub fn count(&self) -> usize {
        self.data().iter().filter(|m| **m).count()
    }
}

/// Parts numbered from 1 in array order, and their sizes.
fn label(shape: [usize; 3], inside: &[bool], connectivity: Connectivity) -> (Vec<u32>, Vec<usize>) {
    let [ni, nj, nk] = shape;
    let steps = connectivity.steps();
    let mut labels = vec![0u32; inside.len()];
    let mut sizes = Vec::new();
    let mut open = Vec::new();
    for start in 0..inside.len() {
        if !inside[start] || labels[start] != 0 {
            continue;
        }
        // There are fewer parts than voxels; a volume with 2^32 parts does not fit in memory.
        let name = u32::try_from(sizes.len() + 1).unwrap_or(u32::MAX);
        labels[start] = name;
        open.push(start);
        let mut size = 0;
        while let Some(n) = open.pop() {
            size += 1;
            let at = [n / (nj * nk), n / nk % nj, n % nk];
            for s in &steps {
                let to: [usize; 3] = std::array::from_fn(|a| at[a].wrapping_add_signed(s[a]));
                if to[0] < ni && to[1] < nj && to[2] < nk {
                    let m = (to[0] * nj + to[1]) * nk + to[2];
                    if inside[m] && labels[m] == 0 {
                        labels[m] = name;
                        open.push(m);
                    }
                }
            }
        }
        sizes.push(size);
    }
    (labels, sizes)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use crate::{Affine, Grid};
    use proptest::prelude::*;

    fn mask(shape: [usize; 3], inside: &[[usize; 3]]) -> Mask {
        Mask::from_fn(Grid::new(shape, Affine::IDENTITY).unwrap(), |v| inside.contains(&v))
    }

    #[test]
    fn connectivity_by_hand() {
        // A voxel, one across an edge of it, one across a corner of that, and a pair far away.
        let m = mask([4, 4, 8], &[[0, 0, 0], [1, 1, 0], [2, 2, 1], [0, 0, 6], [0, 0, 7]]);
        assert_eq!(m.components(Connectivity::Faces).1, [2, 1, 1, 1]);
        assert_eq!(m.components(Connectivity::Edges).1, [2, 2, 1]);
        assert_eq!(m.components(Connectivity::Corners).1, [3, 2]);
        let (labels, _) = m.components(Connectivity::Corners);
        assert_eq!((labels.at(0, 0, 0), labels.at(0, 0, 7), labels.at(3, 3, 3)), (1, 2, 0));
        assert_eq!(m.largest_component(Connectivity::Faces).count(), 2);
        assert_eq!(
            [Connectivity::Faces, Connectivity::Edges, Connectivity::Corners].map(|c| c.steps().len()),
            [6, 18, 26]
        );
    }

    #[test]
    fn holes_by_hand() {
        let g = Grid::new([5, 5, 5], Affine::IDENTITY).unwrap();
        let shell = Mask::from_fn(g, |v| v.iter().all(|&x| (1..4).contains(&x)) && v != [2, 2, 2]);
        assert_eq!((shell.count(), shell.fill_holes().count()), (26, 27));
        let opened = Mask::from_fn(g, |v| shell.at(v[0], v[1], v[2]) && v != [2, 2, 1]);
        assert_eq!(opened.fill_holes(), opened, "a tunnel to the outside is no hole");
        let nothing = Mask::filled(g, false);
        assert_eq!(nothing.fill_holes(), nothing);
        assert_eq!(nothing.largest_component(Connectivity::Faces), nothing);
    }

    proptest! {
        #[test]
        fn parts_are_a_partition(seed in any::<u64>()) {
            let g = Grid::new([6, 5, 7], Affine::IDENTITY).unwrap();
            let mut state = seed;
            let m = Mask::from_fn(g, |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 62 == 0
            });
            for c in [Connectivity::Faces, Connectivity::Edges, Connectivity::Corners] {
                let (labels, sizes) = m.components(c);
                prop_assert_eq!(labels.map(|&l| l > 0), m.clone());
                prop_assert!(sizes.is_sorted_by(|a, b| a >= b));
                for (n, &size) in sizes.iter().enumerate() {
                    prop_assert_eq!(labels.data().iter().filter(|&&l| l as usize == n + 1).count(), size);
                }
                // Two that touch have the same number.
                for n in 0..g.len() {
                    let at = g.voxel(n);
                    for s in c.steps() {
                        let to: [usize; 3] = std::array::from_fn(|a| at[a].wrapping_add_signed(s[a]));
                        if (0..3).all(|a| to[a] < g.shape[a]) && labels.data()[n] > 0 {
                            let other = labels.at(to[0], to[1], to[2]);
                            prop_assert!(other == 0 || other == labels.data()[n]);
                        }
                    }
                }
            }
        }
    }
}
