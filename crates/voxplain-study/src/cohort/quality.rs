//! [`Quality`]: numbers that tell which subjects of a cohort to look at.

use super::{Cohort, Normalize};
use rayon::prelude::*;
use serde::Serialize;
use voxplain_core::{Progress, Result};
use voxplain_volume::{Mask, Volume, quantiles};

/// From which robust z on a subject is named: the value that Iglewicz and Hoaglin (1993, How to detect and handle
/// outliers, ASQC) recommend for their modified z-score, which is the same number.
pub const LIMIT: f64 = 3.5;

/// Subjects from which on outliers are named. Our choice: of fewer, the median deviation itself is a guess.
const FEWEST: usize = 10;

/// What is measured of every subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Volume of the mask, cm³, as the cohort has it ([`super::Subject::mask_volume`]).
    MaskVolume,
    /// Dice's coefficient of the subject's mask and the majority's, voxel by voxel of the cohort's lattice.
    MaskOverlap,
    /// Median intensity in the mask.
    Median,
    /// Interquartile range of intensities in the mask.
    Spread,
    /// 1 % quantile of intensities in the mask.
    Darkest,
    /// 99 % quantile.
    Brightest,
    /// Correlation with the template after alignment; NaN where there is none.
    Alignment,
}

impl Quantity {
    /// All, in the order of [`Measured::values`].
    pub const ALL: [Self; 7] = [
        Self::MaskVolume,
        Self::MaskOverlap,
        Self::Median,
        Self::Spread,
        Self::Darkest,
        Self::Brightest,
        Self::Alignment,
    ];

    /// In words, with its unit.
    pub const fn words(self) -> &'static str {
        match self {
            Self::MaskVolume => "mask volume, cm³",
            Self::MaskOverlap => "overlap of the mask with the majority's (Dice)",
            Self::Median => "median intensity in the mask",
            Self::Spread => "interquartile range of intensity in the mask",
            Self::Darkest => "1 % quantile of intensity in the mask",
            Self::Brightest => "99 % quantile of intensity in the mask",
            Self::Alignment => "correlation with the template after alignment",
        }
    }

    /// Name of a column of a table.
    pub const fn column(self) -> &'static str {
        match self {
            Self::MaskVolume => "mask_volume_cm3",
            Self::MaskOverlap => "mask_overlap",
            Self::Median => "intensity_median",
            Self::Spread => "intensity_iqr",
            Self::Darkest => "intensity_1",
            Self::Brightest => "intensity_99",
            Self::Alignment => "template_correlation",
        }
    }

    /// Whether subjects can differ in it: robust normalisation makes every median 0 and every interquartile range 1, that by the
    /// brain's median every median 1.
    const fn free(self, normalize: Normalize) -> bool {
        !matches!(
            (normalize, self),
            (Normalize::Robust, Self::Median | Self::Spread) | (Normalize::BrainMedian, Self::Median)
        )
    }
}

/// One subject in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The id, without `sub-`.
    pub id: String,
    /// In the order of [`Quantity::ALL`]; NaN for what an empty mask does not have.
    pub values: [f64; 7],
    /// The largest deviation of all quantities that count, in robust z.
    pub oddity: f64,
}

/// One subject that is far from the others in one quantity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlier {
    /// Position in the cohort.
    pub subject: usize,
    /// In what.
    pub quantity: Quantity,
    /// The value.
    pub value: f64,
    /// Median of the cohort.
    pub median: f64,
    /// Robust z ([`deviations`]).
    pub z: f64,
}

/// A cohort in numbers.
#[derive(Clone, Debug)]
pub struct Quality {
    /// Everyone, in the order of the cohort.
    pub subjects: Vec<Measured>,
    /// Who is far from the others, furthest first: |robust z| above [`LIMIT`], for the overlap of masks and for
    /// the correlation with the template below the median alone.
    pub outliers: Vec<Outlier>,
    /// The quantities that outliers were looked for in; none for fewer than ten subjects.
    pub judged: Vec<Quantity>,
    /// Share of the subjects whose mask holds a voxel, on the cohort's lattice ([`Cohort::common_grid`] says what its world is).
    pub coverage: Volume,
}

