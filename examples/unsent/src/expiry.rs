//! Finds what has waited for longer than the log can tell of it. Without this a store would only
//! grow: names that nobody has never ask for what was written to them.

use std::time::Duration;

use common::kv::{Found, Kv, Read, Result};
use tokio::time::Instant;

use crate::keys;
use crate::waiting::read_summary;
use crate::wire::HandedOver;

/// Users of one piece.
const USERS: usize = 100;
/// From the beginning of one round through all users to that of the next, at least.
const ROUND: Duration = Duration::from_secs(60 * 60);

/// Rounds through the users of a partition, piece by piece.
#[derive(Debug)]
pub(crate) struct Expiry {
    partition: i32,
    users: Vec<String>,
    next_round: Instant,
}

impl Expiry {
    pub(crate) fn new(partition: i32) -> Self {
        Self { partition, users: Vec::new(), next_round: Instant::now() }
    }

    /// The next piece: for those who have written nothing since then, the word that all of theirs
    /// was handed over.
    pub(crate) async fn piece(&mut self, kv: &Kv, since_ms: i64) -> Result<Vec<HandedOver>> {
        if self.users.is_empty() {
            if Instant::now() < self.next_round {
                return Ok(Vec::new());
            }
            self.users = kv.members(&keys::users(self.partition)).await?.into_iter().collect();
            self.next_round = Instant::now() + ROUND;
        }
        let left = self.users.len().saturating_sub(USERS);
        let some = &self.users[left..];
        let reads: Vec<_> = some.iter().map(|user| Read::Fields(keys::details(user))).collect();
        let found = kv.read(&reads).await?.into_iter().map(Found::into_fields);
        let mut old = Vec::new();
        for (touser, details) in some.iter().zip(found) {
            let senders = details.iter().filter_map(|(name, summary)| read_summary(name, summary));
            for sender in senders.filter(|sender| sender.last_at < since_ms) {
                old.push(HandedOver {
                    touser: touser.clone(),
                    fromuser: sender.fromuser,
                    upto_offset: Some(sender.last_offset),
                    message_ids: Vec::new(),
                });
            }
        }
        self.users.truncate(left);
        Ok(old)
    }
}

#[cfg(test)]
mod tests {
    use common::kv::Write;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_round_finds_who_has_written_nothing_for_long() {
        let kv = Kv::memory();
        for n in 0..250 {
            let user = format!("user{n:03}");
            let summary = |last_at| format!("1|{last_at}|{last_at}|7|hi");
            let details = keys::details(&user);
            kv.write(&[
                Write::AddMember(keys::users(3), user),
                Write::SetField(details.clone(), "lately".into(), summary(1_000)),
                Write::SetField(details, "long ago".into(), summary(999)),
            ])
            .await
            .unwrap();
        }
        let mut expiry = Expiry::new(3);
        for pieces in [[100, 100, 50, 0], [100, 100, 50, 0]] {
            for expected in pieces {
                let old = expiry.piece(&kv, 1_000).await.unwrap();
                assert_eq!(old.len(), expected);
                let is_old = |one: &HandedOver| one.fromuser == "long ago";
                assert!(old.iter().all(|one| is_old(one) && one.upto_offset == Some(7)));
            }
            tokio::time::advance(ROUND).await;
        }
    }
}
