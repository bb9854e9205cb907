//! Ctrl-C, and what a scheduler or a closed terminal sends: the first asks long work to stop, and what is finished is kept.

use super::{
    log::{self, Level},
    screen,
    stderr::line,
};
use crate::shell::command_line;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// Exit status of a command that was stopped: that of a shell for Ctrl-C.
pub(crate) const STOPPED: u8 = 130;

/// Set by the first one: long work then stops where it can go on from. The second one ends the program.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What is said of the first one, where that is not the end of a step.
static STOPPING: OnceLock<&str> = OnceLock::new();

/// Sets what is said when the command is asked to stop.
#[cfg(feature = "serve")]
pub(crate) fn say(words: &'static str) {
    let _ = STOPPING.set(words);
}

/// Listens to Ctrl-C; on Unix to SIGTERM (the time of a job is up) and SIGHUP (the terminal was closed) too. Whoever
/// started the program with one of these ignored, as `nohup` does with SIGHUP, has it ignored.
pub(super) fn listen() {
    // Where a handler cannot be set, the signal ends the program at once, as it does by default.
    let _ = ctrlc::set_handler(|| asked("Ctrl-C"));
    #[cfg(unix)]
    listen_to_signals();
}

#[cfg(unix)]
fn listen_to_signals() {
    use signal_hook::{
        consts::{SIGHUP, SIGTERM},
        iterator::Signals,
    };
    let ignored = ignored_at_start();
    let listened = [SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let Ok(mut signals) = Signals::new(listened) else { return };
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            asked(if signal == SIGTERM { "SIGTERM" } else { "SIGHUP" });
        }
    });
}

/// Signals that the program was started to ignore, bit 0 the first, as Linux has them in `/proc`. Elsewhere this cannot be
/// known without `unsafe`, and SIGHUP is left as it is.
#[cfg(unix)]
fn ignored_at_start() -> u64 {
    let elsewhere = 1 << (signal_hook::consts::SIGHUP - 1);
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return elsewhere };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(elsewhere)
}

fn asked(how: &str) {
    if interrupt() {
        screen::give_back();
        std::process::exit(STOPPED.into());
    }
    if !screen::is_drawing() {
        let what = format!("{} ({how} again: at once)", STOPPING.get().unwrap_or(&"stopping after this step"));
        if log::as_json() {
            log::message(Level::Warning, &what);
        } else {
            line(&what);
        }
    }
}

/// Asks long work to stop, and says whether it had been asked before.
pub(crate) fn interrupt() -> bool {
    INTERRUPTED.swap(true, Ordering::Relaxed)
}

/// Whether it has been asked.
pub(super) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// How to go on with what was stopped: what was made anew is not made anew again.
pub(crate) fn go_on() -> String {
    format!(
        "what is finished is kept; go on with: {}",
        command_line(std::env::args().skip(1).filter(|argument| argument != "--force"))
    )
}
