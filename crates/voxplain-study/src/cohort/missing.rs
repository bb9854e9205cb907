//! [`is_missing`]: what stands for no value in a table of people; [`doubtful`]: what may.

use crate::spelling::number;
use std::collections::BTreeSet;
use voxplain_core::lookalike::look;

/// Words that stand for no value, in any case, whatever signs are in and around them: `N.A.`, `<NA>`, `#N/A`, `(not available)`.
const WORDS: [&str; 21] = [
    "na",
    "nacharacter",
    "nainteger",
    "nareal",
    "missingvalue",
    "missingdata",
    "nan",
    "none",
    "null",
    "nil",
    "unknown",
    "unk",
    "unkn",
    "notknown",
    "missing",
    "notavailable",
    "notrecorded",
    "notreported",
    "nodata",
    "novalue",
    "undefined",
];

/// Signs that may stand in and around these words, or alone, as `--` and `?` do. A `+` is none of them: it is a result.
const SIGNS: &[char] =
    &['-', '_', '.', '?', '/', ' ', '<', '>', '(', ')', '[', ']', '{', '}', '#', '!', '*', '\'', '"'];

/// How PLINK codes a phenotype that is missing. 999 is not taken for missing without being asked: it may as well be a code.
const MISSING_NUMBER: f64 = -9.0;

/// Whether a cell stands for no value, by the usual words or by more of them. Numbers are compared as numbers, words without
/// regard to case and to what is not seen (`999` is `999.0`).
pub fn is_missing(cell: &str, more: &[String]) -> bool {
    let cell = look(cell);
    // What a spreadsheet says instead of a value, in any language: #DIV/0!, #WERT!, #NOM?, #NV.
    let error = cell.starts_with('#') && (cell.ends_with(['!', '?']) || ["#nv", "#n/v", "#n/d"].contains(&&*cell));
    // #N/A N/A, and 1.#IND and -1.#QNAN of C on Windows.
    let error = error || cell.starts_with("#n/a") || ["#ind", "#qnan", "#snan"].iter().any(|nan| cell.contains(nan));
    let bare: String = cell.chars().filter(|c| !SIGNS.contains(c)).collect();
    // Stata and SAS number their reasons for no value: .a to .z.
    let reason = cell.strip_prefix('.').is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_lowercase());
    let usual = error || reason || bare.is_empty() || WORDS.contains(&&*bare) || number(&cell) == Some(MISSING_NUMBER);
    usual || more.iter().any(|word| same(&cell, &look(word)))
}

/// Whether a cell is a word that stands for no value.
fn same(cell: &str, word: &str) -> bool {
    !word.is_empty() && (cell == word || number(cell).is_some_and(|n| number(word) == Some(n)))
}

/// Words for no value that no cell is; without those that a table is read without (nothing, `n/a`, `NA`, `NaN`).
pub(crate) fn unmatched<'a, 'c>(
    words: &'a [String],
    cells: impl Iterator<Item = &'c str> + Clone,
) -> impl Iterator<Item = &'a String> {
    let cells: BTreeSet<String> = cells.map(look).collect();
    words.iter().filter(move |word| {
        let word = look(word);
        !["", "n/a", "na", "nan"].contains(&&*word) && !cells.iter().any(|cell| same(cell, &word))
    })
}

/// Words that may stand for no value or for a value of their own.
const DOUBTFUL: [&str; 22] = [
    "nat",
    "nd",
    "nr",
    "ns",
    "blank",
    "empty",
    "notapplicable",
    "nottested",
    "notdone",
    "notspecified",
    "unspecified",
    "dontknow",
    "refused",
    "declined",
    "prefernottosay",
    "undisclosed",
    "pending",
    "tbd",
    "todo",
    "invalid",
    "excluded",
    "error",
];

