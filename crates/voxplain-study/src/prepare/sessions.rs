//! Sessions as rows: a person's images each a row of its own, and a column that says whose they are.
//!
//! The id of such a row is `01_ses-1`, so that the names of its files begin with `sub-01_ses-1`, as BIDS has them. Labels come from
//! the row of the person, or, where the table has a column of sessions, from the row of person and session.

use super::{
    entities::Entities,
    matching::{self, Aside, Matched, few},
    source::{called, is_there},
};
use crate::{
    cohort::{LeftOut, PERSON, SESSION_ID, bare, person_column, person_in},
    listed::{counted, have},
    setting::PERSON_COLUMN,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result, Table, lookalike::look, remedy};

/// Entities that tell images of one person apart.
const OF_ONE_PERSON: [&str; 4] = ["ses", "run", "acq", "rec"];

/// The column of sessions of a table, where it has one.
pub(super) fn session_column(table: &Table) -> Option<usize> {
    let named = |is: &dyn Fn(&str, &str) -> bool| {
        [SESSION_ID, "session"].into_iter().find_map(|name| table.columns.iter().position(|c| is(c, name)))
    };
    // As it is written everywhere here, else in any case.
    named(&|c, name| c == name).or_else(|| named(&|c, name| look(c) == name))
}

/// The id of an image: the person's, and its session if it has one.
pub(super) fn scan_id(person: &str, session: Option<&str>) -> String {
    session.map_or_else(|| person.to_owned(), |session| format!("{person}_ses-{session}"))
}

/// The id of an image without a table: by its BIDS entities, else its name as it is.
pub(super) fn id_of(image: &Path) -> String {
    let person = matching::id_of(image);
    let is_bids = Entities::of(called(image)).is_some();
    if is_bids && person_of(&person) == person { scan_id(&person, session_of(image)) } else { person }
}

/// The person of an id that says more in the manner of BIDS: `01` of `01_ses-1` and of `01_run-2`.
pub(crate) fn person_of(id: &str) -> &str {
    let is_entity = |part: &str| part.split_once('-').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty());
    let tells = |part: &str| OF_ONE_PERSON.iter().any(|key| part.split('-').next() == Some(*key));
    let of = |(at, _): &(usize, &str)| {
        let mut parts = id[at + 1..].split('_');
        *at > 0 && parts.clone().next().is_some_and(tells) && parts.all(is_entity)
    };
    id.match_indices('_').find(of).map_or(id, |(at, _)| &id[..at])
}

/// The session of an id that says it.
fn session_in(id: &str) -> Option<&str> {
    Entities::pairs(id).get("ses").filter(|_| person_of(id) != id)
}

/// The session of an image, by its name and its folders.
fn session_of(image: &Path) -> Option<&str> {
    Entities::of_path(image).get("ses")
}

/// `1` for `ses-1`.
fn bare_session(session: &str) -> &str {
    session.strip_prefix("ses-").unwrap_or(session)
}

/// Whether the ids of a table say themselves which session they are of, so that each is an image's and not a person's.
pub(super) fn ids_are_of_scans(table: &Table, column: usize) -> bool {
    table.cells(column).flatten().map(bare).any(|id| person_of(id) != id)
}

/// The ids of the images of a table with a column of paths: the person's with the session, from the column of sessions, else from
/// the image's name.
pub(super) fn ids_of_paths(
    table: &Table,
    (column, paths): (usize, usize),
    rows: &[usize],
    file: &Path,
) -> Result<Vec<String>> {
    let people = matching::named(table, column, rows, file)?;
    let sessions = session_column(table);
    let ids: Vec<String> = people
        .iter()
        .zip(rows.iter().map(|&n| &table.rows[n]))
        .map(|(person, row)| {
            let session = match sessions {
                Some(at) => row[at].as_deref().map(bare_session),
                None => row[paths].as_deref().and_then(|path| session_of(Path::new(path))),
            };
            if person_of(person) == person { scan_id(person, session) } else { person.clone() }
        })
        .collect();
    unique(&ids, file, sessions.is_some())?;
    Ok(ids)
}

