//! The people: the cohort in numbers, and what was said of everyone.

use super::{drawing::PERCENTILE, page::Grid};
use crate::{
    Progress, Result,
    cohort::Cohort,
    figure::{Cut, Layer, Plane, Scale, thumbnail},
    run::{Prediction, Run},
    stats::significant,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;
use voxplain_volume::{ReadOptions, Volume, read};

/// Everyone that was held out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct People {
    pub(super) people: Vec<Person>,
    pub(super) note: String,
    pub(super) methods: Vec<String>,
}

/// One subject.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) truth: String,
    pub(super) predicted: String,
    pub(super) right: bool,
    pub(super) probability: String,
    pub(super) fold: usize,
    pub(super) pictures: Vec<Picture>,
}

/// One cut of a map.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Picture {
    pub(super) method: String,
    /// A data URI.
    pub(super) source: String,
    pub(super) alt: String,
    /// Below it: `z = 12 mm`.
    pub(super) place: String,
}

/// Pictures in the page, so that it stays below 10 MB: about 10 kB each.
const MOST_PICTURES: usize = 330;
/// Lines of people in the page.
const MOST_PEOPLE: usize = 1000;

/// The probability that was given to the true class.
pub(super) fn of_truth(classes: &[String], p: &Prediction) -> f64 {
    classes.iter().position(|c| *c == p.truth).map_or(0.0, |c| p.probabilities[c])
}

/// Wrong first, then by how sure the model was of the truth, least first: those to look at come first.
pub(super) fn order<'a>(classes: &[String], predictions: &'a [Prediction]) -> Vec<&'a Prediction> {
    let mut order: Vec<&Prediction> = predictions.iter().collect();
    order.sort_by(|a, b| {
        let right = |p: &Prediction| p.truth == p.predicted;
        right(a)
            .cmp(&right(b))
            .then(of_truth(classes, a).total_cmp(&of_truth(classes, b)))
            .then_with(|| a.participant_id.cmp(&b.participant_id))
    });
    order
}

/// Everyone, in the order of [`order`].
pub(super) fn people(
    run: &Run,
    cohort: Option<&Cohort>,
    order: &[&Prediction],
    methods: &[String],
    progress: &dyn Progress,
) -> Result<People> {
    let classes = &run.manifest.classes;
    let pictured = if methods.is_empty() { 0 } else { (MOST_PICTURES / methods.len()).max(1) };
    let listed = order.len().min(MOST_PEOPLE);
    progress.begin("pictures of subjects", pictured.min(listed));
    let people = order[..listed]
        .par_iter()
        .enumerate()
        .map(|(n, p)| {
            progress.go_on()?;
            let pictures = match cohort {
                Some(cohort) if n < pictured => pictures(run, cohort, &p.participant_id, methods)?,
                _ => Vec::new(),
            };
            if n < pictured {
                progress.advance(1, &p.participant_id);
            }
            Ok(Person {
                id: p.participant_id.clone(),
                truth: p.truth.clone(),
                predicted: p.predicted.clone(),
                right: p.truth == p.predicted,
                probability: format!("{:.2}", of_truth(classes, p)),
                fold: p.fold,
                pictures,
            })
        })
        .collect::<Result<Vec<_>>>();
    progress.end();
    let people = people?;
    let mut note =
        String::from("Those told wrong come first, then those whose true class was given the least probability. ");
    if people.iter().any(|p| !p.pictures.is_empty()) {
        note.push_str(
            "Each picture is the axial cut through the middle of the map's |relevance| over the subject's own brain, left is left, \
             with a range of colours of its own: compare places, not strengths. ",
        );
    }
    if order.len() > pictured && pictured > 0 {
        note.push_str(&format!(
            "Pictures of the first {pictured} of {} subjects, to keep the page small. ",
            order.len()
        ));
    }
    if order.len() > listed {
        note.push_str(&format!("The first {listed} of {} subjects; all are in predictions.tsv.", order.len()));
    }
    Ok(People { people, note, methods: methods.to_vec() })
}