impl Quality {
    /// Measures everyone.
    ///
    /// # Errors
    /// Volumes or masks of the cohort that cannot be read.
    pub fn of(cohort: &Cohort, progress: &dyn Progress) -> Result<Self> {
        let people = cohort.subjects.len();
        let (grid, _) = cohort.common_grid();
        progress.begin("quality of the volumes", people);
        let votes: Result<Vec<u32>> = (0..people)
            .into_par_iter()
            .map(|n| progress.go_on().and_then(|()| cohort.mask(n)))
            .try_fold(
                || vec![0u32; grid.len()],
                |mut votes, mask| {
                    votes.iter_mut().zip(mask?.data()).for_each(|(v, m)| *v += u32::from(*m));
                    Ok(votes)
                },
            )
            .try_reduce(
                || vec![0u32; grid.len()],
                |mut a, b| {
                    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                    Ok(a)
                },
            );
        let subjects = votes.and_then(|votes| {
            #[expect(clippy::cast_possible_truncation, reason = "a share")]
            let coverage = Volume::new(grid, votes.iter().map(|v| (f64::from(*v) / people as f64) as f32).collect())?;
            let majority = majority(&coverage);
            let measured = (0..people)
                .into_par_iter()
                .map(|n| {
                    progress.go_on()?;
                    let measured = measure(cohort, n, &majority)?;
                    progress.advance(1, &measured.id);
                    Ok(measured)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok((measured, coverage))
        });
        progress.end();
        let (mut subjects, coverage) = subjects?;
        let measured = |q: Quantity| subjects.iter().any(|s| s.values[q as usize].is_finite());
        let judged: Vec<Quantity> = Quantity::ALL
            .into_iter()
            .filter(|q| people >= FEWEST && q.free(cohort.preparation.normalize) && measured(*q))
            .collect();
        let outliers = outliers(&mut subjects, &judged);
        Ok(Self { subjects, outliers, judged, coverage })
    }

    /// Voxels that at least half of the masks hold.
    pub fn majority(&self) -> Mask {
        majority(&self.coverage)
    }
}

fn majority(coverage: &Volume) -> Mask {
    coverage.map(|share| *share >= 0.5)
}

fn measure(cohort: &Cohort, n: usize, majority: &Mask) -> Result<Measured> {
    let (volume, mask) = (cohort.volume(n)?, cohort.mask(n)?);
    let mut inside: Vec<f32> = volume.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(v, _)| *v).collect();
    let [darkest, low, median, high, brightest] = quantiles(&mut inside, [0.01, 0.25, 0.5, 0.75, 0.99]);
    let subject = &cohort.subjects[n];
    let alignment = subject.alignment.map_or(f64::NAN, |alignment| alignment.correlation);
    let values =
        [subject.mask_volume / 1000.0, dice(&mask, majority), median, high - low, darkest, brightest, alignment];
    Ok(Measured { id: subject.id.clone(), values, oddity: 0.0 })
}

/// Twice the common voxels over those of both (Dice 1945), voxel by voxel; NaN for two empty masks.
fn dice(a: &Mask, b: &Mask) -> f64 {
    let count = |mask: &Mask| mask.data().iter().filter(|m| **m).count();
    let both = a.data().iter().zip(b.data()).filter(|(a, b)| **a && **b).count();
    2.0 * both as f64 / (count(a) + count(b)) as f64
}

/// Names those beyond [`LIMIT`], furthest first, and notes everyone's largest deviation.
fn outliers(subjects: &mut [Measured], judged: &[Quantity]) -> Vec<Outlier> {
    let mut outliers = Vec::new();
    for &quantity in judged {
        let values: Vec<f64> = subjects.iter().map(|s| s.values[quantity as usize]).collect();
        let (median, z) = deviations(&values);
        for (subject, &z) in z.iter().enumerate() {
            // Masks can agree too little, and brains with the template, never too well.
            let far = if matches!(quantity, Quantity::MaskOverlap | Quantity::Alignment) { -z } else { z.abs() };
            subjects[subject].oddity = subjects[subject].oddity.max(far);
            if far > LIMIT {
                outliers.push(Outlier { subject, quantity, value: values[subject], median, z });
            }
        }
    }
    outliers.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then(a.subject.cmp(&b.subject)));
    outliers
}