/// Refuses rows of one person and session; `told`: a column says the session.
fn unique(ids: &[String], file: &Path, told: bool) -> Result<()> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = ids.iter().filter(|id| !seen.insert(id.as_str())).map(String::as_str).collect();
    if twice.is_empty() {
        return Ok(());
    }
    let (who, few) =
        (if twice.len() == 1 { "1 person has".into() } else { format!("{} people have", twice.len()) }, few(&twice));
    let (what, first) = if told {
        (format!("{who} more than one row of one session: {few}"), "keep one row of a session".to_owned())
    } else {
        let what = format!("{who} more than one row, and no column says of which session each is: {few}");
        (what, format!("call the column of sessions `{SESSION_ID}`"))
    };
    let remedy = remedy![
        first,
        ", or give every image an id of its own, beside the column of people that ",
        PERSON_COLUMN,
        " names"
    ];
    Err(Error::file(file, what, remedy))
}

/// Every image is a row of its own; those that cannot be told apart by session are refused. There is no table; `later`: as that is for later.
pub(super) fn without_table(images: Vec<PathBuf>, aside: Aside, later: bool) -> Result<(Table, Matched)> {
    let mut of = BTreeMap::<String, Vec<&PathBuf>>::new();
    images.iter().for_each(|image| of.entry(id_of(image)).or_default().push(image));
    let each = of.iter().map(|(id, images)| (id.as_str(), images.as_slice()));
    // A table of paths is no dataset, whose people are prepared one by one.
    if later { matching::refuse_several_of(each, "") } else { matching::refuse_several(each) }?;
    let ids: Vec<String> = images.iter().map(|image| id_of(image)).collect();
    let rows = ids.iter().map(|id| vec![Some(format!("sub-{id}"))]).collect();
    let table = Table { columns: vec!["participant_id".into()], rows };
    let pairs = ids.into_iter().zip(images).enumerate().map(|(n, (id, image))| (n, id, image)).collect();
    Ok((table, Matched { pairs, aside, ..Matched::default() }))
}

/// The images of a dataset or folder, matched with the rows of its table. The table that comes back has a row for each image.
pub(super) fn by_name(images: &[PathBuf], table: &Table, column: usize, file: &Path) -> Result<(Table, Matched)> {
    match session_column(table) {
        Some(sessions) => by_person_and_session(images, table, (column, sessions), file),
        None => by_person(images, table, column, file),
    }
}

/// A row of the table for all images of a person.
fn by_person(images: &[PathBuf], table: &Table, column: usize, file: &Path) -> Result<(Table, Matched)> {
    let people = matching::named(table, column, &all(table), file)?;
    unique(&people, file, false)?;
    let rows = people.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    let mut matched = Matched::default();
    let mut of = BTreeMap::<(usize, Order<'_>), Vec<&PathBuf>>::new();
    for image in images {
        match matching::row(image, &rows) {
            Some(row) => of.entry((row, order(session_of(image)))).or_default().push(image),
            None => matched.without_row.push(image.clone()),
        }
    }
    let ids: Vec<String> = of.keys().map(|(row, order)| scan_id(&people[*row], order.2)).collect();
    matching::refuse_several(ids.iter().zip(of.values()).map(|(id, images)| (id.as_str(), images.as_slice())))?;
    let found: BTreeSet<usize> = of.keys().map(|(row, _)| *row).collect();
    matched.without_image = (0..people.len()).filter(|n| !found.contains(n)).map(|n| people[n].clone()).collect();
    let each = of.keys().map(|(row, _)| table.rows[*row].clone()).collect();
    let images = of.into_values().map(|images| images[0].clone());
    matched.pairs = ids.into_iter().zip(images).enumerate().map(|(n, (id, image))| (n, id, image)).collect();
    Ok((Table { columns: table.columns.clone(), rows: each }, matched))
}

/// What sorts sessions: none first, then numbers by their value, then words; and the session itself.
type Order<'a> = (Reverse<bool>, u64, Option<&'a str>);

