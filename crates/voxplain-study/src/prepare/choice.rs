//! What is said where no image is chosen.

use super::{
    entities::{Entities, EntityFilter},
    matching::{self, Matched, few},
    options::PrepareOptions,
    pattern::matches,
};
use crate::{
    listed::{have, listed},
    setting::{EXCLUDE, INCLUDE},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Phrase, Remedy, remedy};

/// None of the images of a source is chosen, by their paths below it: which of the options leaves none, and what there is.
pub(super) fn none_chosen(source: &Path, images: &[&Path], options: &PrepareOptions) -> Error {
    let paths: Vec<String> = images.iter().map(|i| i.to_string_lossy().replace('\\', "/")).collect();
    let (mut why, mut remedies) = (Vec::new(), Vec::<Phrase>::new());
    let mut choose = |what: String, phrase: Phrase| {
        why.push(what);
        if !remedies.is_empty() {
            remedies.push(", ".into());
        }
        remedies.push(phrase);
    };
    if let Some(pattern) = options.include.as_ref().filter(|pattern| !paths.iter().any(|p| matches(pattern, p))) {
        choose(format!("none matches `{pattern}`"), INCLUDE.into());
    }
    if let Some(pattern) = options.exclude.as_ref().filter(|pattern| paths.iter().all(|p| matches(pattern, p))) {
        choose(format!("all match `{pattern}`, which is left out"), EXCLUDE.into());
    }
    for filter in options.entities.iter().filter(|filter| !images.iter().any(|i| filter.takes(i))) {
        choose(lacking(filter, images), filter.setting().into());
    }
    if why.is_empty() {
        why.push("each is left out by one of the options that choose".into());
        remedies.push(INCLUDE.into());
    }
    let none = match images.len() {
        1 => "its one image is not chosen".to_owned(),
        n => format!("none of its {n} images is chosen"),
    };
    let what = format!("{none}: {} ({})", why.join("; "), few(paths));
    let change = remedy!["change or leave out "];
    let lacks = |filter: &&EntityFilter| {
        !filter.takes_without() && images.iter().all(|i| Entities::of_path(i).get(&filter.entity).is_none())
    };
    if let Some(filter) = options.entities.iter().find(lacks) {
        // Of several sources one may have sessions, and the other none.
        let values = format!("{},none", filter.values.join(","));
        remedies.extend(["; images without it are taken too with ".into(), filter.setting().to(values)]);
    }
    Error::file(source, what, Remedy::new(change.parts().iter().cloned().chain(remedies)))
}

/// Says which of the options that choose matches nothing, where others choose some: an exclusion, or a value of an entity.
pub(super) fn unmatched(paths: &[PathBuf], options: &PrepareOptions) -> Vec<String> {
    let named: Vec<String> = paths.iter().map(|path| path.to_string_lossy().replace('\\', "/")).collect();
    let mut said = Vec::new();
    if let Some(pattern) = options.exclude.as_ref().filter(|pattern| !named.iter().any(|p| matches(pattern, p))) {
        let by_case = named.iter().find(|path| matches(&pattern.to_lowercase(), &path.to_lowercase()));
        let there = match by_case {
            Some(path) => format!("upper and lower case count: {path}"),
            None => few(&named),
        };
        said.push(format!("`{pattern}` is to be left out, and no image matches it ({there})"));
    }
    let images: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    for filter in &options.entities {
        let each = filter.values.iter().map(|value| EntityFilter { values: vec![value.clone()], ..filter.clone() });
        let none = each.filter(|filter| !images.iter().any(|image| filter.takes(image)));
        said.extend(none.map(|filter| format!("of the images, {}", lacking(&filter, &images))));
    }
    said
}

/// People that are named where they are left without an image.
const NAMED: usize = 3;

/// Says who has images and none of the session (run, ...) that is asked for.
pub(super) fn gone(matched: &Matched, root: &Path, options: &PrepareOptions) -> Option<String> {
    if options.entities.is_empty() {
        return None;
    }
    let person = |image: &Path| match Entities::of_path(image.strip_prefix(root).unwrap_or(image)).get("sub") {
        Some(subject) => subject.to_owned(),
        None => matching::id_of(image),
    };
    let stay: BTreeSet<String> =
        matched.pairs.iter().map(|(.., image)| image).chain(&matched.without_row).map(|image| person(image)).collect();
    // Whom a pattern leaves out is left out on purpose.
    let patterns = PrepareOptions { entities: Vec::new(), ..options.clone() };
    let others =
        matched.aside.not_chosen.iter().filter(|image| patterns.takes(image.strip_prefix(root).unwrap_or(image)));
    let gone: BTreeSet<String> = others.map(|image| person(image)).filter(|person| !stay.contains(person)).collect();
    let wanted = options.entities.iter().map(|filter| {
        let named = filter.named().map(|value| format!("{}-{value}", filter.entity));
        let without = filter.takes_without().then(|| format!("no `{}`", filter.entity));
        named.chain(without).collect::<Vec<_>>().join(" or ")
    });
    let who = if gone.len() == 1 { "1 person".to_owned() } else { format!("{} people", gone.len()) };
    (!gone.is_empty()).then(|| {
        format!(
            "{who} {} no image of {} and {} not in the cohort: {}",
            have(gone.len()),
            wanted.collect::<Vec<_>>().join(" and "),
            if gone.len() == 1 { "is" } else { "are" },
            listed(&gone, NAMED)
        )
    })
}

