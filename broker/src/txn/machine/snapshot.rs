//! What outlives the coordinator: the content of a record.

use super::{Generation, Partitions, Producer, State, Transaction};

/// What a record says of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) producer: Producer,
    /// The producer id before the record.
    pub(crate) previous_id: Option<i64>,
    /// What the producer's id will be when the transaction is complete, if it changes.
    pub(crate) next_id: Option<i64>,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) partitions: Partitions,
    /// When the last transaction began, by the wall clock.
    pub(crate) started_ms: Option<i64>,
    /// When the record was made, by the wall clock.
    pub(crate) updated_ms: i64,
    pub(crate) generation: Generation,
}

impl Transaction {
    /// What there is to tell of it. In the state Prepare, partitions that have their markers are
    /// not told any more; the record was made before any had.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            producer: self.producer,
            previous_id: self.previous_id,
            next_id: self.next_id,
            timeout_ms: self.timeout_ms,
            state: self.state,
            partitions: self.partitions.clone(),
            started_ms: self.started_ms,
            updated_ms: self.updated_ms,
            generation: self.generation,
        }
    }

    /// The transactional id as its last record tells.
    pub(crate) fn restore(snapshot: Snapshot) -> Self {
        Self {
            producer: snapshot.producer,
            last_epoch: None,
            previous_id: snapshot.previous_id,
            next_id: snapshot.next_id,
            timeout_ms: snapshot.timeout_ms,
            state: snapshot.state,
            partitions: snapshot.partitions,
            started_ms: snapshot.started_ms,
            updated_ms: snapshot.updated_ms,
            generation: snapshot.generation,
        }
    }
}
