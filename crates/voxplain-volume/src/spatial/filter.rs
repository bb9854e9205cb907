//! Gaussian smoothing.

use crate::Volume;
use rayon::prelude::*;

/// What a filter sees outside the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// The kernel is cut off and renormalised, so that a constant stays constant.
    Renormalize,
    /// Zeros.
    Zero,
    /// The edge value goes on.
    Replicate,
    /// The volume is mirrored about its outer faces (`c b a | a b c`): the default of `scipy.ndimage`, and nilearn's `smooth_img`.
    Reflect,
}

impl Volume<f32> {
    /// Gaussian smoothing with a standard deviation in mm (FWHM / 2.3548), the same along every array axis.
    ///
    /// Separable, along the array axes, by each axis' spacing; the kernel is sampled at voxel
    /// centres out to at least 4 standard deviations (the next whole voxel) and sums to 1. A
    /// standard deviation of 0, or below a tenth of a voxel, changes nothing along that axis; NaN
    /// spreads.
    pub fn smooth(&self, sigma_mm: f64, border: Border) -> Self {
        self.smooth_voxels(self.grid().spacing().map(|s| sigma_mm / s), border)
    }

    /// [`Volume::smooth`] with a standard deviation for each array axis, in voxels.
    pub fn smooth_voxels(&self, sigma: [f64; 3], border: Border) -> Self {
        let [ni, nj, nk] = self.shape();
        let mut data = self.data().to_vec();
        for (axis, (n, inner)) in [(ni, nj * nk), (nj, nk), (nk, 1)].into_iter().enumerate() {
            // An axis of one voxel holds no change to be smoothed, but still loses to zeros outside.
            if sigma[axis] >= 0.1 && sigma[axis].is_finite() && (n > 1 || border == Border::Zero) {
                let taps: Vec<Taps> = if border == Border::Reflect {
                    // From here on, mirrored over and over, the kernel is flat to 1e-30.
                    let half = gaussian(sigma[axis].min(4.0 * n as f64), usize::MAX);
                    (0..n).map(|p| Taps::mirrored(p, n, &half)).collect()
                } else {
                    let half = gaussian(sigma[axis], n);
                    (0..n).map(|p| Taps::at(p, n, &half, border)).collect()
                };
                data = if inner == 1 { along_rows(&data, &taps) } else { across_rows(&data, &taps, inner) };
            }
        }
        Self::from_parts(*self.grid(), data)
    }
}

/// Weights at distance 0, 1, ... of a kernel that sums to 1 over both sides. What lies further out than the
/// axis is long is gathered in one last weight: there the distance makes no difference.
fn gaussian(sigma: f64, n: usize) -> Vec<f64> {
    let shape = |x: f64| (-0.5 * (x / sigma).powi(2)).exp();
    let radius = (4.0 * sigma).ceil();
    let total = 1.0 + 2.0 * (1..).map(f64::from).take_while(|&x| x <= radius).map(shape).sum::<f64>();
    let mut half: Vec<f64> = (0..n).map(|x| x as f64).take_while(|&x| x <= radius).map(|x| shape(x) / total).collect();
    let inside = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    half.push(((1.0 - inside) / 2.0).max(0.0));
    half
}

