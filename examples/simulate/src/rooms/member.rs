//! One person in one room: sends when it is time, hears what the others send, tells what was read,
//! and comes back when the socket breaks, as a page does.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::FutureExt as _;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;
use serde_json::json;

use super::alarm::Alarm;
use super::frame::{Frame, message};
use super::plan::{Plan, Word};
use super::tally::Tally;
use crate::account::Account;
use crate::report::note;
use crate::socket::{Incoming, Outgoing, connect};
use crate::world::World;

/// How long after a message it is told that it was read.
const READ_AFTER: Duration = Duration::from_millis(500);

/// How long after a server could not tell what was missed it is loaded, or asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long a server may take to let somebody into a room.
const JOIN_WITHIN: Duration = Duration::from_secs(30);

/// How many frames are heard before anything else is looked at.
const HEARD_AT_ONCE: usize = 64;

/// What all members have done so far, for who waits for the end.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: AtomicU64,
    pub(super) heard: AtomicU64,
    /// Members who have been out of their room and are in it again.
    pub(super) back: AtomicU64,
}

/// One person with a socket.
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) world: Arc<World>,
    pub(super) plan: Arc<Plan>,
    pub(super) counts: Arc<Counts>,
    /// Over HTTP, where it is known there.
    account: Option<Arc<Account>>,
    /// Where to connect; after a break the next.
    pub(super) places: Vec<SocketAddr>,
    place: usize,
    /// Whether it has been out of its room and is in it again.
    is_back: bool,
    sent: u64,
    /// What was sent and is not acknowledged: it is sent again on another socket.
    pending: BTreeMap<u64, Word>,
    /// Of these, what is to be sent again on this one.
    again: VecDeque<Word>,
    /// When the plan began.
    start: Instant,
    tally: Tally,
    /// The last offset that was heard, and in which life of the log.
    heard: i64,
    epoch: String,
    /// Up to here nothing is missing: where another socket goes on from. None before the first.
    followed: Option<i64>,
    /// A new socket has not told yet all that was missed.
    resuming: bool,
    /// When what the server could not tell is loaded, or asked for again.
    resume_at: Option<Instant>,
    /// When it is told what was read.
    read_at: Option<Instant>,
}

impl Member {
    pub(super) fn new(
        index: usize,
        (world, plan, counts): (Arc<World>, Arc<Plan>, Arc<Counts>),
        places: Vec<SocketAddr>,
    ) -> Self {
        let tally = Tally::new(index, plan.senders_of_room());
        Self {
            index,
            world,
            plan,
            counts,
            account: None,
            places,
            place: 0,
            is_back: false,
            sent: 0,
            pending: BTreeMap::new(),
            again: VecDeque::new(),
            start: clock::now(),
            tally,
            heard: -1,
            epoch: String::new(),
            followed: None,
            resuming: true,
            resume_at: None,
            read_at: None,
        }
    }

    fn name(&self) -> String {
        format!("{}-{}", self.plan.run, self.index)
    }

    /// Becomes somebody who is known over HTTP.
    pub(super) async fn sign_up(&mut self) -> anyhow::Result<()> {
        self.account = Some(Arc::new(self.world.sign_up(&self.name()).await?));
        Ok(())
    }

    /// Joins the room.
    ///
    /// # Errors
    /// The server does not let it in, or not in time.
    pub(super) async fn join(&mut self) -> anyhow::Result<(Outgoing, Incoming)> {
        let joined = tokio::time::timeout(JOIN_WITHIN, self.ask_to_join()).await;
        joined.with_context(|| format!("the room did not open within {JOIN_WITHIN:?}"))?
    }

    async fn ask_to_join(&mut self) -> anyhow::Result<(Outgoing, Incoming)> {
        let ticket = match &self.account {
            Some(account) => account.ticket().await?,
            None => self.world.ticket(&self.name()),
        };
        let at = self.places[self.place % self.places.len()];
        let path = format!("/ws/chat?ticket={ticket}");
        let (mut outgoing, mut incoming) = connect(at, &path, self.index).await?;
        let room = self.plan.room(self.index);
        outgoing.send(&json!({"type": "join_room", "room": room})).await?;
        loop {
            let frame = incoming.next().await.context("the socket ended before the room opened")?;
            if self.hear(&frame)? {
                self.resume(&mut outgoing).await?;
                return Ok((outgoing, incoming));
            }
        }
    }

    /// Loads what the server could not tell, as a page does; asks once more who has no account.
    async fn start_over(&mut self, outgoing: &mut Outgoing) -> anyhow::Result<()> {
        if let Some(account) = self.account.clone()
            && !self.load_history(&account).await.unwrap_or(false)
        {
            self.resume_at = Some(clock::now() + AGAIN_AFTER);
            return Ok(());
        }
        self.resume(outgoing).await
    }

    /// Loads everything behind what was followed; whether that is all there is.
    async fn load_history(&mut self, account: &Account) -> anyhow::Result<bool> {
        let room = self.plan.room(self.index);
        self.tally.histories += 1;
        loop {
            let page = account.history(&room, self.followed.unwrap_or(-1)).await?;
            for said in &page.messages {
                self.heard(&said.content, said.offset);
                self.followed = self.followed.max(Some(said.offset));
            }
            if page.delayed || page.is_last() {
                return Ok(!page.delayed);
            }
        }
    }

