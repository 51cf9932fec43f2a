//! One person in one room: sends when it is time, hears what the others send, and comes back when
//! the socket breaks.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep_until;

use super::plan::{Plan, Word};
use crate::report::{Times, note, times};
use crate::socket::{Incoming, Outgoing, connect};
use crate::world::World;

/// A frame of the chat, as far as the load looks at it.
#[derive(Debug, Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    client_msg_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    offset: Option<i64>,
    epoch: Option<serde_json::Value>,
    success: Option<bool>,
    #[serde(default)]
    error: bool,
}

/// What all members have done so far, for who waits for the end.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: AtomicU64,
    pub(super) heard: AtomicU64,
    /// Members who have been out of their room and are in it again.
    pub(super) back: AtomicU64,
}

/// What one member has seen.
#[derive(Debug)]
pub(super) struct Tally {
    /// From when it should have been sent to the acknowledgement.
    pub(super) acknowledgements: Times,
    /// From when it should have been sent to here.
    pub(super) deliveries: Times,
    /// The own messages that were acknowledged.
    pub(super) acknowledged: Vec<Word>,
    pub(super) heard: u64,
    pub(super) doubled: u64,
    pub(super) refused: u64,
    /// What the server had to say against it, the last time.
    pub(super) complaint: Option<String>,
    /// Of each sender in the room: which numbers were heard.
    seen: Vec<Numbers>,
}

/// A set of numbers that begin at 0.
#[derive(Clone, Debug, Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    /// Whether it was not there before.
    fn insert(&mut self, number: u64) -> bool {
        let (place, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        let is_new = self.0[place] & bit == 0;
        self.0[place] |= bit;
        is_new
    }
}

impl Tally {
    /// Nothing yet, in a room with so many senders.
    pub(super) fn new(senders: usize) -> Self {
        Self {
            acknowledgements: times(),
            deliveries: times(),
            acknowledged: Vec::new(),
            heard: 0,
            doubled: 0,
            refused: 0,
            complaint: None,
            seen: vec![Numbers::default(); senders],
        }
    }

    /// Adds what another member has seen.
    pub(super) fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.acknowledgements.add(&other.acknowledgements)?;
        self.deliveries.add(&other.deliveries)?;
        self.acknowledged.extend(other.acknowledged);
        self.heard += other.heard;
        self.doubled += other.doubled;
        self.refused += other.refused;
        self.complaint = other.complaint.or(self.complaint.take());
        Ok(())
    }
}

/// One person with a socket.
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) world: Arc<World>,
    pub(super) plan: Arc<Plan>,
    pub(super) counts: Arc<Counts>,
    /// Where to connect; after a break the next.
    pub(super) places: Vec<SocketAddr>,
    place: usize,
    sent: u64,
    /// What was sent and is not acknowledged: it is sent again on another socket.
    pending: BTreeMap<u64, Word>,
    /// Of these, what is to be sent again on this one.
    again: VecDeque<Word>,
    /// When the plan began.
    start: Instant,
    tally: Tally,
    /// Where the log was when it was last heard, and in which life of it.
    cursor: Option<i64>,
    epoch: Option<serde_json::Value>,
}

impl Member {
    pub(super) fn new(
        index: usize,
        (world, plan, counts): (Arc<World>, Arc<Plan>, Arc<Counts>),
        places: Vec<SocketAddr>,
    ) -> Self {
        let tally = Tally::new(plan.senders_of_room());
        Self {
            index,
            world,
            plan,
            counts,
            places,
            place: 0,
            sent: 0,
            pending: BTreeMap::new(),
            again: VecDeque::new(),
            start: clock::now(),
            tally,
            cursor: None,
            epoch: None,
        }
    }

