//! [`LabelTable`]: which region a label number stands for, read from the tables that atlases come with.

use super::Hemisphere;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use voxplain_core::{Error, Result};
use voxplain_volume::{Finding, Level};

/// One named region of an atlas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The number that its voxels hold.
    pub id: u32,
    /// The name as the table gives it.
    pub name: String,
    /// The side that the name or a column of the table says; `None` where neither does.
    pub hemisphere: Option<Hemisphere>,
}

/// The regions of an atlas by label number, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelTable {
    /// The named regions, ascending in `id`.
    pub regions: Vec<Region>,
    /// Label numbers that the table lists without a name (`null`, `Unknown`), and 0.
    pub nameless: Vec<u32>,
    /// Labels of which the table itself says, in a column `voxels`, that the image has none.
    pub empty: BTreeSet<u32>,
    /// How ids and names were found, for the reader of results: `columns index and name`.
    pub format: String,
    /// What is odd about the table.
    pub findings: Vec<Finding>,
    /// The first name of a table of names only, which counts them from 1: a header that is not known would be taken for it, and
    /// every name would be that of the label before. None for tables with ids.
    pub first_of_names: Option<String>,
}

/// One line of a table, cut into cells.
struct Line {
    number: usize,
    cells: Vec<String>,
}

const FORMATS: &str = "give a table with a header that names an id column (index, id, label, IndexMUSE) and a name \
                       column (name, region, ROINameMUSE), or lines of `id<tab or comma>name`, or one name per line";

