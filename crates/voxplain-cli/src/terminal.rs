//! What people see: progress bars on a terminal, plain lines otherwise; warnings and errors. All on stderr.

#![expect(clippy::print_stderr, reason = "this is where stderr is written")]

use crate::{
    cli::Global,
    live,
    shell::{Shell, command_line},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    ffi::OsString,
    fmt::Write as _,
    io::IsTerminal as _,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use voxplain::Progress;

/// Set by the first Ctrl-C: long work then stops where it can go on from. The second one ends the program.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Asks long work to stop, and says whether it had been asked before.
pub(crate) fn interrupt() -> bool {
    INTERRUPTED.swap(true, Ordering::Relaxed)
}

/// How to go on with what was stopped.
pub(crate) fn go_on() -> String {
    format!("what is finished is kept; go on with: {}", command_line(std::env::args().skip(1)))
}

/// Progress and warnings on stderr.
#[derive(Debug)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    steps: Mutex<Vec<Step>>,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bars,
    Lines,
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
    pub(crate) fn new(global: &Global) -> Self {
        // Where a handler cannot be set, Ctrl-C ends the program at once, as it does by default.
        let _ = ctrlc::set_handler(|| {
            if interrupt() {
                live::give_back();
                std::process::exit(130);
            }
            if !live::is_drawing() {
                eprintln!("stopping after this step (Ctrl-C again: at once)");
            }
        });
        let mode = if global.no_progress || global.quiet {
            Mode::Silent
        } else if std::io::stderr().is_terminal() {
            Mode::Bars
        } else {
            Mode::Lines
        };
        let target = if mode == Mode::Bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), steps: Mutex::new(Vec::new()), mode }
    }

    /// Writes a line without tearing the bars.
    pub(crate) fn line(&self, line: &str) {
        self.bars.suspend(|| eprintln!("{line}"));
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Progress for Terminal {
    fn begin(&self, what: &str, total: usize) {
        let now = Instant::now();
        let bar = (self.mode == Mode::Bars).then(|| {
            let style = ProgressStyle::with_template("{prefix:<22} {bar:28} {pos}/{len} {per_sec} left {eta} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total as u64).with_style(style).with_prefix(what.to_owned());
            self.bars.add(bar)
        });
        self.steps().push(Step { what: what.to_owned(), total, done: 0, bar, began: now, last_line: now });
    }

    fn advance(&self, parts: usize, detail: &str) {
        let mut steps = self.steps();
        let path: String =
            steps.iter().rev().skip(1).rev().map(|s| format!("{} {}/{} > ", s.what, s.done, s.total)).collect();
        let Some(step) = steps.last_mut() else { return };
        step.done += parts;
        if let Some(bar) = &step.bar {
            bar.inc(parts as u64);
            bar.set_message(detail.to_owned());
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
            eprintln!("{line}");
        }
    }

    fn end(&self) {
        if let Some(step) = self.steps().pop() {
            if let Some(bar) = step.bar {
                bar.finish_and_clear();
            }
            if self.mode == Mode::Lines && step.began.elapsed() >= LINE_EVERY {
                eprintln!("{}: {}/{} done in {}", step.what, step.done, step.total, duration(step.began.elapsed()));
            }
        }
    }

    fn warn(&self, message: &str) {
        self.line(&format!("{} {message}", painted("warning:", YELLOW, colours())));
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

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
    if let Some(hint) = hint {
        let _ = write!(text, "\nhint: {hint}");
    }
    eprintln!("{}", coloured(&text, colours()));
}

/// Codes of colours (ECMA-48): bold red, yellow, cyan.
const RED: &str = "1;31";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Whether stderr takes colours: a terminal that is not dumb, and `NO_COLOR` (<https://no-color.org>) absent or empty.
pub(crate) fn colours() -> bool {
    wants_colours(std::io::stderr().is_terminal(), std::env::var_os("NO_COLOR"), std::env::var_os("TERM"))
}

fn wants_colours(terminal: bool, no_color: Option<OsString>, term: Option<OsString>) -> bool {
    terminal && no_color.is_none_or(|v| v.is_empty()) && term.is_none_or(|t| t != "dumb")
}

fn painted(text: &str, code: &str, colours: bool) -> String {
    if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
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

/// `3.2 a second`, `4.0 a minute`.
fn rate(done: usize, elapsed: Duration) -> String {
    let a_second = done as f64 / elapsed.as_secs_f64().max(1e-3);
    if a_second >= 1.0 { format!("{a_second:.1} a second") } else { format!("{:.1} a minute", 60.0 * a_second) }
}

/// `42 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        let set = |v: &str| Some(OsString::from(v));
        assert!(wants_colours(true, None, set("xterm")) && wants_colours(true, set(""), None));
        assert!(!wants_colours(false, None, set("xterm")), "a pipe");
        assert!(!wants_colours(true, set("1"), set("xterm")) && !wants_colours(true, None, set("dumb")));
        let text = "error: a hint: is no hint\nhint: b";
        assert_eq!(coloured(text, false), text);
        assert_eq!(coloured(text, true), "\x1b[1;31merror:\x1b[0m a hint: is no hint\n\x1b[36mhint:\x1b[0m b");
    }

    #[test]
    fn rates_read_well() {
        assert_eq!(rate(32, Duration::from_secs(10)), "3.2 a second");
        assert_eq!(rate(2, Duration::from_secs(30)), "4.0 a minute");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_secs(42)), "42 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_secs(7500)), "2 h 05 min");
    }
}
