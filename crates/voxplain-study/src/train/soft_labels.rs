//! The bins of soft labels: chosen from the people that each fold trains on, and who lies beyond them.

use super::{dataset::Dataset, loss::LossKind, options::TrainOptions, value::Values};
use crate::{folds::Split, listed::listed, model::Quantity, setting::LOSS};
use voxplain_core::{Error, Progress, Result, remedy};
use voxplain_nn::SoftLabels;
use voxplain_stats::significant;

/// Bins beyond the least and the largest value trained on, on either side: three standard deviations of the truth, of which 0.13 % lies
/// beyond the last bin. (The published bins, 42 to 82 years, begin about three years before the youngest of that study.)
const MARGIN: f64 = 3.0;

/// Most bins that values may need; the published network has 40.
const MOST: f64 = 300.0;

/// Fewest bins that the values trained on may span.
const FEWEST: f64 = 4.0;

/// Bins that are proposed for the values trained on.
const PROPOSED: f64 = 40.0;

/// Most widths that a value may be from 0: single precision tells a hundredth of a bin apart there.
const FARTHEST: f64 = 1e5;

/// The bins of each fold; none where values are not learnt by soft labels.
///
/// # Errors
/// Bins that are too narrow or too wide for the values of a fold.
pub(super) fn of_folds(dataset: &Dataset<'_>, splits: &[Split], options: &TrainOptions) -> Result<Vec<SoftLabels>> {
    let (Some(values), Some(LossKind::SoftLabels { width })) = (&dataset.values, options.loss) else {
        return Ok(Vec::new());
    };
    let of_fold = |(fold, split): (usize, &Split)| {
        let trained: Vec<f64> = split.train.iter().map(|&n| values.of[n]).collect();
        bins(&trained, width).map_err(|(what, wider)| {
            let whose = format!(
                "the people that fold {fold} trains on have values of {} from {} to {}",
                values.quantity,
                significant(least(&trained), 6),
                significant(largest(&trained), 6)
            );
            let better = LOSS.to(LossKind::SoftLabels { width: proposed(&trained) });
            Error::request(
                format!(
                    "a bin width of {width} is too {} for soft labels: {whose}, {what}",
                    if wider { "narrow" } else { "wide" }
                ),
                remedy!["give another width, such as ", better, ", or learn by another ", LOSS],
            )
        })
    };
    splits.iter().enumerate().map(of_fold).collect()
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Bins of this width for these values, from a multiple of the width to another. Otherwise why there are none, and whether they should
/// be wider.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most MOST")]
fn bins(values: &[f64], width: f64) -> std::result::Result<SoftLabels, (String, bool)> {
    let (least, largest) = (least(values), largest(values));
    let [first, last] = [(least / width).floor() - MARGIN, (largest / width).ceil() + MARGIN];
    let (count, spanned) = (last - first, (largest - least) / width);
    if count.is_nan() || count > MOST {
        return Err((format!("which would need {count:.0} bins, and {MOST} are the most"), true));
    }
    if spanned < FEWEST {
        let spanned = significant(spanned, 2);
        return Err((format!("which is {spanned} bins, and {FEWEST} are the fewest that tell people apart"), false));
    }
    if least.abs().max(largest.abs()) > FARTHEST * width {
        return Err(("so far from 0 that single precision does not tell such bins apart".to_owned(), true));
    }
    SoftLabels::new(first * width, width, count as usize).map_err(|error| (error.to_string(), true))
}

/// A round width, 1, 2 or 5 times a power of ten, of which the values span about forty.
fn proposed(values: &[f64]) -> f64 {
    let wished = (largest(values) - least(values)) / PROPOSED;
    #[expect(clippy::cast_possible_truncation, reason = "a power of ten")]
    let power = 10f64.powi(wished.log10().floor() as i32);
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= wished).unwrap_or(10.0);
    times * power
}

/// Says over which bins the value is learnt, and names those who are held out beyond them.
pub(super) fn announce(dataset: &Dataset<'_>, splits: &[Split], folds: &[SoftLabels], progress: &dyn Progress) {
    let (Some(values), Some(first)) = (&dataset.values, folds.first()) else { return };
    progress.note(&described(&values.quantity, folds, first));
    for (fold, (split, bins)) in splits.iter().zip(folds).enumerate() {
        if let Some(what) = beyond(dataset, values, (fold, split), bins) {
            progress.warn(&what);
        }
    }
}

