//! [`Table`]: a CSV or TSV file as text under named columns.

mod cell;

use crate::{
    Error, Result, atomic_file,
    lookalike::{look, spelled},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Rows of text under named columns, in the file's order. Cells are text: whoever needs numbers parses them.
///
/// Empty cells and `n/a`, `NA`, `nan` (in any case) read as missing, which is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// One vector per row, as long as `columns`; missing cells are `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Reads CSV or TSV in UTF-8, with or without a byte-order mark. Cells are separated by what the header line has
    /// outside quotes: tab, else comma, else semicolon. Cells are trimmed; rows without any value are skipped; a column
    /// without a name gets `unnamed_<position>`, counted from 0. An apostrophe before what a spreadsheet would run, and `\u{1b}`
    /// for a hidden character, are read as [`Table::write_tsv`] means them.
    ///
    /// # Errors
    /// A file that is no such table: the line where it stops being one.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = crate::input::read(path).map_err(Error::io(path))?;
        let text = match &bytes[..] {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err(Error::file(path, "the text is UTF-16", "save the table as CSV in UTF-8"));
            }
            [0xef, 0xbb, 0xbf, rest @ ..] => rest,
            all => all,
        };
        if text.contains(&0) {
            return Err(Error::file(
                path,
                "this is not a text file",
                "give a CSV or TSV table (spreadsheets: save as CSV)",
            ));
        }
        let text = std::str::from_utf8(text).map_err(|e| {
            let line = text[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
            Error::file(path, format!("line {line} is not UTF-8"), "save the table as CSV in UTF-8")
        })?;
        Self::parse(text).map_err(|what| {
            Error::file(
                path,
                what,
                "give a table with one header line, as many cells in every row as it has columns, and every quote closed",
            )
        })
    }

    /// Reads CSV or TSV from text, as [`Table::read`] does; the error says what is wrong, without the file.
    fn parse(text: &str) -> Result<Self, String> {
        let header = text.lines().find(|l| !l.trim().is_empty()).ok_or("the table is empty")?;
        let delimiter = delimiter(header);
        swallowed(text, delimiter)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut table = Self::default();
        for record in reader.records() {
            let record = record.map_err(|e| match (e.kind(), e.position()) {
                (csv::ErrorKind::UnequalLengths { expected_len, len, .. }, Some(at)) => {
                    format!("line {} has {len} cells, the header has {expected_len}", at.line())
                }
                _ => e.to_string(),
            })?;
            if table.columns.is_empty() {
                let name = |(n, c): (usize, &str)| match c.is_empty() {
                    true => format!("unnamed_{n}"),
                    false => cell::read(c).into_owned(),
                };
                table.columns = record.iter().enumerate().map(name).collect();
                let mut seen = BTreeSet::new();
                if let Some(twice) = table.columns.iter().find(|c| !seen.insert(c.as_str())) {
                    return Err(format!("two columns are called `{twice}`"));
                }
                continue;
            }
            let row: Vec<_> =
                record.iter().map(|text| (!is_missing(text)).then(|| cell::read(text).into_owned())).collect();
            if row.iter().any(Option::is_some) {
                table.rows.push(row);
            }
        }
        Ok(table)
    }

    /// Writes TSV as an [atomic file](crate::atomic_file), missing cells as `n/a` (as BIDS does).
    ///
    /// A text that a spreadsheet would run as a formula (`=1+1`, `@SUM(A1)`; numbers such as `-1.5` are none) gets an apostrophe in
    /// front. Controls, characters that put others in another order and those that are not seen are written as `\u{1b}`. [`Table::read`] gives the values back.
    ///
    /// # Errors
    /// [`Error::Io`]; a row with more or fewer cells than there are columns.
    pub fn write_tsv(&self, path: &Path) -> Result<()> {
        Self::write_rows(path, &self.columns, &self.rows)
    }

    /// [`Table::write_tsv`] of rows that need not be there all at once.
    ///
    /// # Errors
    /// As there.
    pub fn write_rows<R: AsRef<[Option<String>]>>(
        path: &Path,
        columns: &[String],
        rows: impl IntoIterator<Item = R>,
    ) -> Result<()> {
        atomic_file::write_with(path, |file| tsv(file, columns, rows)).map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => {
                Error::file(path, format!("table cannot be written: {e}"), "report this")
            }
            _ => Error::io(path)(e),
        })
    }

    /// What [`Table::write_tsv`] writes, as text.
    ///
    /// # Errors
    /// A row with more or fewer cells than there are columns.
    pub fn to_tsv(&self) -> Result<String> {
        let mut bytes = Vec::new();
        let text = tsv(&mut bytes, &self.columns, &self.rows)
            .and_then(|()| String::from_utf8(bytes).map_err(std::io::Error::other));
        text.map_err(|e| Error::request(format!("table cannot be written: {e}"), "report this"))
    }

    /// Position of a column.
    ///
    /// # Errors
    /// There is none of that name: the remedy names one that differs by case or by what is not seen alone, else all.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|c| c == name).ok_or_else(|| {
            let alike = self.columns.iter().find(|c| look(c) == look(name));
            let remedy = match alike {
                Some(c) => format!("did you mean {}?", spelled(&[c, name])[0]),
                None => format!("the table has: {}", self.columns.join(", ")),
            };
            Error::request(format!("there is no column `{name}`"), remedy)
        })
    }

    /// The cells of a column by its position, in the order of the rows.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = Option<&str>> {
        self.rows.iter().map(move |row| row[column].as_deref())
    }

    /// Values that stand in more than one row of a column, each with the number of those rows. Missing cells do not
    /// count.
    pub fn repeated(&self, column: usize) -> BTreeMap<&str, usize> {
        let mut count = BTreeMap::new();
        for cell in self.cells(column).flatten() {
            *count.entry(cell).or_insert(0) += 1;
        }
        count.retain(|_, n| *n > 1);
        count
    }
}

