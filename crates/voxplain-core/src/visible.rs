//! [`visible`]: text of which every character is seen, and that no terminal obeys.

use crate::lookalike::is_invisible;
use std::borrow::Cow;

/// A text with its hidden characters written out (`\u{1b}`): what a terminal obeys (ESC, BEL and other controls, a line return), what
/// puts characters in another order (bidirectional overrides, UAX #9), and what is not seen. Ends of lines and tabs stay.
///
/// Names of files and texts in them come from anywhere; whatever is shown of them goes through this.
///
/// ```
/// use voxplain_core::visible;
/// assert_eq!(visible("sub-1\x1b[2J"), "sub-1\\u{1b}[2J");
/// assert_eq!(visible("M\u{fc}ller, 12 °C\n"), "M\u{fc}ller, 12 °C\n");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    written_out(text, is_hidden)
}

/// A document of JSON with its hidden characters as `\u202e`, so that it holds the same values.
///
/// ```
/// use voxplain_core::visible_json;
/// assert_eq!(visible_json("{\"a\": \"b\u{202e}\u{e0041}\"}"), "{\"a\": \"b\\u202e\\udb40\\udc41\"}");
/// ```
pub fn visible_json(document: &str) -> Cow<'_, str> {
    let hidden =
        |c: char| !c.is_ascii_control() && (c.is_control() || is_separator(c) || is_invisible(c)) || c == '\u{7f}';
    if !document.contains(hidden) {
        return Cow::Borrowed(document);
    }
    let mut all = String::with_capacity(document.len());
    for c in document.chars() {
        match c {
            c if hidden(c) => {
                for half in c.encode_utf16(&mut [0; 2]) {
                    all.push_str(&format!("\\u{half:04x}"));
                }
            }
            c => all.push(c),
        }
    }
    Cow::Owned(all)
}

/// A text as a string of TOML, in quotes, with its hidden characters as `\u202E`, so that it is the same text.
///
/// ```
/// use voxplain_core::visible_toml;
/// assert_eq!(visible_toml("a\u{202e}\u{e0041}\"\n"), r#""a\u202E\U000E0041\"\n""#);
/// ```
pub fn visible_toml(text: &str) -> String {
    let mut all = String::with_capacity(text.len() + 2);
    all.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => all.extend(['\\', c]),
            '\n' => all.push_str("\\n"),
            '\t' => all.push_str("\\t"),
            c if c.is_control() || is_separator(c) || is_invisible(c) => match c as u32 {
                code @ ..=0xffff => all.push_str(&format!("\\u{code:04X}")),
                code => all.push_str(&format!("\\U{code:08X}")),
            },
            c => all.push(c),
        }
    }
    all.push('"');
    all
}

/// Characters that are told to, as `\u{1b}`.
pub(crate) fn written_out(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut all = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hidden(c) { all.extend(c.escape_unicode()) } else { all.push(c) }
    }
    Cow::Owned(all)
}

/// Whether a character of a text within a line is one that nobody sees, that a terminal obeys or that puts others in another order.
pub(crate) fn is_hidden(c: char) -> bool {
    !matches!(c, '\n' | '\t') && (c.is_control() || is_separator(c) || is_invisible(c))
}

/// Ends of lines and paragraphs that are no line feed.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_written_out() {
        assert_eq!(visible("a\x1b[31mb\u{9b}c\n\td\x07"), "a\\u{1b}[31mb\\u{9b}c\n\td\\u{7}");
        // A name that ends in `gpj.exe` and is shown as if it ended in `exe.jpg`; one that overwrites its line.
        assert_eq!(visible("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(visible("safe\rother"), "safe\\u{d}other");
        for hidden in
            ['\u{2066}', '\u{2069}', '\u{200f}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{2028}', '\u{e0041}', '\u{85}']
        {
            let text = format!("a{hidden}b");
            assert_eq!(visible(&text), format!("a\\u{{{:x}}}b", hidden as u32));
        }
        assert!(matches!(visible("Żółć 한국 × \u{2812}\u{2502}"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn toml_keeps_its_text(text in any::<String>(), hidden in "[\u{0}-\u{20}\u{7f}-\u{a0}\u{200b}-\u{206f}]{0,8}") {
            let text = format!("{text}{hidden}");
            let shown = visible_toml(&text);
            prop_assert_eq!(visible(&shown), shown.as_str());
            prop_assert!(!shown.contains(['\n', '\t']));
            // But for the escapes of eight digits a string of TOML is one of JSON.
            if !shown.contains("\\U") {
                prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
            }
        }

        #[test]
        fn json_keeps_its_values(text in any::<String>(), hidden in "[\u{0}-\u{20}\u{7f}-\u{a0}\u{200b}-\u{206f}]{0,8}") {
            let value = serde_json::json!({ "a": [format!("{text}{hidden}")] });
            let document = serde_json::to_string_pretty(&value).unwrap();
            let shown = visible_json(&document);
            prop_assert_eq!(visible(&shown), shown.as_ref());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
