//! Which image belongs to which row of the participants' table.

use super::{
    entities::{Entities, choices},
    freesurfer, sessions,
    source::called,
};
use crate::{
    cohort::{Inclusion, LeftOut, bare},
    listed::{counted, have, listed},
    setting::{EACH_SESSION, EXCLUDE, ID_COLUMN, INCLUDE, PERSON_COLUMN, SESSION},
    spelling::{alike_by, difference, plain},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{
    Error, Phrase, Remedy, Result, Table,
    lookalike::{folded, is_invisible, spelled},
    remedy, visible,
};

/// Images and rows that belong together, and those left over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Matched {
    /// Row of the table, id (without `sub-`), image.
    pub(super) pairs: Vec<(usize, String, PathBuf)>,
    /// Images that belong to no row.
    pub(super) without_row: Vec<PathBuf>,
    /// Ids of rows that have no image.
    pub(super) without_image: Vec<String>,
    /// Number of rows of the table, where there is one.
    pub(super) rows: Option<usize>,
    /// What was found beside these.
    pub(super) aside: Aside,
}

/// What was found and is not matched with rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Aside {
    /// Number of images, those that were not chosen included.
    pub(super) found: usize,
    /// What options that choose were asked about: the paths of images, masks and folders below the source.
    pub(super) paths: Vec<PathBuf>,
    /// Images that were not chosen.
    pub(super) not_chosen: Vec<PathBuf>,
    /// What could not be looked at.
    pub(super) odd: Vec<LeftOut>,
    /// What is known not to be a subject's image, or not the one to take.
    pub(super) apart: Vec<LeftOut>,
    /// What is counted among those left out and is no reason to stop.
    pub(super) noted: Vec<LeftOut>,
    /// Why rows have no image, by their ids, where more is known than that.
    pub(super) without_image: BTreeMap<String, String>,
}

impl Aside {
    fn why_without(&self, id: &str) -> &str {
        self.without_image.get(id).map_or("the row has no image", String::as_str)
    }
}

impl Matched {
    /// What was found, and what of it is left out so far.
    pub(super) fn inclusion(&self) -> Inclusion {
        let path = |p: &PathBuf, why: &str| LeftOut::new(p.display().to_string(), why);
        let mut left_out = self.aside.odd.clone();
        left_out.extend(self.aside.apart.iter().cloned());
        left_out.extend(self.aside.not_chosen.iter().map(|p| path(p, "not among the chosen images")));
        left_out.extend(self.without_row.iter().map(|p| path(p, "the image has no row")));
        left_out.extend(self.without_image.iter().map(|id| LeftOut::new(id, self.aside.why_without(id))));
        left_out.extend(self.aside.noted.iter().cloned());
        Inclusion { images: self.aside.found, rows: self.rows, used: self.pairs.len(), left_out, sources: Vec::new() }
    }
}

/// The ids of a table, without `sub-`: each there once, and fit for file names.
pub(super) fn ids(table: &Table, column: usize, path: &Path) -> Result<Vec<String>> {
    ids_of(table, column, &(0..table.rows.len()).collect::<Vec<_>>(), path)
}

/// The ids of some rows of a table, as [`ids`] gives them for all.
pub(super) fn ids_of(table: &Table, column: usize, rows: &[usize], path: &Path) -> Result<Vec<String>> {
    let called = &table.columns[column];
    let ids = named(table, column, rows, path)?;
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = ids.iter().filter(|id| !seen.insert(id.as_str())).map(String::as_str).collect();
    if !twice.is_empty() {
        let stand = if twice.len() == 1 { "stands" } else { "stand" };
        let values = counted(twice.len(), "value");
        let what = format!("{values} of `{called}` {stand} in more than one row: {}", few(&twice));
        let remedy = remedy![
            "make them unique (site and id together, say), or name another column with ",
            ID_COLUMN,
            "; where they are people with several images, take each session as a row with ",
            EACH_SESSION,
            ", or give each image an id of its own, beside the column of people that ",
            PERSON_COLUMN,
            " names"
        ];
        return Err(Error::file(path, what, remedy));
    }
    Ok(ids)
}

/// The cells of a column that ids are made of, without `sub-`: none missing, and fit for file names.
pub(super) fn named(table: &Table, column: usize, rows: &[usize], path: &Path) -> Result<Vec<String>> {
    let called = &table.columns[column];
    let cells = rows.iter().map(|&n| {
        let Some(id) = table.rows[n][column].as_deref().map(bare).filter(|id| !id.is_empty()) else {
            let what = format!("data row {} has no `{called}`", n + 1);
            let remedy = remedy!["give every row an id, or name another column with ", ID_COLUMN];
            return Err(Error::file(path, what, remedy));
        };
        fit(id, n, path)?;
        Ok(id.to_owned())
    });
    cells.collect()
}

