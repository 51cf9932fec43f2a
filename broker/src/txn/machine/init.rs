//! A producer comes, or comes back, and gets an id and an epoch.

use klamm_protocol::error_code::ErrorCode;

use super::{Partitions, Producer, State, Transaction, Turn};

/// A client wants to be the producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Init {
    /// What it takes for its id and epoch, if it has any (KIP-360).
    pub(crate) known: Option<Producer>,
    /// How long its transactions may be open. The caller has checked that it is allowed.
    pub(crate) timeout_ms: i32,
}

impl Transaction {
    /// Gives the id to a client with a new epoch, which fences whoever had it. A transaction that
    /// is open is aborted first, and the client told to come back.
    pub(crate) fn init(&mut self, init: Init, turn: &mut Turn) -> Result<Producer, ErrorCode> {
        self.check_settled()?;
        if init.known.is_some_and(|known| !self.knows(known)) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.state == State::Ongoing {
            self.fence(turn);
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let known_epoch = init.known.map(|known| known.epoch);
        let (producer, last_epoch) = self.next_producer(known_epoch, turn)?;
        self.last_epoch = last_epoch;
        self.timeout_ms = init.timeout_ms;
        self.partitions = Partitions::new();
        self.started_ms = None;
        self.enter(State::Empty, producer, turn);
        Ok(producer)
    }

    /// Whether a client may have this id: it is the present one, or the one before, used up, and
    /// the client has not heard of the present one.
    fn knows(&self, known: Producer) -> bool {
        let is_first = self.producer.epoch < 0;
        let was_replaced = self.previous_id == Some(known.id) && known.is_exhausted();
        is_first || known.id == self.producer.id || was_replaced
    }

    /// The producer from now on, and the epoch that its client had before.
    fn next_producer(
        &self,
        known_epoch: Option<i16>,
        turn: &mut Turn,
    ) -> Result<(Producer, Option<i16>), ErrorCode> {
        let known_epoch = known_epoch.filter(|_| self.producer.epoch >= 0);
        match known_epoch {
            Some(known) if known != self.producer.epoch => {
                // It has not heard of the present epoch, if that is its own.
                let is_repeat = self.last_epoch == Some(known);
                let producer = is_repeat.then_some(self.producer);
                Ok((producer.ok_or(ErrorCode::PRODUCER_FENCED)?, self.last_epoch))
            }
            _ if self.producer.is_exhausted() => {
                Ok((Producer { id: turn.take_id()?, epoch: 0 }, known_epoch))
            }
            _ => Ok((self.producer.with_next_epoch(), known_epoch)),
        }
    }
}
