//! [`Screen`]: the whole terminal, taken to be drawn on and given back.

use crossterm::{
    cursor, execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use std::{
    io::stderr,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

/// Whether the terminal is in our hands and must be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal in our hands; it is given back however this is left.
pub(crate) struct Screen(());

impl Screen {
    /// Takes it.
    pub(crate) fn take() -> std::io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            // A panic is read on the screen that remains, not on the one that goes.
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Self(());
        execute!(stderr(), EnterAlternateScreen, cursor::Hide)?;
        Ok(taken)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the screen that is drawn on, if there is one: says whether there was.
pub(crate) fn give_back() -> bool {
    let taken = TAKEN.swap(false, Ordering::SeqCst);
    if taken {
        let _ = execute!(stderr(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
    taken
}

/// Whether something is drawn, so that lines would tear it.
pub(crate) fn is_drawing() -> bool {
    TAKEN.load(Ordering::SeqCst)
}