impl LabelTable {
    /// Reads the table of an atlas. These forms are known, with any line ending, with or without a byte-order mark:
    ///
    /// * CSV, TSV or semicolons with a header: an id column (`index`, `id`, `label`, `IndexMUSE`, ...), a name column
    ///   (`name`, `region`, `ROINameMUSE`, ...; a full name before a short one), perhaps a side (`hemisphere`) and how many
    ///   voxels the image has of each (`voxels`);
    /// * the same without a header: the id, then the name; of several cells the first is an abbreviation. Three or more numbers before
    ///   or behind the name are colours (Schaefer's order files), as `#781283` behind it is; a number behind every name is a code;
    /// * columns of blanks, as `FreeSurferColorLUT.txt` (id, name, red, green, blue, alpha) and ITK-SNAP's;
    /// * FSL's XML: `index` counts the volumes of a probabilistic atlas from 0, so that its summary image holds `index + 1`; in an atlas of
    ///   the type `Label` the image holds `index`;
    /// * one name per line: the names are counted from 1, without comments and a header (`name`, `Region names`, `ROI`, ...).
    ///
    /// A whole number may be written `1.0`. Lines that begin with `#` are comments. Text is UTF-8, UTF-16 with its mark, or Latin-1.
    ///
    /// # Errors
    /// No such form, two rows of one id, lines with and without an id, a side that contradicts itself; the tables of AFNI
    /// (`.niml`) and of Connectome Workbench, which are named.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = voxplain_core::input::read(path).map_err(Error::io(path))?;
        Self::parse(&bytes, path)
    }

    /// [`LabelTable::read`] on bytes; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let mut findings = Vec::new();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) if utf16(bytes).is_some() => utf16(bytes).unwrap_or_default(),
            Err(_) if bytes.contains(&0) => {
                return Err(Error::file(path, "is not a text file", "give the table of label names, not the image"));
            }
            Err(_) => {
                findings.push(finding(
                    "table-not-utf8",
                    Level::Note,
                    "the table is not UTF-8; it was read as Latin-1",
                    "check names with accents",
                ));
                bytes.iter().map(|&b| char::from(b)).collect()
            }
        };
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let text = text.as_str();
        refuse_known(text, path)?;
        if text.trim_start().starts_with('<') {
            let (rows, format) = fsl(text, path)?;
            return Self::build(rows, format, BTreeSet::new(), findings, path);
        }
        let mut empty = BTreeSet::new();
        let lines = cut(text, path)?;
        let Some(first) = lines.first() else {
            return Err(Error::file(path, "holds no rows", FORMATS));
        };
        let (rows, format) = if is_number(&first.cells[0]) {
            (without_header(&lines, path, &mut findings)?, "no header: the first cell is the id".to_owned())
        } else if lines.iter().all(|l| l.cells.len() == 1) {
            let header = is_header_of_names(&first.cells[0]);
            let names = &lines[usize::from(header)..];
            if let Some(name) = names.first().map(|line| &line.cells[0]).filter(|name| is_nameless(name)) {
                return Err(Error::file(
                    path,
                    format!("has names only, and the first is {name:?}: whether it stands for 0 or 1 is not said"),
                    "write the id before each name",
                ));
            }
            if let Some(line) = lines.iter().find(|l| is_number(&l.cells[0])) {
                return Err(Error::file(path, format!("line {}: a number among names", line.number), FORMATS));
            }
            // A header that is not known would be taken for the name of label 1, and every name would be that of the label before.
            if lines.len() > 1 && lines[1..].iter().all(|l| l.cells[0].split_whitespace().next().is_some_and(is_number))
            {
                let what = format!(
                    "line {}: {:?} is above lines that begin with a number, and is not known as a header",
                    first.number, first.cells[0]
                );
                return Err(Error::file(path, what, FORMATS));
            }
            // Other lines count, so that an empty one in the middle would shift all names behind it by one or not: nobody knows.
            if let Some(pair) = names.windows(2).find(|pair| pair[1].number != pair[0].number + 1) {
                let what = format!(
                    "has names only, and between {:?} in line {} and {:?} in line {} there is a line without one: whether a \
                     label belongs to it is not said",
                    pair[0].cells[0], pair[0].number, pair[1].cells[0], pair[1].number
                );
                return Err(Error::file(path, what, "write the id before each name"));
            }
            // `Parietal 2` in the first line: the numbers are those of another order than the lines'.
            let ends: Option<Vec<u32>> =
                names.iter().map(|line| number(line.cells[0].rsplit_once(char::is_whitespace)?.1)).collect();
            if let Some(ends) = ends.filter(|ends| ends.len() > 1) {
                let (mut sorted, count) = (ends.clone(), u32::try_from(ends.len()).unwrap_or(u32::MAX));
                sorted.sort_unstable();
                if sorted.iter().copied().eq(1..=count) && sorted != ends {
                    let what = format!(
                        "has names only, each with a number behind it from 1 to {count}, and not in the order of the lines ({:?} is in \
                         line {}): whether a label is the number or the line is not said",
                        names[0].cells[0], names[0].number
                    );
                    return Err(Error::file(path, what, "write the id before each name"));
                }
            }
            let under = if header { format!(" under the header {:?}", first.cells[0]) } else { String::new() };
            findings.push(finding(
                "table-without-ids",
                Level::Note,
                format!("the table has no ids: name n{under} is taken as label n"),
                "check a region that you know",
            ));
            let rows = names.iter().zip(1..).map(|(l, id)| (l.number, id, l.cells[0].clone(), None)).collect();
            let format = "one name per line, counted from 1".to_owned();
            let table = Self::build(rows, format, empty, findings, path)?;
            let first_of_names = names.first().map(|line| line.cells[0].clone());
            return Ok(Self { first_of_names, ..table });
        } else {
            with_header(&lines, path, &mut empty, &mut findings)?
        };
        Self::build(rows, format, empty, findings, path)
    }

    fn build(
        rows: Vec<(usize, u32, String, Option<Hemisphere>)>,
        format: String,
        empty: BTreeSet<u32>,
        mut findings: Vec<Finding>,
        path: &Path,
    ) -> Result<Self> {
        let mut seen: BTreeMap<u32, (usize, String)> = BTreeMap::new();
        let (mut regions, mut nameless) = (Vec::new(), vec![0]);
        for (line, id, name, column_side) in rows {
            if let Some((other, other_name)) = seen.insert(id, (line, name.clone())) {
                return Err(Error::file(
                    path,
                    format!("label {id} is named twice: {other_name:?} in line {other} and {name:?} in line {line}"),
                    "keep one row per label",
                ));
            }
            if id == 0 {
                continue;
            }
            if is_nameless(&name) {
                nameless.push(id);
                continue;
            }
            let from_name = Hemisphere::from_name(&name).map_err(|what| {
                Error::file(path, format!("line {line}: {what}"), "correct the name, or add a column `hemisphere`")
            });
            let hemisphere = match (column_side, from_name) {
                (Some(side), Ok(Some(named))) if side != named => {
                    return Err(Error::file(
                        path,
                        format!("line {line}: {name:?} is {named} by its name and {side} by its row"),
                        "correct the row",
                    ));
                }
                (Some(side), _) => Some(side),
                (None, named) => named?,
            };
            regions.push(Region { id, name, hemisphere });
        }
        if regions.is_empty() {
            return Err(Error::file(path, "names no region", FORMATS));
        }
        regions.sort_by_key(|r| r.id);
        let mut names: BTreeMap<&str, u32> = BTreeMap::new();
        for region in &regions {
            if let Some(other) = names.insert(&region.name, region.id) {
                findings.push(finding(
                    "name-twice",
                    Level::Warning,
                    format!("labels {other} and {} have one name, {:?}", region.id, region.name),
                    "check the table: one of them may be the other side",
                ));
            }
        }
        Ok(Self { regions, nameless, empty, format, findings, first_of_names: None })
    }

    /// The region of a label.
    pub fn get(&self, id: u32) -> Option<&Region> {
        self.regions.binary_search_by_key(&id, |r| r.id).ok().map(|n| &self.regions[n])
    }

    /// Whether the table counts its rows without a gap from 1: such a table lists the labels of one image, while one
    /// with gaps (`FreeSurferColorLUT.txt`, MUSE) is a register of which an image may use a part.
    pub fn is_consecutive(&self) -> bool {
        let ids = self.regions.iter().map(|r| r.id).chain(self.nameless.iter().copied().filter(|&id| id > 0));
        let (count, most) = ids.fold((0u32, 0), |(n, m), id| (n + 1, m.max(id)));
        count == most
    }
}