fn pictures(run: &Run, cohort: &Cohort, id: &str, methods: &[String]) -> Result<Vec<Picture>> {
    let Some(index) = cohort.find(id) else { return Ok(Vec::new()) };
    let mut layer = None;
    let mut pictures = Vec::new();
    for method in methods {
        let path = run.map_path(id, "", method);
        if !path.is_file() {
            continue;
        }
        let map = read(&path, &ReadOptions::default())?.volume;
        let layer = match &layer {
            Some(layer) => layer,
            None => &*layer.insert(Layer::new(cohort.volume(index)?, &cohort.mask(index)?)?),
        };
        pictures.push(picture(layer, &map, method, id)?);
    }
    Ok(pictures)
}

/// The axial cut through the middle of a map's |relevance|.
pub(super) fn picture(layer: &Layer, map: &Volume, method: &str, of: &str) -> Result<Picture> {
    let [axial, ..] = layer.cuts(map, 1, 1.0);
    let cut = axial.first().copied().unwrap_or(Cut { plane: Plane::Axial, at: 0.0 });
    let scale = Scale::percentile(layer, map, PERCENTILE);
    let png = thumbnail(layer, map, cut, scale, 2.5)?;
    let place = if scale.most > 0.0 {
        format!("z = {}, ± {}", significant(cut.at, 4).replace('-', "\u{2212}"), significant(scale.most, 2))
    } else {
        "0 in the whole brain".into()
    };
    Ok(Picture {
        method: method.to_owned(),
        source: format!("data:image/png;base64,{}", STANDARD.encode(png)),
        alt: format!("{method} map of {of}, axial cut at {place}"),
        place,
    })
}

/// Numbers of people and their covariates by class.
pub(super) fn cohort_table(cohort: &Cohort, label: &str, classes: &[String]) -> Grid {
    let table = &cohort.participants;
    let label_column = table.columns.iter().position(|c| c == label);
    let class_of = |row: &[Option<String>]| label_column.and_then(|c| row[c].clone());
    let of = |class: &str| -> Vec<&Vec<Option<String>>> {
        table.rows.iter().filter(|r| class_of(r).as_deref() == Some(class)).collect()
    };
    let mut grid = Grid {
        head: std::iter::once(String::new()).chain(classes.iter().cloned()).collect(),
        rows: vec![
            std::iter::once("Subjects".to_owned()).chain(classes.iter().map(|c| of(c).len().to_string())).collect(),
        ],
        note: String::new(),
    };
    let others = table.rows.len() - classes.iter().map(|c| of(c).len()).sum::<usize>();
    if others > 0 {
        grid.note = format!("{others} more subjects of the cohort have none of these classes. ");
    }
    grid.note.push_str("Numbers: mean (standard deviation), least to most.");
    let volume: Vec<(Option<String>, f64)> = table
        .rows
        .iter()
        .zip(&cohort.subjects)
        .map(|(row, subject)| (class_of(row), subject.brain_volume / 1000.0))
        .collect();
    let by_class = |name: String, values: &dyn Fn(&str) -> Vec<f64>| -> Vec<String> {
        std::iter::once(name).chain(classes.iter().map(|c| spread(&values(c)))).collect()
    };
    grid.rows.push(by_class("Brain volume, cm³".into(), &|class| {
        volume.iter().filter(|(c, _)| c.as_deref() == Some(class)).map(|(_, v)| *v).collect()
    }));
    for (n, name) in table.columns.iter().enumerate() {
        if grid.rows.len() >= 10 || name == label || name == "participant_id" {
            continue;
        }
        let cells: Vec<&str> = table.rows.iter().filter_map(|r| r[n].as_deref()).collect();
        let distinct: std::collections::BTreeSet<&str> = cells.iter().copied().collect();
        if cells.is_empty() {
            continue;
        }
        if cells.iter().all(|c| c.parse::<f64>().is_ok_and(f64::is_finite)) && distinct.len() > 2 {
            grid.rows.push(by_class(name.clone(), &|class| {
                of(class).iter().filter_map(|r| r[n].as_deref()?.parse().ok()).collect()
            }));
        } else if distinct.len() <= 6 {
            let counts = classes.iter().map(|class| {
                distinct
                    .iter()
                    .map(|d| format!("{} {d}", of(class).iter().filter(|r| r[n].as_deref() == Some(d)).count()))
                    .collect::<Vec<_>>()
                    .join(", ")
            });
            grid.rows.push(std::iter::once(name.clone()).chain(counts).collect());
        }
    }
    grid
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

/// The file's name.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