fn described(quantity: &Quantity, folds: &[SoftLabels], first: &SoftLabels) -> String {
    let [from, to] = [0, 1].map(|end: usize| folds.iter().map(move |bins| bins.range()[end]));
    let [fewest, most] = [Iterator::min, Iterator::max].map(|of| of(folds.iter().map(SoftLabels::bins)).unwrap_or(0));
    let count = if fewest == most { most.to_string() } else { format!("{fewest} to {most}, by fold,") };
    format!(
        "{} is learnt by soft labels over {count} bins of width {} between {} and {}{}",
        quantity.name,
        first.width(),
        significant(from.fold(f64::INFINITY, f64::min), 6),
        significant(to.fold(f64::NEG_INFINITY, f64::max), 6),
        quantity.suffix()
    )
}

/// Who is held out in a fold with a value beyond its bins, in a sentence.
fn beyond(dataset: &Dataset<'_>, values: &Values, (fold, split): (usize, &Split), bins: &SoftLabels) -> Option<String> {
    let [from, to] = bins.range();
    let outside: Vec<usize> = split.test.iter().copied().filter(|&n| !(from..=to).contains(&values.of[n])).collect();
    if outside.is_empty() {
        return None;
    }
    let named: Vec<String> = outside.iter().map(|&n| format!("{} ({})", dataset.id(n), values.of[n])).collect();
    Some(format!(
        "fold {fold}: {} of the {} held out {} beyond the bins of those trained on, {} to {}{}, where no prediction goes: {}",
        outside.len(),
        split.test.len(),
        if outside.len() == 1 { "lies" } else { "lie" },
        significant(from, 6),
        significant(to, 6),
        values.quantity.suffix(),
        listed(named.iter(), 8)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bins_go_outward_to_multiples_and_three_beyond() {
        let found = bins(&[20.91, 50.0, 81.94], 1.0).unwrap();
        assert_eq!((found.range(), found.bins()), ([17.0, 85.0], 68));
        let found = bins(&[20.0, 50.0, 80.0], 5.0).unwrap();
        assert_eq!((found.range(), found.bins()), ([5.0, 95.0], 18));
        let found = bins(&[-0.9, 0.8], 0.25).unwrap();
        assert_eq!((found.range(), found.bins()), ([-1.75, 1.75], 14));
    }

    #[test]
    fn widths_that_make_no_sense_are_refused() {
        let refused = |values: &[f64], width: f64| bins(values, width).unwrap_err();
        let (what, wider) = refused(&[1.2e6, 1.7e6], 1.0);
        assert!(wider && what.contains("would need 500006 bins"), "{what}");
        let (what, wider) = refused(&[20.0, 80.0], 30.0);
        assert!(!wider && what.contains("which is 2 bins"), "{what}");
        assert!(refused(&[1e9, 1e9 + 60.0], 1.0).0.contains("single precision"));
        assert!(refused(&[0.0, 1e300], 1e-300).1);
        assert_eq!(proposed(&[20.91, 81.94]), 2.0);
        assert_eq!(proposed(&[1.2e6, 1.7e6]), 20000.0);
        assert_eq!(proposed(&[0.0, 4.0]), 0.1);
        assert_eq!(proposed(&[-1.0, 1.0]), 0.05);
    }

    proptest! {
        /// Every value trained on, and nearly all of its truth, lies within; the width that is proposed is taken.
        #[test]
        fn laws(values in proptest::collection::vec(-1e4f64..1e4, 2..20), width in 0.01f64..1e3) {
            if let Ok(found) = bins(&values, width) {
                prop_assert!(values.iter().all(|&v| found.masses(v).iter().sum::<f64>() > 0.997));
                prop_assert!(found.bins() <= 300);
            }
            let range = largest(&values) - least(&values);
            if range > 10.0 {
                let found = bins(&values, proposed(&values)).unwrap();
                prop_assert!((14..=60).contains(&found.bins()), "{found:?}");
            }
        }
    }
}
