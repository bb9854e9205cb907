//! Several sources in one cohort: [`Site`], and how their images and tables come together.
//!
//! The sources keep the order they are given in. Columns of their tables are united by name; what a source's table does not say is
//! `n/a`. A column `site` says which source an image is from.

use super::{
    matching::few,
    plan::{Input, Item},
    repeated::Advice,
    sessions::{self, add},
};
use crate::{
    cohort::{Inclusion, LeftOut, OfSource, PERSON, is_missing, person_column, person_in},
    listed::counted,
    setting::{PARTICIPANTS, SITE, SITE_IN_ID},
    spelling::plain,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result, Table, remedy};

/// The column that says which source an image is from, and its name where the tables have one of that name.
const COLUMNS: [&str; 2] = ["site", "source"];

/// A source of images, one of several perhaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Site {
    /// A BIDS dataset, a folder of images or a table of paths.
    pub path: PathBuf,
    /// Its value in the column `site`; the name of the folder or file when `None`.
    pub name: Option<String>,
    /// Its table of labels and covariates; where `None`, that of [`PrepareOptions`](super::PrepareOptions) for all sources, else its
    /// own `participants.tsv`.
    pub participants: Option<PathBuf>,
}

impl Site {
    /// Sources at these paths, with their names (none, or one each) and tables (none, one for all, or one each).
    /// One table for all is not theirs: it is returned beside them.
    ///
    /// # Errors
    /// Other numbers of names or tables.
    pub fn of(paths: &[PathBuf], names: &[String], tables: &[PathBuf]) -> Result<(Vec<Self>, Option<PathBuf>)> {
        let count = paths.len();
        if !names.is_empty() && names.len() != count {
            let what = format!("{} for {}", counted(names.len(), "name"), counted(count, "source"));
            return Err(Error::request(
                what,
                remedy!["give ", SITE, " once for each source, in their order, or not at all"],
            ));
        }
        if tables.len() > 1 && tables.len() != count {
            let what = format!("{} for {}", counted(tables.len(), "table"), counted(count, "source"));
            return Err(Error::request(
                what,
                remedy!["give ", PARTICIPANTS, " once for each source, in their order, or once for all of them"],
            ));
        }
        let each = count > 1 && tables.len() == count;
        let sites = paths.iter().enumerate().map(|(n, path)| Self {
            path: path.clone(),
            name: names.get(n).cloned(),
            participants: each.then(|| tables[n].clone()),
        });
        Ok((sites.collect(), tables.first().filter(|_| !each).cloned()))
    }

    /// Its name: the one that is given, else that of the folder, or of the file without its ending.
    fn called(&self) -> Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.trim().to_owned());
        }
        let real = self.path.canonicalize().map_err(Error::io(&self.path))?;
        let name = if real.is_dir() { real.file_name() } else { real.file_stem() };
        Ok(name.unwrap_or_default().to_string_lossy().into_owned())
    }
}

/// The names of sources, each another.
///
/// # Errors
/// A name is empty, or two are the same but for case and signs.
pub(super) fn names(sites: &[Site]) -> Result<Vec<String>> {
    let names = sites.iter().map(Site::called).collect::<Result<Vec<_>>>()?;
    let say = || remedy!["name each source with ", SITE, ", in their order"];
    if let Some(n) = names.iter().position(|name| plain(name).is_empty() || is_missing(name, &[])) {
        return Err(Error::file(&sites[n].path, format!("`{}` is no name of a site", names[n]), say()));
    }
    for (n, name) in names.iter().enumerate() {
        if let Some(m) = names[..n].iter().position(|other| plain(other) == plain(name)) {
            let what = format!(
                "the sources {} and {} would be the sites `{}` and `{name}`, which are the same or nearly so",
                sites[m].path.display(),
                sites[n].path.display(),
                names[m]
            );
            return Err(Error::request(what, say()));
        }
    }
    Ok(names)
}