/// The cells of a column of sessions, which become parts of ids.
pub(super) fn session_cells(table: &Table, column: usize, path: &Path) -> Result<Vec<Option<String>>> {
    let cells = table.cells(column).enumerate().map(|(n, cell)| {
        cell.map(|session| fit(session, n, path)).transpose()?;
        Ok(cell.map(str::to_owned))
    });
    cells.collect()
}

/// Refuses what cannot be part of a file name.
fn fit(id: &str, row: usize, path: &Path) -> Result<()> {
    if id.contains(['/', '\\', ':']) || id.chars().any(char::is_control) || id.starts_with('.') {
        let what = format!("the id `{id}` in row {} cannot be part of a file name", row + 1);
        return Err(Error::file(path, what, "use letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

/// Finds the row of every image. An image belongs to an id when its BIDS entity is `sub-<id>`, else when its name
/// without ending is the id, else when its name starts with the id followed by something that is neither letter nor
/// digit; of several such ids the longest. Two images for one id are refused.
pub(super) fn by_name(images: &[PathBuf], ids: &[String]) -> Result<Matched> {
    let rows: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    let mut of: BTreeMap<usize, Vec<&PathBuf>> = BTreeMap::new();
    let mut matched = Matched::default();
    for image in images {
        match row(image, &rows) {
            Some(row) => of.entry(row).or_default().push(image),
            None => matched.without_row.push(image.clone()),
        }
    }
    refuse_several(of.iter().map(|(row, images)| (ids[*row].as_str(), images.as_slice())))?;
    for (n, id) in ids.iter().enumerate() {
        match of.get(&n) {
            Some(images) => matched.pairs.push((n, id.clone(), images[0].clone())),
            None => matched.without_image.push(id.clone()),
        }
    }
    Ok(matched)
}

/// Refuses several images of one subject: which, and what chooses among them.
pub(super) fn refuse_several<'a>(of: impl Iterator<Item = (&'a str, &'a [&'a PathBuf])>) -> Result<()> {
    refuse_several_of(of, ", or give a table of paths")
}

/// The same; `last` is what else can be done.
pub(super) fn refuse_several_of<'a>(of: impl Iterator<Item = (&'a str, &'a [&'a PathBuf])>, last: &str) -> Result<()> {
    let of: Vec<_> = of.collect();
    let several: Vec<_> = of.iter().filter(|(_, images)| images.len() > 1).collect();
    let Some((_, first)) = several.first() else { return Ok(()) };
    let words = several.iter().take(3).map(|(id, images)| {
        let names: BTreeSet<String> = images.iter().map(|i| i.display().to_string()).collect();
        format!("{id}: {}", few(&names))
    });
    let more = match several.len() {
        n @ 4.. => format!("; and {} more", n - 3),
        _ => String::new(),
    };
    let (who, words) = (counted(several.len(), "subject"), words.collect::<Vec<_>>().join("; ") + &more);
    let what = format!("{who} {} more than one image: {words}", have(several.len()));
    let mut phrases: Vec<Phrase> = vec!["choose with ".into()];
    if let Some(choices) = choices(first, of.iter().map(|(_, images)| *images)) {
        let by_session = matches!(choices.first(), Some(Phrase::Setting(SESSION, _)));
        phrases.extend(choices);
        if by_session {
            phrases.extend([
                ", take every session as a row of its own with ".into(),
                EACH_SESSION.into(),
                ", or choose".into(),
            ]);
        } else {
            phrases.push(",".into());
        }
        phrases.push(" with ".into());
    }
    phrases.extend(remedy![INCLUDE, " or ", EXCLUDE, format!(" (parts of the path){last}")].parts().to_vec());
    Err(Error::request(what, Remedy::new(phrases)))
}

/// The id of a table that an image belongs to.
pub(super) fn row_id(image: &Path, ids: &[String]) -> Option<String> {
    let rows = ids.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    row(image, &rows).map(|n| ids[n].clone())
}

