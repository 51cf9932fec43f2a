//! The end of a transaction, in the background: whoever wanted it may have gone.

use std::sync::Arc;

use klamm_client::Result;
use klamm_protocol::records::BatchProducer;

use super::Transactions;
use super::coordinator::{ask_end, init};
use super::machine::{End, Generation};
use super::meaning::{Meaning, meaning};
use crate::shared::Shared;

/// Waits until nothing of the transaction is under way, has the coordinator end it, and makes the
/// producer ready for the next.
pub(crate) async fn end(shared: Arc<Shared>, transactions: Arc<Transactions>) {
    shared.seal_all();
    shared.ledger.flushed().await;
    while !transactions.change(|machine| machine.conclude()) {
        transactions.until(|machine| machine.is_quiet()).await;
    }
    let outcome = decide(&shared, &transactions).await;
    if let Err(error) = transactions.ended(outcome) {
        tracing::warn!(id = %transactions.id(), %error, "the transaction failed");
    }
    shared.wake.notify_one();
}

/// Ends it as the machine decides. A commit that is refused becomes an abort.
async fn decide(
    shared: &Shared,
    transactions: &Transactions,
) -> Result<(BatchProducer, Generation)> {
    let settings = &transactions.settings;
    loop {
        let (producer, end) =
            transactions.look(|machine| (machine.producer_and_generation(), machine.decision()));
        let Some(end) = end else { return Ok(producer) };
        let asked = ask_end(&shared.kafka, settings, producer, end).await;
        let next = match asked {
            Ok(next) => next,
            Err(error) if transactions.look(|machine| machine.was_unknown(&error)) => producer,
            Err(error) if end == End::Commit && meaning(&error) == Meaning::Abort => {
                transactions.change(|machine| machine.fail(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        if transactions.look(|machine| machine.needs_epoch(next.0)) {
            return init(&shared.kafka, settings, next.0, None).await;
        }
        return Ok(next);
    }
}