fn order(session: Option<&str>) -> Order<'_> {
    let number = session.and_then(|s| s.parse().ok());
    (Reverse(session.is_none() || number.is_some()), session.map_or(0, |_| number.unwrap_or(u64::MAX)), session)
}

/// A row of the table for each image.
fn by_person_and_session(
    images: &[PathBuf],
    table: &Table,
    (column, sessions): (usize, usize),
    file: &Path,
) -> Result<(Table, Matched)> {
    let people = matching::named(table, column, &all(table), file)?;
    let named = matching::session_cells(table, sessions, file)?;
    let ids: Vec<String> = people.iter().zip(&named).map(|(p, s)| scan_id(p, s.as_deref().map(bare_session))).collect();
    unique(&ids, file, true)?;
    let known: BTreeMap<&str, usize> = people.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    let rows: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    let mut matched = Matched::default();
    let mut of = BTreeMap::<usize, Vec<&PathBuf>>::new();
    for image in images {
        let id = matching::row(image, &known).map(|row| scan_id(&people[row], session_of(image)));
        match id.and_then(|id| rows.get(id.as_str()).copied()) {
            Some(row) => of.entry(row).or_default().push(image),
            None => matched.without_row.push(image.clone()),
        }
    }
    matching::refuse_several(of.iter().map(|(row, images)| (ids[*row].as_str(), images.as_slice())))?;
    for (n, id) in ids.into_iter().enumerate() {
        match of.get(&n) {
            Some(images) => matched.pairs.push((n, id, images[0].clone())),
            None => matched.without_image.push(id),
        }
    }
    Ok((table.clone(), matched))
}

/// Joins what `sub-01/sub-01_sessions.tsv` says about the sessions of a BIDS dataset, where it is there. A column that the table has
/// too and that says something else is taken from the sessions, which know more; the table's own is then called
/// `participant_<column>`. What a reader must know of it is returned in sentences.
pub(super) fn join(root: &Path, table: &mut Table, matched: &mut Matched, chooses: bool) -> Result<Vec<String>> {
    let mut told = BTreeMap::<String, Option<Told>>::new();
    // Of an image that is of no session, sessions.tsv says nothing.
    for (_, _, image) in matched.pairs.iter().filter(|(_, _, image)| session_of(image).is_some()) {
        let subject = Entities::of_path(image).get("sub").unwrap_or_default();
        if !told.contains_key(subject) {
            let file = root.join(format!("sub-{subject}/sub-{subject}_sessions.tsv"));
            let is_told = !subject.is_empty() && is_there(&file);
            told.insert(subject.to_owned(), is_told.then(|| Told::read(file, subject)).transpose()?);
        }
    }
    let mut columns: Vec<String> = Vec::new();
    for told in told.values().flatten() {
        let new = told.table.columns.iter().filter(|c| !["session_id", "participant_id"].contains(&c.as_str()));
        let new: Vec<String> = new.filter(|c| !columns.contains(c)).cloned().collect();
        columns.extend(new);
    }
    if told.values().flatten().next().is_none() {
        return Ok(Vec::new());
    }
    let (mut cells, mut silent) = (Vec::with_capacity(matched.pairs.len()), 0);
    let mut near = BTreeSet::new();
    for (_, _, image) in &matched.pairs {
        let mut told = Entities::of_path(image).get("sub").and_then(|s| told.get_mut(s)?.as_mut());
        let row = told.as_mut().and_then(|told| told.take(session_of(image)?));
        silent += usize::from(row.is_none());
        if let Some((told, session)) = told.zip(session_of(image)).filter(|_| row.is_none()) {
            let other = told.rows.keys().find(|other| Entities::alike(other, session));
            near.extend(other.map(|other| format!("ses-{other} there is ses-{session} of the images")));
        }
        let row = row.unwrap_or_default();
        cells.push(columns.iter().map(|c| row.get(c).cloned()).collect::<Vec<_>>());
    }
    let mut notes = Vec::new();
    let says_nothing = silent == cells.len();
    if says_nothing {
        notes.push(format!("sessions.tsv says nothing about any of the {silent} images, and nothing of it is taken"));
    } else if silent > 0 {
        notes.push(format!(
            "sessions.tsv says nothing about {silent} of {} images: {} are n/a for them",
            cells.len(),
            columns.join(", ")
        ));
    }
    if !near.is_empty() {
        notes.push(format!(
            "sessions.tsv and images spell sessions in two ways: perhaps {}; they differ by zeros alone, and must be the same",
            few(&near)
        ));
    }
    if !chooses {
        for told in told.into_values().flatten() {
            let why = "its session stands in sessions.tsv and has no image";
            matched.aside.noted.extend(told.left().map(|id| LeftOut::new(id, why)));
        }
    }
    if says_nothing {
        return Ok(notes);
    }
    for (at, column) in columns.iter().enumerate() {
        let own = table.columns.iter().position(|c| c == column);
        if let Some(own) = own {
            let same = matched.pairs.iter().zip(&cells).all(|((row, ..), cells)| table.rows[*row][own] == cells[at]);
            if same {
                continue;
            }
            let renamed = format!("participant_{column}");
            if table.columns.contains(&renamed) {
                let what = format!("{column} stands in sessions.tsv and, with {renamed}, in the table of participants");
                return Err(Error::file(root, what, "rename or remove one of the three columns"));
            }
            notes.push(format!("{column} is taken from sessions.tsv; that of the table of participants is {renamed}"));
            table.columns[own] = renamed;
        }
        table.columns.push(column.clone());
        table.rows.iter_mut().for_each(|row| row.push(None));
        for ((row, ..), cells) in matched.pairs.iter().zip(&cells) {
            if let Some(last) = table.rows[*row].last_mut() {
                last.clone_from(&cells[at]);
            }
        }
    }
    Ok(notes)
}

