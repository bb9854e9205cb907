//! [`Separable`]: linear maps of volumes that act along one axis after another, with their adjoint.
//!
//! Upsampling a coarse volume, smoothing with a Gaussian, and the two in a row are such maps. Along each axis
//! the map is a [`Band`], a matrix whose rows have few entries; upsampling followed by smoothing is composed
//! into one band per axis, so that it costs one pass over the volume instead of four.

/// A matrix in float64, to compose maps of one axis before they are made into a band.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisMap {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl AxisMap {
    /// Linear interpolation of `input` values at `position(n)` for each of `output` places; positions beyond the
    /// first or last value take that value.
    pub fn interpolate(input: usize, output: usize, position: impl Fn(usize) -> f64) -> Self {
        let mut map = Self::zeros(output, input);
        for n in 0..output {
            let x = position(n).clamp(0.0, (input - 1) as f64);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the input")]
            let low = (x.floor() as usize).min(input - 1);
            let share = x - low as f64;
            map.data[n * input + low] += 1.0 - share;
            if share > 0.0 {
                map.data[n * input + low + 1] += share;
            }
        }
        map
    }

    /// A Gaussian of standard deviation `sigma` (in places), cut off at 4 sigma; at the ends the kernel is cut and
    /// renormalised, so that a constant stays constant.
    pub fn gaussian(length: usize, sigma: f64) -> Self {
        Self::kernel(length, sigma.mul_add(4.0, 0.5).floor(), |d| (-0.5 * (d / sigma).powi(2)).exp(), true)
    }

    /// A symmetric or one-sided kernel, `weight(input place - output place)` up to `radius`; `renormalize` divides each
    /// row by its sum, otherwise what is beyond the ends counts as zero.
    pub fn kernel(length: usize, radius: f64, weight: impl Fn(f64) -> f64, renormalize: bool) -> Self {
        let mut map = Self::zeros(length, length);
        for (n, row) in map.data.chunks_mut(length).enumerate() {
            for (m, w) in row.iter_mut().enumerate() {
                let distance = m as f64 - n as f64;
                if distance.abs() <= radius {
                    *w = weight(distance);
                }
            }
            if renormalize {
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|w| *w /= sum);
            }
        }
        map
    }

    /// First this map, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        assert_eq!(self.rows, next.columns, "maps that follow each other");
        let mut map = Self::zeros(next.rows, self.columns);
        for (out, row) in map.data.chunks_mut(self.columns).zip(next.data.chunks(next.columns)) {
            for (&w, inner) in row.iter().zip(self.data.chunks(self.columns)).filter(|(w, _)| **w != 0.0) {
                out.iter_mut().zip(inner).for_each(|(o, i)| *o += w * i);
            }
        }
        map
    }

    fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, data: vec![0.0; rows * columns] }
    }

    fn transposed(&self) -> Self {
        let mut map = Self::zeros(self.columns, self.rows);
        for r in 0..self.rows {
            for c in 0..self.columns {
                map.data[c * self.rows + r] = self.data[r * self.columns + c];
            }
        }
        map
    }
}

/// A matrix whose rows have few entries, next to each other: row `n` is `weights[n]` from column `start[n]` on.
#[derive(Clone, Debug)]
struct Band {
    input: usize,
    width: usize,
    start: Vec<usize>,
    weights: Vec<f32>,
}

impl Band {
    #[expect(clippy::cast_possible_truncation, reason = "weights are applied in float32")]
    fn new(map: &AxisMap) -> Self {
        let span = |row: &[f64]| {
            let first = row.iter().position(|&w| w != 0.0).unwrap_or(0);
            let last = row.iter().rposition(|&w| w != 0.0).unwrap_or(first);
            (first, last)
        };
        let spans: Vec<_> = map.data.chunks(map.columns).map(span).collect();
        let width = spans.iter().map(|(first, last)| last - first + 1).max().unwrap_or(1);
        let start: Vec<_> = spans.iter().map(|&(first, _)| first.min(map.columns - width)).collect();
        let rows = map.data.chunks(map.columns).zip(&start);
        let weights = rows.flat_map(|(row, &s)| row[s..s + width].iter().map(|&w| w as f32)).collect();
        Self { input: map.columns, width, start, weights }
    }

    /// Applies the matrix along the middle axis of `[outer, input, inner]`, into `[outer, rows, inner]`.
    fn apply(&self, input: &[f32], inner: usize, output: &mut [f32]) {
        let rows = self.start.len();
        for (from, to) in input.chunks_exact(self.input * inner).zip(output.chunks_exact_mut(rows * inner)) {
            let lines = to.chunks_exact_mut(inner).zip(&self.start).zip(self.weights.chunks_exact(self.width));
            for ((line, &start), weights) in lines {
                if inner == 1 {
                    line[0] = weights.iter().zip(&from[start..]).map(|(w, v)| w * v).sum();
                } else {
                    let taken = from[start * inner..].chunks_exact(inner).zip(weights);
                    line.fill(0.0);
                    for (values, &w) in taken {
                        line.iter_mut().zip(values).for_each(|(l, v)| *l += w * v);
                    }
                }
            }
        }
    }
}

