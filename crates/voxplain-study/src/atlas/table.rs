//! [`LabelTable`]: which region a label number stands for, read from the tables that atlases come with.

use super::Hemisphere;
use std::{collections::BTreeMap, path::Path};
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
    /// How ids and names were found, for the reader of results: `columns index and name`.
    pub format: String,
    /// What is odd about the table.
    pub findings: Vec<Finding>,
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
    ///   (`name`, `region`, `ROINameMUSE`, ...; a full name before a short one), perhaps a side (`hemisphere`);
    /// * the same without a header: the id, then the name; of several cells the first is an abbreviation. Three or more numbers before
    ///   or behind the name are colours (Schaefer's order files);
    /// * columns of blanks, as `FreeSurferColorLUT.txt` (id, name, red, green, blue, alpha) and ITK-SNAP's;
    /// * FSL's XML: `index` counts the volumes of a probabilistic atlas from 0, so that its summary image holds `index + 1`; in an atlas of
    ///   the type `Label` the image holds `index`;
    /// * one name per line: the number of the line is the id, from 1.
    ///
    /// A whole number may be written `1.0`.
    ///
    /// # Errors
    /// No such form, two rows of one id, lines with and without an id, a side that contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Self::parse(&bytes, path)
    }

    /// [`LabelTable::read`] on bytes; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let mut findings = Vec::new();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
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
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('<') {
            let (rows, format) = fsl(text, path)?;
            return Self::build(rows, format, findings, path);
        }
        let lines = cut(text, path)?;
        let Some(first) = lines.first() else {
            return Err(Error::file(path, "holds no rows", FORMATS));
        };
        let (rows, format) = if number(&first.cells[0]).is_some() {
            (without_header(&lines, path)?, "no header: the first cell is the id".to_owned())
        } else if lines.iter().all(|l| l.cells.len() == 1) {
            if is_nameless(&first.cells[0]) {
                return Err(Error::file(
                    path,
                    format!(
                        "has names only, and the first is {:?}: whether it stands for 0 or 1 is not said",
                        first.cells[0]
                    ),
                    "write the id before each name",
                ));
            }
            if let Some(line) = lines.iter().find(|l| number(&l.cells[0]).is_some()) {
                return Err(Error::file(path, format!("line {}: a number among names", line.number), FORMATS));
            }
            let rows = lines.iter().map(|l| (l.number, l.number, l.cells[0].clone(), None));
            findings.push(finding(
                "table-without-ids",
                Level::Note,
                "the table has no ids: line n is taken as label n",
                "check a region that you know",
            ));
            (
                rows.map(|(n, id, name, side)| Ok((n, u32::try_from(id).unwrap_or(u32::MAX), name, side)))
                    .collect::<Result<Vec<_>>>()?,
                "one name per line: the line number is the id".to_owned(),
            )
        } else {
            with_header(&lines, path)?
        };
        Self::build(rows, format, findings, path)
    }

    fn build(
        rows: Vec<(usize, u32, String, Option<Hemisphere>)>,
        format: String,
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
        Ok(Self { regions, nameless, format, findings })
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
        .map(|l| l.trim_end_matches('\r'))
        .enumerate()
        .map(|(n, l)| (n + 1, l))
        .filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        .collect();
    let Some(&(_, first)) = lines.first() else { return Ok(Vec::new()) };
    let delimiter = [b'\t', b',', b';'].into_iter().find(|&d| first.as_bytes().contains(&d));
    let numbered = |line: &str| line.split_whitespace().next().is_some_and(|w| number(w).is_some());
    // `index name` above lines that begin with a number is a header between blanks.
    let headed = delimiter.is_none() && {
        let words: Vec<String> = first.split_whitespace().map(str::to_lowercase).collect();
        words.len() > 1 && words.first().is_some_and(|w| IDS.contains(&w.as_str()))
    };
    let headed = headed && lines.get(1).is_some_and(|(_, second)| numbered(second));
    let lines = if headed { lines[1..].to_vec() } else { lines };
    let starts_with_number = headed || numbered(first);
    let mut cut = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        let line = line.trim_end_matches('\r');
        let cells: Vec<String> = match delimiter {
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
            None if starts_with_number => blanks(line),
            None => vec![line.trim().to_owned()],
        };
        if !cells.is_empty() {
            cut.push(Line { number, cells });
        }
    }
    Ok(cut)
}

/// A line of blanks-separated cells: the id and the name, which may hold blanks and may be quoted, without colours.
fn blanks(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace();
    let id = words.next().unwrap_or_default().to_owned();
    if let Some((_, quoted)) = line.split_once('"') {
        return vec![id, quoted.trim_end().trim_end_matches('"').to_owned()];
    }
    let rest: Vec<&str> = words.collect();
    vec![id, uncoloured(&rest).join(" ")]
}

