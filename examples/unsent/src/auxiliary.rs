//! The auxiliary's share of a partition: it is written first and read first, and counts for
//! nothing.

use common::kv::{AuxiliaryKind, Found, Kv, KvError, Marked, Pair, Read, Write};

use crate::keys;
use crate::partition::{forget, mark, offset_of, written_mark};

/// Users that are copied at once.
const COPY_USERS: usize = 500;

/// The auxiliary, as one worker sees it.
#[derive(Debug)]
pub(crate) struct Auxiliary {
    kv: Kv,
    kind: AuxiliaryKind,
    partition: i32,
    log: String,
    /// How far a separate one is; none while that is not known.
    reached: Option<i64>,
}

impl Auxiliary {
    pub(crate) fn new(pair: &Pair, partition: i32, log: &str) -> Self {
        let (kv, kind) = (pair.auxiliary.clone(), pair.kind);
        Self { kv, kind, partition, log: log.into(), reached: None }
    }

    /// Writes what came of the records before `end`. A separate store takes it if it lacks just
    /// that; a replica takes it until its master sends the same.
    pub(crate) async fn write(&mut self, writes: &[Write], end: i64) {
        if self.kind == AuxiliaryKind::RedisReplica {
            // What it does not take it hears from its master.
            if let Err(error) = self.kv.write(writes).await {
                tracing::debug!(%error, self.partition, "the replica was not written to");
            }
            return;
        }
        // One that is ahead knows it: this worker does again what the master has lost.
        let Some(reached) = self.reached.filter(|reached| *reached <= end) else { return };
        let expected = Some(written_mark(&self.log, reached));
        let mark = mark(self.partition, &self.log, expected, end);
        let marked = self.kv.write_marked(&mark, writes).await;
        self.reached = matches!(marked, Ok(Marked::Written)).then_some(end);
    }

    /// Looks how far a separate store is, and copies the partition from the master if it has
    /// missed something. The master must be as far as `end`.
    pub(crate) async fn catch_up(&mut self, master: &Kv, end: i64) {
        if self.kind == AuxiliaryKind::RedisReplica || self.reached.is_some() {
            return;
        }
        match self.try_catch_up(master, end).await {
            Ok(reached) => self.reached = reached,
            Err(error) => tracing::debug!(%error, self.partition, "the auxiliary is not there"),
        }
    }

    async fn try_catch_up(&self, master: &Kv, end: i64) -> Result<Option<i64>, KvError> {
        let field = Read::Field(keys::MARKS.into(), self.partition.to_string());
        let held = self.kv.read(&[field]).await?.into_iter().next().and_then(Found::into_text);
        if let Some(reached) = offset_of(held.as_deref(), &self.log)
            && reached >= end
        {
            return Ok(Some(reached));
        }
        tracing::debug!(self.partition, "the auxiliary is filled from the master");
        let field = self.partition.to_string();
        let unsaid = [
            Write::RemoveField(keys::MARKS.into(), field.clone()),
            Write::RemoveField(keys::ALIVE.into(), field),
        ];
        self.kv.write(&unsaid).await?;
        forget(&self.kv, self.partition).await?;
        copy(master, &self.kv, self.partition).await?;
        let mark = mark(self.partition, &self.log, None, end);
        let marked = self.kv.write_marked(&mark, &[]).await?;
        Ok((marked == Marked::Written).then_some(end))
    }
}

/// Copies everything about the users of a partition.
async fn copy(from: &Kv, to: &Kv, partition: i32) -> Result<(), KvError> {
    let all = keys::users(partition);
    let users: Vec<_> = from.members(&all).await?.into_iter().collect();
    for users in users.chunks(COPY_USERS) {
        let reads: Vec<_> = users.iter().map(|user| Read::Fields(keys::details(user))).collect();
        let details = from.read(&reads).await?.into_iter().map(Found::into_fields);
        let mut writes = Vec::new();
        let mut texts = Vec::new();
        for (user, details) in users.iter().zip(details) {
            writes.push(Write::AddMember(all.clone(), user.clone()));
            for (sender, summary) in details {
                texts.push(keys::texts(user, &sender));
                writes.push(Write::AddMember(keys::senders(user), sender.clone()));
                writes.push(Write::SetField(keys::details(user), sender, summary));
            }
        }
        let reads: Vec<_> = texts.iter().cloned().map(Read::Fields).collect();
        let bodies = from.read(&reads).await?.into_iter().map(Found::into_fields);
        for (key, bodies) in texts.into_iter().zip(bodies) {
            let bodies = bodies.into_iter();
            writes.extend(bodies.map(|(offset, body)| Write::SetField(key.clone(), offset, body)));
        }
        to.write(&writes).await?;
    }
    Ok(())
}
