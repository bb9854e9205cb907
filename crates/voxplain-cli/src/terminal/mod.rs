//! What people see: progress bars on a terminal, plain lines otherwise; warnings and errors. All on stderr.

mod brief;
mod colour;
mod duration;
mod error;
mod interrupt;
mod log;
pub(crate) mod screen;
mod stderr;

pub(crate) use brief::brief;
pub(crate) use colour::colours;
pub(crate) use duration::duration;
pub(crate) use error::{report_error, status, wrong_usage};
#[cfg(feature = "serve")]
pub(crate) use interrupt::say as say_when_stopped;
pub(crate) use interrupt::{STOPPED, go_on, interrupt};

use crate::shell::Shell;
use colour::{YELLOW, painted};
use duration::rate;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::Level;
use std::{
    fmt::Write as _,
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, Instant},
};
use voxplain::{Progress, Remedy, visible};

/// Progress and warnings on stderr.
#[derive(Debug)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    steps: Mutex<Vec<Step>>,
    mode: Mode,
    /// Whether notes are left out.
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bars,
    Lines,
    /// As JSON.
    Objects,
    Silent,
}

/// One step under way; steps nest.
#[derive(Debug)]
struct Step {
    what: String,
    total: usize,
    done: usize,
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
}

/// Without a terminal, a step says how far it is at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Terminal {
    /// Takes over Ctrl-C and its like. A silent one shows no progress, and a quiet one no notes either; with `json` all that is said is JSON.
    pub(crate) fn new(silent: bool, quiet: bool, json: bool) -> Self {
        interrupt::listen();
        if json {
            log::begin();
        }
        let mode = if silent || quiet {
            Mode::Silent
        } else if json {
            Mode::Objects
        } else if std::io::stderr().is_terminal() {
            Mode::Bars
        } else {
            Mode::Lines
        };
        let target = if mode == Mode::Bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), steps: Mutex::new(Vec::new()), mode, quiet }
    }

    /// Writes a line without tearing the bars, all of its characters [`visible`].
    pub(crate) fn line(&self, line: &str) {
        self.said(Level::Info, line);
    }

    /// A message of a level, behind the word for it.
    fn said(&self, level: Level, message: &str) {
        if log::as_json() {
            return log::message(level, message);
        }
        match level {
            Level::Warning => self.begun_with(&painted("warning:", YELLOW, colours()), &format!(" {message}")),
            Level::Note => self.begun_with("", &format!("note: {message}")),
            _ => self.begun_with("", message),
        }
    }

    /// How far the innermost step is, as JSON.
    fn far(steps: &[Step], detail: &str) {
        let Some(step) = steps.last() else { return };
        let path: Vec<&str> = steps.iter().map(|step| step.what.as_str()).collect();
        let fields = [
            ("step", path.join(" > ").into()),
            ("done", step.done.into()),
            ("total", step.total.into()),
            ("seconds", ((step.began.elapsed().as_secs_f64() * 10.0).round() / 10.0).into()),
        ];
        let detail = (!detail.is_empty()).then(|| ("detail", detail.into()));
        log::line(Level::Progress, fields.into_iter().chain(detail));
    }

    /// [`Terminal::line`] behind a word of our own, which may be coloured.
    fn begun_with(&self, word: &str, line: &str) {
        self.bars.suspend(|| stderr::line(&format!("{word}{}", visible(line))));
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a step is called, or what it is at: in one line, for a bar takes one.
fn on_one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

impl Progress for Terminal {
    fn begin(&self, what: &str, total: usize) {
        let (now, what) = (Instant::now(), on_one_line(what));
        let bar = (self.mode == Mode::Bars).then(|| {
            let style = ProgressStyle::with_template("{prefix:<22} {bar:28} {pos}/{len} {per_sec} left {eta} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total as u64).with_style(style).with_prefix(what.clone());
            self.bars.add(bar)
        });
        let mut steps = self.steps();
        steps.push(Step { what, total, done: 0, bar, began: now, last_line: now });
        // Short steps inside a long one would be said a thousand times.
        if self.mode == Mode::Objects && steps.len() == 1 {
            Self::far(&steps, "");
        }
    }

    fn advance(&self, parts: usize, detail: &str) {
        let (mut steps, detail) = (self.steps(), on_one_line(detail));
        let path: String =
            steps.iter().rev().skip(1).rev().map(|s| format!("{} {}/{} > ", s.what, s.done, s.total)).collect();
        let Some(step) = steps.last_mut() else { return };
        step.done += parts;
        if let Some(bar) = &step.bar {
            bar.inc(parts as u64);
            bar.set_message(detail.clone());
        }
        if self.mode == Mode::Objects && step.last_line.elapsed() >= LINE_EVERY {
            step.last_line = Instant::now();
            Self::far(&steps, &detail);
            return;
        }
        if self.mode == Mode::Lines && (step.last_line.elapsed() >= LINE_EVERY) {
            step.last_line = Instant::now();
            let mut line = format!("{path}{} {}/{}", step.what, step.done, step.total);
            if step.done > 0 && step.done < step.total {
                let elapsed = step.began.elapsed();
                let left = elapsed.mul_f64((step.total - step.done) as f64 / step.done as f64);
                let _ = write!(line, ", {}, {} left", rate(step.done, elapsed), duration(left));
            }
            if !detail.is_empty() {
                let _ = write!(line, ", {detail}");
            }
            stderr::line(&line);
        }
    }

    fn end(&self) {
        let mut steps = self.steps();
        if self.mode == Mode::Objects && steps.len() == 1 {
            Self::far(&steps, "");
        }
        if let Some(step) = steps.pop() {
            if let Some(bar) = step.bar {
                bar.finish_and_clear();
            }
            if self.mode == Mode::Lines && step.began.elapsed() >= LINE_EVERY {
                let took = duration(step.began.elapsed());
                stderr::line(&format!("{}: {}/{} done in {took}", step.what, step.done, step.total));
            }
        }
    }

    fn advise(&self, message: &str, remedy: &Remedy) {
        self.warn(&format!("{message}; {}", remedy.render(&Shell)));
    }

    fn warn(&self, message: &str) {
        self.said(Level::Warning, &brief(message));
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            self.said(Level::Note, &brief(message));
        }
    }

    fn interrupted(&self) -> bool {
        interrupt::interrupted()
    }
}