/// What one source gives.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) items: Vec<Item>,
    /// A row for each item.
    pub(super) participants: Table,
    pub(super) inclusion: Inclusion,
    /// What is to be known about its table, in sentences.
    pub(super) notes: Vec<String>,
    /// The same, with what to do about it.
    pub(super) advice: Vec<Advice>,
    /// Images without a row.
    pub(super) without_row: Vec<PathBuf>,
    /// Ids of rows without an image.
    pub(super) without_image: Vec<String>,
    /// What options that choose were asked about ([`Aside::paths`](super::matching::Aside)).
    pub(super) paths: Vec<PathBuf>,
}

/// The parts of several sources in one, with the position of each item's source.
///
/// # Errors
/// An id, a person or a real file is in more than one source.
pub(super) fn together(
    mut parts: Vec<Part>,
    names: &[String],
    joint: bool,
    site_in_id: bool,
) -> Result<(Part, Vec<usize>)> {
    refuse_shared_files(&parts, names)?;
    if joint || !site_in_id {
        refuse_shared_ids(&parts, names, joint)?;
    }
    let (mut notes, mut advice) = (Vec::<String>::new(), Vec::new());
    for (part, name) in parts.iter_mut().zip(names) {
        notes.extend(part.notes.drain(..).map(|note| format!("{name}: {note}")));
        advice.extend(part.advice.drain(..).map(|(note, remedy)| (format!("{name}: {note}"), remedy)));
        if site_in_id {
            put_into_ids(part, name);
        }
    }
    notes.extend(told_in_part(&parts, names));
    let column = site_column(&parts, &mut notes)?;
    let inclusion = inclusion(&parts, names, joint);
    let mut columns: Vec<String> = Vec::new();
    for name in parts.iter().flat_map(|part| &part.participants.columns) {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    notes.extend(near_columns(&columns, &parts));
    let mut table = Table { columns, rows: Vec::new() };
    let mut whole = Part {
        items: Vec::new(),
        participants: Table::default(),
        inclusion,
        notes,
        advice,
        without_row: Vec::new(),
        without_image: without_image(&parts, joint),
        paths: Vec::new(),
    };
    let (mut of, mut cells) = (Vec::new(), Vec::new());
    for (n, part) in parts.into_iter().enumerate() {
        let places: Vec<Option<usize>> =
            table.columns.iter().map(|c| part.participants.columns.iter().position(|own| own == c)).collect();
        for row in part.participants.rows {
            table.rows.push(places.iter().map(|place| row[(*place)?].clone()).collect());
        }
        of.resize(of.len() + part.items.len(), n);
        cells.resize(of.len(), Some(names[n].clone()));
        whole.items.extend(part.items);
        whole.without_row.extend(part.without_row);
        whole.paths.extend(part.paths);
    }
    add(&mut table, column, cells);
    whole.participants = table;
    Ok((whole, of))
}

/// Says which columns of different sources differ by case or signs alone.
fn near_columns(columns: &[String], parts: &[Part]) -> Option<String> {
    let together = |one: &String, other: &String| {
        parts.iter().any(|part| [one, other].iter().all(|c| part.participants.columns.contains(*c)))
    };
    let plain: Vec<String> = columns.iter().map(|c| plain(c)).collect();
    let pairs = (0..columns.len()).flat_map(|a| (a + 1..columns.len()).map(move |b| (a, b)));
    let near: Vec<String> = pairs
        .filter(|&(a, b)| plain[a] == plain[b] && !together(&columns[a], &columns[b]))
        .map(|(a, b)| format!("`{}` and `{}`", columns[a], columns[b]))
        .collect();
    let what = "differ by case or signs alone and are two columns, each n/a where a source has the other";
    (!near.is_empty()).then(|| format!("columns of the sources {what}: {}", few(&near)))
}

/// Says that the tables of some sources alone have a column of people.
fn told_in_part(parts: &[Part], names: &[String]) -> Option<String> {
    let (have, lack): (Vec<_>, Vec<_>) =
        parts.iter().zip(names).partition(|(part, _)| person_column(&part.participants).is_some());
    let few = |of: &[(&Part, &String)]| few(of.iter().map(|(_, name)| *name));
    (!have.is_empty() && !lack.is_empty()).then(|| {
        format!(
            "a column `{PERSON}` stands in the table of {}, not of {}: people who have images in both cannot be recognised",
            few(&have),
            few(&lack)
        )
    })
}

/// Says who has images in several sources, by the column of people; `of` is the source of each row.
pub(super) fn travellers(table: &Table, of: &[usize]) -> Option<String> {
    let column = table.columns.iter().position(|c| c == PERSON)?;
    let mut first = BTreeMap::<&str, usize>::new();
    let people = table.cells(column).zip(of).filter_map(|(person, source)| {
        let person = person_in(person, &[])?;
        (*first.entry(person).or_insert(*source) != *source).then_some(person)
    });
    let people: BTreeSet<&str> = people.collect();
    (!people.is_empty()).then(|| {
        let have = if people.len() == 1 { "1 person has".to_owned() } else { format!("{} people have", people.len()) };
        format!("{have} images in more than one source, by the column `{PERSON}`: {}", few(&people))
    })
}

/// Rows without an image: those of each table, or of one table for all those that no source has an image of.
fn without_image(parts: &[Part], joint: bool) -> Vec<String> {
    let all = parts.iter().flat_map(|part| &part.without_image);
    if !joint {
        return all.cloned().collect();
    }
    let mut times = BTreeMap::<&String, usize>::new();
    all.clone().for_each(|id| *times.entry(id).or_default() += 1);
    let mut seen = BTreeSet::new();
    all.filter(|id| times[id] == parts.len() && seen.insert(*id)).cloned().collect()
}

/// What was found, used and left out, source by source and in all.
fn inclusion(parts: &[Part], names: &[String], joint: bool) -> Inclusion {
    let mut whole = Inclusion::default();
    let nowhere: BTreeSet<String> = without_image(parts, joint).into_iter().collect();
    let mut told = BTreeSet::new();
    for (part, name) in parts.iter().zip(names) {
        let of = &part.inclusion;
        let rows_of_all = joint.then_some(&nowhere);
        // A row of one table for all is left out once, and where no source has its image.
        let mut left: Vec<LeftOut> = Vec::new();
        for out in &of.left_out {
            if let Some(nowhere) = rows_of_all.filter(|_| part.without_image.contains(&out.what)) {
                if nowhere.contains(&out.what) && told.insert(out.what.clone()) {
                    whole.left_out.push(out.clone());
                }
            } else if out.what.contains(['/', '\\']) {
                left.push(out.clone());
            } else {
                left.push(LeftOut::new(format!("{} ({name})", out.what), out.why.as_str()));
            }
        }
        whole.images += of.images;
        whole.used += of.used;
        whole.rows = match (joint, whole.rows, of.rows) {
            (true, _, rows) => rows,
            (false, all, rows) => all.map_or(rows, |all| Some(all + rows.unwrap_or(0))),
        };
        whole.sources.push(OfSource {
            site: name.clone(),
            images: of.images,
            rows: of.rows.filter(|_| !joint),
            used: of.used,
            left_out: left.len(),
        });
        whole.left_out.extend(left);
    }
    whole
}

/// The name of the column of sources: `site`, or `source` where a table has a column `site` of its own.
fn site_column(parts: &[Part], notes: &mut Vec<String>) -> Result<&'static str> {
    let has = |name: &str| parts.iter().any(|part| part.participants.columns.iter().any(|c| c == name));
    let [site, source] = COLUMNS;
    if !has(site) {
        return Ok(site);
    }
    if has(source) {
        let what =
            format!("the tables have columns `{site}` and `{source}`, and nothing is left to name the sources by");
        return Err(Error::request(what, "rename one of the two columns"));
    }
    notes.push(format!(
        "the tables have a column `{site}` of their own: which source an image is from stands in `{source}`"
    ));
    Ok(source)
}

