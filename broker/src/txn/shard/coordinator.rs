//! The transactional ids of one partition, and what becomes of them. No I/O, no task, no clock:
//! commands and the time in, records, answers and markers out.

use std::collections::HashMap;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::{Add, Command, Listed, Outcomes};
use crate::shard::Answer;
use crate::shard::timers::Timers;
use crate::shard::writes::{Release, held};
use crate::txn::machine::{End, Init, Markers, Producer, Snapshot, Transaction, Turn};
use crate::txn::records::TransactionRecord;

/// What one event brings about.
#[derive(Default)]
pub(super) struct Step {
    /// To be appended, in this order.
    pub(super) records: Vec<TransactionRecord>,
    /// To go out once the records are durable.
    pub(super) answers: Vec<Release>,
    /// To be written for these transactional ids once the records are durable.
    pub(super) markers: Vec<(Str, Markers)>,
}

impl Step {
    fn answer<T: Send + 'static>(&mut self, to: Answer<T>, content: Result<T, ErrorCode>) {
        self.answers.push(held(to, content));
    }
}

/// The transactional ids of one partition of `__transaction_state`.
#[derive(Default)]
pub(super) struct Coordinator {
    transactions: HashMap<Str, Transaction>,
    /// When transactions will have been open for too long, by the wall clock.
    timers: Timers<i64>,
    /// What is to be added once the end of the last transaction has been told.
    waiting: HashMap<Str, Vec<(Add, Answer<()>)>>,
}

/// As many may wait for the end of one transaction.
const WAITING_MAX: usize = 16;

impl Coordinator {
    /// Puts a transactional id in as it was left.
    pub(super) fn put(&mut self, transactional_id: &Str, transaction: Transaction) {
        self.timers.set(transactional_id, transaction.deadline_ms());
        self.transactions.insert(transactional_id.clone(), transaction);
    }

    /// Has the markers written that were perhaps not all written before.
    pub(super) fn resume(&self) -> Step {
        let markers = |(id, it): (&Str, &Transaction)| Some((id.clone(), it.markers()?));
        Step { markers: self.transactions.iter().filter_map(markers).collect(), ..Step::default() }
    }

