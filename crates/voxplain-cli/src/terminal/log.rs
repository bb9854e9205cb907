//! What is said on stderr as JSON objects, one a line, for programs that watch a job (`--log-json`).

use super::stderr;
use serde_json::{Map, Value};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};
use voxplain::visible_json;

/// Whether lines are written so.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on.
pub(super) fn begin() {
    AS_JSON.store(true, Ordering::Relaxed);
}

pub(super) fn as_json() -> bool {
    AS_JSON.load(Ordering::Relaxed)
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// How far a step is.
    Progress,
    /// What was done.
    Info,
    /// What should be known.
    Note,
    /// What may be wrong.
    Warning,
    /// Why nothing came of it.
    Error,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Info => "info",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A line: the time in seconds since 1970 (UTC), the level, and these fields.
pub(super) fn line(level: Level, fields: impl IntoIterator<Item = (&'static str, Value)>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = (now.as_secs_f64() * 1e3).round() / 1e3;
    let all: Map<String, Value> = [("time", Value::from(time)), ("level", level.word().into())]
        .into_iter()
        .chain(fields)
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    stderr::line(&visible_json(&Value::Object(all).to_string()));
}

/// A line of one message.
pub(super) fn message(level: Level, text: &str) {
    line(level, [("message", text.into())]);
}
