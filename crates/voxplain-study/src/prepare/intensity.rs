//! Normalisation of intensities.

use crate::cohort::Normalize;
use voxplain_volume::{Mask, Volume, quantiles};

/// Normalises the values inside the mask (on the same grid) and sets those outside to 0.
///
/// * `robust`: `(x - median) / IQR`, with quartiles as NumPy's default (linear between order statistics).
/// * `zscore`: `(x - mean) / standard deviation` (of the population, summed in float64).
/// * `brain-median`: `x / median`.
/// * `white-matter`: `x / w`, `w` by [`white_matter`].
///
/// The error says in words why the values cannot be normalised.
pub(crate) fn normalize(volume: &mut Volume, mask: &Mask, how: Normalize) -> Result<(), String> {
    let mut inside: Vec<f32> = volume.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(v, _)| *v).collect();
    if inside.is_empty() {
        return Err("the brain mask is empty on the prepared grid".into());
    }
    if inside.iter().any(|v| !v.is_finite()) {
        return Err("there are NaN or infinite values in the brain mask".into());
    }
    // Resampling a constant leaves differences of rounding, which must not be blown up to a picture.
    let (low, high) = inside.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if high - low <= 1e-5 * high.abs().max(low.abs()) {
        return Err(format!("the image is constant in the brain mask (every value is {})", inside[0]));
    }
    let (shift, scale) = match how {
        Normalize::None => (0.0, 1.0),
        Normalize::Robust => {
            let [low, median, high] = quantiles(&mut inside, [0.25, 0.5, 0.75]);
            (median, high - low)
        }
        Normalize::Zscore => {
            let n = inside.len() as f64;
            let mean = inside.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let variance = inside.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
            (mean, variance.sqrt())
        }
        Normalize::BrainMedian => (0.0, positive("median", quantiles(&mut inside, [0.5])[0])?),
        Normalize::WhiteMatter => (0.0, positive("white matter", white_matter(volume, mask)?)?),
    };
    if scale <= 0.0 {
        return Err(
            "a quarter of the brain's voxels or more share the middle value: the interquartile range is 0".into()
        );
    }
    for (v, m) in volume.data_mut().iter_mut().zip(mask.data()) {
        *v = if *m { ((f64::from(*v) - shift) / scale) as f32 } else { 0.0 };
    }
    Ok(())
}

/// What values are divided by must be above 0, as it is where 0 is air.
fn positive(what: &str, value: f64) -> Result<f64, String> {
    if value > 0.0 {
        return Ok(value);
    }
    Err(format!(
        "the {what} of the brain is {value}, and only a value above 0 can become 1: these intensities do not count from air \
         (they may be normalised already)"
    ))
}

/// Fewest voxels that white matter is looked for in. Our choice: a brain on a grid of 10 mm has about as many.
const FEWEST: usize = 100;

