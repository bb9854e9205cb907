//! What is said about the words of a table before a training: those that match nothing, that may stand for no value, that are spelled
//! in several ways.

use super::{dataset::Dataset, options::TrainOptions};
use crate::{
    cohort::{Cohort, deviations, doubtful, unmatched},
    listed::listed,
    setting::{GROUP, KEEP_GOING, LABEL, MISSING},
};
use std::collections::BTreeSet;
use voxplain_core::{Progress, Result, lookalike::look, remedy};
use voxplain_stats::significant;

/// Robust standard deviations from the median from which on a value is named.
const FAR: f64 = 6.0;

/// Words of a column that are listed.
const LISTED: usize = 12;

/// Says which words for no value are in no cell of the table, and which columns that are neither label nor group seem to spell one
/// value in several ways (they change no result but how often the report counts each).
///
/// # Errors
/// There is no column of that name.
pub(super) fn of_table(cohort: &Cohort, options: &TrainOptions, progress: &dyn Progress) -> Result<()> {
    let written: BTreeSet<&str> = cohort.column(&options.label)?.into_iter().flatten().collect();
    let cells = cohort.participants.rows.iter().flatten().flatten().map(String::as_str);
    for word in unmatched(&options.missing, cells) {
        progress.warn(&format!(
            "`{word}` is to stand for no value, but no cell of the table is `{word}`; column {} holds {}",
            options.label,
            listed(&written, LISTED)
        ));
    }
    let own = [Some(options.label.as_str()), options.group.as_deref()];
    for (_, sentence) in cohort.spellings(&options.missing).iter().filter(|(c, _)| !own.contains(&Some(c.as_str()))) {
        progress.warn(sentence);
    }
    Ok(())
}

/// Says which classes and groups may be codes for no value.
pub(super) fn of_dataset(dataset: &Dataset<'_>, options: &TrainOptions, progress: &dyn Progress) {
    let label = dataset.values.is_none().then_some((options.label.as_str(), "class", &dataset.classes));
    of_values(dataset, options, progress);
    let group = options.group.as_deref().zip(dataset.grouping.as_ref());
    let groups = group.map(|(column, grouping)| (column, "group", &grouping.names));
    for (column, noun, values) in label.into_iter().chain(groups) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        for (one, other) in may_be_one(&values) {
            progress.warn(&format!(
                "the {noun}s `{one}` and `{other}` of column {column} may be one: if so, write both in the same way"
            ));
        }
        let odd = doubtful(&values);
        if odd.is_empty() {
            continue;
        }
        let count = |value: &str| (0..dataset.len()).filter(|&n| dataset.value(n, noun == "group") == value).count();
        let counted = odd.iter().map(|value| format!("`{value}` ({})", count(value)));
        let what = format!("a {noun} of column {column} may be a code for no value: {}", listed(counted, LISTED));
        if values.len() - odd.len() < 2 {
            // Left out, they would leave one class, or one group, or none.
            let setting = if noun == "class" { LABEL } else { GROUP };
            let remedy = remedy![
                format!("if so, too few of the others are left: fill these in, or name another column with "),
                setting
            ];
            progress.advise(&what, &remedy);
            continue;
        }
        let words: Vec<&str> = options.missing.iter().map(String::as_str).chain(odd).collect();
        let remedy = remedy![
            "if so, name it with ",
            MISSING.to(words.join(",")),
            " and leave those subjects out with ",
            KEEP_GOING
        ];
        progress.advise(&what, &remedy);
    }
}

/// Pairs of words that may be one, of which neither is a spelling of the other: an initial and its word (`M` and `male`), a
/// singular and its plural.
fn may_be_one<'a>(values: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = Vec::new();
    for (n, one) in values.iter().enumerate() {
        for other in &values[n + 1..] {
            let (a, b) = (look(one), look(other));
            let (short, long) = if a.chars().count() <= b.chars().count() { (a, b) } else { (b, a) };
            let is_letter = short.chars().count() == 1 && short.chars().all(char::is_alphabetic);
            let initial = is_letter
                && long.chars().count() > 2
                && long.chars().all(char::is_alphabetic)
                && long.starts_with(&short);
            let plural = short.chars().count() > 2 && [format!("{short}s"), format!("{short}es")].contains(&long);
            if initial || plural {
                pairs.push((*one, *other));
            }
        }
    }
    pairs
}

/// Says which values may be codes for no value: 999 among ages.
fn of_values(dataset: &Dataset<'_>, options: &TrainOptions, progress: &dyn Progress) {
    let Some(values) = &dataset.values else { return };
    let (median, z) = deviations(&values.of);
    let far: Vec<String> = (0..dataset.len())
        .filter(|&n| dataset.len() >= 10 && z[n].abs() > FAR)
        .map(|n| format!("{} ({})", dataset.id(n), values.of[n]))
        .collect();
    if !far.is_empty() {
        progress.warn(&format!(
            "values of column {} that lie far from the others (median {}): {}; errors and verdicts may hang on them alone, so look \
             whether they are true",
            options.label,
            significant(median, 4),
            listed(&far, LISTED)
        ));
    }
    let written: Vec<String> = values.of.iter().map(f64::to_string).collect();
    let different: BTreeSet<&str> = written.iter().map(String::as_str).collect();
    let odd = doubtful(&different.into_iter().collect::<Vec<_>>());
    if odd.is_empty() {
        return;
    }
    let counted = odd.iter().map(|value| format!("`{value}` ({})", written.iter().filter(|v| v == value).count()));
    let what = format!("a value of column {} may be a code for no value: {}", options.label, listed(counted, LISTED));
    let words: Vec<&str> = options.missing.iter().map(String::as_str).chain(odd.iter().copied()).collect();
    let remedy =
        remedy!["if so, name it with ", MISSING.to(words.join(",")), " and leave those subjects out with ", KEEP_GOING];
    progress.advise(&what, &remedy);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_may_be_one() {
        assert_eq!(may_be_one(&["F", "M", "Male"]), [("M", "Male")]);
        assert_eq!(may_be_one(&["control", "controls", "patient"]), [("control", "controls")]);
        assert!(may_be_one(&["b", "b2", "AD", "ADHD", "MCI", "1", "10"]).is_empty());
    }
}
