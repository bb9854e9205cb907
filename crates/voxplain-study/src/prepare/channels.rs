//! Channels: several images of each person, that a network takes together.
//!
//! In a BIDS dataset a channel is a suffix (`T1w`, `FLAIR`), and the images that belong together have the same entities but
//! `desc`. In a table of paths it is a column. The first channel is the one that everything else is known by: the mask, the alignment
//! and the grid are its.

use super::{
    contradiction,
    entities::Entities,
    matching::{Matched, few},
    options::PrepareOptions,
    source::{self, Source, files, is_there, name, pairs_once, stem},
};
use crate::{
    cohort::{LeftOut, Normalize, is_missing},
    listed::{counted, have, listed},
    setting::{CHANNEL, KEEP_GOING, NORMALIZE, PATH_COLUMN},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Remedy, Result, Table, plural::does, remedy};

/// The suffix of the images of a BIDS dataset where no channel is named.
pub(crate) const T1W: &str = "T1w";

/// The suffix by which images are found in a BIDS dataset: that of the first channel.
pub(super) fn first(options: &PrepareOptions) -> &str {
    options.channels.first().map_or(T1W, String::as_str)
}

/// Refuses names of channels that cannot be, and sources that have none.
pub(super) fn check(sources: &[Source], options: &PrepareOptions) -> Result<()> {
    if options.channels.is_empty() {
        return Ok(());
    }
    check_names(&options.channels)?;
    check_intensities(&options.channels, options.normalize)?;
    if options.path_column.is_some() {
        let what = "a column of paths is named, and channels, which are columns of paths themselves";
        return Err(Error::request(
            what,
            remedy!["leave out ", PATH_COLUMN, ": the first ", CHANNEL, " is that column"],
        ));
    }
    for source in sources {
        let what = match source {
            Source::Bids(..) => {
                let is_suffix = |name: &&String| name.bytes().all(|b| b.is_ascii_alphanumeric());
                let Some(name) = options.channels.iter().find(|name| !is_suffix(name)) else { continue };
                let what = format!("`{name}` is no suffix of a BIDS file, which has letters and digits alone");
                return Err(Error::file(source.path(), what, remedy!["give the suffix with ", CHANNEL.to("FLAIR")]));
            }
            Source::Table(_) => continue,
            Source::FreeSurfer(_) => "a SUBJECTS_DIR",
            Source::Folder(_) => "a folder of images that is no BIDS dataset",
            Source::Tensors(_) => "an array of volumes",
        };
        return Err(Error::file(
            source.path(),
            format!(
                "channels are named ({}), and in {what} there is no telling which images are of which",
                options.channels.join(", ")
            ),
            remedy![
                "give a BIDS dataset, whose suffixes are the channels, or a table with a column of paths for each ",
                CHANNEL
            ],
        ));
    }
    Ok(())
}

/// Longest name of a channel, in letters and digits: beside the longest id it leaves room in the name of a file.
const MAX_NAME: usize = 40;

/// Refuses names of channels that are not all different, in the names of files as well, where only letters and digits count, or too long.
pub(crate) fn check_names(names: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let word = crate::map::channel_word(name).to_ascii_lowercase();
        if word.is_empty() {
            let what = format!("`{name}` is no name of a channel: it has no letter and no digit");
            return Err(Error::request(what, remedy!["give it one, such as ", CHANNEL.to("FLAIR")]));
        }
        if word.len() > MAX_NAME {
            let what = format!("the name of the channel `{name}` has {} letters and digits", word.len());
            let remedy = remedy![format!("give names of up to {MAX_NAME}, such as "), CHANNEL.to("FLAIR")];
            return Err(Error::request(what, remedy));
        }
        if !seen.insert(word) {
            let what = format!("two channels are called `{name}`, or so but for signs and case ({})", names.join(", "));
            return Err(Error::request(what, remedy!["name each image of a person once with ", CHANNEL]));
        }
    }
    Ok(())
}

