//! Who is connected here: users, their connections, and a bounded queue for each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::wire::FrameOut;

/// Frames that wait for a socket, at most. A socket that is slower is closed, and its user asks
/// again for what it has missed.
const BEHIND_MAX: usize = 256;

/// The local record of the original: `username-<random number>` to connection, for each user. The
/// lock guards the map and is never held across an await.
#[derive(Debug)]
pub(super) struct Sockets {
    users: Mutex<HashMap<String, BTreeMap<String, mpsc::Sender<FrameOut>>>>,
    per_user_max: usize,
}

/// A user has as many sockets as it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Sockets {
    pub(super) fn new(per_user_max: usize) -> Self {
        Self { users: Mutex::default(), per_user_max }
    }

    /// A connection more: what is sent to its user comes out here. It ends when the connection is
    /// removed, or too slow.
    pub(super) fn add(
        &self,
        user: &str,
        connection: &str,
    ) -> Result<mpsc::Receiver<FrameOut>, TooMany> {
        let mut users = self.lock();
        let connections = users.entry(user.into()).or_default();
        if connections.len() >= self.per_user_max {
            return Err(TooMany);
        }
        let (sender, receiver) = mpsc::channel(BEHIND_MAX);
        connections.insert(connection.into(), sender);
        Ok(receiver)
    }

    /// A connection less; tells whether it was the user's last one here.
    pub(super) fn remove(&self, user: &str, connection: &str) -> bool {
        let mut users = self.lock();
        let Some(connections) = users.get_mut(user) else { return true };
        connections.remove(connection);
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
        connections.retain(|_, queue| queue.try_send(frame.clone()).is_ok());
        connections.len()
    }

    /// Sends a frame to one connection.
    pub(super) fn send_to(&self, user: &str, connection: &str, frame: FrameOut) {
        if let Some(queue) = self.lock().get(user).and_then(|all| all.get(connection)) {
            // If it is full, the next message closes it.
            let _ = queue.try_send(frame);
        }
    }

    /// Each user and connection.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let users = self.lock();
        let pairs = users.iter().flat_map(|(user, connections)| {
            connections.keys().map(|connection| (user.clone(), connection.clone()))
        });
        pairs.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<String, mpsc::Sender<FrameOut>>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TypedOut;

    const PONG: FrameOut = FrameOut::Typed(TypedOut::Pong);

    #[test]
    fn all_connections_of_a_user_get_everything_until_the_last_goes() {
        let sockets = Sockets::new(2);
        let mut one = sockets.add("bob", "bob-1").unwrap();
        let mut two = sockets.add("bob", "bob-2").unwrap();
        assert_eq!(sockets.add("bob", "bob-3").unwrap_err(), TooMany);
        assert_eq!(sockets.send("bob", &PONG), 2);
        assert!(one.try_recv().is_ok() && two.try_recv().is_ok());
        assert_eq!(sockets.send("alice", &PONG), 0);
        assert!(!sockets.remove("bob", "bob-1"));
        assert!(sockets.remove("bob", "bob-2"));
        assert!(sockets.all().is_empty());
    }

    #[test]
    fn who_is_too_slow_is_let_go_and_keeps_nobody_waiting() {
        let sockets = Sockets::new(2);
        let mut slow = sockets.add("bob", "bob-1").unwrap();
        for _ in 0..BEHIND_MAX {
            assert_eq!(sockets.send("bob", &PONG), 1);
        }
        assert_eq!(sockets.send("bob", &PONG), 0);
        for _ in 0..BEHIND_MAX {
            assert!(slow.try_recv().is_ok());
        }
        assert_eq!(slow.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }
}