/// The row of an image.
pub(super) fn row(image: &Path, rows: &BTreeMap<&str, usize>) -> Option<usize> {
    let stem = called(image);
    let entity = stem.strip_prefix("sub-").map(|s| s.split('_').next().unwrap_or(s));
    if let Some(row) = entity.and_then(|id| rows.get(id)) {
        return Some(*row);
    }
    let stem = bare(stem);
    rows.iter()
        .filter(|(id, _)| stem.strip_prefix(**id).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
        .max_by_key(|(id, _)| id.len())
        .map(|(_, row)| *row)
}

/// An id for an image without a table: its folder in a `SUBJECTS_DIR`, else its BIDS entity, else its name.
pub(crate) fn id_of(image: &Path) -> String {
    if let Some(folder) = freesurfer::subject(image) {
        return bare(folder).to_owned();
    }
    let stem = called(image);
    match stem.strip_prefix("sub-") {
        Some(rest) => rest.split('_').next().unwrap_or(rest).to_owned(),
        None => stem.to_owned(),
    }
}

/// Says which images and rows without each other have ids that differ by zeros before a number, a decimal point, case, signs or
/// characters that look the same alone.
pub(super) fn near_ids(matched: &Matched) -> Vec<String> {
    let near: Vec<String> = matched
        .without_row
        .iter()
        .filter_map(|image| {
            let (row, own) = matched.without_image.iter().find_map(|row| Some((row, near_id(image, row)?)))?;
            if own == *row {
                // The row is of no session, and the image is, or the other way round.
                let whole = sessions::id_of(image);
                return Some(match Entities::of_path(image).get("ses") {
                    Some(session) => {
                        format!("image `{whole}`, row `{row}` (the row names no session, the image ses-{session})")
                    }
                    None => format!(
                        "image `{}`, row `{row}` (the image is called so, but the row is of another)",
                        called(image)
                    ),
                });
            }
            let shown = spelled(&[&own, row]);
            Some(format!("image {}, row {} (they differ by {})", shown[0], shown[1], difference(&own, row)))
        })
        .collect();
    if near.is_empty() {
        return Vec::new();
    }
    let pairs = match near.len() {
        1 => "an image and a row".to_owned(),
        n => format!("{n} images and rows"),
    };
    vec![format!("ids of {pairs} are nearly the same, and must be the same: {}", few(&near))]
}

/// What an image is called that is nearly the id of a row: its id, with its session perhaps, or the beginning of its name.
fn near_id(image: &Path, row: &str) -> Option<String> {
    let plain = |id: &str| plain(id).replace('-', "");
    let id = id_of(image);
    let session = Entities::of_path(image).get("ses");
    let names = std::iter::once(id.clone()).chain(session.map(|session| format!("{id}_ses-{session}")));
    // `s05_T1` begins with `s05`.
    let ends = id.char_indices().filter(|(at, c)| *at > 0 && !c.is_alphanumeric()).map(|(at, _)| at);
    let begins: Vec<String> = ends.map(|at| id[..at].to_owned()).collect();
    names.chain(begins.into_iter().rev()).find(|name| plain(name) == plain(row))
}

/// Longest id in bytes. File systems take names of 255; files of a subject are called `sub-<id>_space-native_desc-<method>_...`.
pub(super) const MAX_ID: usize = 128;

/// Refuses ids whose files could not lie beside each other on every file system: that are the same without regard to case and to how
/// accents are written, or too long; and those with characters that nobody sees.
pub(super) fn check_ids(ids: &[&str]) -> Result<()> {
    if let Some(hidden) = ids.iter().find(|id| id.contains(is_invisible)) {
        let what = format!("the id `{}` has characters that are not seen", visible(hidden));
        return Err(Error::request(what, remedy!["take them out, or name another column of ids with ", ID_COLUMN]));
    }
    if let Some(long) = ids.iter().find(|id| id.len() > MAX_ID) {
        let what =
            format!("the id `{long}` has {} bytes, and the names of its files more than file systems take", long.len());
        return Err(Error::request(
            what,
            remedy![format!("give ids of up to {MAX_ID} bytes, in another column with "), ID_COLUMN],
        ));
    }
    let same = alike_by(ids.iter().copied(), folded);
    let Some(first) = same.first() else { return Ok(()) };
    let what = format!(
        "the ids {} are one name on file systems that ignore case or how accents are written{}",
        spelled(first).join(" and "),
        if same.len() > 1 { format!(" (and {} more like this)", same.len() - 1) } else { String::new() }
    );
    Err(Error::request(what, remedy!["make them differ, or name another column of ids with ", ID_COLUMN]))
}

/// The first eight of a list, and how many more there are.
pub(super) fn few<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    listed(items, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cells: &[&str]) -> Table {
        let cell = |c: &&str| Some((*c).to_owned()).filter(|c| !c.is_empty());
        Table { columns: vec!["id".into()], rows: cells.iter().map(|c| vec![cell(c)]).collect() }
    }

    fn matched(images: &[&str], of: &[&str]) -> Result<Matched> {
        let images: Vec<PathBuf> = images.iter().map(PathBuf::from).collect();
        by_name(&images, &ids(&table(of), 0, Path::new("t.csv"))?)
    }

    #[test]
    fn names_find_their_rows() {
        let m = matched(
            &[
                "x/IXI013-HH-1212_T1.nii.gz",
                "sub-02_ses-1_T1w.nii",
                "7.mgz",
                "sub-1_run-1_T1w.nii",
                "10_T1.nii",
                "12b.nii",
            ],
            &["IXI013-HH-1212", "sub-02", "7", "1", "12", "IXI013"],
        )
        .unwrap();
        let pairs: Vec<_> = m.pairs.iter().map(|(row, id, p)| (*row, id.as_str(), p.to_str().unwrap())).collect();
        assert_eq!(
            pairs,
            [
                (0, "IXI013-HH-1212", "x/IXI013-HH-1212_T1.nii.gz"),
                (1, "02", "sub-02_ses-1_T1w.nii"),
                (2, "7", "7.mgz"),
                (3, "1", "sub-1_run-1_T1w.nii"),
            ]
        );
        assert_eq!(m.without_image, ["12", "IXI013"]);
        assert_eq!(m.without_row, [PathBuf::from("10_T1.nii"), PathBuf::from("12b.nii")]);
    }

    #[test]
    fn images_and_rows_that_are_nearly_the_same_are_named() {
        let near = |image: &str, row: &str| {
            near_ids(&Matched {
                without_row: vec![image.into()],
                without_image: vec!["other".into(), row.into()],
                ..Matched::default()
            })
            .join("")
        };
        let start = "ids of an image and a row are nearly the same, and must be the same: ";
        for (image, row, what) in [
            ("s05_T1.nii.gz", "S05", "image `s05`, row `S05` (they differ by case alone)"),
            ("sub-s05_T1w.nii", "S05", "image `s05`, row `S05` (they differ by case alone)"),
            ("s5.nii", "s05", "image `s5`, row `s05` (they differ by zeros alone)"),
            ("IXI12-Guys_T1.nii", "IXI012-Guys", "image `IXI12-Guys`, row `IXI012-Guys` (they differ by zeros alone)"),
            (
                "Zoe\u{301}_T1.nii",
                "Zo\u{e9}",
                "image `Zoe\u{301}` with combining U+0301, row `Zo\u{e9}` with U+00E9 (they differ by characters that look the same)",
            ),
        ] {
            assert_eq!(near(image, row), format!("{start}{what}"));
        }
        assert!(near("s1_ses-2_T1w.nii", "S1_ses-02").contains("image `s1_ses-2`, row `S1_ses-02`"));
        for (image, row) in [("s15_T1.nii", "s1"), ("s1_T1.nii", "s10"), ("Muller.nii", "M\u{fc}ller")] {
            assert_eq!(near(image, row), "", "{image} {row}");
        }
    }

    #[test]
    fn ids_that_are_one_file_are_refused_and_near_ones_named() {
        let refused = |ids: &[&str]| check_ids(ids).unwrap_err().to_string();
        assert!(refused(&["s1", "s2", "S1"]).starts_with("the ids `s1` and `S1` are one name on file systems"));
        let accents = refused(&["Zo\u{e9}", "Zoe\u{301}"]);
        assert!(accents.contains("`Zo\u{e9}` with U+00E9 and `Zoe\u{301}` with combining U+0301"), "{accents}");
        assert!(refused(&["s1", "s2\u{202e}"]).starts_with("the id `s2\\u{202e}` has characters that are not seen"));
        assert!(refused(&[&"x".repeat(129)]).contains("has 129 bytes"));
        assert!(refused(&[&"é".repeat(65)]).contains("has 130 bytes"));
        assert!(check_ids(&["s1", "s01", "s_1", "Muller", "M\u{fc}ller", &"x".repeat(128)]).is_ok());
    }

    #[test]
    fn ambiguity_is_an_error_that_names() {
        let error = matched(&["sub-1_run-1_T1w.nii", "sub-1_run-2_T1w.nii"], &["1"]).unwrap_err();
        assert!(error.to_string().contains("sub-1_run-1_T1w.nii, sub-1_run-2_T1w.nii"), "{error}");
        let images: Vec<String> =
            (1..7).flat_map(|id| [1, 2].map(|run| format!("sub-{id}_run-{run}_T1w.nii"))).collect();
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let error = matched(&images, &["1", "2", "3", "4", "5", "6"]).unwrap_err().to_string();
        assert!(error.starts_with("6 subjects have more than one image: 1: sub-1_run-1"), "{error}");
        assert!(error.ends_with("sub-3_run-2_T1w.nii; and 3 more"), "{error}");
        let error = matched(&[], &["a", "sub-a", "b"]).unwrap_err();
        assert!(error.to_string().contains("more than one row: a"), "{error}");
        assert!(matched(&[], &["a", ""]).unwrap_err().to_string().contains("data row 2 has no `id`"));
        assert!(matched(&[], &["../a"]).is_err());
    }
}
