//! Turning arrays from one of the 48 orders of their axes to another. No value is interpolated.

use crate::{Error, Grid, Orientation, Result, Volume};
use rayon::prelude::*;

impl<T: Copy + Send + Sync> Volume<T> {
    /// Where the array axes point.
    pub fn orientation(&self) -> Orientation {
        self.grid().orientation()
    }

    /// Axes flipped and swapped so that they run as closely as possible to the right, to the front and
    /// upwards. No value is interpolated; oblique and sheared affines stay so.
    pub fn to_ras(&self) -> Self {
        self.reorient(Orientation::RAS)
    }

    /// Axes flipped and swapped to the given order. No value is interpolated.
    pub fn reorient(&self, to: Orientation) -> Self {
        let from = self.orientation();
        if from == to {
            return self.clone();
        }
        let grid = self.grid().reoriented(to);
        let shape = self.shape();
        let strides = [shape[1] * shape[2], shape[2], 1];
        let lines = from.steps_to(to).map(|(axis, flip)| Line { stride: strides[axis], len: shape[axis], flip });
        let data = self.data();
        let data = gather(lines, |n| data[n]);
        Self::from_parts(grid, data)
    }

    /// Undoes [`Volume::to_ras`]: axes flipped and swapped to those of `grid`, which must have the same voxels (centres
    /// within a hundredth of a voxel). The result is on exactly `grid`.
    pub fn reorient_like(&self, grid: &Grid) -> Result<Self> {
        let turned = self.reorient(grid.orientation());
        // Flipping an axis moves the origin by its length and back, which rounds where that is very long.
        let length = (0..3).map(|a| grid.spacing()[a] * grid.shape[a] as f64).fold(0.0, f64::max);
        let tolerance = 0.01 * grid.spacing().into_iter().fold(f64::INFINITY, f64::min) + 1e-12 * length;
        if !turned.grid().same_space(grid, tolerance) {
            return Err(Error::Grid(format!(
                "a volume of shape {:?} at {:?} does not have the voxels of the grid of shape {:?} at {:?}",
                turned.shape(),
                turned.grid().affine.rows(),
                grid.shape,
                grid.affine.rows()
            )));
        }
        Ok(Self::from_parts(*grid, turned.into_data()))
    }
}

/// One axis of an array to be gathered: how far apart its values are in the source, how many, and whether
/// they are taken from the last to the first.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) stride: usize,
    pub(crate) len: usize,
    pub(crate) flip: bool,
}

/// An array in C order from values that lie along the given lines in their source. Works through the
/// source in blocks, since whichever axis is contiguous there should be used while it is in the cache.
pub(crate) fn gather<T: Copy + Send + Sync>(lines: [Line; 3], get: impl Fn(usize) -> T + Sync) -> Vec<T> {
    const BLOCK: usize = 16;
    let [li, lj, lk] = lines;
    // Where the first value lies, and how far it is from one to the next along each axis, backwards where flipped.
    let start: usize = lines.iter().filter(|l| l.flip).map(|l| l.stride * (l.len - 1)).sum();
    let [si, sj, sk] = lines.map(|l| if l.flip { l.stride.wrapping_neg() } else { l.stride });
    let at = |i: usize, j: usize| start.wrapping_add(i.wrapping_mul(si)).wrapping_add(j.wrapping_mul(sj));
    let mut out = vec![get(start); li.len * lj.len * lk.len];
    let plane = lj.len * lk.len;
    out.par_chunks_mut(plane * BLOCK).enumerate().for_each(|(block, out)| {
        for j in 0..lj.len {
            for k0 in (0..lk.len).step_by(BLOCK) {
                let k1 = (k0 + BLOCK).min(lk.len);
                for (i, out) in out.chunks_exact_mut(plane).enumerate() {
                    let mut from = at(block * BLOCK + i, j).wrapping_add(k0.wrapping_mul(sk));
                    for out in &mut out[j * lk.len + k0..j * lk.len + k1] {
                        *out = get(from);
                        from = from.wrapping_add(sk);
                    }
                }
            }
        }
    });
    out
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use crate::Affine;
    use proptest::prelude::*;

    #[test]
    fn flip_by_hand() {
        // Two voxels along x, 2 mm apart, stored right to left: 10 at x = 4, 20 at x = 2.
        let grid = Grid::new([2, 1, 1], Affine::from_spacing_origin([-2.0, 1.0, 1.0], [4.0, 0.0, 0.0])).unwrap();
        let v = Volume::new(grid, vec![10.0f32, 20.0]).unwrap();
        let ras = v.to_ras();
        assert_eq!(ras.data(), [20.0, 10.0]);
        assert_eq!(ras.grid().affine, Affine::from_spacing_origin([2.0, 1.0, 1.0], [2.0, 0.0, 0.0]));
        assert_eq!(ras.reorient_like(v.grid()).unwrap(), v);
        assert!(ras.reorient_like(&Grid::new([2, 1, 1], Affine::IDENTITY).unwrap()).is_err());
    }

    fn affine() -> impl Strategy<Value = Affine> {
        prop::array::uniform3(prop::array::uniform4(-5.0f64..5.0))
            .prop_map(Affine::from_rows)
            .prop_filter("invertible", |a| a.determinant().abs() > 0.5)
    }

    proptest! {
        // Wherever a value is in the world, it stays there, through every order and back, oblique or sheared.
        #[test]
        fn values_stay_where_they_are(a in affine(), shape in prop::array::uniform3(1usize..20)) {
            let v = Volume::from_fn(Grid::new(shape, a).unwrap(), |[i, j, k]| (i * 10_000 + j * 100 + k) as u32);
            for to in Orientation::all() {
                let turned = v.reorient(to);
                prop_assert_eq!(turned.orientation(), to);
                for n in [0, turned.grid().len() / 3, turned.grid().len() - 1] {
                    let value = turned.data()[n] as usize;
                    let from = a.apply([value / 10_000, value / 100 % 100, value % 100].map(|x| x as f64));
                    let now = turned.grid().affine.apply(turned.grid().voxel(n).map(|x| x as f64));
                    for r in 0..3 {
                        prop_assert!((from[r] - now[r]).abs() < 1e-9, "{} {:?} {:?}", to, from, now);
                    }
                }
                prop_assert_eq!(&turned.reorient_like(v.grid()).unwrap(), &v);
            }
        }
    }
}
