//! Cells as they stand in a file, [`written`] and [`read`]: what a spreadsheet would run and what a terminal would obey is written so that
//! neither does.

use crate::visible::{is_hidden, written_out};
use std::borrow::Cow;

/// A cell as it is written. A text that a spreadsheet would take for a formula gets an apostrophe in front, the sign for "text" there
/// (OWASP, CSV Injection); numbers below 0 stay numbers. Controls, characters that put others in another order and those that are not seen
/// are written as `\u{1b}`, but for tabs and ends of lines, which a quoted cell may hold.
pub(super) fn written(cell: &str) -> Cow<'_, str> {
    let literal = if cell.contains(ESCAPE) { Cow::Owned(cell.replace(ESCAPE, LITERAL)) } else { Cow::Borrowed(cell) };
    let text = match written_out(&literal, is_hidden) {
        Cow::Borrowed(_) => literal,
        Cow::Owned(text) => Cow::Owned(text),
    };
    if is_formula(text.trim_start_matches('\'')) { Cow::Owned(format!("'{text}")) } else { text }
}

/// The value of a cell that [`written`] wrote, and of one that another program wrote the same text itself.
pub(super) fn read(cell: &str) -> Cow<'_, str> {
    let text = cell.strip_prefix('\'').filter(|_| is_formula(cell.trim_start_matches('\''))).unwrap_or(cell);
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let (mut value, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(ESCAPE) {
        let (before, behind) = rest.split_at(at);
        value.push_str(before);
        let escaped = behind[ESCAPE.len()..].split_once('}').and_then(|(digits, after)| {
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            (is_hidden(c) || c == '\\').then_some((c, after))
        });
        match escaped {
            Some((c, after)) => {
                value.push(c);
                rest = after;
            }
            None => {
                value.push_str(ESCAPE);
                rest = &behind[ESCAPE.len()..];
            }
        }
    }
    value.push_str(rest);
    Cow::Owned(value)
}

/// How an escaped character begins.
const ESCAPE: &str = r"\u{";
/// The same where it stands in the value itself.
const LITERAL: &str = r"\u{5c}u{";

/// Whether a spreadsheet would take a text for a formula: it begins as one, names or calculates something, and is no number.
fn is_formula(text: &str) -> bool {
    let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    text.starts_with(begins)
        && text.contains(char::is_alphanumeric)
        && text.replacen(',', ".", 1).parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_texts_and_numbers_are_numbers() {
        for (cell, file) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
            ("+ve", "'+ve"),
            ("\t=1", "'\t=1"),
            ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
            ("'=1", "''=1"),
            ("'tis", "'tis"),
            ("-1.5", "-1.5"),
            ("+2e-3", "+2e-3"),
            ("-1,5", "-1,5"),
            ("-inf", "-inf"),
            ("-", "-"),
            ("+", "+"),
            ("a=b", "a=b"),
            ("a\x1b[2Jb\u{202e}", r"a\u{1b}[2Jb\u{202e}"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("\r=1", r"\u{d}=1"),
            (r"\u{1b}", r"\u{5c}u{1b}"),
        ] {
            assert_eq!((written(cell).as_ref(), read(file).as_ref()), (file, cell));
        }
        // What nobody escaped.
        assert_eq!(read(r"C:\u{zz}\u{41}\u{"), r"C:\u{zz}\u{41}\u{");
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was(
            cell in "['=+@a1\\-\\\\u{}\u{1b}\u{202e}\u{200b}\t\r\n \u{ff1d}.,e]{0,10}", anything in any::<String>()
        ) {
            for value in [cell, anything] {
                let file = written(&value);
                prop_assert_eq!(read(&file), value.as_str());
                prop_assert!(!file.contains(is_hidden));
                prop_assert!(!is_formula(&file), "{}", file);
            }
        }
    }
}
