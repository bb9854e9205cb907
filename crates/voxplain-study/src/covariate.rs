//! [`doubts`]: what of a covariate a reader must know before he believes what is laid to it.

use crate::{
    cohort::{deviations, doubtful},
    imbalance::Learnt,
    listed::listed,
    recode::near_recode,
    spelling::number,
};
use std::collections::BTreeSet;
use voxplain_core::{plural::counted, random::Seed};
use voxplain_stats::{Association, Variable, p_in_words, roc::area_under_curve};

/// Robust standard deviations from the median from which on a number is named.
const FAR: f64 = 6.0;

/// More of them, and more than one in 50, are a long tail.
const MOST_FAR: usize = 3;

/// The area under the curve from which on a number tells the classes by itself.
const ALONE: f64 = 0.99;

/// Of fewer people much goes together by chance.
const LEAST_PEOPLE: usize = 10;

/// Random permutations of which cells are empty, and the chance from which on that is named.
const PERMUTATIONS: usize = 9999;
const LEVEL: f64 = 0.01;

/// Sentences about a column that the label may be told by, or whose values may be mistakes: who has no value, values that all but are the label,
/// values far from all others. `cells` are those of the subjects of `learnt`, `None` where there is no value.
pub(crate) fn doubts(
    (column, cells): (&str, &[Option<&str>]),
    (label, learnt): (&str, Learnt<'_>),
    seed: u64,
) -> Vec<String> {
    let near = near_recode((column, cells), (label, learnt));
    let alone = || {
        tells_alone(cells, learnt).map(|area| {
            format!(
                "column {column} tells {label} by itself (AUC {area:.3}): where it is no measurement of its own, what it explains is the label itself"
            )
        })
    };
    let is_number = cells.iter().flatten().all(|cell| number(cell).is_some());
    let filled: Vec<&str> = cells.iter().flatten().copied().collect();
    let all = [
        of_empty_cells(column, cells, (label, learnt), seed),
        near.or_else(alone),
        stands_apart(column, &filled, is_number),
    ];
    all.into_iter().flatten().collect()
}

/// That who has no value goes with the label.
fn of_empty_cells(
    column: &str,
    cells: &[Option<&str>],
    (label, learnt): (&str, Learnt<'_>),
    seed: u64,
) -> Option<String> {
    let empty: Vec<usize> = cells.iter().map(|cell| usize::from(cell.is_none())).collect();
    let count: usize = empty.iter().sum();
    if count == 0 || count == cells.len() {
        return None;
    }
    let own = match learnt {
        Learnt::Classes(labels, _) => Variable::Classes(labels),
        Learnt::Values(values) => Variable::Numbers(values),
    };
    let seed = Seed::new(seed).child("empty cells").child(column);
    let found = Association::of(Variable::Classes(&empty), own, PERMUTATIONS, seed).filter(|found| found.p < LEVEL)?;
    let where_empty = match learnt {
        Learnt::Classes(labels, classes) => {
            let of = |(class, name): (usize, &String)| {
                let all = || empty.iter().zip(labels).filter(move |(_, label)| **label == class);
                format!("for {} of {} of {name}", all().filter(|(empty, _)| **empty == 1).count(), all().count())
            };
            let each: Vec<String> = classes.iter().enumerate().map(of).collect();
            format!("it has none {}", each.join(", "))
        }
        Learnt::Values(_) => format!("{} of {} have none", count, counted(cells.len(), "subject")),
    };
    Some(format!(
        "whether column {column} has a value goes with {label} ({where_empty}; {}): what it explains may be who was asked, and not what was \
         answered",
        p_in_words(found.p)
    ))
}

/// The area under the curve of a column of numbers that tells two classes, or one of several from the rest.
fn tells_alone(cells: &[Option<&str>], learnt: Learnt<'_>) -> Option<f64> {
    let Learnt::Classes(labels, classes) = learnt else { return None };
    let numbers: Option<Vec<(f64, usize)>> = cells
        .iter()
        .zip(labels)
        .filter_map(|(cell, label)| Some((number((*cell)?), *label)))
        .map(|(v, l)| Some((v?, l)))
        .collect();
    let numbers = numbers.filter(|numbers| numbers.len() >= LEAST_PEOPLE)?;
    let area = |class: usize| {
        let side =
            |is: bool| -> Vec<f64> { numbers.iter().filter(|(_, l)| (*l == class) == is).map(|(v, _)| *v).collect() };
        let (own, rest) = (side(true), side(false));
        // So few are told apart by many a column.
        if own.len().min(rest.len()) < 4 {
            return None;
        }
        area_under_curve(&own, &rest).map(|area| area.max(1.0 - area))
    };
    (0..classes.len()).filter_map(area).max_by(f64::total_cmp).filter(|area| *area >= ALONE)
}

/// That some values of a column stand apart, or are words that may stand for no value.
pub(crate) fn stands_apart(column: &str, values: &[&str], is_number: bool) -> Option<String> {
    let different: Vec<&str> = values.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut odd: Vec<String> = doubtful(&different).into_iter().map(|v| format!("`{v}`")).collect();
    let numbers: Option<Vec<f64>> = values.iter().map(|v| number(v)).collect();
    if let Some(numbers) = numbers.filter(|n| n.len() >= LEAST_PEOPLE && is_number) {
        let (_, z) = deviations(&numbers);
        let far: Vec<String> =
            values.iter().zip(z).filter(|(_, z)| z.abs() > FAR).map(|(v, _)| format!("`{v}`")).collect();
        // What so many have is a long tail, and no mistake.
        if far.len() <= MOST_FAR.max(values.len() / 50) {
            odd.extend(far);
        }
    }
    odd.dedup();
    (!odd.is_empty())
        .then(|| format!("values of column {column} that stand apart, or may stand for none: {}", listed(&odd, 8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cell: &dyn Fn(usize) -> String) -> Vec<String> {
        let labels: Vec<usize> = (0..100).map(|n| n % 2).collect();
        let cells: Vec<String> = (0..100).map(cell).collect();
        let cells: Vec<Option<&str>> = cells.iter().map(|cell| Some(cell.as_str()).filter(|c| !c.is_empty())).collect();
        doubts(("x", &cells), ("sex", Learnt::Classes(&labels, &["F".to_owned(), "M".to_owned()])), 1)
    }

    #[test]
    fn who_has_no_value_is_told() {
        // Numbers of 50 women of whom 45 were asked, and of one man.
        let said = of(&|n| if n % 2 == 0 && n >= 10 || n == 1 { (n * 7 % 13).to_string() } else { String::new() });
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("goes with sex (it has none for 5 of 50 of F, for 49 of 50 of M; p < 0.001)"),
            "{said:?}"
        );
        // Yes and no of women alone: it is the empty cell that tells.
        let said = of(&|n| if n % 2 == 0 { ["yes", "no"][n / 2 % 2].to_owned() } else { String::new() });
        assert!(said.len() == 1 && said[0].contains("has a value"), "{said:?}");
        // Every fifth, of either class.
        assert!(of(&|n| if n % 5 == 0 { String::new() } else { (n * 7 % 13).to_string() }).is_empty());
    }

    #[test]
    fn a_number_that_tells_the_classes_is_told() {
        let said = of(&|n| format!("{}", n % 2 * 100 + n * 7 % 83));
        assert!(said.len() == 1 && said[0].contains("tells sex by itself (AUC 1.000)"), "{said:?}");
        assert!(of(&|n| format!("{}", n % 2 * 10 + n * 7 % 83)).is_empty());
    }

    #[test]
    fn values_far_from_all_others_are_told() {
        let said = of(&|n| if n == 40 { "999".to_owned() } else { (20 + n * 7 % 51).to_string() });
        assert_eq!(said, ["values of column x that stand apart, or may stand for none: `999`"]);
        // Most are young and every tenth is old: a long tail.
        let said = of(&|n| if n % 10 < 9 { (20 + n * 7 % 3).to_string() } else { (60 + n * 7 % 11).to_string() });
        assert!(said.is_empty(), "{said:?}");
    }
}
