//! What was said of every subject.

use crate::{
    figure::{ColourRange, Cut, Plane, Underlay, thumbnail},
    report::element::{NotSeen, PERCENTILE, Person, read_map},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rayon::prelude::*;
use serde::Serialize;
use voxplain_core::{Progress, Result};
use voxplain_stats::significant;
use voxplain_study::{
    cohort::Cohort,
    model::Task,
    run::{Run, RunMaps},
};
use voxplain_volume::Volume;

/// Everyone that was held out: the section of the page.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::report) struct Subjects {
    cards: Vec<Card>,
    note: String,
}

/// One subject, as it is shown.
#[derive(Clone, Debug, Default, Serialize)]
struct Card {
    id: String,
    wrong: bool,
    about: String,
    pictures: Vec<Picture>,
}

/// One cut of a map.
#[derive(Clone, Debug, Default, Serialize)]
struct Picture {
    method: String,
    /// A data URI.
    source: String,
    alt: String,
    /// Below it: `z = 12 mm`.
    place: String,
}

/// Pictures in the page, so that it stays below 10 MB: about 10 kB each.
const MAX_PICTURES: usize = 330;
/// Subjects in the page.
const MAX_CARDS: usize = 1000;

/// Everyone, in the order given.
pub(in crate::report) fn of_run(
    run: &Run,
    cohort: Option<&Cohort>,
    order: &[Person],
    maps: &RunMaps,
    not_seen: Option<&NotSeen>,
    progress: &dyn Progress,
) -> Result<Subjects> {
    let methods = maps.methods();
    let pictured = if methods.is_empty() { 0 } else { (MAX_PICTURES / methods.len()).max(1) };
    let listed = order.len().min(MAX_CARDS);
    progress.begin("pictures of subjects", pictured.min(listed));
    let cards = order[..listed]
        .par_iter()
        .enumerate()
        .map(|(n, p)| {
            progress.go_on()?;
            let pictures = match cohort {
                Some(cohort) if n < pictured => pictures(run, cohort, &p.participant_id, (maps, &methods), not_seen)?,
                _ => Vec::new(),
            };
            if n < pictured {
                progress.advance(1, &p.participant_id);
            }
            Ok(Card { id: p.participant_id.clone(), wrong: p.wrong, about: p.about.clone(), pictures })
        })
        .collect::<Result<Vec<_>>>();
    progress.end();
    let cards = cards?;
    let mut note = String::from(match run.manifest.task {
        Task::Classes { .. } => {
            "Those told wrong come first, then those whose true class was given the least probability. "
        }
        Task::Value { .. } => "The largest error comes first. ",
    });
    if cards.iter().any(|p| !p.pictures.is_empty()) {
        note.push_str(
            "Each picture is the axial cut through the middle of the map's |relevance| over the subject's own volume, left is left, \
             with a range of colours of its own: compare places, not strengths. ",
        );
        if not_seen.is_some_and(NotSeen::in_brains) {
            note.push_str("What is hatched cannot change the output of the network. ");
        }
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
    Ok(Subjects { cards, note })
}

fn pictures(
    run: &Run,
    cohort: &Cohort,
    id: &str,
    (maps, methods): (&RunMaps, &[String]),
    not_seen: Option<&NotSeen>,
) -> Result<Vec<Picture>> {
    let Some(index) = cohort.find(id) else { return Ok(Vec::new()) };
    let mut underlay = None;
    let mut pictures = Vec::new();
    for method in methods.iter().filter(|method| maps.have(id, method)) {
        let map = read_map(&run.layout().map(id, method).path())?;
        let underlay = match &underlay {
            Some(underlay) => underlay,
            None => {
                let brain = Underlay::new(cohort.volume(index)?, &cohort.mask(index)?)?;
                &*underlay.insert(NotSeen::hatch(not_seen, brain)?)
            }
        };
        pictures.push(picture(underlay, &map, method, id)?);
    }
    Ok(pictures)
}

/// The axial cut through the middle of a map's |relevance|.
fn picture(underlay: &Underlay, map: &Volume, method: &str, of: &str) -> Result<Picture> {
    let [axial, ..] = underlay.cuts(map, 1, 1.0);
    let cut = axial.first().copied().unwrap_or(Cut { plane: Plane::Axial, at: 0.0 });
    let range = ColourRange::percentile(underlay, map, PERCENTILE);
    let png = thumbnail(underlay, map, cut, range, 2.5)?;
    let place = if range.max > 0.0 {
        format!("z = {}, ± {}", significant(cut.at, 4).replace('-', "\u{2212}"), significant(range.max, 2))
    } else {
        "0 in the whole mask".into()
    };
    Ok(Picture {
        method: method.to_owned(),
        source: format!("data:image/png;base64,{}", STANDARD.encode(png)),
        alt: format!("{method} map of {of}, axial cut at {place}"),
        place,
    })
}
