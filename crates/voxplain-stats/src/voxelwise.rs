//! Statistics over subjects at every voxel.

/// What is computed at every voxel over subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The median; of an even number the mean of the middle two.
    Median,
    /// The standard deviation, with n - 1; not for one subject.
    Deviation,
    /// (subjects above 0 - subjects below 0) / subjects: 1 or -1 where all agree, 0 where as many say either.
    Sign,
}

impl Statistic {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Mean, Self::Median, Self::Deviation, Self::Sign];

    /// The word for file names: `mean`, `median`, `sd`, `sign`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Deviation => "sd",
            Self::Sign => "sign",
        }
    }

    /// Of the values of all subjects at one voxel, which may be reordered; 0 for a standard deviation of one value.
    #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
    pub fn of(self, values: &mut [f32]) -> f32 {
        let n = values.len() as f64;
        if values.is_empty() {
            return 0.0;
        }
        let mean = || values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        match self {
            Self::Mean => mean() as f32,
            Self::Deviation if values.len() < 2 => 0.0,
            Self::Deviation => {
                let mean = mean();
                (values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() as f32
            }
            Self::Sign => {
                let above = values.iter().filter(|&&x| x > 0.0).count() as f64;
                let below = values.iter().filter(|&&x| x < 0.0).count() as f64;
                ((above - below) / n) as f32
            }
            Self::Median => {
                let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
                let (low, &mut high, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
                if odd {
                    return high;
                }
                let low = low.iter().copied().max_by(f32::total_cmp).unwrap_or(high);
                f64::midpoint(f64::from(low), f64::from(high)) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let of = |s: Statistic, v: &[f32]| s.of(&mut v.to_vec());
        assert_eq!(of(Statistic::Mean, &[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(of(Statistic::Median, &[6.0, 1.0, 2.0]), 2.0);
        assert_eq!(of(Statistic::Median, &[6.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(of(Statistic::Deviation, &[1.0, 3.0]), 2.0f32.sqrt());
        assert_eq!(of(Statistic::Deviation, &[1.0]), 0.0);
        assert_eq!(of(Statistic::Sign, &[1.0, 3.0, -1.0, 0.0]), 0.25);
        for s in Statistic::ALL {
            assert_eq!(of(s, &[]), 0.0);
        }
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_half_lie_below_the_median(mut v in prop::collection::vec(-9i16..9, 1..40)) {
            let float = |v: &[i16]| v.iter().map(|&x| f32::from(x)).collect::<Vec<f32>>();
            let median = Statistic::Median.of(&mut float(&v));
            let below = v.iter().filter(|&&x| f32::from(x) < median).count();
            let above = v.iter().filter(|&&x| f32::from(x) > median).count();
            prop_assert!(2 * below <= v.len() && 2 * above <= v.len());
            v.reverse();
            prop_assert_eq!(Statistic::Median.of(&mut float(&v)), median);
        }
    }
}