/// Refuses a scale that is not there for every channel.
pub(crate) fn check_intensities(names: &[String], normalize: Normalize) -> Result<()> {
    if names.len() < 2 || normalize != Normalize::WhiteMatter {
        return Ok(());
    }
    Err(Error::request(
        format!(
            "intensities are to be scaled by white matter, which is found in T1-weighted images alone, and there are {}",
            names.join(", ")
        ),
        remedy!["take another scale, ", NORMALIZE.to("robust"), " or ", NORMALIZE.to("brain-median")],
    ))
}

/// The images of the channels behind the first, for each of the images that were matched with rows. Who lacks one is taken out of
/// these and told among those left out; the sentences say who, and what was looked for.
///
/// # Errors
/// Everybody lacks one, or a table has no such column.
pub(super) fn complete(
    source: &Source,
    table: &Table,
    matched: &mut Matched,
    options: &PrepareOptions,
) -> Result<(Vec<Vec<PathBuf>>, Vec<String>)> {
    let [_, others @ ..] = options.channels.as_slice() else {
        return Ok((vec![Vec::new(); matched.pairs.len()], Vec::new()));
    };
    let columns = match source {
        Source::Table(file) => {
            others.iter().map(|name| super::plan::channel_column(table, name, file)).collect::<Result<Vec<_>>>()?
        }
        _ => Vec::new(),
    };
    let mut wrong = Vec::new();
    let mut of_others = Vec::new();
    let (mut complete, mut lacking) = (Vec::new(), Vec::<(String, &String, String)>::new());
    let all = matched.pairs.len();
    let pairs = std::mem::take(&mut matched.pairs);
    'people: for (row, id, image) in pairs {
        let mut found = Vec::with_capacity(others.len());
        for (n, channel) in others.iter().enumerate() {
            let of_channel = match columns.get(n) {
                Some(&column) => in_row(table, row, column, source.root()),
                None => beside(&image, channel),
            };
            match of_channel {
                Ok(path) => {
                    if columns.get(n).is_some()
                        && let Some(why) = contradiction::of_others(&image, &path, &["sub"])
                    {
                        of_others.push(format!("{id}: {} ({why})", path.display()));
                    }
                    found.push(path);
                }
                Err(why) => {
                    lacking.push((id, channel, why));
                    continue 'people;
                }
            }
        }
        complete.push(found);
        matched.pairs.push((row, id, image));
    }
    if let Source::Table(file) = source {
        if !of_others.is_empty() {
            let what = format!(
                "{} {} another subject than the first channel of their row: {}",
                counted(of_others.len(), "image"),
                does(of_others.len(), "is of", "are of"),
                listed(of_others, 3)
            );
            let remedy =
                "mend the paths; where the files are the right ones, rename them: `sub-` says whose an image is";
            return Err(Error::file(file, what, remedy));
        }
        for (n, &column) in columns.iter().enumerate() {
            let ids = matched.pairs.iter().map(|(_, id, _)| id.as_str());
            let images = complete.iter().map(|paths: &Vec<PathBuf>| paths[n].as_path());
            refuse_other_kinds(&table.columns[column], ids.zip(images), file)?;
        }
    }
    for channel in others {
        let of: Vec<_> = lacking.iter().filter(|(_, lacks, _)| *lacks == channel).collect();
        let Some((first, _, why)) = of.first() else { continue };
        if of.len() == all {
            let what = format!("none of the {} has a {channel}; {first}: {why}", counted(all, "image"));
            let remedy = match source {
                Source::Table(_) => remedy!["fill in the column, or leave out ", CHANNEL.to(channel)],
                _ => remedy![
                    "images of one person belong together when their names say the same (ses, run, acq, space, ...) but for desc; \
                     else give a table with a column of paths for each ",
                    CHANNEL
                ],
            };
            return Err(Error::file(source.path(), what, remedy));
        }
        let who = few(of.iter().map(|(id, _, why)| format!("{id} ({why})")));
        wrong.push(format!("{} {} no {channel}: {who}", counted(of.len(), "subject"), have(of.len())));
    }
    matched
        .aside
        .apart
        .extend(lacking.into_iter().map(|(id, channel, _)| LeftOut::new(id, format!("there is no {channel} of it"))));
    if matches!(source, Source::Bids(..)) {
        wrong.extend(alone(source, others, matched, options)?);
    }
    Ok((complete, wrong))
}