/// The weights of the voxels `first..` of a line that make one smoothed value.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn at(p: usize, n: usize, half: &[f64], border: Border) -> Self {
        let (tail, half) = half.split_last().map_or((0.0, half), |(t, h)| (*t, h));
        let reach = half.len() - 1;
        let first = p.saturating_sub(reach);
        let last = (p + reach).min(n - 1);
        let mut weights: Vec<f64> = (first..=last).map(|q| half[q.abs_diff(p)]).collect();
        let below: f64 = half[(p - first + 1).min(half.len())..].iter().sum::<f64>() + tail;
        let above: f64 = half[(last - p + 1).min(half.len())..].iter().sum::<f64>() + tail;
        match border {
            Border::Zero | Border::Reflect => {}
            Border::Renormalize => {
                let sum: f64 = weights.iter().sum();
                weights.iter_mut().for_each(|w| *w /= sum);
            }
            Border::Replicate => {
                // Where the kernel ends inside, what is missing is only the tail's rounding.
                let end = weights.len() - 1;
                weights[0] += below;
                weights[end] += above;
            }
        }
        Self::new(first, &weights)
    }

    /// The same for [`Border::Reflect`], `half` whole.
    fn mirrored(p: usize, n: usize, half: &[f64]) -> Self {
        let mut weights = vec![0.0; n];
        let (mut first, mut last) = (p, p);
        for (distance, w) in half[..half.len() - 1].iter().enumerate() {
            // To the right, the places 0..2n are a line and its mirror image; to the left it is the same mirrored.
            let fold = |at: usize| if at % (2 * n) < n { at % (2 * n) } else { 2 * n - 1 - at % (2 * n) };
            let (right, left) = (fold(p + distance), n - 1 - fold(n - 1 - p + distance));
            weights[right] += w;
            if distance > 0 {
                weights[left] += w;
            }
            (first, last) = (first.min(left).min(right), last.max(left).max(right));
        }
        Self::new(first, &weights[first..=last])
    }

    #[expect(clippy::cast_possible_truncation, reason = "values are f32, so are their weights")]
    fn new(first: usize, weights: &[f64]) -> Self {
        Self { first, weights: weights.iter().map(|&w| w as f32).collect() }
    }
}

/// Smooths along the last axis: sixteen rows at a time are turned so that they lie side by side, and added as such.
fn along_rows(data: &[f32], taps: &[Taps]) -> Vec<f32> {
    const ROWS: usize = 16;
    let mut out = vec![0.0; data.len()];
    let n = taps.len();
    out.par_chunks_mut(n * ROWS).zip(data.par_chunks(n * ROWS)).for_each_init(
        || vec![[0.0f32; ROWS]; n],
        |turned, (out, data)| {
            for (r, row) in data.chunks(n).enumerate() {
                for (t, v) in turned.iter_mut().zip(row) {
                    t[r] = *v;
                }
            }
            for (k, t) in taps.iter().enumerate() {
                let mut sum = [0.0f32; ROWS];
                for (w, values) in t.weights.iter().zip(&turned[t.first..]) {
                    for (s, v) in sum.iter_mut().zip(values) {
                        *s += w * v;
                    }
                }
                for (out, s) in out.chunks_mut(n).zip(sum) {
                    out[k] = s;
                }
            }
        },
    );
    out
}

