//! [`Citation`]: a work that a method, a measure or a report cites.

/// A work that may be cited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Its key in a bibliography, `selvaraju2017`.
    pub key: &'static str,
    /// Its entry, in BibTeX.
    pub bibtex: &'static str,
}

/// The [`Citation`] of a work on arXiv: key, authors, title, year, number.
#[macro_export]
macro_rules! arxiv {
    ($key:literal, $author:literal, $title:literal, $year:literal, $number:literal) => {
        $crate::Citation {
            key: $key,
            bibtex: concat!(
                "@misc{",
                $key,
                ",\n  author = {",
                $author,
                "},\n  title = {{",
                $title,
                "}},\n  year = {",
                $year,
                "},\n  eprint = {",
                $number,
                "},\n  archivePrefix = {arXiv}\n}"
            ),
        }
    };
}
