//! Having partitions take part in a transaction before something of it is written to them.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use tokio::time::timeout;

use crate::node::Node;
use crate::partition::{Partition, Verification};
use crate::txn::machine::{Generation, Partitions, Producer};
use crate::txn::shard::command::{Add, Command};

/// Who has partitions take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inclusion {
    /// What is written to them does: clients of the second generation add nothing before.
    ByWrite,
    /// The client has added them before.
    ByClient,
}

/// A question to the coordinator: does a partition take part in the transaction of a producer?
pub(crate) struct Asking {
    partition: Arc<Partition>,
    producer: Producer,
    /// Of the batch that is to be written.
    sequence: i32,
    verification: Verification,
}

impl Asking {
    /// Begins to ask; there is nothing to ask where the producer has a transaction open.
    pub(crate) fn begin(
        partition: &Arc<Partition>,
        producer: Producer,
        sequence: i32,
    ) -> Option<Self> {
        let verification = partition.verify(producer.id, producer.epoch, sequence)?;
        Some(Self { partition: Arc::clone(partition), producer, sequence, verification })
    }

    /// The name of the partition's topic, and its index.
    pub(crate) fn place(&self) -> (Str, i32) {
        (self.partition.topic.name.clone(), self.partition.index)
    }

    /// Asks anew if a marker has come since, which made void what was asked; tells whether one has.
    fn renew(&mut self) -> bool {
        let known = self.verification;
        let Producer { id, epoch } = self.producer;
        self.verification = self.partition.verify(id, epoch, self.sequence).unwrap_or(known);
        self.verification != known
    }

    /// The coordinator has answered. Where it could not tell, the client tries again: what it sent
    /// behind this batch has to wait for it still.
    pub(super) fn answered(
        self,
        outcome: Result<(), ErrorCode>,
    ) -> Result<Verification, ErrorCode> {
        if outcome.is_err_and(|code| !is_transient(code)) {
            self.partition.refute(self.producer.id, self.producer.epoch);
        }
        outcome.map(|()| self.verification)
    }
}

/// Whether it says nothing of the transaction.
fn is_transient(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
    )
}

/// Has partitions take part in the transaction of the producer that all `askings` are about, or
/// finds out whether they do. An answer for each, in their order.
pub(crate) async fn include(
    node: &Arc<Node>,
    transactional_id: &Str,
    mut askings: Vec<Asking>,
    inclusion: Inclusion,
) -> Vec<Result<Verification, ErrorCode>> {
    let Some(producer) = askings.first().map(|asking| asking.producer) else { return Vec::new() };
    let count = askings.len();
    let outcomes = match inclusion {
        Inclusion::ByWrite => {
            vec![include_now(node, transactional_id, producer, &mut askings).await; count]
        }
        Inclusion::ByClient if node.config().transactions.verifies_partitions => {
            let (id, places) = (transactional_id, askings.iter().map(Asking::place).collect());
            let command = |answer| Command::Verify(id.clone(), producer, places, answer);
            let verified = node.transactions.ask(node, id, command).await.answer().await;
            verified.unwrap_or_else(|code| vec![Err(code); count])
        }
        Inclusion::ByClient => vec![Ok(()); count],
    };
    let answered = askings.into_iter().zip(outcomes);
    let answered = answered.map(|(asking, outcome)| asking.answered(outcome));
    match inclusion {
        Inclusion::ByWrite => answered.map(|it| it.map(Verification::that_begins)).collect(),
        Inclusion::ByClient => answered.collect(),
    }
}

/// Has partitions take part.
///
/// While the end of the last transaction is being told, it waits for a moment: clients of the
/// second generation begin the next at once, and would have to come back. A marker that comes
/// meanwhile ends what partitions are verifying; then an answer is sought that counts.
async fn include_now(
    node: &Arc<Node>,
    transactional_id: &Str,
    producer: Producer,
    askings: &mut [Asking],
) -> Result<(), ErrorCode> {
    let mut partitions = Partitions::new();
    for (topic, index) in askings.iter().map(Asking::place) {
        partitions.entry(topic).or_default().insert(index);
    }
    let add = async |is_patient| {
        let (partitions, generation) = (partitions.clone(), Generation::Second);
        let add = Add { producer, partitions, generation, is_patient };
        let command = |answer| Command::Add(transactional_id.clone(), add, answer);
        node.transactions.ask(node, transactional_id, command).await.answer().await
    };
    let mut added = add(false).await;
    if added == Err(ErrorCode::CONCURRENT_TRANSACTIONS) {
        let patience = node.config().transactions.inclusion_patience;
        added = timeout(patience, add(true)).await.unwrap_or(added);
    }
    added?;
    let mut is_void = false;
    for asking in askings {
        is_void |= asking.renew();
    }
    if is_void { add(false).await } else { Ok(()) }
}