/// What a `sub-01_sessions.tsv` says.
struct Told {
    subject: String,
    table: Table,
    /// The row of each session that no image was found of yet.
    rows: BTreeMap<String, usize>,
}

impl Told {
    fn read(file: PathBuf, subject: &str) -> Result<Self> {
        super::source::fetched(&file)?;
        let table = Table::read(&file)?;
        let Ok(column) = table.column(SESSION_ID) else {
            let what = format!("there is no column `{SESSION_ID}` ({})", table.columns.join(", "));
            return Err(Error::file(file, what, "name the column of sessions so, as BIDS does"));
        };
        let mut rows = BTreeMap::new();
        for (n, cell) in table.cells(column).enumerate() {
            let Some(session) = cell.map(bare_session) else {
                return Err(Error::file(file, format!("row {} has no `{SESSION_ID}`", n + 1), "fill it in"));
            };
            if rows.insert(session.to_owned(), n).is_some() {
                let what = format!("session `{session}` stands in more than one row");
                return Err(Error::file(file, what, "keep one row of each session"));
            }
        }
        if let Ok(column) = table.column("participant_id")
            && let Some(other) = table.cells(column).flatten().find(|cell| bare(cell) != subject)
        {
            let what = format!("it speaks of `{other}`, and lies in the folder of `{subject}`");
            return Err(Error::file(file, what, "put it where it belongs"));
        }
        Ok(Self { subject: subject.to_owned(), table, rows })
    }

    /// The cells of a session, by column; missing ones are not there.
    fn take(&mut self, session: &str) -> Option<BTreeMap<String, String>> {
        let row = &self.table.rows[self.rows.remove(session)?];
        let cell = |(c, cell): (&String, &Option<String>)| Some((c.clone(), cell.clone()?));
        Some(self.table.columns.iter().zip(row).filter_map(cell).collect())
    }