/// Refuses images whose names say that they are of another kind than their column, where that is called by one: a `FLAIR` of `T1w`.
pub(super) fn refuse_other_kinds<'a>(
    column: &str,
    images: impl Iterator<Item = (&'a str, &'a Path)>,
    file: &Path,
) -> Result<()> {
    let other = |(id, path): (&str, &Path)| {
        contradiction::names_another_kind(path, column).map(|word| format!("{id}: {} ({word})", path.display()))
    };
    let others: Vec<String> = images.filter_map(other).collect();
    if others.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} of the column `{column}` {} of another kind by name: {}",
        counted(others.len(), "image"),
        does(others.len(), "is", "are"),
        listed(others, 3)
    );
    let remedy = format!("mend the paths, or the name of the column; where the files are {column}, rename them");
    Err(Error::file(file, what, remedy))
}

/// Says which images of a column, or of a folder, are of another kind by their names than most.
pub(super) fn mixed_kinds(images: &[(&str, &Path)], place: &str) -> Option<String> {
    let kinds: Vec<(&str, Vec<(usize, String)>)> =
        images.iter().map(|(id, path)| (*id, contradiction::kinds_of(path))).filter(|(_, of)| !of.is_empty()).collect();
    let shares = |one: &[(usize, String)], other: &[(usize, String)]| {
        one.iter().any(|(kind, _)| other.iter().any(|(k, _)| k == kind))
    };
    let count = |of: &[(usize, String)]| kinds.iter().filter(|(_, other)| shares(of, other)).count();
    // Of as many of each the first.
    let (_, most) = kinds.iter().rev().max_by_key(|(_, of)| count(of))?;
    let others: Vec<String> =
        kinds.iter().filter(|(_, of)| !shares(of, most)).map(|(id, of)| format!("{id} ({})", of[0].1)).collect();
    (!others.is_empty()).then(|| {
        format!(
            "by their names, {} of {} {place} {} of another kind than the others ({}): {}",
            others.len(),
            counted(images.len(), "image"),
            does(others.len(), "is", "are"),
            most[0].1,
            few(others)
        )
    })
}

/// The image of a channel that a row names.
fn in_row(table: &Table, row: usize, column: usize, folder: &Path) -> Result<PathBuf, String> {
    match table.rows[row][column].as_deref().filter(|cell| !is_missing(cell, &[])) {
        Some(path) => Ok(folder.join(path)),
        None => Err(format!("its cell in the column `{}` is empty", table.columns[column])),
    }
}

/// The image of another channel of the same person: beside the image, of the same entities but `desc`; of several such that of the
/// same `desc`. The error says what was looked for, and what there is.
pub(crate) fn beside(image: &Path, channel: &str) -> Result<PathBuf, String> {
    let folder = image.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let Some((own, entities)) = stem(image).and_then(|stem| Some((stem, Entities::of(stem)?))) else {
        return Err(format!(
            "{} has no name of BIDS, sub-<label>[_...]_<suffix>, so that the other cannot be found by it",
            name(image)
        ));
    };
    let pairs = own.rsplit_once('_').map_or(own, |(pairs, _)| pairs);
    let suffix = format!("_{channel}");
    let mut there: Vec<PathBuf> = files(folder).map_err(|e| e.to_string())?;
    there.retain(|path| stem(path).is_some_and(|stem| stem.ends_with(&suffix)));
    pairs_once(&mut there);
    let of = |path: &Path| {
        stem(path)
            .and_then(Entities::of)
            .map(|e| (e.get("sub") == entities.get("sub"), e.same(&entities), e.get("desc") == entities.get("desc")))
    };
    let same: Vec<&PathBuf> = there.iter().filter(|path| matches!(of(path), Some((true, true, _)))).collect();
    let exact: Vec<&PathBuf> = same.iter().copied().filter(|path| matches!(of(path), Some((_, _, true)))).collect();
    match (same.as_slice(), exact.as_slice()) {
        ([one], _) | (_, [one]) => Ok((*one).clone()),
        ([], _) => {
            let looked = format!("looked for {pairs}{suffix} in {}", folder.display());
            let near = there.iter().filter(|path| matches!(of(path), Some((true, ..)))).map(|path| name(path));
            let near: Vec<&str> = near.collect();
            Err(if near.is_empty() {
                looked
            } else {
                format!("{looked}, and these differ from it in an entity: {}", few(near))
            })
        }
        (several, _) => Err(format!("several could be it: {}", few(several.iter().map(|path| name(path))))),
    }
}

