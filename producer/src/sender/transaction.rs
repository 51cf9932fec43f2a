//! What the sender does for transactions: it begins each under the producer's epoch, has
//! partitions included, gives up what an abort leaves, and sees to the end.

use std::sync::Arc;

use klamm_client::Error;
use klamm_protocol::wire::Str;

use super::Sender;
use super::identity::Identity;
use crate::lane::{Parcel, Verdict};
use crate::shared::Shared;
use crate::transaction::{self, Generation, Transactions};

/// The newest version of Produce in which partitions do not join transactions by themselves.
const ANNOUNCED_UNTIL: i16 = 11;

impl Sender {
    /// Does what the state of the transaction asks for.
    pub(super) fn follow(&mut self, transactions: &Arc<Transactions>) {
        // The machine knows, and has the coordinator begin one.
        self.ends_epoch = false;
        self.take_epoch(transactions);
        self.forsake(transactions);
        if transactions.note(|machine| machine.take_end()) {
            let end = transaction::end(Arc::clone(&self.shared), Arc::clone(transactions));
            let stopping = self.tasks.stopping();
            self.tasks.spawn("end", async move {
                tokio::select! {
                    () = stopping => {}
                    () = end => {}
                }
            });
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_done(&self) -> bool {
        let settled = |transactions: &Arc<Transactions>| transactions.look(|it| it.is_settled());
        self.shared.ledger.unsettled() == 0 && self.shared.transactions.as_ref().is_none_or(settled)
    }

    /// Goes on under the producer's epoch, which is another after most transactions. Nothing is
    /// out then, and nothing waits.
    fn take_epoch(&mut self, transactions: &Transactions) {
        let producer = transactions.look(|machine| machine.producer());
        if matches!(self.identity, Identity::Known(known) if known == producer) {
            return;
        }
        self.identity = Identity::Known(producer);
        self.begin_epoch();
    }

    /// Gives up what is not sent yet, if it is not to be sent any more.
    fn forsake(&mut self, transactions: &Transactions) {
        let through = transactions.look(|machine| machine.forsaken_through());
        for id in &self.active {
            let Some(place) = self.lanes.get_mut(id) else { continue };
            if place.next_transaction().is_none_or(|next| next > through) {
                continue;
            }
            place.seal_due(&self.shared);
            let forsaken = place.lane.expel(through);
            if place.lane.is_broken() {
                transactions.note(|machine| machine.lose_sequence());
            }
            for parcel in forsaken {
                let (number, subject) = (parcel.sealed.transaction, parcel.sealed.claim.subject());
                let error = transactions.look(|machine| machine.forsakes(number, subject));
                self.shared.give_up(parcel, error);
            }
        }
    }

    /// Has the coordinator include the partitions that batches wait for.
    pub(super) fn include(&self) {
        let Some(transactions) = &self.shared.transactions else { return };
        let wanted = transactions.note(|machine| {
            let wanted = machine.next_inclusion()?;
            Some((machine.producer(), wanted))
        });
        let Some((producer, places)) = wanted else { return };
        let (shared, transactions) = (Arc::clone(&self.shared), Arc::clone(transactions));
        let stopping = self.tasks.stopping();
        self.tasks.spawn("include", async move {
            let settings = &transactions.settings;
            let outcome = tokio::select! {
                () = stopping => Err(Error::Closed),
                outcome = transaction::include(&shared, settings, producer, &places) => outcome,
            };
            transactions.change(|machine| machine.included(places, outcome));
            shared.wake.notify_one();
        });
    }
}

impl Shared {
    /// Gives a batch up that was not out.
    pub(super) fn give_up(&self, parcel: Parcel, error: Error) {
        self.metrics.given_up(parcel.records());
        parcel.give_up(error);
    }

    /// Whether batches of this transaction may be sent to a partition now.
    pub(super) fn admits(&self, transaction: u64, topic: &Str, partition: i32) -> bool {
        let admits = |transactions: &Arc<Transactions>| {
            transactions.note(|machine| machine.admits(transaction, topic, partition))
        };
        self.transactions.as_ref().is_none_or(admits)
    }

    /// Under which transactional id, and at most in which version, a request is sent now.
    pub(super) fn part_of_transaction(&self, at_most: i16) -> (Option<Str>, i16) {
        let Some(transactions) = &self.transactions else { return (None, at_most) };
        let generation = transactions.note(|machine| {
            machine.reach_out();
            machine.generation()
        });
        let at_most = match generation {
            Generation::First => at_most.min(ANNOUNCED_UNTIL),
            Generation::Second => at_most,
        };
        (Some(transactions.id().clone()), at_most)
    }

    /// What it means that a batch is given up, if it was part of a transaction.
    pub(super) fn lose(&self, error: Error, possibly_written: bool) -> Error {
        let Some(transactions) = &self.transactions else { return error };
        // The others of the transaction are given up as well.
        self.wake.notify_one();
        transactions.change(|machine| {
            if possibly_written {
                machine.lose_sequence();
            }
            machine.fail_batch(error)
        })
    }

    /// In a transaction an epoch is not begun by the producer itself: the batch is given up, and
    /// with it the transaction.
    pub(super) fn verdict_for_transaction(
        &self,
        verdict: Verdict,
        parcel: &Parcel,
        error: &Error,
    ) -> Verdict {
        match verdict {
            Verdict::GiveUp(error) => Verdict::GiveUp(self.lose(error, parcel.possibly_written)),
            Verdict::NewEpoch if self.transactions.is_some() => {
                Verdict::GiveUp(self.lose(error.clone(), true))
            }
            verdict => verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_broker::Broker;
    use klamm_client::{ClientConfig, Error, Kafka};
    use klamm_protocol::records::Compression;

    use crate::builder::ProduceExt as _;
    use crate::record::Record;
    use crate::settings::Settings;

    #[tokio::test]
    async fn a_batch_that_cannot_be_built_fails_its_transaction() {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
        let mut settings = Settings::of(kafka.config()).unwrap().in_transactions();
        // No settings that pass the checks give such a batch, short of 2 GiB of records.
        settings.shape.options.compression = Compression::Zstd;
        settings.shape.options.level = Some(1_000);
        let builder = kafka.producer().transactional_id("orders-1");
        let producer = builder.build_transactional_as(settings).await.unwrap();
        let tx = producer.begin().await.unwrap();
        let lost = tx.enqueue(Record::to("orders").value("1")).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert!(error.requires_abort(), "{error}");
        let error = lost.await.unwrap_err();
        assert!(error.requires_abort() && !error.possibly_written(), "{error}");
        let Error::MustAbort { source } = error else { unreachable!("it requires an abort") };
        assert!(matches!(*source, Error::Build { .. }), "{source}");
        broker.stop().await;
    }
}
