//! [`Orientation`]: where the axes of an array point, and turning arrays from one of the 48 orders to another.

use crate::{Affine, Error, Grid, Result, Volume};
use rayon::prelude::*;

/// The world direction closest to each array axis: one of 48 (6 orders of the axes, 8 choices of sign).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Orientation {
    /// For each array axis: the world axis (0 x, 1 y, 2 z), and whether it runs towards the negative end.
    axes: [(usize, bool); 3],
}

const LETTERS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];

impl Orientation {
    /// Indices grow to the right, to the front and upwards.
    pub const RAS: Self = Self { axes: [(0, false), (1, false), (2, false)] };

    /// The closest orientation of an affine.
    ///
    /// As nibabel's `io_orientation` (5.3 and later): shears are removed by the polar decomposition of the
    /// direction cosines, then axes are given to world axes, the most decided first. The closest of the
    /// 48 is unique for every image that is turned by less than 45 degrees from the world's axes.
    pub fn of(affine: &Affine) -> Self {
        let spacing = affine.spacing();
        let cosines: [[f64; 3]; 3] = std::array::from_fn(|r| {
            std::array::from_fn(|c| if spacing[c] > 0.0 { affine.rows()[r][c] / spacing[c] } else { 0.0 })
        });
        let mut turn = polar(cosines);
        let strength = |m: &[[f64; 3]; 3], c: usize| (0..3).map(|r| m[r][c].abs()).fold(0.0, f64::max);
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| strength(&turn, b).total_cmp(&strength(&turn, a)));
        let mut axes = [(usize::MAX, false); 3];
        for axis in order {
            // The first of equals, as `argmax`; a world axis that is taken is skipped.
            let free = (0..3).filter(|w| axes.iter().all(|a| a.0 != *w));
            let best = free.fold(None, |best: Option<usize>, w| match best {
                Some(b) if turn[b][axis].abs() >= turn[w][axis].abs() => best,
                _ => Some(w),
            });
            let world = best.unwrap_or(0);
            axes[axis] = (world, turn[world][axis] < 0.0);
            turn[world] = [0.0; 3];
        }
        Self { axes }
    }

    /// From three letters such as `RAS` or `PSL`; `None` if they do not name three different axes.
    pub fn from_codes(codes: &str) -> Option<Self> {
        let letters: Vec<char> = codes.chars().collect();
        let letters: [char; 3] = letters.try_into().ok()?;
        let mut axes = [(0, false); 3];
        for (axis, letter) in axes.iter_mut().zip(letters) {
            let world = LETTERS.iter().position(|pair| pair.contains(&letter.to_ascii_uppercase()))?;
            *axis = (world, LETTERS[world][1] == letter.to_ascii_uppercase());
        }
        (0..3).all(|w| axes.iter().any(|a| a.0 == w)).then_some(Self { axes })
    }

    /// All 48, RAS first.
    pub fn all() -> impl Iterator<Item = Self> {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        ORDERS.into_iter().flat_map(|order| {
            (0..8).map(move |signs| Self { axes: std::array::from_fn(|a| (order[a], signs >> a & 1 == 1)) })
        })
    }

    /// Three letters: the end that each array axis runs to, `RAS`, `LPI`, ...
    pub fn codes(&self) -> String {
        self.axes.iter().map(|&(world, negative)| LETTERS[world][usize::from(negative)]).collect()
    }

    /// The world axis (0 x, 1 y, 2 z) that array axis `axis` is closest to.
    pub const fn world_axis(&self, axis: usize) -> usize {
        self.axes[axis].0
    }

    /// For each axis of `to`: the axis of `self` along the same world axis, and whether they are opposed.
    pub(crate) fn steps_to(self, to: Self) -> [(usize, bool); 3] {
        to.axes.map(|(world, negative)| {
            let from = self.axes.iter().position(|a| a.0 == world).unwrap_or(0);
            (from, self.axes[from].1 != negative)
        })
    }
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.codes())
    }
}

