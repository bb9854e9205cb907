//! [`Live`]: a training run to be watched on the terminal, drawn on stderr.

mod view;

use crate::{
    session::Session,
    shell::Shell,
    terminal::{
        Terminal, colours, interrupt,
        screen::{self, Screen},
    },
};
use crossterm::{
    cursor,
    event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read},
    queue,
    style::{Attribute, Color, Print, SetAttribute, SetForegroundColor},
    terminal::{Clear, ClearType, size},
};
use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use view::{Ink, View};
use voxplain::{
    Progress, Remedy, Silent,
    run::Epoch,
    stats::{FoldError, FoldScore},
    train::TrainingObserver,
};

/// How often it is drawn and keys are looked at.
const EVERY: Duration = Duration::from_millis(200);

/// How deep the step of batches lies: folds, a fold, an epoch.
const BATCHES: usize = 3;

/// A training run on the terminal.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    view: Mutex<View>,
    terminal: &'a Terminal,
    began: Instant,
    ended: AtomicBool,
    warnings: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

/// Does `work` with a view of it, where there is a terminal to draw on; otherwise with lines, and says so.
pub(crate) fn watch<T>(
    session: &Session,
    title: &str,
    work: impl FnOnce(&dyn Progress, &dyn TrainingObserver) -> T,
) -> T {
    let fit = stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
    if !fit || session.global.quiet || session.global.no_progress {
        session.say("--live draws on a terminal, and there is none: progress goes on as without it");
        return work(session.progress(), &Silent);
    }
    let view = View { title: title.to_owned(), ..View::default() };
    let live = Live {
        view: Mutex::new(view),
        terminal: session.terminal(),
        began: Instant::now(),
        ended: AtomicBool::new(false),
        warnings: Mutex::new(Vec::new()),
        notes: Mutex::new(Vec::new()),
    };
    let screen = match Screen::take() {
        Ok(screen) => screen,
        Err(error) => {
            session.say(&format!("--live cannot draw here ({error}): progress goes on as without it"));
            return work(session.progress(), &Silent);
        }
    };
    let done = std::thread::scope(|scope| {
        scope.spawn(|| live.draw_until_the_end());
        // Also when the work panics: the thread above would wait for ever.
        let _end = End(&live.ended);
        work(&live, &live)
    });
    drop(screen);
    for warning in live.warnings.into_inner().unwrap_or_else(PoisonError::into_inner) {
        session.progress().warn(&warning);
    }
    for note in live.notes.into_inner().unwrap_or_else(PoisonError::into_inner) {
        session.progress().note(&note);
    }
    done
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Live<'_> {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw_until_the_end(&self) {
        // A panic gives the terminal back before the work has ended.
        while !self.ended.load(Ordering::SeqCst) && screen::is_drawing() {
            // A terminal that has gone away is no reason to end the training.
            let _ = self.draw();
            self.hear();
        }
    }

    /// Waits a moment for keys.
    fn hear(&self) {
        let key = match poll(EVERY) {
            Ok(false) => return,
            Ok(true) => match read() {
                Ok(Event::Key(key)) => key,
                _ => return,
            },
            // Without keys it is drawn all the same.
            Err(_) => return std::thread::sleep(EVERY),
        };
        let stop = matches!(key.code, KeyCode::Char('q' | 'Q'))
            || (key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL));
        if key.kind == KeyEventKind::Press && stop && interrupt() {
            screen::give_back();
            std::process::exit(130);
        }
    }

    fn draw(&self) -> std::io::Result<()> {
        let (width, height) = size()?;
        self.view().stopping = self.interrupted();
        let lines = self.view().lines(width.into(), height.into(), self.began.elapsed());
        let colours = colours();
        let mut out = stderr().lock();
        for row in 0..height {
            queue!(out, cursor::MoveTo(0, row))?;
            for (text, ink) in lines.get(usize::from(row)).into_iter().flatten() {
                if colours {
                    match ink {
                        Ink::Plain => {}
                        Ink::Soft => queue!(out, SetForegroundColor(Color::DarkGrey))?,
                        Ink::Strong => queue!(out, SetAttribute(Attribute::Bold))?,
                        Ink::Training => queue!(out, SetForegroundColor(Color::Blue))?,
                        Ink::Aside => queue!(out, SetForegroundColor(Color::Yellow))?,
                    }
                    queue!(out, Print(text), SetAttribute(Attribute::Reset))?;
                } else {
                    queue!(out, Print(text))?;
                }
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        out.flush()
    }
}

impl Progress for Live<'_> {
    fn begin(&self, what: &str, total: usize) {
        let mut view = self.view();
        view.steps.push((what.to_owned(), 0, total));
        if view.steps.len() == BATCHES {
            view.before = view.before.or(view.epochs().map(|(done, _)| done));
        }
    }

    fn advance(&self, parts: usize, _: &str) {
        let mut view = self.view();
        if let Some((_, done, _)) = view.steps.last_mut() {
            *done += parts;
        }
    }

    fn end(&self) {
        self.view().steps.pop();
    }

    fn warn(&self, message: &str) {
        self.view().warning = Some(message.to_owned());
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }

    fn advise(&self, message: &str, remedy: &Remedy) {
        self.warn(&format!("{message}; {}", remedy.render(&Shell)));
    }

    fn note(&self, message: &str) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }

    fn interrupted(&self) -> bool {
        self.terminal.interrupted()
    }
}

impl TrainingObserver for Live<'_> {
    fn epoch(&self, fold: usize, epoch: &Epoch) {
        self.view().curves.entry(fold).or_default().push(epoch.clone());
    }

    fn fold(&self, score: &FoldScore) {
        self.view().finished.push(score.clone());
    }

    fn fold_of_values(&self, error: &FoldError) {
        self.view().finished_values.push(error.clone());
    }
}
