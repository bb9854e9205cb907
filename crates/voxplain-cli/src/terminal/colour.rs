//! Colours on stderr, where they are wanted.

use std::{ffi::OsString, io::IsTerminal as _};

/// Codes of colours (ECMA-48): bold red, yellow, cyan.
pub(super) const RED: &str = "1;31";
pub(super) const YELLOW: &str = "33";
pub(super) const CYAN: &str = "36";

/// Whether stderr takes colours: a terminal that is not dumb, and `NO_COLOR` (<https://no-color.org>) absent or empty.
pub(crate) fn colours() -> bool {
    wants_colours(std::io::stderr().is_terminal(), std::env::var_os("NO_COLOR"), std::env::var_os("TERM"))
}

fn wants_colours(terminal: bool, no_color: Option<OsString>, term: Option<OsString>) -> bool {
    terminal && no_color.is_none_or(|v| v.is_empty()) && term.is_none_or(|t| t != "dumb")
}

pub(super) fn painted(text: &str, code: &str, colours: bool) -> String {
    if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_they_are_wanted() {
        let set = |v: &str| Some(OsString::from(v));
        assert!(wants_colours(true, None, set("xterm")) && wants_colours(true, set(""), None));
        assert!(!wants_colours(false, None, set("xterm")), "a pipe");
        assert!(!wants_colours(true, set("1"), set("xterm")) && !wants_colours(true, None, set("dumb")));
    }
}