impl std::fmt::Debug for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Orientation({self})")
    }
}

/// The orthogonal matrix closest to `m` (Higham 1986: Newton's iteration, converges quadratically). A
/// singular matrix is returned as it is.
fn polar(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let as_affine = |m: &[[f64; 3]; 3]| Affine::from_rows(m.map(|r| [r[0], r[1], r[2], 0.0]));
    let mut turn = m;
    for _ in 0..64 {
        let Some(inverse) = as_affine(&turn).inverse() else { return m };
        let next: [[f64; 3]; 3] =
            std::array::from_fn(|r| std::array::from_fn(|c| 0.5 * (turn[r][c] + inverse.rows()[c][r])));
        let change = (0..9).map(|n| (next[n / 3][n % 3] - turn[n / 3][n % 3]).abs()).fold(0.0, f64::max);
        turn = next;
        if change < 1e-15 {
            break;
        }
    }
    turn
}

impl Grid {
    /// The closest orientation of the axes.
    pub fn orientation(&self) -> Orientation {
        Orientation::of(&self.affine)
    }

    /// The same voxels with their axes in another order and direction.
    pub fn reoriented(&self, to: Orientation) -> Self {
        let steps = self.orientation().steps_to(to);
        let rows = self.affine.rows();
        let affine = Affine::from_rows(std::array::from_fn(|r| {
            let mut row = [0.0, 0.0, 0.0, rows[r][3]];
            for (axis, &(from, flip)) in steps.iter().enumerate() {
                row[axis] = if flip { -rows[r][from] } else { rows[r][from] };
                if flip {
                    row[3] += rows[r][from] * (self.shape[from] as f64 - 1.0);
                }
            }
            row
        }));
        Self { shape: steps.map(|(from, _)| self.shape[from]), affine }
    }
}

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
    use proptest::prelude::*;

    #[test]
    fn letters_by_hand() {
        let a = Affine::from_rows([[0.0, 0.0, -2.0, 5.0], [3.0, 0.0, 0.0, 1.0], [0.0, -1.0, 0.0, 0.0]]);
        assert_eq!(Orientation::of(&a).codes(), "AIL");
        assert_eq!(Orientation::of(&Affine::IDENTITY), Orientation::RAS);
        assert_eq!(Orientation::from_codes("pls").unwrap().codes(), "PLS");
        for bad in ["", "RA", "RRS", "RLS", "RAX", "RASS"] {
            assert!(Orientation::from_codes(bad).is_none(), "{bad}");
        }
        let all: Vec<_> = Orientation::all().map(|o| o.codes()).collect();
        assert_eq!(all.len(), 48);
        assert_eq!(all[0], "RAS");
        assert!((0..48).all(|n| !all[..n].contains(&all[n])));
    }

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

        #[test]
        fn small_turns_do_not_change_the_axes(
            n in 0usize..48, angle in -0.6f64..0.6, shear in -0.2f64..0.2, axis in 0usize..3,
        ) {
            let base = Orientation::all().nth(n).unwrap();
            let plain = Affine::from_rows(std::array::from_fn(|r| std::array::from_fn(|c| match c {
                3 => 0.0,
                c if base.axes[c].0 == r => if base.axes[c].1 { -1.0 } else { 1.0 },
                _ => 0.0,
            })));
            let (b, c) = ((axis + 1) % 3, (axis + 2) % 3);
            let mut rows = *Affine::IDENTITY.rows();
            rows[b][b] = angle.cos();
            rows[b][c] = -angle.sin();
            rows[c][b] = angle.sin();
            rows[c][c] = angle.cos();
            let mut sheared = *Affine::IDENTITY.rows();
            sheared[b][axis] = shear;
            prop_assert_eq!(Orientation::of(&(Affine::from_rows(rows) * Affine::from_rows(sheared) * plain)), base);
        }
    }
}