/// Writes rows as TSV.
fn tsv<R: AsRef<[Option<String>]>>(
    to: impl std::io::Write,
    columns: &[String],
    rows: impl IntoIterator<Item = R>,
) -> std::io::Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(b'\t').from_writer(to);
    // What the system said keeps its kind.
    let plain = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => e,
        other => std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{other:?}")),
    };
    writer.write_record(columns.iter().map(|name| cell::written(name).into_owned())).map_err(plain)?;
    for row in rows {
        let text = |c: &Option<String>| cell::written(c.as_deref().unwrap_or("n/a")).into_owned();
        writer.write_record(row.as_ref().iter().map(text)).map_err(plain)?;
    }
    writer.flush()
}

/// What separates the cells of a header line: tab, else comma, else semicolon, not counting what stands in quotes.
fn delimiter(header: &str) -> u8 {
    let mut quoted = false;
    let bare: Vec<u8> = header
        .bytes()
        .filter(|&b| {
            quoted ^= b == b'"';
            !quoted
        })
        .collect();
    *[b'\t', b',', b';'].iter().find(|d| bare.contains(d)).unwrap_or(&b',')
}

/// Refuses a quote that takes rows into one cell: one that is never closed, or that is closed in a later line so that cells lie
/// between. A comment of several lines is a cell like any other.
fn swallowed(text: &str, delimiter: u8) -> Result<(), String> {
    // The line that a quoted cell began in, and whether it has met a line's end, and a separator behind that.
    let (mut open, mut lines, mut cells) = (None, false, false);
    let (mut line, mut at_start) = (1, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        match open {
            Some(_) if byte == b'"' && bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            Some(began) if byte == b'"' => {
                if cells {
                    return Err(format!(
                        "the quote in line {began} is closed in line {line}: rows between are taken for one cell"
                    ));
                }
                open = None;
            }
            Some(_) => {
                lines |= byte == b'\n';
                cells |= lines && byte == delimiter;
            }
            None if byte == b'"' && at_start => (open, lines, cells) = (Some(line), false, false),
            None => at_start = byte == delimiter || byte == b'\n',
        }
        at_start &= open.is_none();
    }
    match open {
        Some(began) => {
            Err(format!("the quote in line {began} is never closed: all rows behind it are taken for one cell"))
        }
        None => Ok(()),
    }
}

