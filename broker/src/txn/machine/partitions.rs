//! What takes part in a transaction.

use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{Generation, Producer, State, Transaction, Turn};

/// Partitions, by the names of their topics.
pub(crate) type Partitions = BTreeMap<Str, BTreeSet<i32>>;

impl Transaction {
    /// Adds partitions to the transaction, and begins one if need be.
    pub(crate) fn add(
        &mut self,
        producer: Producer,
        added: &Partitions,
        generation: Generation,
        turn: &mut Turn,
    ) -> Result<(), ErrorCode> {
        self.check_settled()?;
        self.check(producer)?;
        let is_ongoing = self.state == State::Ongoing;
        if is_ongoing && added.iter().all(|(topic, indexes)| self.has_all(topic, indexes)) {
            return Ok(());
        }
        if !is_ongoing {
            self.started_ms = Some(turn.now_ms);
        }
        for (topic, indexes) in added {
            match self.partitions.get_mut(topic) {
                Some(known) => known.extend(indexes),
                None => drop(self.partitions.insert(topic.detached(), indexes.clone())),
            }
        }
        self.generation = generation;
        self.enter(State::Ongoing, self.producer, turn);
        Ok(())
    }

    /// Whether a partition takes part in the open transaction of a producer.
    pub(crate) fn verify(
        &self,
        producer: Producer,
        topic: &str,
        index: i32,
    ) -> Result<(), ErrorCode> {
        self.check(producer)?;
        self.check_settled()?;
        let indexes = self.partitions.get(topic);
        let takes_part = indexes.is_some_and(|indexes| indexes.contains(&index));
        if takes_part { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    fn has_all(&self, topic: &str, indexes: &BTreeSet<i32>) -> bool {
        self.partitions.get(topic).is_some_and(|known| known.is_superset(indexes))
    }
}
