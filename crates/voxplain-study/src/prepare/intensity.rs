//! Normalisation of intensities.

use crate::cohort::Normalize;
use voxplain_volume::{Mask, Volume, quantiles};

/// Normalises the values inside the mask (on the same grid) and sets those outside to 0.
///
/// * `robust`: `(x - median) / IQR`, with quartiles as NumPy's default (linear between order statistics).
/// * `zscore`: `(x - mean) / standard deviation` (of the population, summed in float64).
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
    };
    // Resampling a constant leaves differences of rounding, which must not be blown up to a picture.
    let (low, high) = inside.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if high - low <= 1e-5 * high.abs().max(low.abs()) {
        return Err(format!("the image is constant in the brain mask (every value is {})", inside[0]));
    }
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