/// The intensity of white matter in a T1-weighted brain: of the voxels brighter than the median of the mask whose six neighbours are in
/// the mask too, the quarter with the smallest gradient (central differences, per mm); the median of their intensities.
///
/// A mode of the histogram would not do: on a grid of 3 mm most voxels hold both grey and white matter and the histogram has one peak,
/// between them. On the 107 heads of IXI this is 1.03 times the median of the white matter that DLMUSE found (1.00 to 1.06;
/// coefficient of variation 1 %), at 2 and at 3 mm alike.
fn white_matter(volume: &Volume, mask: &Mask) -> Result<f64, String> {
    let (shape, spacing) = (volume.shape(), volume.grid().spacing());
    let mut all: Vec<f32> = volume.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(v, _)| *v).collect();
    let [median] = quantiles(&mut all, [0.5]);
    let step = [shape[1] * shape[2], shape[2], 1];
    let mut bright: Vec<(f64, f32)> = Vec::new();
    for (n, &value) in volume.data().iter().enumerate().filter(|(n, v)| mask.data()[*n] && f64::from(**v) > median) {
        let at = volume.grid().voxel(n);
        let inner =
            (0..3).all(|a| at[a] > 0 && at[a] + 1 < shape[a] && mask.data()[n - step[a]] && mask.data()[n + step[a]]);
        if inner {
            let slope = |a: usize| {
                let (low, high) = (volume.data()[n - step[a]], volume.data()[n + step[a]]);
                (f64::from(high) - f64::from(low)) / (2.0 * spacing[a])
            };
            bright.push(((0..3).map(|a| slope(a).powi(2)).sum(), value));
        }
    }
    if bright.len() < FEWEST {
        return Err(format!(
            "white matter cannot be found: only {} voxels brighter than the median of the brain have all their neighbours in the mask, \
             and {FEWEST} are needed",
            bright.len()
        ));
    }
    // Equal slopes are ordered by their values, so that the order of voxels does not matter.
    bright.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut flat: Vec<f32> = bright[..bright.len().div_ceil(4)].iter().map(|(_, v)| *v).collect();
    Ok(quantiles(&mut flat, [0.5])[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::{Affine, Grid};

    fn volume(values: &[f32]) -> (Volume, Mask) {
        let grid = Grid::new([values.len(), 1, 1], Affine::IDENTITY).unwrap();
        let mask = Volume::from_fn(grid, |[i, _, _]| i > 0);
        (Volume::new(grid, values.to_vec()).unwrap(), mask)
    }

    #[test]
    fn by_hand() {
        // Inside: 1 2 3 4 10. Median 3, quartiles 2 and 4. Mean 4, variance (9 + 4 + 1 + 0 + 36) / 5 = 10.
        let values = [f32::NAN, 10.0, 1.0, 4.0, 3.0, 2.0];
        let (mut v, mask) = volume(&values);
        normalize(&mut v, &mask, Normalize::Robust).unwrap();
        assert_eq!(v.data(), [0.0, 3.5, -1.0, 0.5, 0.0, -0.5]);
        let (mut v, mask) = volume(&values);
        normalize(&mut v, &mask, Normalize::Zscore).unwrap();
        let s = 10f32.sqrt();
        assert!(
            v.data().iter().zip([0.0, 6.0 / s, -3.0 / s, 0.0, -1.0 / s, -2.0 / s]).all(|(a, b)| (a - b).abs() < 1e-6)
        );
        let (mut v, mask) = volume(&values);
        normalize(&mut v, &mask, Normalize::None).unwrap();
        assert_eq!(v.data(), [0.0, 10.0, 1.0, 4.0, 3.0, 2.0]);
        let (mut v, mask) = volume(&values);
        normalize(&mut v, &mask, Normalize::BrainMedian).unwrap();
        assert_eq!(v.data(), [0.0, 10.0 / 3.0, 1.0 / 3.0, 4.0 / 3.0, 1.0, 2.0 / 3.0]);
    }

    /// A ball of grey matter of 60 around one of white matter of 100 in dark fluid of 10, and vessels of 400; blurred as a coarse grid does.
    fn head(scale: f32) -> (Volume, Mask) {
        let grid = Grid::new([24; 3], Affine::from_spacing_origin([3.0; 3], [0.0; 3])).unwrap();
        let radius = |[i, j, k]: [usize; 3]| [i, j, k].map(|v| (v as f64 - 11.5).powi(2)).iter().sum::<f64>().sqrt();
        let sharp = Volume::from_fn(grid, |at| {
            let tissue = match radius(at) {
                _ if at[0] % 8 == 3 && at[1] % 8 == 3 => 400.0,
                r if r < 7.0 => 100.0,
                r if r < 9.0 => 60.0,
                _ => 10.0,
            };
            tissue * scale
        });
        (sharp.smooth(4.0, voxplain_volume::Border::Replicate), Volume::from_fn(grid, |at| radius(at) < 10.0))
    }

    #[test]
    fn white_matter_becomes_one_whatever_the_scale_and_air_stays_zero() {
        for scale in [1.0, 0.001, 250.0] {
            let (mut v, mask) = head(scale);
            normalize(&mut v, &mask, Normalize::WhiteMatter).unwrap();
            let centre = f64::from(v.at(14, 9, 12));
            assert!((centre - 1.0).abs() < 0.1, "{centre}");
            assert!(v.data().iter().zip(mask.data()).all(|(v, m)| *m || *v == 0.0));
        }
        // Scaling alone: ratios of tissues stay.
        let (before, mask) = head(1.0);
        let mut after = before.clone();
        normalize(&mut after, &mask, Normalize::WhiteMatter).unwrap();
        let ratio = before.at(12, 12, 12) / after.at(12, 12, 12);
        assert!(
            (0..before.data().len())
                .filter(|n| mask.data()[*n])
                .all(|n| (before.data()[n] / after.data()[n] / ratio - 1.0).abs() < 1e-5)
        );
    }

    #[test]
    fn what_is_no_scale_from_air_is_refused() {
        let (mut v, mask) = head(1.0);
        v.data_mut().iter_mut().for_each(|v| *v -= 500.0);
        for how in [Normalize::BrainMedian, Normalize::WhiteMatter] {
            let error = normalize(&mut v.clone(), &mask, how).unwrap_err();
            assert!(error.contains("do not count from air"), "{error}");
        }
        let (mut v, mask) = volume(&[0.0, 5.0, 6.0, 7.0, 8.0]);
        let error = normalize(&mut v, &mask, Normalize::WhiteMatter).unwrap_err();
        assert!(error.contains("only 0 voxels"), "{error}");
    }

    #[test]
    fn what_cannot_be_scaled_is_said() {
        for (values, word) in [
            (&[0.0, 5.0, 5.0, 5.0][..], "constant"),
            (&[0.0, 5.0, 5.0, 5.0, 5.0, 9.0], "interquartile"),
            (&[0.0, 5.0, f32::NAN], "NaN"),
            (&[0.0], "empty"),
        ] {
            let (mut v, mask) = volume(values);
            let error = normalize(&mut v, &mask, Normalize::Robust).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