/// Refuses a file that two sources have.
fn refuse_shared_files(parts: &[Part], names: &[String]) -> Result<()> {
    let mut of = BTreeMap::<PathBuf, (&str, &Path)>::new();
    for (part, name) in parts.iter().zip(names) {
        for item in &part.items {
            let Input::Image { path, others, .. } = &item.input else { continue };
            for path in std::iter::once(path).chain(others) {
                // A link that leads nowhere is its subject's error, later.
                let real = path.canonicalize().unwrap_or_else(|_| path.clone());
                if let Some((other, same)) = of.insert(real, (name, path))
                    && other != name
                {
                    let what =
                        format!("is an image of site {name} and, as {}, of site {other}: one file", same.display());
                    let remedy = "give sources that do not lie in one another, and each file once";
                    return Err(Error::file(path, what, remedy));
                }
            }
        }
    }
    Ok(())
}

/// Refuses ids, and people known by their ids, that are in more than one source.
fn refuse_shared_ids(parts: &[Part], names: &[String], joint: bool) -> Result<()> {
    let mut first = BTreeMap::<String, (&str, &str)>::new();
    let mut shared = Vec::new();
    for (part, name) in parts.iter().zip(names) {
        let mut own = BTreeSet::new();
        for item in &part.items {
            let person = plain(sessions::person_of(&item.id));
            if let Some((id, site)) = first.get(&person).filter(|(_, site)| site != name) {
                if own.insert(person) {
                    shared.push(format!("{id} ({site}) and {} ({name})", item.id));
                }
            } else {
                first.entry(person).or_insert((&item.id, name));
            }
        }
    }
    if shared.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} {} in more than one source, and may be one person or two: {}",
        counted(shared.len(), "id"),
        if shared.len() == 1 { "stands" } else { "stand" },
        few(&shared)
    );
    let remedy = if !joint && parts.iter().all(|part| person_column(&part.participants).is_some()) {
        remedy![
            "put the site into the ids with ",
            SITE_IN_ID,
            format!(": whose image each is stands in the column `{PERSON}` of the tables")
        ]
    } else if joint {
        remedy!["give each source a table of its own with ", PARTICIPANTS, ", or rename them"]
    } else {
        remedy![
            "if they are different people, put the site into the ids with ",
            SITE_IN_ID,
            "; if one of them was scanned at both sites, rename them and give the column of people in the tables"
        ]
    };
    Err(Error::request(what, remedy))
}