    /// Asks for what was missed.
    async fn resume(&mut self, outgoing: &mut Outgoing) -> anyhow::Result<()> {
        self.resume_at = None;
        let (room, offset) = (self.plan.room(self.index), self.followed);
        let rooms = json!([{"room": room, "offset": offset, "epoch": self.epoch}]);
        outgoing.send(&json!({"type": "resume", "rooms": rooms})).await
    }

    /// Takes part until `over`, also when nobody lets it in any more.
    pub(super) async fn take_part(
        mut self,
        socket: (Outgoing, Incoming),
        start: Instant,
        over: impl Future<Output = ()>,
    ) -> anyhow::Result<Tally> {
        self.start = start;
        tokio::select! {
            biased;
            failed = self.talk(socket) => failed.map(|never| match never {})?,
            () = over => {}
        }
        Ok(self.tally)
    }

    /// Says what is due and hears what comes, on one socket after the other.
    async fn talk(&mut self, mut socket: (Outgoing, Incoming)) -> anyhow::Result<Infallible> {
        let mut alarm = Alarm::new();
        loop {
            if !self.turn(&mut socket, &mut alarm).await? {
                socket = self.come_back().await;
            }
        }
    }

    /// Waits until something is due or comes. Whatever it was, what is there by then is heard before
    /// more is said: a server hangs up on who does not listen. Tells whether the socket goes on.
    async fn turn(
        &mut self,
        (outgoing, incoming): &mut (Outgoing, Incoming),
        alarm: &mut Alarm,
    ) -> anyhow::Result<bool> {
        let word = self.again.front().copied().or(self.plan.word(self.index, self.sent));
        let due = word.map(|word| self.start + word.due);
        let next = [due, self.read_at, self.resume_at].into_iter().flatten().min();
        let mut ready = tokio::select! {
            biased;
            () = alarm.at(next) => {
                if self.do_what_is_due(outgoing, word).await.is_err() {
                    return Ok(false);
                }
                incoming.next().now_or_never()
            }
            frame = incoming.next() => Some(frame),
        };
        for more in (0..HEARD_AT_ONCE).rev() {
            match ready {
                Some(Some(text)) => drop(self.hear(&text)?),
                Some(None) => return Ok(false),
                None => break,
            }
            // Who looks takes out: after the last one nothing would hear it.
            ready = if more > 0 { incoming.next().now_or_never() } else { None };
        }
        Ok(true)
    }

    /// Sends what is due now.
    async fn do_what_is_due(
        &mut self,
        outgoing: &mut Outgoing,
        word: Option<Word>,
    ) -> anyhow::Result<()> {
        let now = clock::now();
        if self.resume_at.is_some_and(|at| at <= now) {
            self.start_over(outgoing).await?;
        }
        if self.read_at.is_some_and(|at| at <= now) {
            self.read_at = None;
            let (room, offset) = (self.plan.room(self.index), self.heard);
            outgoing.send(&json!({"type": "read", "room": room, "offset": offset})).await?;
        }
        let Some(word) = word.filter(|word| self.start + word.due <= now) else { return Ok(()) };
        if self.again.pop_front().is_none() {
            self.sent += 1;
            self.pending.insert(word.number, word);
        }
        outgoing.send(&self.plan.frame(word)).await
    }

    /// Tries the other instances until one lets it in.
    async fn come_back(&mut self) -> (Outgoing, Incoming) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            self.place += 1;
            match self.join().await {
                Ok(socket) => {
                    // One that is thrown out a second time is no second one.
                    if !std::mem::replace(&mut self.is_back, true) {
                        self.counts.back.fetch_add(1, Ordering::Relaxed);
                    }
                    self.again = self.pending.values().copied().collect();
                    return socket;
                }
                Err(_) => tokio::time::sleep(backoff.next_pause()).await,
            }
        }
    }

    /// Takes a frame in; tells whether it lets us into the room.
    fn hear(&mut self, text: &str) -> anyhow::Result<bool> {
        if let Some((content, offset)) = message(text) {
            self.heard(content, offset);
            return Ok(false);
        }
        let frame: Frame = serde_json::from_str(text).with_context(|| text.to_owned())?;
        if frame.error {
            self.tally.complaint = frame.message.map(Cow::into_owned);
        }
        match &*frame.kind {
            "hello" => {
                self.resuming = true;
                self.epoch = frame.epoch.map(Cow::into_owned).unwrap_or_default();
            }
            "join_room" => {
                // One that cannot reach the log yet lets nobody in.
                anyhow::ensure!(frame.success == Some(true), "{text}");
                self.followed = self.followed.or(frame.head_offset);
                return Ok(true);
            }
            "resumed" => {
                self.resuming = false;
                self.followed = self.followed.max(Some(self.heard));
            }
            "resync" => {
                self.resuming = true;
                self.resume_at = Some(clock::now() + AGAIN_AFTER);
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

    fn heard(&mut self, content: &str, offset: i64) {
        let is_behind = offset <= self.heard;
        self.heard = offset.max(self.heard);
        if !self.resuming {
            self.followed = Some(self.heard);
        }
        let Some(word) = self.plan.read(content) else { return };
        if self.index < self.plan.rooms {
            self.tally.shown.push((word, offset));
        }
        self.read_at.get_or_insert_with(|| clock::now() + READ_AFTER);
        if !self.tally.see(self.plan.seat(word.sender), word.number) {
            // What is told of the time away may have come before that was told.
            self.tally.doubled += u64::from(!self.resuming);
            return;
        }
        self.tally.disordered += u64::from(is_behind && !self.resuming);
        let late = self.late(word);
        self.tally.heard += 1;
        note(&mut self.tally.deliveries, late);
        self.counts.heard.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