/// Images of other channels whose person, in that session, has none of the first: whoever has a row is told with the row, the others
/// are counted among those left out.
fn alone(
    source: &Source,
    others: &[String],
    matched: &mut Matched,
    options: &PrepareOptions,
) -> Result<Option<String>> {
    let root = source.root();
    let whose = |path: &Path| {
        let of = Entities::of_path(path.strip_prefix(root).unwrap_or(path));
        (of.get("sub").unwrap_or_default().to_owned(), of.get("ses").map(str::to_owned))
    };
    let first = first(options);
    let have: BTreeSet<_> = source.images(first)?.images.iter().map(|path| whose(path)).collect();
    let mut without = Vec::new();
    for channel in others {
        let images = source.images(channel)?.images;
        without.extend(images.into_iter().filter(|path| {
            let below = path.strip_prefix(root).unwrap_or(path);
            !have.contains(&whose(path)) && options.entities.iter().all(|filter| filter.takes(below))
        }));
    }
    for id in &matched.without_image {
        if without.iter().any(|path| whose(path).0 == *id) {
            matched
                .aside
                .without_image
                .insert(id.clone(), format!("the row has no {first} image, but one of another channel"));
        }
    }
    without.retain(|path| !matched.without_image.contains(&whose(path).0));
    let who = few(without.iter().map(|path| name(path)));
    let wrong = format!(
        "{} without {} {first} beside it: {who}",
        counted(without.len(), "image"),
        if without.len() == 1 { "a" } else { "any" }
    );
    let why = format!("there is no {first} beside it");
    let some = !without.is_empty();
    matched.aside.found += without.len();
    matched.aside.apart.extend(without.into_iter().map(|path| LeftOut::new(path.display().to_string(), why.clone())));
    Ok(some.then_some(wrong))
}

/// No image of a BIDS dataset has the suffix of the first channel: which there are.
pub(super) fn none_of(source: &Source, suffix: &str) -> Option<Error> {
    let Source::Bids(root, _) = source else { return None };
    let images = source.images("").ok()?.images;
    let suffixes: BTreeSet<&str> = images.iter().filter_map(|path| Some(stem(path)?.rsplit_once('_')?.1)).collect();
    if suffixes.is_empty() {
        return None;
    }
    let what = format!(
        "no image in it ends in _{suffix}; there are {}",
        few(suffixes.iter().map(|suffix| format!("_{suffix}")))
    );
    Some(Error::file(root, what, remedy!["name the suffix of the images with ", CHANNEL]))
}

/// Whether a channel's file is where it was said to be.
pub(super) fn refuse_missing(path: &Path, channel: &str) -> Result<()> {
    source::fetched(path)?;
    if is_there(path) {
        return Ok(());
    }
    Err(Error::file(
        path,
        format!("there is no such file ({channel})"),
        remedy!["mend the path, or leave the subject out with ", KEEP_GOING],
    ))
}

