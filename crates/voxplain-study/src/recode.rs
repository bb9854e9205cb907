//! [`refuse_recode`]: a column that is the label by another name; and [`near_recode`]: one that all but is.

use crate::{imbalance::Learnt, listed::listed, spelling::number};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::{Error, Remedy, Result};

/// Pairs of a word and its class that are named.
const NAMED: usize = 6;

/// Refuses a column that says no more and no less than the label: each of its values has one class and each class one value, or it lies
/// on a line with the value that is learnt, or puts the people in its order. `cells` are those of the subjects of `learnt`, `None` where
/// there is no value; `column` and `label` are names.
///
/// # Errors
/// It is the label; `remedy` is what to do.
pub(crate) fn refuse_recode(
    (column, cells): (&str, &[Option<&str>]),
    (label, learnt): (&str, Learnt<'_>),
    remedy: Remedy,
) -> Result<()> {
    // Who has a value may be who is of a class.
    let has: Vec<Option<&str>> =
        cells.iter().map(|cell| Some(if cell.is_some() { "a value" } else { "no value" })).collect();
    let by_gaps = || recoded(&has, learnt).map(|how| format!("by its empty cells, {how}"));
    match recoded(cells, learnt).or_else(by_gaps) {
        None => Ok(()),
        Some(how) => {
            Err(Error::request(format!("column {column} is the label {label} by another name: {how}"), remedy))
        }
    }
}

/// How a column is the label; `None` where it is another thing.
fn recoded(cells: &[Option<&str>], learnt: Learnt<'_>) -> Option<String> {
    match learnt {
        Learnt::Classes(labels, classes) => {
            // 1 and 1.0 are one value.
            let plain = |cell: &str| number(cell).map_or_else(|| cell.trim().to_owned(), |v| format!("{v}"));
            let filled = || cells.iter().zip(labels).filter_map(|(cell, label)| Some((plain((*cell)?), *label)));
            let pairs: BTreeSet<(String, usize)> = filled().collect();
            let values: BTreeSet<&String> = pairs.iter().map(|(value, _)| value).collect();
            let there: BTreeSet<usize> = pairs.iter().map(|(_, class)| *class).collect();
            let one_to_one = pairs.len() == values.len() && pairs.len() == there.len() && pairs.len() > 1;
            // Two people of two classes and two values say nothing of the others.
            let mut of = BTreeMap::<String, usize>::new();
            filled().for_each(|(value, _)| *of.entry(value).or_default() += 1);
            let shared = of.values().any(|n| *n > 1);
            let words = || pairs.iter().map(|(value, class)| format!("`{value}` is {}", classes[*class]));
            (one_to_one && shared).then(|| listed(words(), NAMED))
        }
        Learnt::Values(values) => {
            let numbers: Vec<Option<f64>> = cells.iter().map(|cell| cell.and_then(number)).collect();
            if on_a_line(&numbers, values) {
                return Some("both lie on a line".to_owned());
            }
            in_one_order(&numbers, values).then(|| "both put the people in one order".to_owned())
        }
    }
}

/// Says of a column that it all but tells the label, though it is not the label itself: who has a value of it has the class of the others
/// who have it, but for one person in 50 (and one in ten of any class); or it goes with the value that is learnt at a correlation of 0.98
/// or more. `None` of fewer than ten people, of whom much goes together by chance.
pub(crate) fn near_recode(
    (column, cells): (&str, &[Option<&str>]),
    (label, learnt): (&str, Learnt<'_>),
) -> Option<String> {
    /// A rounded value, or the same at another time.
    const LEAST_R: f64 = 0.98;
    const LEAST_PEOPLE: usize = 10;
    let how = match learnt {
        Learnt::Classes(labels, classes) => {
            let filled: Vec<(&str, usize)> =
                cells.iter().zip(labels).filter_map(|(cell, label)| Some(((*cell)?.trim(), *label))).collect();
            let mut of = BTreeMap::<&str, Vec<usize>>::new();
            for &(value, class) in &filled {
                of.entry(value).or_insert_with(|| vec![0; classes.len()])[class] += 1;
            }
            // By the others who have the same value: a value of one person tells nothing.
            let told = |&&(value, class): &&(&str, usize)| {
                let counts = &of[value];
                (0..counts.len()).all(|other| other == class || counts[class] > counts[other] + 1)
            };
            let (all, right) = (filled.len(), filled.iter().filter(told).count());
            let of_class = |class: usize| filled.iter().filter(move |(_, of)| *of == class);
            let each = |class: usize| {
                let count = of_class(class).count();
                of_class(class).filter(told).count() * 10 >= count * 9
            };
            let tells = all >= LEAST_PEOPLE && right * 50 >= all * 49 && (0..classes.len()).all(each);
            // Where nobody of a class has a value, it is the empty cell that tells.
            let of_all = (0..classes.len()).all(|class| of_class(class).next().is_some());
            (tells && of_all && of.len() > 1).then(|| format!("the class of {right} of {all} people is told by it"))
        }
        Learnt::Values(values) => {
            let pairs: Vec<(f64, f64)> =
                cells.iter().zip(values).filter_map(|(cell, v)| Some((cell.and_then(number)?, *v))).collect();
            let r = correlation(&pairs)?;
            (pairs.len() >= LEAST_PEOPLE && r.abs() >= LEAST_R)
                .then(|| format!("the two correlate at {r:.3} over {} people", pairs.len()))
        }
    }?;
    Some(format!(
        "column {column} all but is the label {label}: {how}. Where it was found from the label, or is another writing of it, what it explains is the \
         label itself"
    ))
}

/// Pearson's correlation; `None` where one side has no spread.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (a, b) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| of(p.0 - a, p.1 - b)).sum::<f64>();
    let squares = sum(&|x, _| x * x) * sum(&|_, y| y * y);
    (squares > 0.0).then(|| sum(&|x, y| x * y) / squares.sqrt())
}

/// Whether a column and the values lie on a line, but for rounding.
pub(crate) fn on_a_line(cells: &[Option<f64>], values: &[f64]) -> bool {
    let pairs: Vec<(f64, f64)> = cells.iter().zip(values).filter_map(|(cell, v)| cell.map(|c| (c, *v))).collect();
    pairs.len() > 2 && correlation(&pairs).is_some_and(|r| r * r > 1.0 - 1e-9)
}

/// Whether a column puts the people into the order of the values, or the reverse, and tells apart the same of them: a logarithm, ranks.
/// Of few people that may be chance.
fn in_one_order(cells: &[Option<f64>], values: &[f64]) -> bool {
    /// So many different values are in one order, or the reverse, once in 20,000 cases.
    const LEAST: usize = 8;
    let mut pairs: Vec<(f64, f64)> = cells.iter().zip(values).filter_map(|(cell, v)| cell.map(|c| (c, *v))).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    pairs.dedup();
    let all = |is: fn(f64, f64) -> bool| pairs.windows(2).all(|w| w[0].0 < w[1].0 && is(w[0].1, w[1].1));
    pairs.len() >= LEAST && (all(|a, b| a < b) || all(|a, b| a > b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_classes(cells: &[&'static str], labels: &[usize]) -> Option<String> {
        let cells: Vec<Option<&str>> = cells.iter().map(|c| Some(*c).filter(|c| !c.is_empty())).collect();
        recoded(&cells, Learnt::Classes(labels, &["F".to_owned(), "M".to_owned()]))
    }

    #[test]
    fn the_label_by_other_names() {
        let labels = [0, 1, 0, 1];
        let gender = of_classes(&["female", "male", "female", "male"], &labels);
        assert_eq!(gender.as_deref(), Some("`female` is F, `male` is M"));
        assert_eq!(of_classes(&["1", "2", "1.0", "2"], &labels).as_deref(), Some("`1` is F, `2` is M"));
        assert!(of_classes(&["female", "male", "", "male"], &labels).is_some(), "a cell without a value");
        // A site of both classes; two sites of one class; a class in one site alone; an id.
        assert_eq!(of_classes(&["A", "A", "B", "B"], &labels), None);
        assert_eq!(of_classes(&["A", "B", "C", "B"], &labels), None);
        assert_eq!(of_classes(&["A", "B", "", ""], &labels), None);
        assert_eq!(of_classes(&["A", "A", "A", "A"], &labels), None);
        let error = refuse_recode(
            ("Gender", &[Some("f"), Some("m"), Some("f"), None]),
            ("Sex", Learnt::Classes(&labels, &["F".to_owned(), "M".to_owned()])),
            "leave it out".into(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "column Gender is the label Sex by another name: `f` is F, `m` is M"
        );
        let error = refuse_recode(
            ("hormone", &[Some("1.5"), None, Some("2.5"), None]),
            ("Sex", Learnt::Classes(&labels, &["F".to_owned(), "M".to_owned()])),
            "leave it out".into(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "column hormone is the label Sex by another name: by its empty cells, `a value` is F, `no value` is M"
        );
    }

    #[test]
    fn nearly_the_label() {
        let classes = ["F".to_owned(), "M".to_owned()];
        let labels: Vec<usize> = (0..100).map(|n| n % 2).collect();
        let of = |cell: &dyn Fn(usize) -> String| {
            let cells: Vec<String> = (0..100).map(cell).collect();
            let cells: Vec<Option<&str>> = cells.iter().map(|cell| Some(cell.as_str())).collect();
            near_recode(("Gender", &cells), ("Sex", Learnt::Classes(&labels, &classes)))
        };
        let but = |wrong: usize| of(&|n| ["f", "m"][(n + usize::from(n < wrong)) % 2].to_owned());
        let said = but(1).unwrap();
        assert!(said.contains("all but is the label Sex: the class of 99 of 100 people is told by it"), "{said}");
        assert!(but(2).is_some() && but(3).is_none());
        // Sites of one class each; an id, and pairs, tell nothing; nor does a column of one value.
        assert!(of(&|n| format!("site {}", n % 10)).is_some());
        assert_eq!(of(&|n| n.to_string()), None);
        assert_eq!(of(&|n| format!("{}", n / 2)), None);
        assert_eq!(of(&|_| "here".to_owned()), None);
        // A value that nearly all share tells the rare class of nobody.
        let rare: Vec<usize> = (0..100).map(|n| usize::from(n == 7)).collect();
        let cells: Vec<Option<&str>> = (0..100).map(|n| Some(if n == 3 { "b" } else { "a" })).collect();
        assert_eq!(near_recode(("x", &cells), ("Sex", Learnt::Classes(&rare, &classes))), None);

        let ages: Vec<f64> = (0..40).map(|n| 20.0 + 1.37 * f64::from(n)).collect();
        let of = |cell: &dyn Fn(f64) -> f64, count: usize| {
            let cells: Vec<String> = ages[..count].iter().map(|age| cell(*age).to_string()).collect();
            let cells: Vec<Option<&str>> = cells.iter().map(|cell| Some(cell.as_str())).collect();
            near_recode(("years", &cells), ("age", Learnt::Values(&ages[..count])))
        };
        assert!(of(&f64::round, 40).unwrap().contains("the two correlate at 1.000 over 40 people"));
        assert!(of(&|age| -(age / 5.0).round(), 40).unwrap().contains("at -0.99"));
        assert_eq!(of(&|age| (age - 47.0).abs(), 40), None);
        assert_eq!(of(&f64::round, 9), None, "too few");
    }

    #[test]
    fn a_value_in_another_unit() {
        let of = |cells: &[&'static str]| {
            recoded(&cells.iter().copied().map(Some).collect::<Vec<_>>(), Learnt::Values(&[20.0, 30.0, 45.0, 60.5]))
        };
        assert!(of(&["240", "360", "540", "726"]).is_some(), "months");
        assert!(of(&["2000", "1990", "1975", "1959.5"]).is_some(), "a year of birth");
        assert_eq!(of(&["240", "360", "540", "720"]), None);
        let ages: Vec<f64> = (0..9).map(|n| 20.0 + 7.0 * f64::from(n)).chain([20.0]).collect();
        let made = |cell: &dyn Fn(f64) -> f64| {
            let cells: Vec<String> = ages.iter().map(|age| cell(*age).to_string()).collect();
            recoded(&cells.iter().map(|cell| Some(cell.as_str())).collect::<Vec<_>>(), Learnt::Values(&ages))
        };
        assert_eq!(made(&|age| age.ln()).as_deref(), Some("both put the people in one order"));
        assert_eq!(made(&|age| -age.powi(3)).as_deref(), Some("both put the people in one order"));
        // Coarser is less; another order is another thing.
        assert_eq!(made(&|age| (age / 15.0).round()), None);
        assert_eq!(made(&|age| (age - 40.0).abs()), None);
        assert_eq!(of(&["a", "b", "a", "b"]), None);
    }
}
