//! [`Connections`]: who is talked to, and who is left when there are too many.

use super::Shared;
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::AbortHandle;

/// Most connections of clients that have not shown the token yet.
const STRANGERS: usize = 32;
/// Most connections of clients that have: a browser opens six.
const FRIENDS: usize = 64;

/// The connections that are open. Whoever comes when there are too many takes the place of the one that has been there
/// longest; those without the token have places of their own, so that they never take one from those with it.
#[derive(Default)]
pub(super) struct Connections(Mutex<Held>);

#[derive(Default)]
struct Held {
    next: u64,
    strangers: VecDeque<(u64, AbortHandle)>,
    friends: VecDeque<(u64, AbortHandle)>,
}

impl Held {
    fn forget(&mut self, id: u64) {
        self.strangers.retain(|(held, _)| *held != id);
        self.friends.retain(|(held, _)| *held != id);
    }
}

/// Takes a connection off the list when its task ends, however it ends.
struct Place {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.held().forget(self.id);
    }
}

impl Connections {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Talks to a client, which is a stranger at first; `talk` is given the number of the connection.
    pub(super) fn hold<T>(shared: &Arc<Shared>, talk: impl FnOnce(u64) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let mut held = shared.connections.held();
        let id = held.next;
        held.next += 1;
        let place = Place { shared: Arc::clone(shared), id };
        let talk = talk(id);
        // The list is locked until the connection is on it, so that one that ends at once is taken off after.
        let task = tokio::spawn(async move {
            let _place = place;
            talk.await;
        });
        held.strangers.push_back((id, task.abort_handle()));
        if held.strangers.len() > STRANGERS {
            leave_first(&mut held.strangers);
        }
    }

    /// A client has shown the token.
    pub(super) fn knows(&self, id: u64) {
        let mut held = self.held();
        let Some(place) = held.strangers.iter().position(|(stranger, _)| *stranger == id) else { return };
        if let Some(friend) = held.strangers.remove(place) {
            held.friends.push_back(friend);
        }
        if held.friends.len() > FRIENDS {
            leave_first(&mut held.friends);
        }
    }

    /// Leaves the stranger that has been there longest.
    pub(super) fn leave_a_stranger(&self) {
        leave_first(&mut self.held().strangers);
    }
}

fn leave_first(connections: &mut VecDeque<(u64, AbortHandle)>) {
    if let Some((_, task)) = connections.pop_front() {
        task.abort();
    }
}
