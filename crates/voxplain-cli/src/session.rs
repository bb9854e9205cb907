//! [`Session`]: the global flags at work: where results, progress and warnings go.

use crate::{
    shell::command_line,
    terminal::{STOPPED, Terminal},
};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::{
    io::Write as _,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
};
use voxplain::{Allotted, Error, Progress, nn, plural::counted, visible, visible_json};

/// Flags that every verb understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Number of threads [default: all cores, or as many as the job was given]. Results do not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print the result as one JSON document on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more of what is done.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Say nothing but results, warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// No progress bars or lines.
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Progress, notes, warnings and errors on stderr as JSON objects, one a line.
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was asked for is there.
    Done,
    /// Something is missing (a subject that could not be read, say); it was named on stderr.
    Incomplete,
    /// The user stopped it; what is finished is kept.
    Stopped,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Incomplete => Self::FAILURE,
            Outcome::Stopped => STOPPED.into(),
        }
    }
}

/// The global flags at work.
#[derive(Debug)]
pub(crate) struct Session {
    /// What was typed.
    pub(crate) global: Global,
    terminal: Terminal,
    /// Results kept back, to be printed as one document.
    kept: Mutex<Option<Vec<Value>>>,
}

impl Session {
    pub(crate) fn new(mut global: Global) -> Self {
        let terminal = Terminal::new(global.no_progress, global.quiet, global.log_json);
        if global.threads.is_none() {
            global.threads = threads_of_job(&terminal);
        }
        if let Some(threads) = global.threads {
            // Fails only where the pool exists already, which it cannot here.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global();
        }
        Self { global, terminal, kept: Mutex::new(None) }
    }

    /// Does work of several results; under `--json` they are printed as one list at its end, even where it failed.
    pub(crate) fn in_one_document(&self, work: impl FnOnce() -> anyhow::Result<Outcome>) -> anyhow::Result<Outcome> {
        if self.global.json {
            *self.kept() = Some(Vec::new());
        }
        let outcome = work();
        let kept = self.kept().take();
        if let Some(documents) = kept {
            self.result(&documents, "")?;
        }
        outcome
    }

    fn kept(&self) -> MutexGuard<'_, Option<Vec<Value>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the library's progress and warnings go.
    pub(crate) fn progress(&self) -> &dyn Progress {
        &self.terminal
    }

    /// The terminal itself.
    pub(crate) const fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The engine, with `--threads`.
    pub(crate) fn engine(&self) -> voxplain::Result<nn::Engine> {
        let threads = self.global.threads.map(usize::from);
        Ok(nn::Engine::new(nn::EngineOptions { threads, ..nn::EngineOptions::default() })?)
    }

    /// Prints the result: `document` under `--json`, else `text`, all characters of it visible. The only thing that reaches stdout.
    pub(crate) fn result(&self, document: &impl Serialize, text: &str) -> anyhow::Result<()> {
        if let Some(kept) = self.kept().as_mut() {
            kept.push(serde_json::to_value(document)?);
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        let written = if self.global.json {
            writeln!(out, "{}", visible_json(&serde_json::to_string_pretty(document)?))
        } else {
            writeln!(out, "{}", visible(text.trim_end()))
        };
        match written {
            // The reader has seen enough (`voxplain ... | head`): not an error.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other.map_err(Error::io("standard output"))?),
        }
    }

    /// The command that comes next, for the user: its verb, what it is of, and the rest. A file whose name begins like a flag
    /// is a file all the same.
    pub(crate) fn next<'a>(&self, words: impl IntoIterator<Item = &'a str>) {
        let words = words.into_iter().enumerate().map(|(n, word)| match n {
            1 if word.starts_with('-') => format!("./{word}"),
            _ => word.to_owned(),
        });
        self.say(&format!("next: {}", command_line(words)));
    }

    /// A line on stderr for the user (not under `--quiet` or `--json`): what was done, what to do next.
    pub(crate) fn say(&self, line: &str) {
        if !self.global.quiet && !self.global.json {
            self.terminal.line(line);
        }
    }
}

/// How many threads a batch system gave to this job, where it is fewer than the machine shows; says so.
fn threads_of_job(terminal: &Terminal) -> Option<u16> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (given, variable) = Allotted::here().fewer_threads(cores)?;
    terminal.note(&format!("{} of {cores} cores, as the job was given ({variable})", counted(given, "thread")));
    u16::try_from(given).ok()
}