fn finding(id: &'static str, level: Level, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { id, level, what: what.into(), remedy: remedy.into() }
}

/// Whether the first line of a table of names says what the names are: `name`, `Region names`, `ROI`, `anatomical label`.
fn is_header_of_names(line: &str) -> bool {
    const WHAT: [&str; 12] = [
        "name",
        "label",
        "region",
        "roi",
        "structure",
        "parcel",
        "area",
        "title",
        "description",
        "anatomy",
        "roiname",
        "labelname",
    ];
    const MORE: [&str; 9] = ["full", "long", "short", "brain", "anatomical", "atlas", "of", "interest", "the"];
    let is = |word: &str, known: &[&str]| {
        known.contains(&word) || word.strip_suffix('s').is_some_and(|w| known.contains(&w))
    };
    let line = line.to_lowercase();
    let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    // `(s)` of `name(s)` is a word by itself.
    words.iter().any(|word| is(word, &WHAT))
        && words.iter().all(|word| is(word, &WHAT) || MORE.contains(word) || *word == "s")
}

/// Refuses the tables of programs that are known and not read, by their names.
fn refuse_known(text: &str, path: &Path) -> Result<()> {
    let write = "write it as a table with the columns index and name";
    if text.contains("<VALUE_LABEL_DTABLE") || text.contains("ni_type=") {
        return Err(Error::file(path, "is a label table of AFNI (NIML), which is not read", write));
    }
    // A name, and below it the key and four numbers of colour.
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_key = |line: &str| line.split_whitespace().count() == 5 && line.split_whitespace().all(is_number);
    let (pairs, rest) = lines.as_chunks::<2>();
    if !pairs.is_empty() && rest.is_empty() && pairs.iter().all(|[name, key]| !is_key(name) && is_key(key)) {
        let what = "is a label list of Connectome Workbench (wb_command: a name, and below it its key and colour), which is not read";
        return Err(Error::file(path, what, write));
    }
    Ok(())
}