    /// Ids of sessions that no image was found of.
    fn left(&self) -> impl Iterator<Item = String> + '_ {
        self.rows.keys().map(|session| scan_id(&self.subject, Some(session)))
    }
}

/// Calls the column of people `person`, in whatever case a table has it.
///
/// # Errors
/// Several columns differ by case alone.
pub(super) fn name_people(table: &mut Table, file: &Path) -> Result<()> {
    let alike: Vec<&String> = table.columns.iter().filter(|c| look(c) == PERSON).collect();
    if alike.len() > 1 {
        let what = format!(
            "the columns {} could each say whose image a row is",
            alike.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(" and ")
        );
        return Err(Error::file(file, what, format!("keep one of them, and call it `{PERSON}`")));
    }
    if let Some(column) = person_column(table) {
        PERSON.clone_into(&mut table.columns[column]);
    }
    Ok(())
}

/// The `sub-` of a path (or of an id) below a source, where it says one.
fn subject_of<'a>(path: &'a Path, id: &'a str) -> Option<&'a str> {
    Entities::of_path(path).get("sub").or_else(|| Entities::pairs(id).get("sub"))
}

/// Takes the `sub-` of paths for the people of a table of paths, where some rows share one and their ids (without sessions) do not:
/// `scan1` and `scan2`, which lie in `sub-01`. A table with a column of people stays as it is. Returns what was done, in a sentence.
pub(super) fn people_of_paths(
    table: &mut Table,
    column: usize,
    rows: &[usize],
    scans: &[(&str, &Path)],
) -> Option<String> {
    let subjects: Vec<Option<&str>> = scans.iter().map(|(id, path)| subject_of(path, id)).collect();
    let shared = shared_subjects(scans.iter().zip(&subjects).map(|((id, _), subject)| (*id, *subject)));
    if shared.is_empty() || person_column(table).is_some() {
        return None;
    }
    let mut cells = vec![None; table.rows.len()];
    for ((row, subject), (id, _)) in rows.iter().zip(subjects).zip(scans) {
        cells[*row] = Some(subject.unwrap_or_else(|| person_of(id)).to_owned());
    }
    add(table, PERSON, cells);
    let (column, people) = (&table.columns[column], shared.len());
    let have = if people == 1 { "1 person has".to_owned() } else { format!("{people} people have") };
    Some(format!(
        "whose image a row is stands in the `sub-` of the paths, not in `{column}`: {have} several images ({})",
        few(shared.iter().map(|(subject, ids)| format!("sub-{subject}: {}", few(ids))))
    ))
}

/// The ids of each `sub-` that ids of different people carry.
fn shared_subjects<'a>(scans: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut of = BTreeMap::<&str, Vec<&str>>::new();
    scans
        .filter_map(|(id, subject)| Some((id, subject?)))
        .for_each(|(id, subject)| of.entry(subject).or_default().push(id));
    of.retain(|_, ids| ids.iter().map(|id| person_of(id)).collect::<BTreeSet<_>>().len() > 1);
    of
}

/// Says which rows of a source would be different people and carry one same `sub-`: ids, and paths below the source.
pub(super) fn unsaid_people(scans: &[(&str, &Path)]) -> Option<String> {
    let shared = shared_subjects(scans.iter().map(|(id, path)| (*id, subject_of(path, id))));
    let (rows, people) = (shared.values().map(Vec::len).sum::<usize>(), shared.len());
    (people > 0).then(|| {
        format!(
            "{rows} rows carry {} that other rows carry too, and no column `{PERSON}` says whose images they are, so each is taken for another \
             person: {} (give the column if they are scans of one person; else one person stands on both sides of a split)",
            if people == 1 { "a `sub-`".to_owned() } else { format!("one of {people} `sub-`") },
            few(shared.iter().map(|(subject, ids)| format!("sub-{subject}: {}", few(ids))))
        )
    })
}

