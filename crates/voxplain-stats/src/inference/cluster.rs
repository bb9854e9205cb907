//! [`Clusters`]: voxels that hang together beyond a threshold.

use super::Lattice;

/// Voxels of one sign that hang together, each at least as far from 0 as the threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its voxels, by number in the lattice, ascending.
    pub voxels: Vec<usize>,
    /// Whether their values are below 0.
    pub below: bool,
    /// The sum of what they have more than the threshold (Bullmore 1999, IEEE Trans Med Imaging 18:32).
    pub mass: f64,
}

impl Cluster {
    /// Number of voxels.
    pub fn extent(&self) -> usize {
        self.voxels.len()
    }
}

/// A voxel that is further from 0 than those around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Its number in the lattice.
    pub voxel: usize,
    /// Its value.
    pub value: f32,
}

/// The clusters of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The largest first; of equal ones the one with the lower voxel.
    pub list: Vec<Cluster>,
}

impl Clusters {
    /// Of a map, one value for each voxel of the lattice.
    pub fn of(lattice: &Lattice, map: &[f32], threshold: f32) -> Self {
        let mut list = Vec::new();
        walk(lattice, map, threshold, &mut |voxels, below, mass| {
            let mut voxels = voxels.to_vec();
            voxels.sort_unstable();
            list.push(Cluster { voxels, below, mass });
        });
        list.sort_by(|a, b| b.extent().cmp(&a.extent()).then(a.voxels[0].cmp(&b.voxels[0])));
        Self { list }
    }

    /// The extent of the largest cluster of a map, in voxels, and the mass of the heaviest; 0 where there is none.
    #[expect(clippy::cast_possible_truncation, reason = "the largest of each shuffle are kept in single precision")]
    pub fn largest(lattice: &Lattice, map: &[f32], threshold: f32) -> [f32; 2] {
        let mut largest = [0.0f32; 2];
        walk(lattice, map, threshold, &mut |voxels, _, mass| {
            largest = [largest[0].max(voxels.len() as f32), largest[1].max(mass as f32)];
        });
        largest
    }
}

/// Calls `found` with the voxels, the sign and the mass of each cluster.
fn walk(lattice: &Lattice, map: &[f32], threshold: f32, found: &mut dyn FnMut(&[usize], bool, f64)) {
    let mut done: Vec<bool> =
        map.iter().map(|v| v.abs().partial_cmp(&threshold).is_none_or(std::cmp::Ordering::is_lt)).collect();
    let mut voxels = Vec::new();
    for start in 0..map.len() {
        if done[start] {
            continue;
        }
        let below = map[start] < 0.0;
        voxels.clear();
        voxels.push(start);
        done[start] = true;
        let (mut next, mut mass) = (0, 0.0);
        while next < voxels.len() {
            let voxel = voxels[next];
            mass += f64::from(map[voxel].abs()) - f64::from(threshold);
            for near in lattice.neighbours(voxel) {
                if !done[near] && (map[near] < 0.0) == below {
                    done[near] = true;
                    voxels.push(near);
                }
            }
            next += 1;
        }
        found(&voxels, below, mass);
    }
}

impl Cluster {
    /// Its peaks, the furthest from 0 first: voxels that no neighbour is further from 0 than, so far `apart` from a higher one
    /// (by the `distance` of two voxels' numbers), and at most so many.
    pub fn peaks(
        &self,
        lattice: &Lattice,
        map: &[f32],
        distance: &dyn Fn(usize, usize) -> f64,
        apart: f64,
        most: usize,
    ) -> Vec<Peak> {
        let size = |voxel: usize| map[voxel].abs();
        let is_peak = |voxel: usize| {
            lattice.neighbours(voxel).all(|near| (map[near] < 0.0) != self.below || size(near) <= size(voxel))
        };
        let mut all: Vec<usize> = self.voxels.iter().copied().filter(|voxel| is_peak(*voxel)).collect();
        all.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
        let mut peaks: Vec<Peak> = Vec::new();
        for voxel in all {
            if peaks.len() < most && peaks.iter().all(|peak| distance(peak.voxel, voxel) >= apart) {
                peaks.push(Peak { voxel, value: map[voxel] });
            }
        }
        peaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Neighbours;

    #[test]
    fn by_hand() {
        // A row: 3 4 | 1 | -5 -2 | 0 | 2.
        let map = [3.0, 4.0, 1.0, -5.0, -2.0, 0.0, 2.0];
        let lattice = Lattice::new([1, 1, 7], &[true; 7], Neighbours::Faces).unwrap();
        let found = Clusters::of(&lattice, &map, 2.0);
        let extents: Vec<_> = found.list.iter().map(|c| (c.voxels.clone(), c.below, c.mass)).collect();
        assert_eq!(extents, [(vec![0, 1], false, 3.0), (vec![3, 4], true, 3.0), (vec![6], false, 0.0)]);
        assert_eq!(Clusters::largest(&lattice, &map, 2.0), [2.0, 3.0]);
        assert_eq!(Clusters::largest(&lattice, &map, 9.0), [0.0, 0.0]);
        assert_eq!(Clusters::largest(&lattice, &[f32::NAN; 7], 2.0), [0.0, 0.0]);
    }

    #[test]
    fn corners_join_and_faces_do_not() {
        let mut map = [0.0; 8];
        (map[0], map[7]) = (3.0, 5.0);
        for (neighbours, count) in [(Neighbours::Faces, 2), (Neighbours::Edges, 2), (Neighbours::Corners, 1)] {
            let lattice = Lattice::new([2, 2, 2], &[true; 8], neighbours).unwrap();
            assert_eq!(Clusters::of(&lattice, &map, 1.0).list.len(), count);
            assert_eq!(lattice.neighbours(0).count(), [3, 6, 7][neighbours as usize]);
        }
    }

    #[test]
    fn peaks_that_are_apart() {
        let map = [1.0, 5.0, 2.0, 4.0, 2.0, 3.0, 1.0];
        let lattice = Lattice::new([1, 1, 7], &[true; 7], Neighbours::Faces).unwrap();
        let cluster = &Clusters::of(&lattice, &map, 1.0).list[0];
        let peaks = |apart: f64, most: usize| -> Vec<usize> {
            let distance = |a: usize, b: usize| a.abs_diff(b) as f64;
            cluster.peaks(&lattice, &map, &distance, apart, most).iter().map(|p| p.voxel).collect()
        };
        assert_eq!(peaks(0.0, 9), [1, 3, 5]);
        assert_eq!(peaks(3.0, 9), [1, 5]);
        assert_eq!(peaks(0.0, 2), [1, 3]);
    }
}
