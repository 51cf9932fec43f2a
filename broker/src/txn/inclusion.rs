//! Having partitions take part in a transaction before something of it is written to them.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use tokio::time::timeout;

use crate::node::Node;
use crate::txn::machine::{Generation, Partitions, Producer};
use crate::txn::shard::command::{Add, Command, Outcomes};

/// Who has partitions take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inclusion {
    /// What is written to them does: clients of the second generation add nothing before.
    ByWrite,
    /// The client has added them before.
    ByClient,
}

/// What is to take part in the transaction of a producer.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) transactional_id: &'a Str,
    pub(crate) producer: Producer,
    /// Partitions, each with the name of its topic.
    pub(crate) places: Vec<(Str, i32)>,
}

/// Has partitions take part in the transaction of a producer, or finds out whether they do.
///
/// While the end of the last transaction is being told, it waits for a moment: clients of the second
/// generation begin the next at once, and would have to come back. A marker that comes meanwhile
/// ends what partitions are verifying; `verify_anew` says whether one did, and then an answer is
/// sought that counts.
pub(crate) async fn include(
    node: &Arc<Node>,
    part: Part<'_>,
    inclusion: Inclusion,
    verify_anew: impl FnOnce() -> bool,
) -> Outcomes {
    let count = part.places.len();
    match inclusion {
        Inclusion::ByWrite => {
            let mut added = add(node, &part, false).await;
            if added == Err(ErrorCode::CONCURRENT_TRANSACTIONS) {
                let patience = node.config().transactions.inclusion_patience;
                let patient = timeout(patience, add(node, &part, true)).await;
                added = patient.unwrap_or(added);
            }
            if added.is_ok() && verify_anew() {
                added = add(node, &part, false).await;
            }
            vec![added; count]
        }
        Inclusion::ByClient if node.config().transactions.verifies_partitions => {
            let Part { transactional_id: id, producer, places } = part;
            let command = |answer| Command::Verify(id.clone(), producer, places, answer);
            let verified = node.transactions.ask(node, id, command).await.answer().await;
            verified.unwrap_or_else(|code| vec![Err(code); count])
        }
        Inclusion::ByClient => vec![Ok(()); count],
    }
}

async fn add(node: &Arc<Node>, part: &Part<'_>, is_patient: bool) -> Result<(), ErrorCode> {
    let Part { transactional_id: id, producer, places } = part;
    let mut partitions = Partitions::new();
    for (topic, index) in places {
        partitions.entry(topic.clone()).or_default().insert(*index);
    }
    let generation = Generation::Second;
    let add = Add { producer: *producer, partitions, generation, is_patient };
    let command = |answer| Command::Add((*id).clone(), add, answer);
    node.transactions.ask(node, id, command).await.answer().await
}