    /// Does what a command asks.
    pub(super) fn handle(&mut self, command: Command, turn: &mut Turn) -> Step {
        let mut step = Step::default();
        match command {
            Command::Init(id, init, answer) => {
                let given = self.init(&id, init, turn);
                self.carry_out(&id, turn, &mut step);
                step.answer(answer, given);
            }
            Command::Add(id, add, answer) => self.take_add(&id, (add, answer), turn, &mut step),
            Command::Verify(id, producer, partitions, answer) => {
                step.answer(answer, self.verify(&id, producer, &partitions));
            }
            Command::End(id, end, answer) => {
                let next = self.end(&id, end, turn);
                self.carry_out(&id, turn, &mut step);
                step.answer(answer, next);
            }
            Command::Marked { transactional_id, producer, topic, partition } => {
                if let Some(transaction) = self.transactions.get_mut(&transactional_id) {
                    transaction.marked(producer, &topic, partition, turn);
                }
                self.carry_out(&transactional_id, turn, &mut step);
                self.take_waiting(&transactional_id, turn, &mut step);
            }
            Command::Describe(id, answer) => {
                let found = self.transactions.get(&id).map(Transaction::snapshot);
                step.answer(answer, found.ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND));
            }
            Command::List(answer) => step.answer(answer, Ok(self.list())),
        }
        step
    }

    /// When [`expire`](Self::expire) has something to do, by the wall clock.
    pub(super) fn deadline_ms(&self) -> Option<i64> {
        self.timers.next()
    }

    /// Aborts one transaction that has been open for too long by now; `None` if none has.
    pub(super) fn expire(&mut self, now_ms: i64) -> Option<Step> {
        let id = self.timers.take_due(now_ms)?;
        let (mut turn, mut step) = (Turn::at(now_ms), Step::default());
        if let Some(transaction) = self.transactions.get_mut(&id) {
            transaction.expire(&mut turn);
        }
        self.carry_out(&id, &mut turn, &mut step);
        Some(step)
    }

    /// Forgets the transactional ids that nobody has used since then.
    pub(super) fn forget_unused(&mut self, before_ms: i64) -> Step {
        let mut step = Step::default();
        self.transactions.retain(|id, transaction| {
            let is_unused = transaction.is_unused_since(before_ms);
            if is_unused {
                step.records.push(TransactionRecord::gone(id));
            }
            !is_unused
        });
        step
    }

    fn init(&mut self, id: &Str, init: Init, turn: &mut Turn) -> Result<Producer, ErrorCode> {
        if !self.transactions.contains_key(id) {
            self.transactions.insert(id.detached(), Transaction::new(turn.take_id()?));
        }
        self.get(id)?.init(init, turn)
    }

    /// Adds partitions, now or once the end of the last transaction has been told.
    fn take_add(
        &mut self,
        id: &Str,
        (add, answer): (Add, Answer<()>),
        turn: &mut Turn,
        step: &mut Step,
    ) {
        let added = self.add(id, &add, turn);
        self.carry_out(id, turn, step);
        if add.is_patient && added == Err(ErrorCode::CONCURRENT_TRANSACTIONS) {
            let waiting = self.waiting.entry(id.detached()).or_default();
            // Who has lost patience is gone.
            waiting.retain(|(_, answer)| !answer.is_closed());
            if waiting.len() < WAITING_MAX {
                return waiting.push((add, answer));
            }
        }
        step.answer(answer, added);
    }

    /// Adds what has waited, if the end of the last transaction has been told.
    fn take_waiting(&mut self, id: &Str, turn: &mut Turn, step: &mut Step) {
        let is_told = self.transactions.get(id).is_none_or(|it| it.markers().is_none());
        if !is_told || !self.waiting.contains_key(id) {
            return;
        }
        for (add, answer) in self.waiting.remove(id).unwrap_or_default() {
            if !answer.is_closed() {
                self.take_add(id, (add, answer), turn, step);
            }
        }
    }

    fn add(&mut self, id: &Str, add: &Add, turn: &mut Turn) -> Result<(), ErrorCode> {
        self.get(id)?.add(add.producer, &add.partitions, add.generation, turn)
    }

    fn end(&mut self, id: &Str, end: End, turn: &mut Turn) -> Result<Producer, ErrorCode> {
        let transaction = self.get(id)?;
        let next = transaction.end(end, turn);
        if next == Err(ErrorCode::INVALID_TXN_STATE) {
            // The answer has no room for what is wrong, and the producer gives up on it.
            let Snapshot { producer, state, updated_ms, .. } = transaction.snapshot();
            let state = state.name();
            tracing::warn!(%id, ?end, ?producer, state, updated_ms, "there is nothing to end so");
        }
        next
    }

    fn verify(
        &mut self,
        id: &Str,
        producer: Producer,
        partitions: &[(Str, i32)],
    ) -> Result<Outcomes, ErrorCode> {
        let transaction = self.get(id)?;
        let verify = |(topic, index): &(Str, i32)| transaction.verify(producer, topic, *index);
        Ok(partitions.iter().map(verify).collect())
    }

    fn list(&self) -> Vec<Listed> {
        let list = |(id, transaction): (&Str, &Transaction)| {
            let Snapshot { producer, state, started_ms, .. } = transaction.snapshot();
            Listed { transactional_id: id.clone(), producer_id: producer.id, state, started_ms }
        };
        self.transactions.iter().map(list).collect()
    }

    /// A transactional id that somebody names who has a producer of it.
    fn get(&mut self, id: &Str) -> Result<&mut Transaction, ErrorCode> {
        self.transactions.get_mut(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }

    /// Carries out what a transactional id wants done, and has it looked at again in time.
    fn carry_out(&mut self, id: &Str, turn: &mut Turn, step: &mut Step) {
        let transaction = self.transactions.get(id);
        self.timers.set(id, transaction.and_then(Transaction::deadline_ms));
        let records = std::mem::take(&mut turn.records);
        if records.is_empty() {
            return;
        }
        step.records.extend(records.iter().map(|it| TransactionRecord::now(id, it)));
        let markers = transaction.and_then(Transaction::markers);
        step.markers.extend(markers.map(|markers| (id.detached(), markers)));
    }
}