/// The words of a name without the colours before and behind it: three or more numbers. Fewer belong to the name (`Area 4`,
/// `7Networks_LH_Vis 1`).
fn uncoloured<'a, 'b>(words: &'a [&'b str]) -> &'a [&'b str] {
    let colour = |w: &&&str| w.parse::<f64>().is_ok_and(|v| (0.0..=255.0).contains(&v));
    let behind = words.iter().rev().take_while(colour).count();
    let words = if behind >= 3 { &words[..words.len() - behind] } else { words };
    let before = words.iter().take_while(colour).count();
    if before >= 3 { &words[before..] } else { words }
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
    let labels_type =
        text.split_once("<type>").and_then(|(_, rest)| rest.split_once("</type>")).map(|(kind, _)| kind.trim());
    // `Probabalistic` is how FSL itself spells it.
    let from_zero = !labels_type.is_some_and(|kind| kind.eq_ignore_ascii_case("label"));
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
        let id = index.and_then(|n| n.checked_add(u32::from(from_zero))).ok_or_else(broken)?;
        rows.push((line, id, plain(name.trim()), None));
        rest = after;
    }
    if rows.is_empty() {
        return Err(Error::file(path, "is XML without a <label>", FORMATS));
    }
    let format = if from_zero { "FSL's XML, index + 1" } else { "FSL's XML, index" };
    Ok((rows, format.to_owned()))
}

/// Text of XML without its five entities.
fn plain(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

type Row = (usize, u32, String, Option<Hemisphere>);

fn without_header(lines: &[Line], path: &Path) -> Result<Vec<Row>> {
    lines
        .iter()
        .map(|line| {
            let id = number(&line.cells[0]).ok_or_else(|| {
                Error::file(path, format!("line {}: {:?} is no label number", line.number, line.cells[0]), FORMATS)
            })?;
            let words: Vec<&str> = line.cells[1..].iter().map(String::as_str).filter(|c| !c.is_empty()).collect();
            // Colours in cells of their own, or in the cell of the name.
            let one: Vec<&str> = words.iter().flat_map(|cell| cell.split_whitespace()).collect();
            let words = match words.as_slice() {
                [_] if uncoloured(&one).len() < one.len() => uncoloured(&one).to_vec(),
                cells => uncoloured(cells).to_vec(),
            };
            if words.is_empty() && line.cells.len() > 1 && line.cells[1..].iter().any(|c| !c.is_empty()) {
                let what = format!("line {}: numbers only, and no name ({})", line.number, line.cells.join(" "));
                return Err(Error::file(path, what, FORMATS));
            }
            // ICBM: `50 TAP-L <empty> Tapatum left`: an abbreviation in capitals, then the name in one or two cells.
            let (abbreviation, name) = match words.as_slice() {
                [short, long @ ..] if !long.is_empty() && !short.contains(|c: char| c == ' ' || c.is_lowercase()) => {
                    (Some(*short), long.join(" "))
                }
                all => (None, all.join(" ")),
            };
            let side = match abbreviation {
                Some(short) => Hemisphere::from_name(short).unwrap_or(None),
                None => None,
            };
            Ok((line.number, id, name, side))
        })
        .collect()
}

/// Names of columns of ids, the surest first.
const IDS: [&str; 12] =
    ["indexmuse", "index", "id", "label_id", "labelid", "roi_id", "roi_label", "label", "value", "no.", "no", "idx"];

fn with_header(lines: &[Line], path: &Path) -> Result<(Vec<Row>, String)> {
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
        "structure",
        "roi_name",
        "roi",
        "label",
    ]);
    let side = column(&["hemisphere", "hemi", "side", "laterality"]);
    let (Some(id), Some(name)) = (id, name) else {
        return Err(Error::file(
            path,
            format!("has columns {} of which none is known as id or as name", lines[0].cells.join(", ")),
            FORMATS,
        ));
    };
    if id == name {
        return Err(Error::file(path, format!("has one column for id and name, {:?}", lines[0].cells[id]), FORMATS));
    }
    let mut rows = Vec::with_capacity(lines.len());
    for line in &lines[1..] {
        let cell = |n: usize| line.cells.get(n).map_or("", String::as_str);
        let value = number(cell(id)).ok_or_else(|| {
            let what =
                format!("line {}: {:?} in column {:?} is no label number", line.number, cell(id), lines[0].cells[id]);
            Error::file(path, what, "label numbers are whole and not negative")
        })?;
        let side = match side.map(cell).unwrap_or_default().to_lowercase().as_str() {
            "l" | "lh" | "left" => Some(Hemisphere::Left),
            "r" | "rh" | "right" => Some(Hemisphere::Right),
            "b" | "bilateral" | "both" => Some(Hemisphere::Both),
            _ => None,
        };
        rows.push((line.number, value, cell(name).to_owned(), side));
    }
    Ok((rows, format!("columns {:?} and {:?}", lines[0].cells[id], lines[0].cells[name])))
}
