//! Transactions: records and offsets of groups that are seen together or not at all.
//!
//! [`machine`] knows what may be done; [`coordinator`] asks for it; [`ending`] ends a transaction
//! in the background; [`producer`](self::producer) is what users see. Batches travel as others do:
//! the sender asks the machine whether they may.

mod coordinator;
mod ending;
mod machine;
#[cfg(test)]
mod machine_tests;
mod meaning;
mod producer;

use std::sync::{Mutex, PoisonError};

use klamm_client::Result;
use klamm_protocol::records::BatchProducer;
use klamm_protocol::wire::Str;
use tokio::sync::{oneshot, watch};

pub(crate) use coordinator::{include, init, pause_after};
pub(crate) use ending::end;
pub(crate) use machine::{End, Generation, Machine};
pub use producer::{Transaction, TransactionalProducer};

use crate::settings::TransactionSettings;

/// What the callers of a transactional producer, its sender and its tasks share.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) settings: TransactionSettings,
    /// Held for a few instructions. Whoever waits for the producer to settle watches it.
    machine: watch::Sender<Machine>,
    /// Who is to be told how the transaction ended.
    listener: Mutex<Option<oneshot::Sender<Result<()>>>>,
}

impl Transactions {
    pub(crate) fn new(settings: TransactionSettings, machine: Machine) -> Self {
        let machine = watch::Sender::new(machine);
        Self { settings, machine, listener: Mutex::default() }
    }

    /// The transactional id.
    pub(crate) fn id(&self) -> &Str {
        &self.settings.id
    }

    /// Looks at the machine.
    pub(crate) fn look<T>(&self, read: impl FnOnce(&Machine) -> T) -> T {
        read(&self.machine.borrow())
    }

    /// Changes the machine, and tells those who watch it. When it can go on no more, whoever
    /// waits for an end is told so.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let (mut changed, mut fatal) = (None, None);
        self.machine.send_modify(|machine| {
            changed = Some(change(machine));
            fatal = machine.fatal().cloned();
        });
        if let Some(error) = fatal {
            self.tell(Err(error));
        }
        changed.expect("the machine is changed before this returns")
    }

    /// Goes to the end of a transaction, if it is open; how it ended is told to the receiver.
    pub(crate) fn end(&self, number: u64, end: End) -> Option<oneshot::Receiver<Result<()>>> {
        self.change(|machine| machine.end(number, end).then(|| self.listen()))
    }

    /// The transaction has ended, and whoever waits for that is told. The next one can begin
    /// at once: it finds no listener but its own.
    pub(crate) fn ended(&self, outcome: Result<(BatchProducer, Generation)>) -> Result<()> {
        let (outcome, listener) =
            self.change(|machine| (machine.ended(outcome), self.take_listener()));
        if let Some(listener) = listener {
            // It may have gone.
            let _ = listener.send(outcome.clone());
        }
        outcome
    }

    /// Changes what nobody waits for, and never so that the producer cannot go on.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut changed = None;
        self.machine.send_if_modified(|machine| {
            changed = Some(change(machine));
            false
        });
        changed.expect("the machine is changed before this returns")
    }

    /// Waits until the machine is as it should be.
    pub(crate) async fn until(&self, is_so: impl FnMut(&Machine) -> bool) {
        // The sender is in this struct: it outlives the wait.
        let _ = self.machine.subscribe().wait_for(is_so).await;
    }

    fn listen(&self) -> oneshot::Receiver<Result<()>> {
        let (told, hears) = oneshot::channel();
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        hears
    }

    /// Tells who listens how the transaction ended.
    pub(crate) fn tell(&self, outcome: Result<()>) {
        if let Some(listener) = self.take_listener() {
            // It may have gone.
            let _ = listener.send(outcome);
        }
    }

    fn take_listener(&self) -> Option<oneshot::Sender<Result<()>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use klamm_client::{ClientConfig, Error};
    use klamm_protocol::records::BatchProducer;

    use super::*;

    fn transactions() -> Transactions {
        let config = ClientConfig::new("a:1").set("transactional.id", "orders-1");
        let settings = TransactionSettings::of(&config).unwrap();
        let producer = BatchProducer { id: 1, epoch: 0, base_sequence: 0 };
        let machine = Machine::new(settings.id.clone(), producer, Generation::Second);
        Transactions::new(settings, machine)
    }

    fn begun(transactions: &Transactions) -> oneshot::Receiver<Result<()>> {
        let number = transactions.change(Machine::begin).unwrap();
        transactions.end(number, End::Commit).unwrap()
    }

    fn next(epoch: i16) -> (BatchProducer, Generation) {
        (BatchProducer { id: 1, epoch, base_sequence: 0 }, Generation::Second)
    }

    #[test]
    fn each_commit_is_told_its_own_outcome() {
        let transactions = transactions();
        let mut first = begun(&transactions);
        transactions.ended(Ok(next(1))).unwrap();
        let mut second = begun(&transactions);
        assert!(matches!(first.try_recv(), Ok(Ok(()))));
        assert!(second.try_recv().is_err(), "nothing is known of the second yet");
        transactions.change(|machine| machine.fail(Error::Closed));
        transactions.ended(Ok(next(2))).unwrap_err();
        assert!(matches!(second.try_recv(), Ok(Err(_))));
    }

    #[test]
    fn what_has_ended_is_not_told_of_the_close_that_follows() {
        let transactions = transactions();
        let mut committed = begun(&transactions);
        transactions.ended(Ok(next(1))).unwrap();
        transactions.change(Machine::cut);
        assert!(matches!(committed.try_recv(), Ok(Ok(()))));
    }
}