/// Says which rows carry one same `sub-` and are different people by the column of people: rows as [`unsaid_people`] has them, and
/// the person of each.
pub(super) fn divided_people(scans: &[(&str, &Path)], people: &[Option<&str>], column: &str) -> Option<String> {
    let mut of = BTreeMap::<&str, Vec<(&str, &str)>>::new();
    for ((id, path), person) in scans.iter().zip(people) {
        if let Some((subject, person)) = subject_of(path, id).zip(person_in(*person, &[])) {
            of.entry(subject).or_default().push((id, person));
        }
    }
    of.retain(|_, rows| rows.iter().map(|(_, person)| *person).collect::<BTreeSet<_>>().len() > 1);
    let each = of.iter().map(|(subject, rows)| {
        format!("sub-{subject}: {}", few(rows.iter().map(|(id, person)| format!("{id} is `{person}`"))))
    });
    (!of.is_empty()).then(|| {
        format!(
            "rows that carry one same `sub-` are different people by the column `{column}`: {} (if they are scans of one person, write one `{column}`; else that person stands on both sides of a split)",
            few(each)
        )
    })
}

/// Adds the columns `person` and `session_id` to the table of the images that are used, a row each: from the column that the user
/// names or that is there already, else from ids that say a session (`01_ses-1`). A table whose ids say nothing of the kind stays
/// as it is.
///
/// # Errors
/// The column of people is not there, has gaps, would take another's name, or divides the sessions of one person.
pub(super) fn with_people(mut table: Table, ids: &[&str], wanted: Option<&str>, file: &Path) -> Result<Table> {
    name_people(&mut table, file)?;
    // The column was asked for by the name that it had.
    let wanted = wanted.map(|wanted| if look(wanted) == PERSON { PERSON } else { wanted });
    let by_ids = ids.iter().any(|id| person_of(id) != *id);
    let own = table.columns.iter().position(|c| c == PERSON);
    let at = match wanted {
        None => own,
        Some(wanted) => {
            let at = table.column(wanted).map_err(|e| {
                let remedy = e.remedy().unwrap_or_else(|| remedy!["name it with ", PERSON_COLUMN]);
                Error::file(file, e.to_string(), remedy)
            })?;
            if own.is_some_and(|own| own != at) {
                let what = format!("the people are to be in `{wanted}`, but the table has a column `{PERSON}` too");
                return Err(Error::file(file, what, format!("rename the column `{PERSON}`")));
            }
            let without: Vec<&&str> =
                ids.iter().zip(table.cells(at)).filter(|c| person_in(c.1, &[]).is_none()).map(|c| c.0).collect();
            if !without.is_empty() {
                let rows = counted(without.len(), "row");
                let what = format!("{rows} {} no `{wanted}`: {}", have(without.len()), few(&without));
                return Err(Error::file(file, what, "fill it in: images of one person must be known as such"));
            }
            Some(at)
        }
    };
    if !by_ids && wanted.is_none_or(|wanted| wanted == PERSON) {
        return Ok(table);
    }
    let cells: Vec<Option<String>> = match at {
        Some(at) => table.cells(at).map(|cell| cell.map(str::to_owned)).collect(),
        None => ids.iter().map(|id| Some(person_of(id).to_owned())).collect(),
    };
    if by_ids {
        let mut of = BTreeMap::<&str, (&str, &Option<String>)>::new();
        for (id, cell) in ids.iter().zip(&cells) {
            let (first, person) = of.entry(person_of(id)).or_insert((id, cell));
            if *person != cell {
                let name = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "n/a".into());
                let what = format!("{first} is an image of {}, and {id} one of {}", name(person), name(cell));
                return Err(Error::file(file, what, "give all sessions of one subject the same person"));
            }
        }
    }
    // An id that says the person and nothing else would stand in two columns.
    let plain = table.columns.iter().position(|c| c == "participant_id");
    if let Some(plain) = plain
        .filter(|plain| at.is_none() && table.cells(*plain).map(|c| c.map(bare)).eq(cells.iter().map(Option::as_deref)))
    {
        table.columns.remove(plain);
        table.rows.iter_mut().for_each(|row| drop(row.remove(plain)));
    }
    if own.is_none() {
        add(&mut table, PERSON, cells);
    }
    if by_ids && !table.columns.iter().any(|c| c == SESSION_ID) {
        let sessions = ids.iter().map(|id| session_in(id).map(|session| format!("ses-{session}")));
        add(&mut table, SESSION_ID, sessions.collect());
    }
    Ok(table)
}