/// What some call the label 0, and others a region of its own.
fn is_unclassified(name: &str) -> bool {
    ["unclassified", "unlabelled", "unlabeled", "outside", "no label", "exterior"]
        .contains(&name.trim().to_lowercase().as_str())
}

/// Names that mean that there is no region.
fn is_nameless(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    ["", "null", "unknown", "background", "empty", "none", "n/a", "clear label", "???"].contains(&name.as_str())
}

/// Cuts the text into lines of cells; comment and empty lines are left out. Numbers count all lines of the file for
/// messages, except in a table of names only, where empty lines at the end do not matter and others are refused.
fn cut(text: &str, path: &Path) -> Result<Vec<Line>> {
    let lines: Vec<(usize, &str)> = text
        .split('\n')
        .enumerate()
        .map(|(n, l)| (n + 1, l))
        .filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        .collect();
    let Some(&(_, first)) = lines.first() else { return Ok(Vec::new()) };
    let numbered = |line: &str| line.split_whitespace().next().is_some_and(is_number);
    let bare = unquoted(first);
    // In `1 Frontal, left` and in `1 2 3 4 "Frontal, left"` commas are part of the name.
    let separates = |d: char| bare.split_once(d).is_some_and(|(cell, _)| !numbered(first) || is_number(cell));
    let delimiter = ['\t', ',', ';'].into_iter().find(|&d| separates(d)).map(|d| d as u8);
    // `index name` above lines that begin with a number is a header between blanks.
    let headed = delimiter.is_none() && {
        let words: Vec<String> = first.split_whitespace().map(str::to_lowercase).collect();
        words.len() > 1 && words.first().is_some_and(|w| IDS.contains(&w.as_str()))
    };
    let headed = headed && lines.get(1).is_some_and(|(_, second)| numbered(second));
    let lines = if headed { lines[1..].to_vec() } else { lines };
    let starts_with_number = headed || numbered(first);
    let colours = colour_width(lines.iter().map(|(_, line)| line.split_whitespace().skip(1).collect()));
    let mut cut = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        let cells: Vec<String> = match delimiter {
            // A line of blanks among lines with tabs or commas.
            Some(delimiter) if numbered(line) && !unquoted(line).contains(char::from(delimiter)) => {
                blanks(line, colours)
            }
            Some(delimiter) => csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(delimiter)
                .trim(csv::Trim::All)
                .from_reader(line.as_bytes())
                .records()
                .next()
                .transpose()
                .map_err(|e| Error::file(path, format!("line {number}: {e}"), FORMATS))?
                .map(|record| record.iter().map(str::to_owned).collect())
                .unwrap_or_default(),
            None if starts_with_number => blanks(line, colours),
            None => vec![line.trim().to_owned()],
        };
        // Spreadsheets leave lines of separators alone.
        if cells.iter().any(|cell| !cell.is_empty()) {
            cut.push(Line { number, cells });
        }
    }
    Ok(cut)
}

/// A line without what stands in double quotes.
fn unquoted(line: &str) -> String {
    line.split('"').step_by(2).collect()
}

/// Text of UTF-16, as some spreadsheets write it, by its byte-order mark.
fn utf16(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok()
}

/// A line of blanks-separated cells: the id and the name, which may hold blanks and may be quoted, without colours.
fn blanks(line: &str, colours: usize) -> Vec<String> {
    let mut words = line.split_whitespace();
    let id = words.next().unwrap_or_default().to_owned();
    if let Some((_, quoted)) = line.split_once('"') {
        // Colours may follow the closing quote.
        return vec![id, quoted.split_once('"').map_or(quoted, |(name, _)| name).trim().to_owned()];
    }
    let rest: Vec<&str> = words.collect();
    vec![id, uncoloured(&rest, colours).join(" ")]
}

