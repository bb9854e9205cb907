//! Who the people are, and how their volumes were prepared.

use crate::report::element::TextTable;
use voxplain_stats::significant;
use voxplain_study::{
    cohort::{Cohort, PERSON, Placement, is_missing},
    model::Task,
};

/// The preparation in a line.
pub(in crate::report) fn preparation(cohort: &Cohort) -> String {
    let p = &cohort.preparation;
    let join = |v: &[String]| v.join(" × ");
    let channels = match p.channels.as_slice() {
        [] => String::new(),
        [name] => format!("{name} images, "),
        names => format!("{} as channels, each normalised by itself, ", names.join(", ")),
    };
    let whole = if p.whole_head { "; whole heads, without brain masks" } else { "" };
    format!(
        "{channels}{} voxels of {} mm, intensities {} (0 is {}), {}{whole}",
        join(&p.shape.map(|n| n.to_string())),
        join(&p.spacing.map(|n| significant(n, 3))),
        p.normalize.words(),
        p.normalize.zero(),
        match p.placement {
            Placement::MaskCentre => "placed on the centre of each mask, not registered",
            Placement::Fixed(_) => "on one grid for all",
        }
    )
}

/// Numbers of people and their covariates by class; `missing` are words that stand for no value, beside the usual ones.
pub(in crate::report) fn table(cohort: &Cohort, label: &str, task: &Task, missing: &[String]) -> TextTable {
    // Of a value everyone who has one is in one column.
    let everyone = [EVERYONE.to_owned()];
    let classes = if task.value().is_some() { &everyone[..] } else { task.classes() };
    let table = &cohort.participants;
    let label_column = table.columns.iter().position(|c| c == label);
    let class_of = |row: &[Option<String>]| class_of(row, label_column, task);
    let of = |class: &str| -> Vec<&Vec<Option<String>>> {
        table.rows.iter().filter(|r| class_of(r).as_deref() == Some(class)).collect()
    };
    let mut shown = TextTable {
        head: std::iter::once(String::new()).chain(classes.iter().cloned()).collect(),
        rows: vec![
            std::iter::once("Subjects".to_owned()).chain(classes.iter().map(|c| of(c).len().to_string())).collect(),
        ],
        note: String::new(),
    };
    let people = people_by_class(cohort, &class_of, classes, &mut shown.note);
    shown.rows.extend(people);
    let others = table.rows.len() - classes.iter().map(|c| of(c).len()).sum::<usize>();
    if others > 0 {
        let none = if task.value().is_some() { "no value" } else { "none of these classes" };
        shown.note.push_str(&format!("{others} more subjects of the cohort have {none}. "));
    }
    shown.note.push_str("Numbers: mean (standard deviation), least to most.");
    let volume: Vec<(Option<String>, f64)> = table
        .rows
        .iter()
        .zip(&cohort.subjects)
        .map(|(row, subject)| (class_of(row), subject.mask_volume / 1000.0))
        .collect();
    let by_class = |name: String, values: &dyn Fn(&str) -> Vec<f64>| -> Vec<String> {
        std::iter::once(name).chain(classes.iter().map(|c| spread(&values(c)))).collect()
    };
    shown.rows.push(by_class("Mask volume, cm³".into(), &|class| {
        volume.iter().filter(|(c, _)| c.as_deref() == Some(class)).map(|(_, v)| *v).collect()
    }));
    for (n, name) in table.columns.iter().enumerate() {
        let skipped = name == label && task.value().is_none();
        if shown.rows.len() >= 10 || skipped || ["participant_id", PERSON].contains(&name.as_str()) {
            continue;
        }
        let cells: Vec<&str> = table.rows.iter().filter_map(|r| value(r, n, missing)).collect();
        let distinct: std::collections::BTreeSet<&str> = cells.iter().copied().collect();
        if cells.is_empty() {
            continue;
        }
        let without = classes.iter().flat_map(|class| of(class)).filter(|r| value(r, n, missing).is_none()).count();
        let title = if without == 0 { name.clone() } else { format!("{name} ({without} without a value)") };
        if cells.iter().all(|c| c.parse::<f64>().is_ok_and(f64::is_finite)) && distinct.len() > 2 {
            shown.rows.push(by_class(title, &|class| {
                of(class).iter().filter_map(|r| value(r, n, missing)?.parse().ok()).collect()
            }));
        } else if distinct.len() <= 6 {
            let counts = classes.iter().map(|class| {
                distinct
                    .iter()
                    .map(|d| format!("{} {d}", of(class).iter().filter(|r| value(r, n, missing) == Some(d)).count()))
                    .collect::<Vec<_>>()
                    .join(", ")
            });
            shown.rows.push(std::iter::once(title).chain(counts).collect());
        }
    }
    for (_, what) in cohort.spellings(missing).iter().filter(|(column, _)| column != label) {
        shown.note.push_str(&format!(" {}{}.", what[..1].to_uppercase(), &what[1..]));
    }
    shown
}

/// The column of those who have a value, where no classes are told apart.
const EVERYONE: &str = "Everyone";

/// The class of a row, or [`EVERYONE`] where it has a value.
fn class_of(row: &[Option<String>], label: Option<usize>, task: &Task) -> Option<String> {
    let cell = row[label?].as_ref()?;
    match task {
        Task::Classes { .. } => Some(cell.clone()),
        Task::Value { .. } => cell.trim().parse::<f64>().ok().filter(|v| v.is_finite()).map(|_| EVERYONE.to_owned()),
    }
}

/// A cell of a row, where it holds a value.
fn value<'a>(row: &'a [Option<String>], column: usize, missing: &[String]) -> Option<&'a str> {
    row[column].as_deref().filter(|cell| !is_missing(cell, missing))
}

/// Where people have several images: how many people there are in each class, and a word about what a subject is.
fn people_by_class(
    cohort: &Cohort,
    class_of: &dyn Fn(&[Option<String>]) -> Option<String>,
    classes: &[String],
    note: &mut String,
) -> Option<Vec<String>> {
    let rows = &cohort.participants.rows;
    let all: Vec<usize> =
        (0..rows.len()).filter(|&n| class_of(&rows[n]).is_some_and(|class| classes.contains(&class))).collect();
    let heads = match cohort.headcount(&all) {
        Ok(heads) => heads,
        Err(error) => {
            note.push_str(&format!("How many people these are is not known: {error}. "));
            return None;
        }
    };
    heads.people?;
    note.push_str(&format!("{heads}: on this page, a subject is a scan. "));
    let count = |class: &String| {
        let of: Vec<usize> = all.iter().copied().filter(|&n| class_of(&rows[n]).as_ref() == Some(class)).collect();
        cohort.headcount(&of).map_or_else(|_| "n/a".to_owned(), |heads| heads.people.unwrap_or(heads.scans).to_string())
    };
    Some(std::iter::once("People".to_owned()).chain(classes.iter().map(count)).collect())
}

fn spread(values: &[f64]) -> String {
    let n = values.len() as f64;
    if values.is_empty() {
        return "n/a".into();
    }
    let mean = values.iter().sum::<f64>() / n;
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let show = |x: f64| significant(x, 4).replace('-', "\u{2212}");
    if values.len() < 2 {
        return show(mean);
    }
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    format!("{} ({}), {} to {}", show(mean), significant(sd, 3), show(low), show(high))
}