/// Refuses sources of which one does not say whose its images are in the column that is asked for, where others do.
pub(super) fn check_people(tables: &[(&Table, Vec<&str>, &Path)], wanted: &str) -> Result<()> {
    let column =
        |table: &Table| table.columns.iter().position(|c| c == wanted || look(c) == PERSON && look(wanted) == PERSON);
    let Some((_, _, known)) = tables.iter().find(|(table, ..)| column(table).is_some()) else { return Ok(()) };
    for (table, ids, file) in tables {
        let Some(at) = column(table) else {
            let what = format!(
                "its table has no column `{wanted}`, which says whose an image of {} is ({})",
                known.display(),
                table.columns.join(", ")
            );
            return Err(Error::file(*file, what, "add it: images of one person must be known as such"));
        };
        let without: Vec<&&str> =
            ids.iter().zip(table.cells(at)).filter(|c| person_in(c.1, &[]).is_none()).map(|c| c.0).collect();
        if !without.is_empty() {
            let what =
                format!("{} {} no `{wanted}`: {}", counted(without.len(), "row"), have(without.len()), few(&without));
            return Err(Error::file(*file, what, "fill it in: images of one person must be known as such"));
        }
    }
    Ok(())
}

/// Adds a column at the end.
pub(super) fn add(table: &mut Table, name: &str, cells: Vec<Option<String>>) {
    table.columns.push(name.to_owned());
    table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
}

/// The positions of all rows.
fn all(table: &Table) -> Vec<usize> {
    (0..table.rows.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_that_does_not_say_whose_images_it_has_is_named() {
        let table = |column: &str, cells: &[&str]| Table {
            columns: vec![column.to_owned()],
            rows: cells.iter().map(|c| vec![Some((*c).to_owned())]).collect(),
        };
        let (a, b) = (table("person", &["p1", "p2"]), table("sex", &["F", "M"]));
        let of = |a: &Table, b: &Table| {
            let tables = [(a, vec!["A1", "A2"], Path::new("A")), (b, vec!["B1", "B2"], Path::new("B"))];
            check_people(&tables, "person").map_err(|e| e.to_string())
        };
        let error = of(&a, &b).unwrap_err();
        assert_eq!(error, "B: its table has no column `person`, which says whose an image of A is (sex)");
        assert_eq!(of(&a, &table("person", &["p3", "?"])).unwrap_err(), "B: 1 row has no `person`: B2");
        assert_eq!(of(&a, &a), Ok(()));
        assert_eq!(of(&b, &b), Ok(()));
    }

    #[test]
    fn rows_of_one_folder_and_several_people_are_said() {
        let paths = ["sub-01/a.nii", "sub-01/b.nii", "sub-02/c.nii", "d.nii"].map(Path::new);
        let scans: Vec<(&str, &Path)> = ["a", "b", "c", "d"].into_iter().zip(paths).collect();
        let said = divided_people(&scans, &["p1", "p2", "p3", "p4"].map(Some), PERSON).unwrap();
        let start = "rows that carry one same `sub-` are different people by the column `person`: ";
        assert!(said.starts_with(&format!("{start}sub-01: a is `p1`, b is `p2` (if")), "{said}");
        assert_eq!(divided_people(&scans, &["p1", "p1", "p3", "p4"].map(Some), PERSON), None);
        // Who is nobody's is told elsewhere.
        assert_eq!(divided_people(&scans, &["p1", "?", "p3", "p4"].map(Some), PERSON), None);
    }
}
