//! The broker around the machine, its disk, and the partitions that are written to.

use std::collections::BTreeMap;

use klamm_protocol::error_code::ErrorCode;

use super::super::super::*;
use super::client::{Client, Deed, Request};
use super::history::{self, Ends};

const TOPIC: &str = "t";
const TIMEOUT_MS: i32 = 1_000;

/// An answer that goes once so many records are durable.
struct Held {
    after: usize,
    client: usize,
    life: u32,
    answer: Result<Option<Producer>, ErrorCode>,
}

/// What a partition knows.
#[derive(Default)]
struct Partition {
    /// Whose transaction is open.
    open: Option<Producer>,
    /// The newest epoch of each producer.
    epochs: BTreeMap<i64, i16>,
}

pub(super) struct World {
    machine: Transaction,
    records: Vec<Snapshot>,
    /// As many of the records are durable.
    durable: usize,
    held: Vec<Held>,
    clients: Vec<Client>,
    partitions: BTreeMap<i32, Partition>,
    /// Who was given which producer.
    given: BTreeMap<(i64, i16), (usize, u32)>,
    told: Ends,
    ids: i64,
    now_ms: i64,
}

impl World {
    pub(super) fn new(generations: &[Generation], epoch: i16) -> Self {
        let mut machine = Transaction::new(1);
        machine.producer.epoch = epoch;
        Self {
            records: vec![machine.snapshot()],
            machine,
            durable: 1,
            held: Vec::new(),
            clients: generations.iter().copied().map(Client::new).collect(),
            partitions: BTreeMap::new(),
            given: BTreeMap::new(),
            told: Ends::default(),
            ids: 1,
            now_ms: 0,
        }
    }

    pub(super) fn step(&mut self, client: usize, choice: u8) {
        if self.held.iter().any(|held| held.client == client) {
            return;
        }
        match self.clients[client].next(choice) {
            Deed::Ask(request) => self.ask(client, request),
            Deed::Write(producer, partition) => self.write(producer, partition),
        }
    }

    fn ask(&mut self, client: usize, request: Request) {
        let mut turn = Turn { spare_id: Some(self.ids + 1), ..Turn::at(self.now_ms) };
        let generation = self.clients[client].generation;
        let answer = match request {
            Request::Init(known) => {
                let init = Init { known, timeout_ms: TIMEOUT_MS };
                self.machine.init(init, &mut turn).map(Some)
            }
            Request::Add(producer, index) => {
                let added = Partitions::from([(TOPIC.into(), [index].into())]);
                let result = self.machine.add(producer, &added, generation, &mut turn);
                result.map(|()| None)
            }
            Request::End(producer, outcome) => {
                let end = End { producer, outcome, generation };
                self.machine.end(end, &mut turn).map(Some)
            }
        };
        self.ids += i64::from(turn.spare_id.is_none());
        self.carry_out(turn);
        let (after, life) = (self.records.len(), self.clients[client].life);
        self.held.push(Held { after, client, life, answer });
        self.deliver();
    }

    fn carry_out(&mut self, turn: Turn) {
        self.records.extend(turn.records);
        assert_eq!(self.machine.snapshot().state, self.records.last().expect("one").state);
    }

    /// A partition takes what takes part in a transaction, and comes from no old producer.
    fn write(&mut self, producer: Producer, index: i32) {
        let is_told = self.durable == self.records.len();
        if !is_told || self.machine.verify(producer, TOPIC, index).is_err() {
            return;
        }
        let partition = self.partitions.entry(index).or_default();
        let newest = partition.epochs.entry(producer.id).or_default();
        assert!(*newest <= producer.epoch, "a partition knows more than the coordinator");
        *newest = producer.epoch;
        let open = *partition.open.get_or_insert(producer);
        assert_eq!(open, producer, "a transaction was left open");
    }

    pub(super) fn lose_answer(&mut self, client: usize) {
        self.held.retain(|held| held.client != client);
    }

    pub(super) fn kill(&mut self, client: usize) {
        self.lose_answer(client);
        self.clients[client].start_anew();
    }

    pub(super) fn keep(&mut self, records: usize) {
        self.durable = self.records.len().min(self.durable + records);
        self.deliver();
    }

    fn deliver(&mut self) {
        let (due, held) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.after <= self.durable);
        self.held = held;
        for held in due {
            self.tell(&held);
        }
    }

    fn tell(&mut self, held: &Held) {
        let client = &mut self.clients[held.client];
        let producer = held.answer.ok().flatten();
        match client.asked() {
            Some(Request::Init(_)) => {
                if let Some(producer) = producer {
                    let owner = (held.client, held.life);
                    let key = (producer.id, producer.epoch);
                    let known = *self.given.entry(key).or_insert(owner);
                    assert_eq!(known, owner, "{producer:?} was given twice");
                }
            }
            Some(Request::Add(producer, index)) if held.answer.is_ok() => {
                let has_it = |record: &Snapshot| {
                    let indexes = record.partitions.get(TOPIC);
                    record.producer == producer && indexes.is_some_and(|it| it.contains(&index))
                };
                assert!(self.records[..self.durable].iter().any(has_it), "{index} is not kept");
            }
            Some(Request::End(producer, outcome)) if held.answer.is_ok() => {
                self.told.count(producer, outcome);
            }
            _ => {}
        }
        client.hear(held.answer);
    }

    pub(super) fn mark(&mut self, choice: usize) {
        let is_durable = self.durable == self.records.len();
        let Some(markers) = self.machine.markers().filter(|_| is_durable) else { return };
        let indexes: Vec<i32> = markers.partitions.values().flatten().copied().collect();
        let index = indexes[choice % indexes.len()];
        self.write_marker(&markers, index);
        let mut turn = Turn::at(self.now_ms);
        self.machine.marked(markers.producer, TOPIC, index, &mut turn);
        self.carry_out(turn);
    }

    /// A partition takes a marker, once or again.
    fn write_marker(&mut self, markers: &Markers, index: i32) {
        let partition = self.partitions.entry(index).or_default();
        let marker = markers.producer;
        if let Some(open) = partition.open.take() {
            assert_eq!(open.id, marker.id, "a marker of somebody else");
            match markers.generation {
                Generation::First => assert_eq!(open.epoch, marker.epoch),
                Generation::Second => assert!(open.epoch < marker.epoch),
            }
        }
        let newest = partition.epochs.entry(marker.id).or_default();
        assert!(*newest <= marker.epoch, "an old marker");
        *newest = marker.epoch;
    }

    pub(super) fn wait(&mut self, time_ms: i64) {
        self.now_ms += time_ms;
        let mut turn = Turn::at(self.now_ms);
        self.machine.expire(&mut turn);
        self.carry_out(turn);
    }

    pub(super) fn crash(&mut self, kept: usize) {
        self.held.clear();
        self.durable = self.records.len().min(self.durable + kept);
        self.records.truncate(self.durable);
        let last = self.records.last().expect("there is one from the beginning");
        self.machine = Transaction::restore(last.clone());
        assert_eq!(self.machine.snapshot(), *last);
    }

    /// Lets everything come to its end, and checks what has become of it.
    pub(super) fn settle(&mut self) {
        self.keep(usize::MAX - self.durable);
        self.wait(i64::from(TIMEOUT_MS));
        self.keep(1);
        while self.machine.markers().is_some() {
            self.mark(0);
        }
        self.keep(1);
        let open = self.partitions.values().filter_map(|partition| partition.open);
        assert_eq!(open.count(), 0, "a transaction hangs");
        let ends = history::check(&self.records);
        assert!(ends.include(&self.told), "told {:?}, but {ends:?}", self.told);
    }
}
