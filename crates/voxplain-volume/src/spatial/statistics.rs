//! Numbers about the values of a volume, everywhere or inside a mask.

use crate::{Error, Mask, Result, Volume};
use serde::Serialize;

/// What the values are like. NaN and infinite values are counted and otherwise left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of finite values, on which everything below is computed; with none, those are NaN.
    pub count: usize,
    /// Number of values that are not a number.
    pub nan: usize,
    /// Number of infinite values.
    pub infinite: usize,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the population (divisor `count`), as `numpy.std`.
    pub sd: f64,
    /// 50 % quantile.
    pub median: f64,
    /// 25 % and 75 % quantiles; the interquartile range lies between.
    pub quartiles: [f64; 2],
    /// 1 % and 99 % quantiles.
    pub tails: [f64; 2],
}

/// Quantiles by linear interpolation between order statistics (NumPy's default, type 7 of Hyndman and Fan
/// 1996): `q` in 0..=1 lies at position `q (n - 1)` of the sorted values. NaN values are left out; with
/// no others, NaN. Reorders `values`.
pub fn quantiles<const N: usize>(values: &mut Vec<f32>, q: [f64; N]) -> [f64; N] {
    values.retain(|v| !v.is_nan());
    values.sort_unstable_by(f32::total_cmp);
    q.map(|q| sorted_quantile(values, q))
}

fn sorted_quantile(sorted: &[f32], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position inside the slice")]
    let low = at.floor() as usize;
    let (a, b) = (f64::from(sorted[low]), f64::from(sorted[(low + 1).min(last)]));
    if a == b { a } else { a + (b - a) * (at - low as f64) }
}

impl Volume<f32> {
    /// The values inside a mask of the same grid (all values without one), in array order.
    pub fn values(&self, mask: Option<&Mask>) -> Result<Vec<f32>> {
        let Some(mask) = mask else { return Ok(self.data().to_vec()) };
        if !self.grid().same_space(mask.grid(), 0.01) {
            return Err(Error::Grid(format!(
                "a mask of shape {:?} at {:?} is not on the grid of the volume, {:?} at {:?}",
                mask.shape(),
                mask.grid().affine.rows(),
                self.shape(),
                self.grid().affine.rows()
            )));
        }
        Ok(self.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(v, _)| *v).collect())
    }

    /// Summary of the values inside a mask of the same grid, or of all values.
    pub fn summary(&self, mask: Option<&Mask>) -> Result<Summary> {
        let mut values = self.values(mask)?;
        let total = values.len();
        values.retain(|v| !v.is_nan());
        let nan = total - values.len();
        values.retain(|v| v.is_finite());
        let count = values.len();
        let infinite = total - nan - count;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count as f64;
        let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count as f64;
        let [min, low, first, median, third, high, max] =
            quantiles(&mut values, [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0]);
        Ok(Summary {
            count,
            nan,
            infinite,
            min,
            max,
            mean,
            sd: variance.sqrt(),
            median,
            quartiles: [first, third],
            tails: [low, high],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Affine, Grid};

    #[test]
    fn by_hand() {
        // numpy.quantile([1, 2, 3, 10], [0, .25, .5, .99, 1]) = [1, 1.75, 2.5, 9.79, 10]
        let q = quantiles(&mut vec![3.0, f32::NAN, 10.0, 1.0, 2.0], [0.0, 0.25, 0.5, 0.99, 1.0]);
        for (got, want) in q.iter().zip([1.0, 1.75, 2.5, 9.79, 10.0]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        assert!(quantiles(&mut vec![], [0.5])[0].is_nan());
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        let grid = Grid::new([1, 2, 3], Affine::IDENTITY).unwrap();
        let v = Volume::new(grid, vec![f32::NAN, 1.0, 3.0, f32::INFINITY, 5.0, 100.0]).unwrap();
        let mask = Volume::new(grid, vec![true, true, true, true, true, false]).unwrap();
        let s = v.summary(Some(&mask)).unwrap();
        assert_eq!((s.count, s.nan, s.infinite), (3, 1, 1));
        assert_eq!((s.min, s.max, s.mean, s.median), (1.0, 5.0, 3.0, 3.0));
        assert!((s.sd - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(s.quartiles, [2.0, 4.0]);
        assert!(v.summary(Some(&mask.map(|_| false))).unwrap().mean.is_nan());
        let elsewhere = Grid::new([1, 2, 3], Affine::from_spacing_origin([1.0; 3], [1.0; 3])).unwrap();
        assert!(v.summary(Some(&Mask::filled(elsewhere, true))).is_err());
    }
}
