//! [`Orientation`]: where the axes of an array point.

use crate::{Affine, Grid};

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

#[cfg(test)]
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

    proptest! {
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