/// Smooths along an axis whose voxels are `inner` values apart: whole stretches are added, which is fast.
fn across_rows(data: &[f32], taps: &[Taps], inner: usize) -> Vec<f32> {
    let mut out = vec![0.0; data.len()];
    let n = taps.len();
    out.par_chunks_mut(inner).enumerate().for_each(|(row, out)| {
        let (line, p) = (row / n * n, row % n);
        let t = &taps[p];
        // Stretches short enough to stay in the first-level cache while all taps are added.
        for (piece, out) in out.chunks_mut(1024).enumerate() {
            for (q, &w) in t.weights.iter().enumerate() {
                let start = (line + t.first + q) * inner + piece * 1024;
                for (o, v) in out.iter_mut().zip(&data[start..]) {
                    *o += w * v;
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
    use crate::{Affine, Grid};
    use proptest::prelude::*;

    fn grid(shape: [usize; 3]) -> Grid {
        Grid::new(shape, Affine::from_spacing_origin([2.0, -3.0, 1.0], [0.0; 3])).unwrap()
    }

    /// The definition, without separability: a triple sum over the whole volume and, for `Replicate`, around it.
    fn slow(v: &Volume, sigma: [f64; 3], border: Border, at: [usize; 3]) -> f64 {
        let reach = sigma.map(|s| (4.0 * s).ceil() as i64);
        let weight = |a: usize, t: i64| (-0.5 * (t as f64 / sigma[a]).powi(2)).exp();
        let (mut sum, mut inside, mut all) = (0.0, 0.0, 0.0);
        for x in -reach[0]..=reach[0] {
            for y in -reach[1]..=reach[1] {
                for z in -reach[2]..=reach[2] {
                    let w = weight(0, x) * weight(1, y) * weight(2, z);
                    all += w;
                    let p = [at[0] as i64 + x, at[1] as i64 + y, at[2] as i64 + z];
                    let q: [usize; 3] = std::array::from_fn(|a| {
                        let n = v.shape()[a] as i64;
                        let mut at = p[a];
                        while border == Border::Reflect && !(0..n).contains(&at) {
                            at = if at < 0 { -1 - at } else { 2 * n - 1 - at };
                        }
                        at.clamp(0, n - 1) as usize
                    });
                    let is_inside = (0..3).all(|a| q[a] as i64 == p[a]);
                    if is_inside || matches!(border, Border::Replicate | Border::Reflect) {
                        inside += w;
                        sum += w * f64::from(v.at(q[0], q[1], q[2]));
                    }
                }
            }
        }
        sum / if border == Border::Zero { all } else { inside }
    }

    #[test]
    fn by_hand() {
        // One voxel in a line, sigma of one voxel: the sampled Gaussian itself.
        let line = Grid::new([1, 1, 17], Affine::IDENTITY).unwrap();
        let v = Volume::from_fn(line, |[_, _, k]| if k == 8 { 1.0 } else { 0.0 });
        let out = v.smooth_voxels([0.0, 0.0, 1.0], Border::Renormalize);
        let total: f64 = (-4..=4).map(|t| (-0.5 * f64::from(t * t)).exp()).sum();
        assert!((f64::from(out.at(0, 0, 8)) - 1.0 / total).abs() < 1e-7);
        assert!((f64::from(out.at(0, 0, 10)) - (-2f64).exp() / total).abs() < 1e-7);
        assert!((out.at(0, 0, 6) - out.at(0, 0, 10)).abs() < 1e-9, "centred");
    }

    #[test]
    fn zero_sigma_changes_nothing() {
        let v = Volume::from_fn(grid([3, 4, 5]), |[i, j, k]| (i + 2 * j + 3 * k) as f32);
        for border in [Border::Renormalize, Border::Zero, Border::Replicate, Border::Reflect] {
            assert_eq!(v.smooth(0.0, border), v);
            assert_eq!(v.smooth(-1.0, border), v);
            assert_eq!(v.smooth(f64::NAN, border), v);
        }
    }

    #[test]
    fn a_very_wide_kernel_averages() {
        let v = Volume::from_fn(grid([2, 3, 4]), |[i, j, k]| (i + 2 * j + 3 * k) as f32);
        let mean = v.data().iter().sum::<f32>() / 24.0;
        for border in [Border::Renormalize, Border::Reflect] {
            let out = v.smooth(1e5, border);
            assert!(out.data().iter().all(|x| (x - mean).abs() < 1e-3), "{border:?} {:?}", out.data());
        }
        let out = v.smooth(1e5, Border::Zero);
        assert!(out.data().iter().all(|x| x.abs() < 1e-3));
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            sigma in prop::array::uniform3(0.2f64..2.5),
            shape in prop::array::uniform3(1usize..7),
            seed in 0usize..1000,
        ) {
            let v = Volume::from_fn(grid(shape), |[i, j, k]| ((seed + i * 31 + j * 17 + k * 7) % 13) as f32 - 4.0);
            for border in [Border::Renormalize, Border::Zero, Border::Replicate, Border::Reflect] {
                let out = v.smooth_voxels(sigma, border);
                for n in [0, v.grid().len() / 2, v.grid().len() - 1] {
                    let (want, got) = (slow(&v, sigma, border, v.grid().voxel(n)), f64::from(out.data()[n]));
                    prop_assert!((want - got).abs() < 2e-5, "{border:?} {want} {got}");
                }
            }
        }

        #[test]
        fn constants_stay(sigma_mm in 0.0f64..20.0, shape in prop::array::uniform3(1usize..12)) {
            let v = Volume::filled(grid(shape), 7.0f32);
            for border in [Border::Renormalize, Border::Replicate, Border::Reflect] {
                prop_assert!(v.smooth(sigma_mm, border).data().iter().all(|x| (x - 7.0).abs() < 1e-4));
            }
            prop_assert!(v.smooth(sigma_mm, Border::Zero).data().iter().all(|&x| x <= 7.0001));
        }
    }
}