/// What to do where another channel is refused.
pub(super) fn remedy() -> Remedy {
    remedy!["register the images of each person to one another, or leave the channel out (", CHANNEL, ")"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tree::tree;

    fn found(files: &[&str], image: &str) -> Result<String, String> {
        let dir = tree(files.iter().chain([&image]));
        let found = beside(&dir.path().join(image), "FLAIR")?;
        Ok(found.strip_prefix(dir.path()).unwrap().to_str().unwrap().replace('\\', "/"))
    }

    #[test]
    fn images_belong_together_by_their_entities() {
        let t1 = "sub-1/anat/sub-1_ses-2_acq-a_T1w.nii.gz";
        let flair = "sub-1/anat/sub-1_ses-2_acq-a_FLAIR.nii.gz";
        let others = [
            "sub-1/anat/sub-1_ses-1_acq-a_FLAIR.nii.gz",
            "sub-1/anat/sub-1_ses-2_FLAIR.nii.gz",
            "sub-1/anat/sub-1_ses-2_acq-a_T2w.nii",
        ];
        assert_eq!(found(&[flair, others[0], others[1], others[2]], t1).unwrap(), flair);
        let why = found(&others, t1).unwrap_err();
        assert!(
            why.starts_with("looked for sub-1_ses-2_acq-a_FLAIR in ")
                && why.ends_with("sub-1_ses-1_acq-a_FLAIR.nii.gz, sub-1_ses-2_FLAIR.nii.gz"),
            "{why}"
        );
        let why = found(&[], t1).unwrap_err();
        assert!(!why.contains("differ"), "{why}");
        // `desc` says what a file is: one of another is taken, and of several the one of the same.
        let preproc = "sub-1_desc-preproc_T1w.nii";
        assert_eq!(found(&["sub-1_FLAIR.nii"], preproc).unwrap(), "sub-1_FLAIR.nii");
        assert_eq!(
            found(&["sub-1_FLAIR.nii", "sub-1_desc-preproc_FLAIR.nii"], preproc).unwrap(),
            "sub-1_desc-preproc_FLAIR.nii"
        );
        let why = found(&["sub-1_FLAIR.nii", "sub-1_desc-x_FLAIR.nii"], preproc).unwrap_err();
        assert!(why.starts_with("several could be it"), "{why}");
        assert_eq!(found(&["sub-1_run-01_FLAIR.nii"], "sub-1_run-1_T1w.nii").unwrap(), "sub-1_run-01_FLAIR.nii");
        assert!(found(&["sub-10_FLAIR.nii"], "sub-1_T1w.nii").is_err());
        assert!(found(&["a_FLAIR.nii"], "a_T1w.nii").unwrap_err().contains("no name of BIDS"));
    }

    #[test]
    fn kinds_of_a_column() {
        let of = |images: &[&str]| {
            let images: Vec<(&str, &Path)> = images.iter().map(|image| (*image, Path::new(*image))).collect();
            mixed_kinds(&images, "of `path`")
        };
        let said = of(&["1_T1w.nii", "2_FLAIR.nii", "3_mprage.nii", "4.nii"]).unwrap();
        let start =
            "by their names, 1 of 4 images of `path` is of another kind than the others (T1w): 2_FLAIR.nii (FLAIR)";
        assert_eq!(said, start);
        assert_eq!(of(&["1_T1w.nii", "2_T1.nii", "3.nii"]), None);
        assert_eq!(of(&["1_T1w.nii", "PD_2_T1w.nii", "2_T2_to_T1.nii"]), None);
        let refused = |column: &str, image: &str| {
            let images = [("a", Path::new(image))];
            refuse_other_kinds(column, images.into_iter(), Path::new("t.tsv")).err().map(|e| e.to_string())
        };
        let why = "t.tsv: 1 image of the column `flair_path` is of another kind by name: a: a_T1w.nii (T1w)";
        assert_eq!(refused("flair_path", "a_T1w.nii").as_deref(), Some(why));
        for (column, image) in [("path", "a_T1w.nii"), ("flair", "a_T2_FLAIR.nii"), ("FLAIR", "a.nii")] {
            assert_eq!(refused(column, image), None);
        }
    }

    #[test]
    fn names_are_different_in_files_as_well() {
        let refused = |names: &[&str]| {
            check_names(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap_err().to_string()
        };
        assert!(check_names(&["T1w".into(), "T2w".into()]).is_ok());
        assert!(refused(&["T1w", "T1w"]).starts_with("two channels are called `T1w`"));
        assert!(refused(&["t1_path", "T1-path"]).contains("but for signs and case (t1_path, T1-path)"));
        assert!(refused(&["T1w", "_"]).contains("no letter and no digit"));
    }
}
