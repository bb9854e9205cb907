//! Statistics over subjects and maps. It needs no network, and no image: numbers in, numbers out.
//!
//! * [`Classification`]: how well classes are told apart, from one [`FoldPrediction`] per subject; every number is an
//!   [`Estimate`] with its interval. [`Comparison`] sets two classifiers against each other.
//! * [`Regression`]: how near numbers are predicted, from one [`ValuePrediction`] per subject; [`ValueComparison`] sets two
//!   predictors against each other.
//! * [`Calibration`] and [`CalibrationLine`] say whether a probability means what it says; [`roc`] has the curve and the area under it.
//! * [`Interval`]: a mean over subjects with its 95 % interval of Student's t, over independent subjects or, for maps, by model.
//! * Similarity of two maps: [`pearson`], [`spearman`], and the [`overlap`] of their top voxels, corrected for chance.
//! * [`Association`]: how two columns of a table go together, with Holm's correction for several, [`holm`].
//! * [`Matching`]: pairs of people of two classes who are alike in covariates, and [`MatchedAreas`], areas over them.
//! * [`inference`]: a linear model at every voxel, tested by permutation and corrected for the number of voxels.
//! * [`Statistic`]: mean, median, spread and sign over subjects, voxel by voxel.
//!
//! ```
//! use voxplain_stats::{Interval, Overlap, Top, overlap, spearman};
//!
//! // Four subjects: mean 3, standard deviation sqrt(14 / 3), and t(0.975, 3) = 3.1824.
//! let accuracy = Interval::of(&[1.0, 2.0, 3.0, 6.0]).unwrap();
//! assert_eq!(accuracy.mean, 3.0);
//! let half = 3.182_446 * (14.0f64 / 3.0 / 4.0).sqrt();
//! assert!((accuracy.high.unwrap() - 3.0 - half).abs() < 1e-5);
//!
//! // Two maps of ten voxels. Their ranks differ by 1, -1 in the first two alone: 1 - 6 * 2 / (10 * 99).
//! let a = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5];
//! let b = [8.0, 9.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5];
//! assert!((spearman(&a, &b)?.unwrap() - (1.0 - 12.0 / 990.0)).abs() < 1e-12);
//! // The top fifth, two voxels each, is the same two; the top tenth shares none, which is less than chance.
//! assert_eq!(overlap(&a, &b, 20.0, Top::Absolute)?, Some(Overlap { dice: 1.0, corrected: 1.0 }));
//! assert!(overlap(&a, &b, 10.0, Top::Absolute)?.unwrap().corrected < 0.0);
//! # Ok::<(), voxplain_core::Error>(())
//! ```

mod association;
mod calibration;
mod calibration_line;
mod classification;
mod estimate;
pub mod inference;
mod interval;
mod matched_area;
mod matching;
mod number;
mod prediction;
mod regression;
pub mod roc;
mod similarity;
mod voxelwise;

pub use association::{Association, EffectKind, Variable, holm};
pub use calibration::{Bin, Calibration};
pub use calibration_line::{CalibrationLine, Said, recalibrated};
pub use classification::{Classification, Comparison, FoldScore, MIN_GROUPS, OneVersusRest, fold_scores};
pub use estimate::Estimate;
pub use interval::{Interval, MIN_MODELS, MIN_PEOPLE, intraclass_correlation, student_t, two_sided_p};
pub use matched_area::{MATCHES, MatchedArea, MatchedAreas, RESAMPLES};
pub use matching::{Candidate, Matching, standardised_difference};
pub use number::{LEVEL, cell, p_in_words, significant};
pub use prediction::FoldPrediction;
pub use regression::{BiasCorrection, FoldError, MIN_UNITS, Regression, ValueComparison, ValuePrediction};
pub use similarity::{Overlap, PERCENTS, Top, overlap, pearson, ranks, spearman};
pub use voxelwise::Statistic;

use voxplain_core::{Error, Result};