/// The median of values, and how far each is from it in robust z: `(x - median) / (1.4826 MAD)`, with MAD the median of
/// |x - median|; 1.4826 makes it the standard deviation of normally distributed values (Iglewicz and Hoaglin 1993).
///
/// Where half of the values or more are the same, MAD is 0; `sqrt(pi / 2)` times the mean of |x - median| stands in, the
/// same for normal values. Values that are no numbers count for nothing and have z 0, as have all where all are the same.
pub fn deviations(values: &[f64]) -> (f64, Vec<f64>) {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let middle = median(finite.clone());
    let sizes: Vec<f64> = finite.iter().map(|v| (v - middle).abs()).collect();
    let mean = sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
    let scale = match 1.4826 * median(sizes) {
        mad if mad > 0.0 => mad,
        _ => std::f64::consts::FRAC_PI_2.sqrt() * mean,
    };
    let z = |v: &f64| if v.is_finite() && scale > 0.0 { (v - middle) / scale } else { 0.0 };
    (middle, values.iter().map(z).collect())
}

/// NaN for no values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::{Placement, Preparation, Subject};
    use proptest::prelude::*;
    use voxplain_core::{Silent, Table};
    use voxplain_volume::{Affine, Grid};

    #[test]
    fn deviations_by_hand() {
        // Median 3; |x - 3| = 2, 1, 0, 1, 97, whose median is 1.
        let (median, z) = deviations(&[1.0, 2.0, 3.0, 4.0, 100.0]);
        assert_eq!(median, 3.0);
        let expected = [-2.0, -1.0, 0.0, 1.0, 97.0].map(|d| d / 1.4826);
        assert!(z.iter().zip(expected).all(|(z, e)| (z - e).abs() < 1e-12), "{z:?}");
        // An even number of values: the median lies between.
        assert_eq!(deviations(&[1.0, 2.0, 4.0, 9.0]).0, 3.0);
        // MAD 0: the mean of |x - 5| is 3 / 4, times 1.2533.
        let (_, z) = deviations(&[5.0, 5.0, 5.0, 8.0]);
        assert!((z[3] - 3.0 / (0.75 * 1.253_314_137_315_500_3)).abs() < 1e-12 && z[0] == 0.0);
        // All the same, none, no numbers.
        assert_eq!(deviations(&[7.0; 4]), (7.0, vec![0.0; 4]));
        assert!(deviations(&[]).0.is_nan());
        let (median, z) = deviations(&[1.0, f64::NAN, 3.0, f64::INFINITY]);
        assert_eq!((median, z[1], z[3]), (2.0, 0.0, 0.0));
    }

    proptest! {
        // Deviations do not depend on the unit or on where its zero is.
        #[test]
        fn no_unit(values in prop::collection::vec(-50.0..50.0f64, 1..30), scale in 0.1..10.0f64, shift in -9.0..9.0f64) {
            let moved: Vec<f64> = values.iter().map(|v| scale * v + shift).collect();
            let (z, again) = (deviations(&values).1, deviations(&moved).1);
            for (a, b) in z.iter().zip(&again) {
                prop_assert!((a - b).abs() <= 1e-6 * (1.0 + a.abs()), "{} {}", a, b);
            }
        }
    }

    /// `(id, i from, i to, lift)`: a mask from plane to plane of 8 x 2 x 2 voxels of 10 mm, and what is added in it.
    fn cohort(folder: &std::path::Path, people: &[(&str, usize, usize, f32)], normalize: Normalize) -> Cohort {
        let people: Vec<_> = people
            .iter()
            .enumerate()
            .map(|(n, &(id, from, to, lift))| {
                // Placed on the mask's centre, every grid lies elsewhere; voxels answer to each other all the same.
                let affine = Affine::from_spacing_origin([10.0; 3], [n as f64, 0.0, 0.0]);
                let grid = Grid::new([8, 2, 2], affine).unwrap();
                let mask = Mask::from_fn(grid, |[i, ..]| (from..to).contains(&i));
                let volume = Volume::from_fn(grid, |[i, j, k]| if mask.at(i, j, k) { i as f32 + lift } else { 0.0 });
                (Subject::new(id, &volume, &mask), volume, mask)
            })
            .collect();
        let preparation = Preparation {
            shape: [8, 2, 2],
            spacing: [10.0; 3],
            normalize,
            placement: Placement::MaskCentre,
            template: None,
            whole_head: false,
            channels: Vec::new(),
        };
        let rows = people.iter().map(|_| vec![Some("x".to_owned())]).collect();
        Cohort::write(&folder.join("c"), &preparation, &Table { columns: vec!["site".into()], rows }, &people).unwrap()
    }

    #[test]
    fn a_cohort_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        // Nine alike, one brighter by 50, one whose mask is shifted by half, one with a small mask.
        let mut people = vec![("p", 2, 6, 0.0); 12];
        let ids: Vec<String> = (0..12).map(|n| format!("p{n:02}")).collect();
        people.iter_mut().zip(&ids).for_each(|(p, id)| p.0 = id);
        people[3].3 = 50.0;
        people[5] = (&ids[5], 4, 8, 0.0);
        people[7] = (&ids[7], 3, 5, 0.0);
        let cohort = cohort(folder.path(), &people, Normalize::None);
        let quality = Quality::of(&cohort, &Silent).unwrap();
        // Plane 2 is in all masks but p05's and p07's, 3 in all but p05's, 4 in all, 5 in all but p07's, 6 and 7 in p05's.
        let share = |i: usize| quality.coverage.at(i, 0, 0);
        let expected = [0.0, 0.0, 10.0, 11.0, 12.0, 11.0, 1.0, 1.0].map(|n: f32| n / 12.0);
        assert!((0..8).all(|i| (share(i) - expected[i]).abs() < 1e-6));
        assert_eq!((0..8).filter(|i| quality.majority().at(*i, 0, 0)).collect::<Vec<_>>(), [2, 3, 4, 5]);
        // 16 voxels of 1 cm³; Dice of the shifted mask 2 * 2 / (4 + 4), of the small one 2 * 2 / (2 + 4).
        let value = |n: usize, q: Quantity| quality.subjects[n].values[q as usize];
        assert_eq!((value(0, Quantity::MaskVolume), value(0, Quantity::MaskOverlap)), (16.0, 1.0));
        assert_eq!(value(5, Quantity::MaskOverlap), 0.5);
        assert!((value(7, Quantity::MaskOverlap) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((value(7, Quantity::MaskVolume), value(3, Quantity::Median)), (8.0, 53.5));
        // Values 2, 3, 4, 5, each four times: quartiles 2.75 and 4.25.
        assert_eq!((value(0, Quantity::Spread), value(0, Quantity::Brightest)), (1.5, 5.0));
        let named =
            |q: Quantity| quality.outliers.iter().filter(|o| o.quantity == q).map(|o| o.subject).collect::<Vec<_>>();
        assert_eq!(named(Quantity::MaskVolume), [7]);
        assert_eq!(named(Quantity::MaskOverlap), [5, 7]);
        assert_eq!(named(Quantity::Median), [3]);
        // The furthest first, and everyone's largest deviation with them.
        assert!(quality.outliers.windows(2).all(|w| w[0].z.abs() >= w[1].z.abs()));
        let most = quality.outliers[0].z.abs();
        assert_eq!(quality.subjects.iter().map(|s| s.oddity).fold(0.0, f64::max), most);
        assert_eq!(quality.judged.len(), 6);
    }

    #[test]
    fn what_normalisation_fixes_and_what_is_too_few_is_not_judged() {
        let folder = tempfile::tempdir().unwrap();
        let ids: Vec<String> = (0..10).map(|n| format!("p{n}")).collect();
        let mut people: Vec<_> = ids.iter().map(|id| (id.as_str(), 2, 6, 0.0)).collect();
        people[0].3 = 9.0;
        let robust = Quality::of(&cohort(folder.path(), &people, Normalize::Robust), &Silent).unwrap();
        assert!(!robust.judged.contains(&Quantity::Median) && !robust.judged.contains(&Quantity::Spread));
        assert!(robust.outliers.iter().all(|o| matches!(o.quantity, Quantity::Darkest | Quantity::Brightest)));
        assert_eq!(robust.outliers.len(), 2);
        let few = tempfile::tempdir().unwrap();
        let few = Quality::of(&cohort(few.path(), &people[..9], Normalize::None), &Silent).unwrap();
        assert!(few.judged.is_empty() && few.outliers.is_empty() && few.subjects.len() == 9);
    }
}