/// Whether a trimmed cell stands for "no value".
fn is_missing(cell: &str) -> bool {
    cell.is_empty() || ["n/a", "na", "nan"].iter().any(|m| cell.eq_ignore_ascii_case(m))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(table: &Table) -> Vec<Vec<&str>> {
        table.rows.iter().map(|r| r.iter().map(|c| c.as_deref().unwrap_or("-")).collect()).collect()
    }

    #[test]
    fn three_delimiters_read_alike() {
        let comma = Table::parse("id,age,sex\ns1,23,M\ns2,n/a,F\n").unwrap();
        assert_eq!(comma.columns, ["id", "age", "sex"]);
        assert_eq!(rows(&comma), [["s1", "23", "M"], ["s2", "-", "F"]]);
        assert_eq!(Table::parse("id\tage\tsex\r\ns1\t23\tM\r\ns2\t\tF\r\n").unwrap(), comma);
        assert_eq!(Table::parse("id;age;sex\ns1;23;M\ns2;NaN;F").unwrap(), comma);
    }

    #[test]
    fn a_delimiter_in_quotes_does_not_count() {
        let t = Table::parse("id;\"age, years\"\ns1;\"46,7\"\n").unwrap();
        assert_eq!(t.columns, ["id", "age, years"]);
        assert_eq!(rows(&t), [["s1", "46,7"]]);
    }

    #[test]
    fn traps() {
        let t = Table::parse(",id\n0,a\n,\n1,b\n").unwrap();
        assert_eq!(t.columns, ["unnamed_0", "id"]);
        assert_eq!(t.rows.len(), 2, "a row of nothing is skipped");
        assert_eq!(Table::parse("a,b\n1\n").unwrap_err(), "line 2 has 1 cells, the header has 2");
        assert_eq!(Table::parse("a,a\n1,2\n").unwrap_err(), "two columns are called `a`");
        assert_eq!(Table::parse(" \n").unwrap_err(), "the table is empty");
        assert!(Table::parse("id\n").unwrap().rows.is_empty());
    }

    #[test]
    fn a_quote_swallows_no_rows() {
        let error = |text: &str| Table::parse(text).unwrap_err();
        assert_eq!(
            error("id,sex\na,\"M\nb,F\nc,F\n"),
            "the quote in line 2 is never closed: all rows behind it are taken for one cell"
        );
        assert!(error("id\na\n\"b\nc\n").starts_with("the quote in line 3 is never closed"));
        assert!(error("id\tn\na\t\"x\nb\ty\nc\tz\"\n").starts_with("the quote in line 2 is closed in line 4"));
        // Inches, doubled quotes and comments of two lines are none.
        let fine = Table::parse("id,n\na,5'10\"\nb,\"say \"\"no\"\"\"\nc,\"one\ntwo\"\n").unwrap();
        assert_eq!(rows(&fine), [["a", "5'10\""], ["b", "say \"no\""], ["c", "one\ntwo"]]);
    }

    #[test]
    fn byte_order_marks_and_other_encodings() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, b"\xef\xbb\xbfid,sex\na,M\n").unwrap();
        assert_eq!(Table::read(&path).unwrap().columns, ["id", "sex"]);
        for (bytes, word) in [
            (&b"\xff\xfei\0d\0"[..], "UTF-16"),
            (b"id,name\na,M\xfcller\n", "line 2 is not UTF-8"),
            (b"PK\x03\x04\0\0", "not a text file"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = Table::read(&path).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_missing_column_is_named_with_those_there_are() {
        let t = Table::parse("id,Sex\na,M\n").unwrap();
        assert_eq!(t.column("Sex").unwrap(), 1);
        assert_eq!(t.column("sex").unwrap_err().remedy().unwrap().to_string(), "did you mean `Sex`?");
        let unseen = Table::parse("id,sex\u{200b}\na,M\n").unwrap().column("sex").unwrap_err();
        assert_eq!(unseen.remedy().unwrap().to_string(), "did you mean `sex` with invisible U+200B?");
        assert_eq!(t.column("age").unwrap_err().remedy().unwrap().to_string(), "the table has: id, Sex");
        let t = Table::parse("id\na\nb\na\n").unwrap();
        assert_eq!(t.repeated(0), BTreeMap::from([("a", 2)]));
    }

    proptest! {
        #[test]
        fn writing_and_reading_is_the_identity(
            cells in prop::collection::vec(prop::collection::vec("[ -~éß\t\u{1b}\u{202e}\u{200b}=]{0,8}", 3), 1..6)
        ) {
            let trimmed = |c: &String| Some(c.trim().to_owned()).filter(|c| !is_missing(c));
            let mut rows: Vec<Vec<_>> = cells.iter().map(|r| r.iter().map(trimmed).collect()).collect();
            rows.retain(|r| r.iter().any(Option::is_some));
            let table = Table { columns: vec!["a".into(), "b c".into(), "=d\"e".into()], rows };
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("t.tsv");
            table.write_tsv(&path).unwrap();
            prop_assert_eq!(Table::read(&path).unwrap(), table);
        }
    }
}
