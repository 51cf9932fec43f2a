//! Who is connected here: users, their connections, and a bounded queue for each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::wire::FrameOut;

/// Frames that wait for a socket, at most. A socket that is slower is closed, and its user asks
/// again for what it has missed.
const BEHIND_MAX: usize = 256;

/// The local record of the original: `username-<random number>` to connection, for each user. The
/// lock guards the map and is never held across an await.
#[derive(Debug)]
pub(super) struct Sockets {
    /// The connections of each user, the oldest first.
    users: Mutex<HashMap<String, Vec<Connection>>>,
    per_user_max: usize,
}

#[derive(Debug)]
struct Connection {
    id: String,
    queue: mpsc::Sender<FrameOut>,
    replaced: Arc<AtomicBool>,
}

/// What is sent to a connection. It ends when the connection is removed, is too slow, or makes room
/// for a newer one.
#[derive(Debug)]
pub(super) struct Queue {
    frames: mpsc::Receiver<FrameOut>,
    replaced: Arc<AtomicBool>,
}

/// Why a queue has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// More came than was taken.
    TooSlow,
    /// Its user has as many newer ones as it may.
    Replaced,
}

impl Queue {
    /// The next frame.
    pub(super) async fn next(&mut self) -> Result<FrameOut, Ended> {
        match self.frames.recv().await {
            Some(frame) => Ok(frame),
            None if self.replaced.load(Ordering::Relaxed) => Err(Ended::Replaced),
            None => Err(Ended::TooSlow),
        }
    }
}

impl Sockets {
    pub(super) fn new(per_user_max: usize) -> Self {
        Self { users: Mutex::default(), per_user_max: per_user_max.max(1) }
    }

    /// A connection more. If there are as many as there may be, the oldest makes room: it may be one
    /// whose other side is gone without a word.
    pub(super) fn add(&self, user: &str, id: &str) -> Queue {
        let (queue, frames) = mpsc::channel(BEHIND_MAX);
        let replaced = Arc::new(AtomicBool::new(false));
        let mut users = self.lock();
        let connections = users.entry(user.into()).or_default();
        if connections.len() >= self.per_user_max {
            connections.remove(0).replaced.store(true, Ordering::Relaxed);
        }
        let id = id.into();
        connections.push(Connection { id, queue, replaced: Arc::clone(&replaced) });
        Queue { frames, replaced }
    }

    /// A connection less; tells whether it was the user's last one here.
    pub(super) fn remove(&self, user: &str, id: &str) -> bool {
        let mut users = self.lock();
        let Some(connections) = users.get_mut(user) else { return true };
        connections.retain(|connection| connection.id != id);
        let is_last = connections.is_empty();
        if is_last {
            users.remove(user);
        }
        is_last
    }

    /// Sends a frame to all connections of a user; tells how many take it.
    pub(super) fn send(&self, user: &str, frame: &FrameOut) -> usize {
        let mut users = self.lock();
        let Some(connections) = users.get_mut(user) else { return 0 };
        // One that is too slow loses its queue, and closes when that is empty.
        connections.retain(|connection| connection.queue.try_send(frame.clone()).is_ok());
        connections.len()
    }

    /// Sends a frame to one connection.
    pub(super) fn send_to(&self, user: &str, id: &str, frame: FrameOut) {
        let users = self.lock();
        let mut connections = users.get(user).into_iter().flatten();
        if let Some(connection) = connections.find(|connection| connection.id == id) {
            // If it is full, the next message closes it.
            let _ = connection.queue.try_send(frame);
        }
    }

    /// Sends a frame to all connections of a user but one.
    pub(super) fn send_to_others(&self, user: &str, id: &str, frame: &FrameOut) {
        if let Some(connections) = self.lock().get_mut(user) {
            connections.retain(|connection| {
                connection.id == id || connection.queue.try_send(frame.clone()).is_ok()
            });
        }
    }

    /// Each user and connection.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let users = self.lock();
        let pairs = users.iter().flat_map(|(user, connections)| {
            connections.iter().map(|connection| (user.clone(), connection.id.clone()))
        });
        pairs.collect()
    }

    /// The same of one user.
    pub(super) fn of(&self, user: &str) -> Vec<(String, String)> {
        let users = self.lock();
        let connections = users.get(user).into_iter().flatten();
        connections.map(|connection| (user.to_owned(), connection.id.clone())).collect()
    }

    /// Whether the user has a connection here.
    pub(super) fn has(&self, user: &str) -> bool {
        self.lock().get(user).is_some_and(|connections| !connections.is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Connection>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TypedOut;

    const PONG: FrameOut = FrameOut::Typed(TypedOut::Pong);

    #[tokio::test]
    async fn all_connections_of_a_user_get_everything_until_the_last_goes() {
        let sockets = Sockets::new(2);
        let mut one = sockets.add("bob", "bob-1");
        let mut two = sockets.add("bob", "bob-2");
        assert_eq!(sockets.send("bob", &PONG), 2);
        assert_eq!([one.next().await, two.next().await], [Ok(PONG), Ok(PONG)]);
        sockets.send_to_others("bob", "bob-1", &PONG);
        assert_eq!(two.next().await, Ok(PONG));
        assert!(one.frames.try_recv().is_err());
        assert_eq!(sockets.send("alice", &PONG), 0);
        assert!(!sockets.remove("bob", "bob-1"));
        assert!(sockets.remove("bob", "bob-2"));
        assert!(sockets.all().is_empty());
    }

    #[tokio::test]
    async fn who_is_too_slow_is_let_go_and_keeps_nobody_waiting() {
        let sockets = Sockets::new(2);
        let mut slow = sockets.add("bob", "bob-1");
        for _ in 0..BEHIND_MAX {
            assert_eq!(sockets.send("bob", &PONG), 1);
        }
        assert_eq!(sockets.send("bob", &PONG), 0);
        for _ in 0..BEHIND_MAX {
            assert_eq!(slow.next().await, Ok(PONG));
        }
        assert_eq!(slow.next().await, Err(Ended::TooSlow));
    }

    /// It was: who lost the network five times was shut out until TCP gave the old sockets up.
    #[tokio::test]
    async fn the_oldest_connection_makes_room_for_one_too_many() {
        let sockets = Sockets::new(2);
        let mut oldest = sockets.add("bob", "bob-1");
        let (_second, mut newest) = (sockets.add("bob", "bob-2"), sockets.add("bob", "bob-3"));
        assert_eq!(oldest.next().await, Err(Ended::Replaced));
        assert_eq!(sockets.send("bob", &PONG), 2);
        assert_eq!(newest.next().await, Ok(PONG));
    }
}
