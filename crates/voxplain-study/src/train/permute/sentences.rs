//! The result of a permutation test in sentences.

use crate::{
    listed::{capital, counted, does},
    run::PermutationTest,
    train::metrics::CNN,
};
use voxplain_stats::{LEVEL, p_in_words, significant};

/// The result in sentences, each true for what was done.
pub(super) fn sentences(test: &PermutationTest) -> Vec<String> {
    let what = if test.classifier == CNN { "the network".to_owned() } else { test.classifier.clone() };
    let how = if test.all {
        format!("all {} other arrangements that differ", test.permutations)
    } else {
        format!("{} drawn at random, seed {}", counted(test.permutations, "permutation"), test.seed)
    };
    let mut lines = vec![format!(
        "Permutation test of {what} ({}): {}, {how}; folds are drawn and {what} is trained anew for each.",
        test.label, test.exchange
    )];
    for number in &test.numbers {
        let mut sorted = number.permuted.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
        let (low, high) = (sorted.first().copied().unwrap_or(middle), sorted.last().copied().unwrap_or(middle));
        lines.push(format!(
            "{}: {} out of fold; on permuted labels {} on average (least {}, largest {}). {} of {} {} as good: {}.",
            capital(&number.name),
            significant(number.observed, 3),
            significant(middle, 3),
            significant(low, 3),
            significant(high, 3),
            number.reached(),
            test.permutations,
            does(number.reached(), "is", "are"),
            p_in_words(number.p)
        ));
    }
    let first = &test.numbers[0];
    lines.push(if test.least_p >= LEVEL {
        format!(
            "Nothing can be shown: with so few arrangements no p below {} can occur.",
            significant(test.least_p, 2)
        )
    } else if first.p < LEVEL {
        format!(
            "So {} and images hang together in these people; a confound of {}, such as the size of the head, is one way in which they can.",
            test.label, test.label
        )
    } else {
        format!("That {} and images hang together is not shown.", test.label)
    });
    lines
}
