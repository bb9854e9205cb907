//! How alike two brains are where one lies best on the other: [`Alignment::search`].

#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shapes of grids are small"
)]

use super::texture::{Blocks, Texture, value_of};

/// Share of the smaller brain that the two must have in common.
const COMMON: f64 = 0.5;
/// Steps of one block, at most, to the best place.
const MOST_STEPS: usize = 12;
/// Every how many rows a place is tried by; how alike the two are at last is of all.
const COARSE: usize = 2;

/// What brains of a cohort have in common: the mean of their textures.
#[derive(Debug)]
pub(super) struct Mean {
    blocks: Blocks,
    /// NaN where too few brains are.
    values: Vec<f32>,
}

impl Mean {
    /// Over those that are inside a block, where at least a third of all are.
    pub(super) fn of(textures: &[Option<Texture>], blocks: Blocks) -> Self {
        let (mut values, mut counts) = (vec![0f32; blocks.len()], vec![0u32; blocks.len()]);
        for texture in textures.iter().flatten() {
            texture.each(&blocks, |n, value| {
                values[n] += value;
                counts[n] += 1;
            });
        }
        let least = (textures.iter().flatten().count() as f32 / 3.0).max(1.0);
        for (value, count) in values.iter_mut().zip(counts) {
            *value = if count as f32 >= least { *value / count as f32 } else { f32::NAN };
        }
        Self { blocks, values }
    }

    /// On the whole grid, 0 where there is none.
    pub(super) fn spread(&self) -> Vec<f32> {
        self.values.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect()
    }

    /// Whether there is one.
    pub(super) fn is_there(&self, block: usize) -> bool {
        !self.values[block].is_nan()
    }
}

/// How one brain is laid on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alignment {
    /// Whether it is mirrored, left for right, about the middle of the grid.
    pub(super) mirrored: bool,
    /// By how many blocks it is then moved.
    pub(super) shift: [i32; 3],
}

impl Alignment {
    /// As it lies.
    pub(super) const NONE: Self = Self { mirrored: false, shift: [0; 3] };

    /// The place near this one where `other` is most like `one`, and how alike they are there: the correlation, over what both brains
    /// hold, of how each differs from the mean of all.
    pub(super) fn search(self, one: &Texture, other: &Texture, mean: &Mean) -> Option<(Self, f64)> {
        let (mut best, mut value) = (self, self.likeness(one, other, mean, COARSE)?);
        for _ in 0..MOST_STEPS {
            let next = (0..6).filter_map(|n| {
                let mut next = best;
                next.shift[n / 2] += if n % 2 == 0 { 1 } else { -1 };
                Some((next, next.likeness(one, other, mean, COARSE)?))
            });
            match next.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|next| next.1 > value) {
                Some(next) => (best, value) = next,
                None => break,
            }
        }
        Some((best, best.likeness(one, other, mean, 1)?))
    }

    /// How alike two brains are here; `None` where they have too little in common, or nothing differs.
    pub(super) fn likeness(self, one: &Texture, other: &Texture, mean: &Mean, every: usize) -> Option<f64> {
        let shape = mean.blocks.shape.map(|n| n as i32);
        // Of axis 0 of `other`, where `one` is at `i`.
        let place = |i: i32| if self.mirrored { shape[0] - 1 - (i - self.shift[0]) } else { i - self.shift[0] };
        let (low, high) =
            (one.low.map(|n| n as i32), std::array::from_fn::<_, 3, _>(|a| (one.low[a] + one.shape[a]) as i32));
        let (from, to) =
            (other.low.map(|n| n as i32), std::array::from_fn::<_, 3, _>(|a| (other.low[a] + other.shape[a]) as i32));
        let range = |a: usize| (low[a].max(from[a] + self.shift[a]), high[a].min(to[a] + self.shift[a]));
        let ((j0, j1), (k0, k1)) = (range(1), range(2));
        let mut sums = Sums::default();
        for i in (low[0]..high[0]).step_by(every) {
            let there = place(i);
            if there < from[0] || there >= to[0] || k0 >= k1 {
                continue;
            }
            for j in (low[1]..high[1]).step_by(every).filter(|j| (j0..j1).contains(j)) {
                let count = (k1 - k0) as usize;
                let a = one.row([i, j, k0].map(|n| n as usize), count);
                let b = other.row([there, j - self.shift[1], k0 - self.shift[2]].map(|n| n as usize), count);
                let start = ((i * shape[1] + j) * shape[2] + k0) as usize;
                sums.add(a, b, &mean.values[start..start + count]);
            }
        }
        let common = (sums.count * every * every) as f64 / one.inside.min(other.inside).max(1) as f64;
        (common >= COMMON).then(|| sums.correlation()).flatten()
    }
}

/// Sums over blocks that both brains hold, of what differs from the mean.
#[derive(Default)]
struct Sums {
    count: usize,
    one: f64,
    other: f64,
    squares: [f64; 2],
    product: f64,
}

impl Sums {
    fn add(&mut self, a: &[i8], b: &[i8], mean: &[f32]) {
        // Of one row in single precision: at most some hundred terms.
        let mut row = [0f32; 5];
        for ((a, b), mean) in a.iter().zip(b).zip(mean) {
            if let (Some(a), Some(b), false) = (value_of(*a), value_of(*b), mean.is_nan()) {
                let (a, b) = (a - mean, b - mean);
                self.count += 1;
                row[0] += a;
                row[1] += b;
                row[2] += a * a;
                row[3] += b * b;
                row[4] += a * b;
            }
        }
        self.one += f64::from(row[0]);
        self.other += f64::from(row[1]);
        self.squares = [self.squares[0] + f64::from(row[2]), self.squares[1] + f64::from(row[3])];
        self.product += f64::from(row[4]);
    }

    fn correlation(&self) -> Option<f64> {
        let n = self.count as f64;
        let variance = |sum: f64, squares: f64| squares - sum * sum / n;
        let (one, other) = (variance(self.one, self.squares[0]), variance(self.other, self.squares[1]));
        let product = self.product - self.one * self.other / n;
        (n > 0.0 && one > 1e-9 * n && other > 1e-9 * n).then(|| (product / (one * other).sqrt()).clamp(-1.0, 1.0))
    }
}
