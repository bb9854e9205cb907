//! What goes with the label beside the images, and how much of what a run tells it explains.

use crate::report::element::TextTable;
use voxplain_core::plural::counted;
use voxplain_stats::{EffectKind, Estimate, p_in_words};
use voxplain_study::{
    confounds::{AS_IS, Alike, Arm, Confounds, MapChange},
    imbalance::{Associated, Imbalance},
};

/// Rows of the table; what is beyond chance is shown all the same.
const ROWS: usize = 12;

/// A row for each column of the table of people that can be tested, and for the volume of the masks.
pub(in crate::report) fn table(of: &Imbalance) -> TextTable {
    let shown = of.shown().count().max(ROWS);
    let row = |of: &Associated| {
        let a = &of.association;
        let what = match a.kind {
            EffectKind::HedgesG => "Hedges' g",
            EffectKind::EtaSquared => "eta squared",
            EffectKind::CramersV => "Cram\u{e9}r's V",
            EffectKind::R => "r",
        };
        let ends = match (a.low, a.high) {
            (Some(low), Some(high)) => format!(" [{low:.2}, {high:.2}]"),
            _ => String::new(),
        };
        vec![
            of.column.clone(),
            of.people.to_string(),
            what.to_owned(),
            format!("{:.2}{ends}", a.value).replace('-', "\u{2212}"),
            of.larger_in.clone().unwrap_or_default(),
            p_in_words(a.p),
            p_in_words(of.corrected_p),
        ]
    };
    let left = of.columns.len().saturating_sub(shown);
    let more = if left > 0 { format!(" {} more in imbalance.json.", counted(left, "column")) } else { String::new() };
    let not: Vec<String> = of.not_tested.iter().take(ROWS).map(|(name, why)| format!("{name} ({why})")).collect();
    let not = if not.is_empty() { String::new() } else { format!(" Not tested: {}.", not.join("; ")) };
    let first = if of.first_images { ", of each the first image" } else { "" };
    TextTable {
        head: ["Column", "People", "Effect", "Size", "Larger in", "p", "p, corrected"].map(str::to_owned).to_vec(),
        rows: of.columns.iter().take(shown).map(row).collect(),
        note: format!(
            "{} beside {}, {} people{first}. p by {} permutations of people, who are taken to be independent, and corrected for {} (Holm 1979). \
             95 % intervals of Hedges' g by the variance of large samples, of r by Fisher's z. What goes with the label may be what is learnt.{more}{not}",
            "Columns of the table",
            of.label,
            of.people,
            of.permutations,
            counted(of.columns.len(), "column")
        ),
    }
}

/// Over whom an arm is judged.
const EVERYONE: &str = "all held-out";
const MATCHED: &str = "matched pairs";

/// A row for each arm.
pub(in crate::report) fn confounds(of: &Confounds) -> TextTable {
    let text = |e: Option<&Estimate>, times: f64, unit: &str| {
        let digits = if unit.is_empty() { 2 } else { 0 };
        let number = |v: f64| format!("{:.digits$}", times * v).replace('-', "\u{2212}");
        e.map_or_else(
            || "n/a".to_owned(),
            |e| match e.ends() {
                Some((low, high)) => format!("{}{unit} [{}, {}]", number(e.value), number(low), number(high)),
                None => format!("{}{unit}", number(e.value)),
            },
        )
    };
    let row = |(arm, matched): (&Arm, bool)| {
        vec![
            arm.model.clone(),
            arm.arm.clone(),
            if matched { MATCHED.to_owned() } else { EVERYONE.to_owned() },
            text(Some(&arm.area), 1.0, ""),
            match (&arm.difference, matched) {
                (None, _) => "\u{2013}".to_owned(),
                (Some(_), false) => format!("{AS_IS}, {EVERYONE}"),
                (Some(_), true) => format!("{}, {EVERYONE}", arm.arm),
            },
            text(arm.difference.as_ref(), 1.0, ""),
            text(arm.explained.as_ref(), 100.0, " %"),
        ]
    };
    let matched = of.matched.iter().flat_map(|matched| &matched.arms);
    let about = of.matched.as_ref().map_or_else(String::new, |matched| {
        format!(
            " A row over matched pairs is compared with the same arm over all held-out; its interval holds over people and matches ({} resamples, \
             each matched anew).",
            matched.resamples
        )
    });
    let starts = ["Matched on", "The same volumes"];
    let without_maps = of.maps.as_ref().filter(|maps| maps.rows.is_empty()).map(|maps| maps.sentences());
    TextTable {
        head: ["Model", "Arm", "Over", &of.measure, "Compared with", "Difference", "Share gone"]
            .map(str::to_owned)
            .to_vec(),
        rows: of.arms.iter().map(|arm| (arm, false)).chain(matched.map(|arm| (arm, true))).map(row).collect(),
        note: format!(
            "Difference: this row less the row that it is compared with. Share gone: the share of what that row has above 0.5 that is gone here; \
             percentiles of resampled people. What is gone with a confound may have been signal that goes with it.{about} {}",
            of.summary
                .iter()
                .filter(|line| starts.iter().any(|start| line.starts_with(start)))
                .cloned()
                .chain(without_maps.into_iter().flatten())
                .collect::<Vec<_>>()
                .join(" ")
        ),
    }
}

/// A row for each arm, method and group of people whose maps were compared; `None` where no arm was.
pub(in crate::report) fn maps(of: &Confounds) -> Option<TextTable> {
    let maps = of.maps.as_ref().filter(|maps| !maps.rows.is_empty())?;
    // What rounds to 0 has no sign.
    let number = |v: f64| format!("{v:.2}").replace("-0.00", "0.00").replace('-', "\u{2212}");
    let alike = |of: Option<&Alike>| {
        of.map_or_else(
            || "n/a".to_owned(),
            |of| format!("{} [{}, {}]", number(of.mean), number(of.least), number(of.most)),
        )
    };
    let row = |row: &MapChange| {
        vec![
            row.arm.clone(),
            row.method.clone(),
            row.class.clone().unwrap_or_else(|| "all".to_owned()),
            row.subjects.to_string(),
            number(row.means),
            alike(row.across.as_ref()),
            alike(row.folds.as_ref()),
            alike(row.folds_of_arm.as_ref()),
        ]
    };
    Some(TextTable {
        head: [
            "Arm",
            "Method",
            "Class",
            "People",
            "Mean maps",
            "A fold and another of the arm",
            "Two folds",
            "Two folds of the arm",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: maps.rows.iter().map(row).collect(),
        note: format!(
            "Spearman\u{2019}s correlation of mean maps, over voxels in the mask of half of the people. Mean maps: over all people, of the run and of \
             the arm. The others are over the people of one fold each: mean [least, largest] over pairs of folds. A mean over all people is smoother \
             than one over a fold: compare the last three with each other. {}",
            maps.sentences().join(" ")
        ),
    })
}