    /// Joins the room.
    pub(super) async fn join(&mut self) -> anyhow::Result<(Outgoing, Incoming)> {
        let ticket = self.world.ticket(&format!("{}-{}", self.plan.run, self.index));
        let at = self.places[self.place % self.places.len()];
        let path = format!("/ws/chat?ticket={ticket}");
        let (mut outgoing, mut incoming) = connect(at, &path, self.index).await?;
        let room = self.plan.room(self.index);
        outgoing.send(&json!({"type": "join_room", "room": room})).await?;
        if let Some(offset) = self.cursor {
            let rooms = json!([{"room": room, "offset": offset, "epoch": self.epoch}]);
            outgoing.send(&json!({"type": "resume", "rooms": rooms})).await?;
        }
        loop {
            let frame = incoming.next().await.context("the socket ended before the room opened")?;
            if self.hear(&frame)? {
                return Ok((outgoing, incoming));
            }
        }
    }

    /// Takes part until `over`.
    pub(super) async fn take_part(
        mut self,
        mut socket: (Outgoing, Incoming),
        start: Instant,
        over: impl Future<Output = ()>,
    ) -> anyhow::Result<Tally> {
        self.start = start;
        let mut over = std::pin::pin!(over);
        loop {
            let word = self.again.front().copied().or(self.plan.word(self.index, self.sent));
            let due = word.map(|word| start + word.due);
            let (outgoing, incoming) = &mut socket;
            tokio::select! {
                biased;
                () = &mut over => return Ok(self.tally),
                () = sleep_until(due.unwrap_or(start).into()), if due.is_some() => {
                    let Some(word) = word else { continue };
                    if self.again.pop_front().is_none() {
                        self.sent += 1;
                        self.pending.insert(word.number, word);
                    }
                    if outgoing.send(&self.plan.frame(word)).await.is_err() {
                        socket = self.come_back().await;
                    }
                }
                frame = incoming.next() => match frame {
                    Some(frame) => drop(self.hear(&frame)?),
                    None => socket = self.come_back().await,
                }
            }
        }
    }

    /// Tries the other instances until one lets it in.
    async fn come_back(&mut self) -> (Outgoing, Incoming) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            self.place += 1;
            match self.join().await {
                Ok(socket) => {
                    self.counts.back.fetch_add(1, Ordering::Relaxed);
                    self.again = self.pending.values().copied().collect();
                    return socket;
                }
                Err(_) => tokio::time::sleep(backoff.next_pause()).await,
            }
        }
    }

    /// Takes a frame in; tells whether it lets us into the room.
    fn hear(&mut self, text: &str) -> anyhow::Result<bool> {
        let frame: Frame = serde_json::from_str(text).with_context(|| text.to_owned())?;
        if frame.error {
            self.tally.complaint = frame.message.map(Cow::into_owned);
        }
        match &*frame.kind {
            "hello" => self.epoch = frame.epoch,
            "join_room" => return Ok(frame.success == Some(true)),
            "chat_message" => {
                self.cursor = frame.offset.or(self.cursor);
                if let Some(word) = frame.content.as_deref().and_then(|text| self.plan.read(text)) {
                    self.heard(word);
                }
            }
            "message_ack" => {
                let id = frame.client_msg_id.as_deref().unwrap_or_default();
                if let Some(word) = self.plan.read(id) {
                    let late = self.late(word);
                    note(&mut self.tally.acknowledgements, late);
                    if self.pending.remove(&word.number).is_some() {
                        self.tally.acknowledged.push(word);
                        self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            "message_failed" => {
                self.tally.refused += 1;
                let id = frame.client_msg_id.as_deref().unwrap_or_default();
                self.again.extend(self.plan.read(id));
            }
            "slow_down" => self.tally.refused += 1,
            _ => {}
        }
        Ok(false)
    }

    /// How long ago it should have been sent.
    fn late(&self, word: Word) -> Duration {
        clock::now().saturating_duration_since(self.start + word.due)
    }

    fn heard(&mut self, word: Word) {
        if !self.tally.seen[self.plan.seat(word.sender)].insert(word.number) {
            self.tally.doubled += 1;
            return;
        }
        let late = self.late(word);
        self.tally.heard += 1;
        note(&mut self.tally.deliveries, late);
        self.counts.heard.fetch_add(1, Ordering::Relaxed);
    }
}