/// Values of a column that may be codes for no value: doubtful words; a number among words; a number of sevens, eights or nines, or
/// one below 0, that lies far from the others.
pub(crate) fn doubtful<'a>(values: &[&'a str]) -> Vec<&'a str> {
    // A minus of another kind is one: −99.
    let number = |value: &str| number(&look(value));
    let numbers: Vec<f64> = values.iter().filter_map(|v| number(v)).collect();
    let words = values.len() - numbers.len();
    let is_odd = |value: &&str| {
        let Some(n) = number(value) else {
            let bare: String = look(value).chars().filter(|c| !SIGNS.contains(c)).collect();
            return DOUBTFUL.contains(&&*bare);
        };
        let others = numbers.iter().filter(|other| **other != n);
        let largest = others.clone().fold(0.0f64, |most, other| most.max(other.abs()));
        let digits = n.abs().to_string();
        let code = ['7', '8', '9'].iter().any(|d| digits.chars().all(|c| c == *d)) && n.abs() > 2.0 * largest;
        let negative = n < 0.0 && numbers.len() > 2 && others.clone().all(|other| *other >= 0.0);
        let alone = numbers.len() == 1 && words > 1;
        (code && (words > 0 || numbers.len() > 2)) || negative || alone
    };
    values.iter().copied().filter(|value| is_odd(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing() {
        for word in [
            "None",
            "NULL",
            "#N/A",
            "-",
            "unknown",
            "-9",
            " . ",
            "-9.0",
            "−9",
            "missing",
            "<NA>",
            "#NULL!",
            "#DIV/0!",
            "#WERT!",
            "#NV",
            "not available",
            "Not_Available",
            "N.A.",
            "n. a.",
            "–",
            "—",
            "---",
            "...",
            "??",
            "\u{200b}",
            "n/a\u{200b}",
            "(null)",
            "not recorded",
            "-1.#IND",
            "1.#QNAN",
            "#N/A N/A",
            "NA_character_",
            "missing value",
            "UNK",
            "***",
            "*",
            ".a",
            ".Z",
        ] {
            assert!(is_missing(word, &[]), "{word}");
        }
        for word in ["999", "9", "0", "M", "no", "+", "Na+", "-1", "other", "#1", "normal", "0-9", "non"] {
            assert!(!is_missing(word, &[]), "{word}");
        }
    }

    #[test]
    fn more_words_are_compared_as_numbers_where_they_are() {
        for (cell, word) in
            [("999", "999"), ("999.0", "999"), ("999", "9.99e2"), ("-99", "-99.00"), ("X", "x"), ("x\u{a0}y", "x y")]
        {
            assert!(is_missing(cell, &[word.into()]), "{cell} {word}");
        }
        for (cell, word) in [("99", "999"), ("999", "-999"), ("xy", "x y"), ("M", "")] {
            assert!(!is_missing(cell, &[word.into()]), "{cell} {word}");
        }
        let words = ["999", "na", "x", "y"].map(String::from);
        let cells = ["999.0", "X", "M"];
        assert_eq!(unmatched(&words, cells.into_iter()).collect::<Vec<_>>(), ["y"]);
    }

    #[test]
    fn what_may_be_a_code() {
        for (values, odd) in [
            (&["M", "F", "-99"][..], &["-99"][..]),
            (&["M", "F", "3"], &["3"]),
            (&["0", "1", "999"], &["999"]),
            (&["1", "2", "9"], &["9"]),
            (&["0", "1", "-1"], &["-1"]),
            (&["case", "999"], &["999"]),
            (&["M", "F", "−99"], &["−99"]),
            (&["M", "F", "n.d."], &["n.d."]),
            (&["M", "F", "NaT"], &["NaT"]),
            (&["M", "F", "not applicable"], &["not applicable"]),
            (&["-1", "1"], &[]),
            (&["7", "8", "9"], &[]),
            (&["0", "1"], &[]),
            (&["1", "9"], &[]),
            (&["M", "F", "other"], &[]),
            (&["1", "2", "3", "98", "99", "100"], &[]),
        ] {
            assert_eq!(doubtful(values), odd, "{values:?}");
        }
    }
}