/// Puts the site before the ids. The people that a table names stay as they are: the same code in two sources is one person.
fn put_into_ids(part: &mut Part, name: &str) {
    let site: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    part.items.iter_mut().for_each(|item| item.id = format!("{site}-{}", item.id));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part with one image of this id, and a table of this column beside the ids.
    fn part(id: &str, column: &str) -> Part {
        Part {
            items: vec![Item { id: id.into(), input: Input::Tensor(0) }],
            participants: Table {
                columns: vec!["participant_id".into(), column.into()],
                rows: vec![vec![Some(id.into()), Some("x".into())]],
            },
            inclusion: Inclusion::default(),
            notes: Vec::new(),
            advice: Vec::new(),
            without_row: Vec::new(),
            without_image: Vec::new(),
            paths: Vec::new(),
        }
    }

    #[test]
    fn people_of_both_sources_or_of_one() {
        let names = ["A".to_owned(), "B".to_owned()];
        let hint = |column: &str| {
            let parts = vec![part("01", "person"), part("01", column)];
            together(parts, &names, false, false).unwrap_err().remedy().unwrap().to_string()
        };
        let known = "put the site into the ids with `site-in-id`: whose image each is stands in the column `person` of the tables";
        assert_eq!(hint("person"), known);
        assert!(hint("sex").starts_with("if they are different people, put the site"), "{}", hint("sex"));
        let notes = |column: &str| {
            together(vec![part("01", "person"), part("02", column)], &names, false, false).unwrap().0.notes
        };
        assert_eq!(notes("person"), [""; 0]);
        let said =
            "a column `person` stands in the table of A, not of B: people who have images in both cannot be recognised";
        assert_eq!(notes("sex"), [said]);
    }
}