/// The words of a name without the colours before and behind it: three or more numbers. Fewer belong to the name (`Area 4`,
/// `7Networks_LH_Vis 1`).
///
/// At most so many behind the name are colours: in a table of `Area 44 70 130 180 0` and `Insula 70 130 180 0` four.
fn uncoloured<'a, 'b>(words: &'a [&'b str], most: usize) -> &'a [&'b str] {
    // `#781283`, behind the name.
    let words = match words {
        [name @ .., last] if !name.is_empty() && is_hex_colour(last) => name,
        all => all,
    };
    let behind = colours_behind(words);
    let words = match behind {
        // Numbers alone: no name.
        n if n >= 3 && n == words.len() => &words[..0],
        n if n >= 3 => &words[..words.len() - n.min(most)],
        _ => words,
    };
    let before = words.iter().take_while(|word| is_colour(word)).count();
    if before >= 3 { &words[before..] } else { words }
}

fn is_colour(word: &str) -> bool {
    word.parse::<f64>().is_ok_and(|v| (0.0..=255.0).contains(&v))
}

/// How many numbers that may be colours stand at the end.
fn colours_behind(words: &[&str]) -> usize {
    words.iter().rev().take_while(|word| is_colour(word)).count()
}

fn is_hex_colour(word: &str) -> bool {
    word.strip_prefix('#').is_some_and(|hex| matches!(hex.len(), 6 | 8) && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a cell is a number, if not one that a label can have.
fn is_number(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// A label number; `None` for a row that names nothing below 0, which no label image holds.
fn label(cell: &str, name: &str, line: usize, path: &Path) -> Result<Option<u32>> {
    if let Some(id) = number(cell) {
        return Ok(Some(id));
    }
    if is_number(cell) && cell.trim().starts_with('-') && is_nameless(name) {
        return Ok(None);
    }
    let what = format!("line {line}: {cell:?} is no label number (for {name:?})");
    Err(Error::file(path, what, "label numbers are whole and not negative"))
}

/// A label number, which may be written as a decimal: `12`, `12.0`.
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|b| b == b'0') => whole.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// The labels of an atlas of FSL: `<label index="0" x="48" y="94" z="35">Frontal Pole</label>`.
fn fsl(text: &str, path: &Path) -> Result<(Vec<Row>, String)> {
    let whole = uncommented(text);
    let text = whole.as_str();
    let labels_type =
        text.split_once("<type>").and_then(|(_, rest)| rest.split_once("</type>")).map(|(kind, _)| kind.trim());
    // `Probabalistic` is how FSL itself spells it.
    let is_label = labels_type.is_some_and(|kind| kind.eq_ignore_ascii_case("label"));
    if let Some(kind) = labels_type.filter(|kind| !is_label && !kind.to_ascii_lowercase().starts_with("probab")) {
        let what = format!(
            "is the table of an atlas of type {kind}: its image holds no labels (those of types Label and Probabilistic do)"
        );
        return Err(Error::file(path, what, "give a label image and its table"));
    }
    let mut rows = Vec::new();
    let mut rest = text;
    while let Some((before, label)) = rest.split_once("<label") {
        // `<labels>` or another word that begins so.
        if !label.starts_with(char::is_whitespace) {
            rest = label;
            continue;
        }
        let line = text[..text.len() - rest.len() + before.len()].matches('\n').count() + 1;
        let broken = || Error::file(path, format!("line {line}: a <label> without an index and a name"), FORMATS);
        let (attributes, inner) = label.split_once('>').ok_or_else(broken)?;
        let (name, after) = inner.split_once("</label>").ok_or_else(broken)?;
        let index = attributes.split_once("index").and_then(|(_, rest)| {
            let rest = rest.trim_start().strip_prefix('=')?.trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            number(rest[1..].split_once(quote)?.0)
        });
        let name = name.trim();
        let name = name.strip_prefix("<![CDATA[").and_then(|name| name.strip_suffix("]]>")).unwrap_or(name);
        rows.push((line, index.ok_or_else(broken)?, plain(name.trim()), None));
        rest = after;
    }
    if rows.is_empty() {
        return Err(Error::file(
            path,
            "is XML without a <label index=\"...\">, so not the table of an atlas of FSL",
            FORMATS,
        ));
    }
    // A row for what is no region: the image's 0, so that the others are the image's own numbers.
    let names_zero = rows.iter().any(|(_, index, name, _)| *index == 0 && (is_nameless(name) || is_unclassified(name)));
    if labels_type.is_none() && !names_zero && rows.iter().any(|(_, index, ..)| *index == 0) {
        let what = "is XML without a <type>: whether index 0 is the image's label 0 or 1 is not said";
        let remedy = "write <type>Label</type> into its header where the image holds the indices, or <type>Probabilistic</type> \
                      where it holds each index + 1";
        return Err(Error::file(path, what, remedy));
    }
    let from_zero = !is_label && !names_zero && rows.iter().any(|(_, index, ..)| *index == 0);
    for (line, index, ..) in &mut rows {
        *index = index
            .checked_add(u32::from(from_zero))
            .ok_or_else(|| Error::file(path, format!("line {line}: index {index} is too large"), FORMATS))?;
    }
    let format = if from_zero { "FSL's XML, index + 1" } else { "FSL's XML, index" };
    Ok((rows, format.to_owned()))
}

/// XML with its comments blanked; lines stay where they are.
fn uncommented(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        kept.push_str(before);
        let (inside, after) = comment.split_once("-->").unwrap_or((comment, ""));
        kept.extend(inside.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Text of XML without its five entities.
fn plain(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

type Row = (usize, u32, String, Option<Hemisphere>);

fn without_header(lines: &[Line], path: &Path, findings: &mut Vec<Finding>) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(lines.len());
    let most =
        colour_width(lines.iter().map(|l| l.cells[1..].iter().flat_map(|cell| cell.split_whitespace()).collect()));
    let sided = ends_in_sides(lines, most);
    for line in lines {
        if !is_number(&line.cells[0]) {
            let what = format!("line {}: {:?} is no label number", line.number, line.cells[0]);
            return Err(Error::file(path, what, FORMATS));
        }
        let words: Vec<&str> = line.cells[1..].iter().map(String::as_str).filter(|c| !c.is_empty()).collect();
        // Colours in cells of their own, or in the cell of the name.
        let one: Vec<&str> = words.iter().flat_map(|cell| cell.split_whitespace()).collect();
        let words = match words.as_slice() {
            [_] if uncoloured(&one, most).len() < one.len() => uncoloured(&one, most).to_vec(),
            cells => uncoloured(cells, most).to_vec(),
        };
        let (words, column) = match words.as_slice() {
            [name @ .., last] if sided && !name.is_empty() && side_of(last).is_some() => (name.to_vec(), side_of(last)),
            all => (all.to_vec(), None),
        };
        if words.is_empty() && line.cells.len() > 1 && line.cells[1..].iter().any(|c| !c.is_empty()) {
            let what = format!("line {}: numbers only, and no name ({})", line.number, line.cells.join(" "));
            return Err(Error::file(path, what, FORMATS));
        }
        // ICBM: `50 TAP-L <empty> Tapatum left`: an abbreviation in capitals, then the name in one or two cells.
        let (abbreviation, name) = match words.as_slice() {
            [short, long @ ..]
                if !long.is_empty()
                    && !long.iter().all(|word| is_number(word))
                    && !short.contains(|c: char| c == ' ' || c.is_lowercase()) =>
            {
                (Some(*short), long.join(" "))
            }
            all => (None, all.join(" ")),
        };
        let short = abbreviation.and_then(|short| Hemisphere::from_name(short).unwrap_or(None));
        if let Some(id) = label(&line.cells[0], &name, line.number, path)? {
            rows.push((line.number, id, name, column.or(short)));
        }
    }
    let second: Option<Vec<u32>> = lines.iter().map(|line| number(line.cells.get(1)?)).collect();
    if let Some(second) = second.filter(|second| !second.iter().copied().eq(rows.iter().map(|row| row.1))) {
        findings.push(finding(
            "two-columns-of-ids",
            Level::Warning,
            format!(
                "the first two columns could both be the label numbers, and differ ({} and {}): the first is taken",
                rows.first().map_or(0, |row| row.1),
                second.first().copied().unwrap_or_default()
            ),
            "if the other one is right, give the table a header: index above the label numbers, name above the names",
        ));
    }
    uncoded(&mut rows, findings);
    Ok(rows)
}

/// How many numbers behind the names are colours: as many as stand behind every name that has three or more, and four at most (red,
/// green, blue, opacity). One more belongs to the name.
fn colour_width<'a>(lines: impl Iterator<Item = Vec<&'a str>>) -> usize {
    // A line of numbers alone has no name.
    let behind = lines.map(|words| Some(colours_behind(&words)).filter(|n| *n < words.len()).unwrap_or(0));
    behind.filter(|n| *n >= 3).min().unwrap_or(3).min(4)
}

/// Whether every line that has cells behind the name has a side in the last of them (`1,Insula,L`), colours aside.
fn ends_in_sides(lines: &[Line], most: usize) -> bool {
    let ends = |line: &Line| {
        let cells: Vec<&str> = line.cells[1..].iter().map(String::as_str).filter(|c| !c.is_empty()).collect();
        match uncoloured(&cells, most) {
            [_, .., last] => Some(side_of(last).is_some()),
            _ => None,
        }
    };
    let known: Vec<bool> = lines.iter().filter_map(ends).collect();
    !known.is_empty() && known.into_iter().all(|is_side| is_side)
}

/// The side that a cell of its own says.
fn side_of(cell: &str) -> Option<Hemisphere> {
    match cell.trim().to_lowercase().as_str() {
        "l" | "lh" | "left" => Some(Hemisphere::Left),
        "r" | "rh" | "right" => Some(Hemisphere::Right),
        "b" | "bilateral" | "both" => Some(Hemisphere::Both),
        _ => None,
    }
}

/// Takes away the number behind every name where all names have one and are told apart without it: a code of the atlas
/// (`1 Precentral_L 2001`, as `MRIcron` has AAL). In `Area 1`, `Area 2` it is the name.
fn uncoded(rows: &mut [Row], findings: &mut Vec<Finding>) {
    let named: Vec<usize> = (0..rows.len()).filter(|&n| rows[n].1 > 0 && !is_nameless(&rows[n].2)).collect();
    let bare: Option<Vec<String>> = named
        .iter()
        .map(|&n| {
            let (name, code) = rows[n].2.rsplit_once(char::is_whitespace)?;
            number(code).map(|_| name.trim_end().to_owned())
        })
        .collect();
    let Some(bare) = bare.filter(|bare| bare.len() > 1 && bare.iter().collect::<BTreeSet<_>>().len() == bare.len())
    else {
        return;
    };
    findings.push(finding(
        "codes-behind-names",
        Level::Note,
        format!(
            "every name has a number behind it, which is taken for a code: {:?} is {:?}",
            rows[named[0]].2, bare[0]
        ),
        "where it belongs to the names, give the table a header: index and name",
    ));
    for (n, name) in named.into_iter().zip(bare) {
        rows[n].2 = name;
    }
}

/// Names of columns of ids, the surest first.
const IDS: [&str; 24] = [
    "indexmuse",
    "index",
    "id",
    "label_id",
    "labelid",
    "label_index",
    "label_number",
    "label_value",
    "roi_id",
    "roi_index",
    "region_id",
    "region_index",
    "parcel_id",
    "roi_label",
    "label",
    "value",
    "number",
    "num",
    "key",
    "no.",
    "no",
    "nr",
    "idx",
    "intensity",
];

fn with_header(
    lines: &[Line],
    path: &Path,
    empty: &mut BTreeSet<u32>,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<Row>, String)> {
    let header: Vec<String> = lines[0].cells.iter().map(|c| c.to_lowercase().replace([' ', '-'], "_")).collect();
    let column = |names: &[&str]| names.iter().find_map(|n| header.iter().position(|h| h == n));
    let id = column(&IDS);
    let name = column(&[
        "full_name",
        "fullname",
        "roinamemuse",
        "name",
        "label_name",
        "labelname",
        "region_name",
        "region",
        "structure_name",
        "structure",
        "parcel_name",
        "roi_name",
        "roiname",
        "roi",
        "names",
        "labels",
        "label",
        "description",
    ]);
    let side = column(&["hemisphere", "hemi", "side", "laterality"]);
    let voxels = column(&["voxels"]);
    let (Some(id), Some(name)) = (id, name) else {
        // No header, and the names first.
        let numbers = (1..header.len()).find(|&n| lines.iter().all(|l| l.cells.get(n).is_some_and(|c| is_number(c))));
        if let Some(n) = numbers {
            let what = format!(
                "has no header, its first column holds no label numbers ({:?}), and column {} has numbers in every line",
                lines[0].cells[0],
                n + 1
            );
            let remedy =
                "where these are the label numbers, give the table a header that says so, such as `name,index`";
            return Err(Error::file(path, what, remedy));
        }
        return Err(Error::file(
            path,
            format!("has columns {} of which none is known as id or as name", lines[0].cells.join(", ")),
            FORMATS,
        ));
    };
    if id == name {
        return Err(Error::file(path, format!("has one column for id and name, {:?}", lines[0].cells[id]), FORMATS));
    }
    let numbers_alone =
        lines.len() > 2 && lines[1..].iter().all(|line| line.cells.get(name).is_some_and(|c| is_number(c)));
    if numbers_alone {
        let what = format!("the column {:?}, by its name that of the names, holds numbers alone", lines[0].cells[name]);
        return Err(Error::file(path, what, "call the column of the label numbers index, and that of the names name"));
    }
    // Another column that may be the ids, and says others.
    let cells = |n: usize| lines[1..].iter().map(move |line| line.cells.get(n).map_or("", String::as_str));
    let other = (0..header.len()).find(|&n| {
        n != id && n != name && IDS.contains(&header[n].as_str()) && {
            let mut seen = BTreeSet::new();
            let all_whole = cells(n).all(|cell| number(cell).is_some_and(|v| seen.insert(v)));
            all_whole && !cells(n).map(number).eq(cells(id).map(number))
        }
    });
    if let Some(other) = other {
        findings.push(finding(
            "two-columns-of-ids",
            Level::Warning,
            format!(
                "columns {:?} and {:?} could both be the label numbers, and differ: {:?} is taken",
                lines[0].cells[id], lines[0].cells[other], lines[0].cells[id]
            ),
            "if the other one is right, leave this column out of the table",
        ));
    }
    let mut rows = Vec::with_capacity(lines.len());
    for line in &lines[1..] {
        let cell = |n: usize| line.cells.get(n).map_or("", String::as_str);
        let Some(value) = label(cell(id), cell(name), line.number, path)? else { continue };
        if voxels.is_some_and(|voxels| number(cell(voxels)) == Some(0)) {
            empty.insert(value);
        }
        let side = side.map(cell).and_then(side_of);
        rows.push((line.number, value, cell(name).to_owned(), side));
    }
    Ok((rows, format!("columns {:?} and {:?}", lines[0].cells[id], lines[0].cells[name])))
}
