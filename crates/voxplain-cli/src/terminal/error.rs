//! An error as the user reads it.

use super::{
    brief,
    colour::{CYAN, RED, colours, painted},
    interrupt::{STOPPED, go_on},
    log::{self, Level},
    stderr,
};
use crate::shell::Shell;
use std::fmt::Write as _;
use voxplain::visible;

/// Exit status of a command that failed.
const FAILED: u8 = 1;
/// Of one that may succeed when it is run again, after some time or tidying (`EX_TEMPFAIL` of sysexits.h).
const AGAIN: u8 = 75;

/// `error: what, where`, then `hint: what to do`.
pub(crate) fn report_error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        // A transparent wrapper repeats its cause word for word.
        if !text.ends_with(&cause.to_string()) {
            let _ = write!(text, ": {cause}");
        }
    }
    let hint = error.chain().find_map(|e| {
        let ours = e.downcast_ref::<voxplain::Error>();
        if let Some(voxplain::Error::Interrupted) = ours {
            return Some(go_on());
        }
        ours.and_then(voxplain::Error::remedy)
            .or_else(|| e.downcast_ref().and_then(voxplain_volume::Error::remedy))
            .or_else(|| e.downcast_ref().and_then(voxplain_nn::Error::remedy))
            .map(|remedy| remedy.render(&Shell))
    });
    if log::as_json() {
        let message = text.trim_start_matches("error: ").to_owned();
        let hint = hint.map(|hint| ("hint", brief(&hint).into()));
        let fields = [("message", brief(&message).into()), ("status", status(error).into())];
        return log::line(Level::Error, fields.into_iter().chain(hint));
    }
    let mut text = brief(&text);
    if let Some(hint) = hint {
        let _ = write!(text, "\nhint: {}", brief(&hint));
    }
    stderr::line(&coloured(&visible(&text), colours()));
}

/// What is wrong with a command line, which repeats parts of it.
pub(crate) fn wrong_usage(text: &str) {
    // The line was not understood, but this word of it is.
    if std::env::args_os().any(|word| word == "--log-json") {
        log::begin();
        let message = text.trim().trim_start_matches("error: ");
        return log::line(Level::Error, [("message", message.into()), ("status", 2.into())]);
    }
    stderr::line(&coloured(&visible(text.trim_end()), colours()));
}

/// Exit status of a command that ended with this error.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    let ours = |e: &(dyn std::error::Error + 'static)| {
        let error = e.downcast_ref::<voxplain::Error>()?;
        Some(match error {
            voxplain::Error::Interrupted => STOPPED,
            error if error.is_transient() => AGAIN,
            _ => FAILED,
        })
    };
    // What the system said of stdout has no file.
    let system = |e: &(dyn std::error::Error + 'static)| {
        let again = voxplain::Fault::of(e.downcast_ref::<std::io::Error>()?).is_transient();
        Some(if again { AGAIN } else { FAILED })
    };
    error.chain().find_map(|e| ours(e).or_else(|| system(e))).unwrap_or(FAILED)
}

/// The words `error:` and `hint:` at the beginning of lines in colour.
fn coloured(text: &str, colours: bool) -> String {
    let line = |line: &str| match (line.strip_prefix("error:"), line.strip_prefix("hint:")) {
        (Some(rest), _) => format!("{}{rest}", painted("error:", RED, colours)),
        (_, Some(rest)) => format!("{}{rest}", painted("hint:", CYAN, colours)),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_begin_lines_are_coloured() {
        let text = "error: a hint: is no hint\nhint: b";
        assert_eq!(coloured(text, false), text);
        assert_eq!(coloured(text, true), "\x1b[1;31merror:\x1b[0m a hint: is no hint\n\x1b[36mhint:\x1b[0m b");
    }
}