/// A linear map of volumes in C order that acts along one axis after another, and its adjoint.
#[derive(Clone, Debug)]
pub struct Separable {
    forward: [Band; 3],
    backward: [Band; 3],
    scratch: [Vec<f32>; 2],
}

impl Separable {
    /// The map that acts as `axes[a]` along axis `a`.
    pub fn new(axes: &[AxisMap; 3]) -> Self {
        let [a, b, c] = axes.each_ref();
        Self {
            forward: axes.each_ref().map(Band::new),
            backward: axes.each_ref().map(|map| Band::new(&map.transposed())),
            scratch: [vec![0.0; a.rows * b.columns * c.columns], vec![0.0; a.rows * b.rows * c.columns]],
        }
    }

    /// Shape of what goes in.
    pub fn input_shape(&self) -> [usize; 3] {
        self.forward.each_ref().map(|b| b.input)
    }

    /// Shape of what comes out.
    pub fn output_shape(&self) -> [usize; 3] {
        self.backward.each_ref().map(|b| b.input)
    }

    /// Applies the map; panics where a slice has not the number of values of its shape.
    pub fn apply(&mut self, input: &[f32], output: &mut [f32]) {
        let ([_, b, c], [_, y, _]) = (self.input_shape(), self.output_shape());
        assert_eq!(input.len(), self.input_shape().iter().product::<usize>());
        assert_eq!(output.len(), self.output_shape().iter().product::<usize>());
        let [first, second] = &mut self.scratch;
        self.forward[0].apply(input, b * c, first);
        self.forward[1].apply(first, c, second);
        self.forward[2].apply(second, 1, output);
        debug_assert_eq!(second.len() % y, 0);
    }

    /// Applies the adjoint, the transposed matrix: `<apply(x), y> = <x, adjoint(y)>`.
    pub fn adjoint(&mut self, output: &[f32], input: &mut [f32]) {
        let [_, b, c] = self.input_shape();
        assert_eq!(output.len(), self.output_shape().iter().product::<usize>());
        let [first, second] = &mut self.scratch;
        self.backward[2].apply(output, 1, second);
        self.backward[1].apply(second, c, first);
        self.backward[0].apply(first, b * c, input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn interpolation_by_hand() {
        // Two cells whose centres lie at places 1 and 3 of five.
        let map = AxisMap::interpolate(2, 5, |n| (n as f64 - 1.0) / 2.0);
        assert_eq!(map.data, [1.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn gaussian_keeps_constants_and_is_centred() {
        let map = AxisMap::gaussian(21, 2.0);
        for row in map.data.chunks(21) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let middle = &map.data[10 * 21..11 * 21];
        let mean: f64 = middle.iter().enumerate().map(|(m, w)| m as f64 * w).sum();
        let variance: f64 = middle.iter().enumerate().map(|(m, w)| (m as f64 - 10.0).powi(2) * w).sum();
        assert!((mean - 10.0).abs() < 1e-12 && (variance - 4.0).abs() < 0.02, "{mean} {variance}");
    }

    /// The map written as the sum over all three axes at once.
    fn slow(axes: &[AxisMap; 3], input: &[f32]) -> Vec<f64> {
        let [a, b, c] = axes;
        let mut out = vec![0.0; a.rows * b.rows * c.rows];
        for (n, o) in out.iter_mut().enumerate() {
            let (i, j, k) = (n / (b.rows * c.rows), n / c.rows % b.rows, n % c.rows);
            for (m, &v) in input.iter().enumerate() {
                let (x, y, z) = (m / (b.columns * c.columns), m / c.columns % b.columns, m % c.columns);
                *o += f64::from(v) * a.data[i * a.columns + x] * b.data[j * b.columns + y] * c.data[k * c.columns + z];
            }
        }
        out
    }

    fn axis(input: usize, output: usize, sigma: f64) -> AxisMap {
        let up = AxisMap::interpolate(input, output, |n| (n as f64 - 1.3) * 0.37);
        up.then(&AxisMap::gaussian(output, sigma))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn fast_equals_slow_and_the_adjoint_is_one(
            small in prop::array::uniform3(1usize..5), large in prop::array::uniform3(1usize..8),
            sigma in 0.2f64..3.0, seed in 0u64..1000
        ) {
            let axes: [AxisMap; 3] = std::array::from_fn(|a| axis(small[a], large[a], sigma));
            let mut map = Separable::new(&axes);
            let value = |n: usize| ((n as u64 * 2654435761 + seed * 97) % 1000) as f32 / 500.0 - 1.0;
            let x: Vec<f32> = (0..small.iter().product()).map(value).collect();
            let y: Vec<f32> = (0..large.iter().product()).map(|n| value(n + 7)).collect();
            let (mut up, mut down) = (vec![0.0; y.len()], vec![0.0; x.len()]);
            map.apply(&x, &mut up);
            for (fast, slow) in up.iter().zip(slow(&axes, &x)) {
                prop_assert!((f64::from(*fast) - slow).abs() < 1e-5);
            }
            map.adjoint(&y, &mut down);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            prop_assert!((dot(&up, &y) - dot(&x, &down)).abs() < 1e-4);
        }
    }
}
