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

/// Has partitions take part in the transaction of a producer, or finds out whether they do.
///
/// While the end of the last transaction is being told, it waits for a moment: clients of the second
/// generation begin the next at once, and would have to come back. A marker that comes meanwhile
/// ends what partitions are verifying; `verify_anew` says whether one did, and then an answer is
/// sought that counts.
pub(crate) async fn include(
    node: &Arc<Node>,
    id: &Str,
    producer: Producer,
    places: Vec<(Str, i32)>,
    inclusion: Inclusion,
    verify_anew: impl FnOnce() -> bool,
) -> Outcomes {
    let count = places.len();
    match inclusion {
        Inclusion::ByWrite => {
            let mut added = add(node, id, producer, &places, false).await;
            if added == Err(ErrorCode::CONCURRENT_TRANSACTIONS) {
                let patience = node.config().transactions.inclusion_patience;
                let patient = timeout(patience, add(node, id, producer, &places, true)).await;
                added = patient.unwrap_or(added);
            }
            if added.is_ok() && verify_anew() {
                added = add(node, id, producer, &places, false).await;
            }
            vec![added; count]
        }
        Inclusion::ByClient if node.config().transactions.verifies_partitions => {
            let command = |answer| Command::Verify(id.clone(), producer, places, answer);
            let verified = node.transactions.ask(node, id, command).await.answer().await;
            verified.unwrap_or_else(|code| vec![Err(code); count])
        }
        Inclusion::ByClient => vec![Ok(()); count],
    }
}

async fn add(
    node: &Arc<Node>,
    id: &Str,
    producer: Producer,
    places: &[(Str, i32)],
    is_patient: bool,
) -> Result<(), ErrorCode> {
    let mut partitions = Partitions::new();
    for (topic, index) in places {
        partitions.entry(topic.clone()).or_default().insert(*index);
    }
    let add = Add { producer, partitions, generation: Generation::Second, is_patient };
    let command = |answer| Command::Add(id.clone(), add, answer);
    node.transactions.ask(node, id, command).await.answer().await
}
