//! Takes everything about the users of a partition out of a store, piece by piece.

use common::kv::{Found, Kv, Mark, Marked, Read, Result, Write};

use crate::keys;

/// Users of one piece.
const USERS: usize = 100;

/// What is left to be taken out.
#[derive(Debug)]
pub(crate) struct Sweep {
    partition: i32,
    users: Vec<String>,
}

/// What came of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    /// There is more.
    More,
    /// Nothing is left.
    Done,
    /// The store is somebody else's now: nothing was done.
    Elsewhere,
}

impl Sweep {
    pub(crate) async fn begin(kv: &Kv, partition: i32) -> Result<Self> {
        let users = kv.members(&keys::users(partition)).await?.into_iter().collect();
        Ok(Self { partition, users })
    }

    /// Takes one piece out, if the mark is as expected.
    pub(crate) async fn piece(&mut self, kv: &Kv, mark: &Mark) -> Result<Swept> {
        let all = keys::users(self.partition);
        let users = &self.users[self.users.len().saturating_sub(USERS)..];
        let reads: Vec<_> = users.iter().map(|user| Read::Members(keys::senders(user))).collect();
        let senders = kv.read(&reads).await?.into_iter().map(Found::into_members);
        let mut writes = Vec::new();
        for (user, senders) in users.iter().zip(senders) {
            let texts = senders.iter().map(|sender| Write::Delete(keys::texts(user, sender)));
            writes.extend(texts);
            writes.extend([keys::senders(user), keys::details(user)].map(Write::Delete));
            writes.push(Write::RemoveMember(all.clone(), user.clone()));
        }
        let left = self.users.len() - users.len();
        if left == 0 {
            writes.push(Write::Delete(all));
        }
        if kv.write_marked(mark, &writes).await? != Marked::Written {
            return Ok(Swept::Elsewhere);
        }
        self.users.truncate(left);
        Ok(if left == 0 { Swept::Done } else { Swept::More })
    }
}
