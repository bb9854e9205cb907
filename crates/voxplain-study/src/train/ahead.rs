//! [`read_ahead`]: the input of the next step is read while the network is at work on this one.

use std::sync::mpsc::{Receiver, Sender, channel};
use voxplain_core::{Error, Result};

/// Inputs in memory at once: the one that is worked on, and the next.
const BUFFERS: usize = 2;

/// Inputs, in order.
pub(super) struct Inputs {
    ready: Receiver<Result<Vec<f32>>>,
    empty: Sender<Vec<f32>>,
}

impl Inputs {
    /// Calls `work` with the next input.
    ///
    /// # Errors
    /// It could not be read, or there is none; those of `work`.
    pub(super) fn next<R>(&self, work: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
        let input = self.ready.recv().map_err(|_| Error::request("there is no next input", "report this"))??;
        let found = work(&input);
        // Where all have been read, nobody takes it back.
        let _ = self.empty.send(input);
        found
    }
}

/// Calls `work` with `count` inputs, which `fill` writes one after another in a thread of its own: `fill` is given the number of the input and
/// a buffer, which holds what an earlier input left there. What it is given does not depend on when it is called, so that the same comes
/// out as if each input were read when its turn comes.
///
/// # Errors
/// Those of `fill`, when the turn of its input comes, and of `work`.
pub(super) fn read_ahead<R>(
    count: usize,
    mut fill: impl FnMut(usize, &mut Vec<f32>) -> Result<()> + Send,
    work: impl FnOnce(&Inputs) -> Result<R>,
) -> Result<R> {
    std::thread::scope(|scope| {
        let (put, ready) = channel();
        let (empty, take) = channel::<Vec<f32>>();
        for _ in 0..BUFFERS {
            let _ = empty.send(Vec::new());
        }
        scope.spawn(move || {
            for number in 0..count {
                // Who works has stopped when no buffer comes, or nobody waits for one.
                let Ok(mut buffer) = take.recv() else { break };
                let filled = fill(number, &mut buffer);
                let failed = filled.is_err();
                if put.send(filled.map(|()| buffer)).is_err() || failed {
                    break;
                }
            }
        });
        let inputs = Inputs { ready, empty };
        let found = work(&inputs);
        drop(inputs);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn inputs_come_in_order_and_no_more_than_two_are_ahead() {
        let (filled, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let fill = |n: usize, to: &mut Vec<f32>| {
            to.clear();
            to.push(n as f32);
            let before = filled.fetch_add(1, Ordering::SeqCst);
            assert!(before < done.load(Ordering::SeqCst) + BUFFERS);
            Ok(())
        };
        let sum = read_ahead(20, fill, |inputs| {
            let mut seen = Vec::new();
            for _ in 0..20 {
                // Counted before the buffer goes back: afterwards the next may be filled at once.
                seen.push(inputs.next(|input| {
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(input[0])
                })?);
            }
            assert!(inputs.next(|_| Ok(())).is_err(), "there are twenty");
            Ok(seen)
        });
        assert_eq!(sum.unwrap(), (0..20).map(|n| n as f32).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_comes_at_its_turn_and_who_stops_ends_it() {
        let fill = |n: usize, _: &mut Vec<f32>| if n == 2 { Err(Error::request("torn", "mend it")) } else { Ok(()) };
        let steps = AtomicUsize::new(0);
        let found = read_ahead(9, fill, |inputs| {
            for _ in 0..9 {
                inputs.next(|_| Ok(steps.fetch_add(1, Ordering::SeqCst)))?;
            }
            Ok(())
        });
        assert_eq!((found.unwrap_err().to_string().as_str(), steps.into_inner()), ("torn", 2));
        // The thread is joined before this returns.
        let stopped: Result<()> = read_ahead(1000, |_, _| Ok(()), |_| Err(Error::request("stop", "go on")));
        assert_eq!(stopped.unwrap_err().to_string(), "stop");
    }
}
