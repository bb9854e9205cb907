//! What is said where no image is chosen.

use super::{
    entities::{Entities, EntityFilter},
    matching::few,
    options::PrepareOptions,
    pattern::matches,
};
use crate::setting::{EXCLUDE, INCLUDE};
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
    let what = format!("none of its {} images is chosen: {} ({})", images.len(), why.join("; "), few(paths));
    let change = remedy!["change or leave out "];
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
        let (what, _) = said(&PrepareOptions { entities: run, ..PrepareOptions::default() });
        assert!(what.contains("none has run-1 (no image has `run` in its name)"), "{what}");
        let options =
            PrepareOptions { include: Some("ses-1".into()), entities: session("2"), ..PrepareOptions::default() };
        assert!(said(&options).0.contains("each is left out by one of"));
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