/// `none has ses-5 (there are ses-1, ses-2)`.
fn lacking(filter: &EntityFilter, images: &[&Path]) -> String {
    let key = &filter.entity;
    let there: BTreeSet<&str> = images.iter().filter_map(|i| Entities::of_path(i).get(key)).collect();
    let there = match there.len() {
        0 => format!("no image has `{key}` in its name"),
        _ => format!("there are {}", few(there.iter().map(|value| format!("{key}-{value}")))),
    };
    let wanted: Vec<String> = filter.named().map(|value| format!("{key}-{value}")).collect();
    let mut lacks = Vec::new();
    if !wanted.is_empty() {
        lacks.push(format!("has {}", wanted.join(" or ")));
    }
    if filter.takes_without() {
        lacks.push(format!("is without `{key}`"));
    }
    format!("none {} ({there})", lacks.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_none_is_named() {
        let images = ["sub-1/sub-1_ses-1_T1w.nii", "sub-1/sub-1_ses-2_T1w.nii"].map(Path::new);
        let said = |options: &PrepareOptions| {
            let error = none_chosen(Path::new("d"), &images, options);
            (error.to_string(), error.remedy().unwrap().to_string())
        };
        let session = |value: &str| vec![EntityFilter::new("ses", value)];
        let (what, remedy) = said(&PrepareOptions { entities: session("5"), ..PrepareOptions::default() });
        assert!(what.starts_with("d: none of its 2 images is chosen: none has ses-5 (there are ses-1, ses-2) (sub-1/"));
        assert_eq!(remedy, "change or leave out `session`");
        let (what, _) = said(&PrepareOptions { entities: session("none"), ..PrepareOptions::default() });
        assert!(what.contains("none is without `ses` (there are ses-1, ses-2)"), "{what}");
        let options =
            PrepareOptions { include: Some("x".into()), exclude: Some("sub".into()), ..PrepareOptions::default() };
        let (what, remedy) = said(&options);
        assert!(what.contains("none matches `x`; all match `sub`, which is left out"), "{what}");
        assert_eq!(remedy, "change or leave out `include`, `exclude`");
        let run = vec![EntityFilter::new("run", "1")];
        let (what, remedy) = said(&PrepareOptions { entities: run, ..PrepareOptions::default() });
        assert_eq!(remedy, "change or leave out `run`; images without it are taken too with `run` = 1,none");
        assert!(what.contains("none has run-1 (no image has `run` in its name)"), "{what}");
        let options =
            PrepareOptions { include: Some("ses-1".into()), entities: session("2"), ..PrepareOptions::default() };
        assert!(said(&options).0.contains("each is left out by one of"));
    }

    #[test]
    fn people_without_a_chosen_image_are_counted_and_named() {
        let path = |id: &str, session: u8| PathBuf::from(format!("d/sub-{id}/sub-{id}_ses-{session}_T1w.nii"));
        let of = |ids: &[&str], options: &PrepareOptions| {
            let mut matched = Matched { pairs: vec![(0, "01".into(), path("01", 2))], ..Matched::default() };
            matched.aside.not_chosen = ids.iter().map(|id| path(id, 1)).collect();
            gone(&matched, Path::new("d"), options)
        };
        let options =
            PrepareOptions { entities: vec![EntityFilter::new("ses", "2,none")], ..PrepareOptions::default() };
        assert_eq!(of(&["01"], &options), None);
        assert_eq!(
            of(&["01", "02"], &options).unwrap(),
            "1 person has no image of ses-2 or no `ses` and is not in the cohort: 02"
        );
        assert_eq!(
            of(&["02", "03", "04", "05"], &options).unwrap(),
            "4 people have no image of ses-2 or no `ses` and are not in the cohort: 02, 03, 04 and 1 more"
        );
        // Left out by a pattern: on purpose.
        let options = PrepareOptions { exclude: Some("sub-02".into()), ..options };
        assert_eq!(of(&["02"], &options), None);
    }

    #[test]
    fn what_matches_nothing_is_said() {
        let images = ["sub-1/sub-1_ses-1_T1w.nii", "sub-1/sub-1_ses-2_T1w.nii"].map(PathBuf::from);
        let said = |options: PrepareOptions| unmatched(&images, &options);
        let exclude = |pattern: &str| PrepareOptions { exclude: Some(pattern.into()), ..PrepareOptions::default() };
        assert_eq!(said(exclude("ses-1")), [""; 0]);
        assert_eq!(
            said(exclude("run-2")),
            [
                "`run-2` is to be left out, and no image matches it (sub-1/sub-1_ses-1_T1w.nii, sub-1/sub-1_ses-2_T1w.nii)"
            ]
        );
        assert!(said(exclude("SES-1"))[0].contains("upper and lower case count: sub-1/sub-1_ses-1"));
        let sessions = PrepareOptions { entities: vec![EntityFilter::new("ses", "1,5")], ..PrepareOptions::default() };
        assert_eq!(said(sessions), ["of the images, none has ses-5 (there are ses-1, ses-2)"]);
        let sessions =
            PrepareOptions { entities: vec![EntityFilter::new("ses", "1,none")], ..PrepareOptions::default() };
        assert_eq!(said(sessions), ["of the images, none is without `ses` (there are ses-1, ses-2)"]);
    }
}
