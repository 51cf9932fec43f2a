//! Load on direct messages: from one pod to another, and the tick back.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep_until;

use crate::report::{Report, Times, note, times};
use crate::socket::{Incoming, Outgoing, connect};
use crate::world::World;

/// Nothing is missed any more when nothing has come for so long.
const SILENCE: Duration = Duration::from_secs(10);

/// How much is said, and by how many.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Messages a second, of all together.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Pairs of people; the two of a pair are at different pods.
    #[arg(long, default_value_t = 50)]
    pairs: usize,
    /// For how long is sent.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// A frame of a pod, as far as the load looks at it.
#[derive(Debug, Deserialize)]
struct Frame {
    #[serde(rename = "type", default)]
    kind: String,
    message_id: Option<String>,
    message: Option<String>,
    client_msg_id: Option<String>,
    status: Option<String>,
}

impl Frame {
    /// What a pod says; an error if that is one.
    fn read(text: &str) -> anyhow::Result<Self> {
        let frame: Self = serde_json::from_str(text).with_context(|| text.to_owned())?;
        anyhow::ensure!(frame.kind != "error", "refused: {text}");
        Ok(frame)
    }
}

/// What all together have seen.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    doubled: AtomicU64,
    delivered: AtomicU64,
}

/// One of a pair. The first sends to the second.
struct Person {
    name: String,
    partner: String,
    /// When each message is due; nothing for who only listens.
    schedule: Option<Schedule>,
    counts: Arc<Counts>,
    ticks: Arc<Mutex<Times>>,
    /// When a message was due, by the id that the pod gave it.
    waiting: HashMap<String, Duration>,
    received: HashSet<String>,
}

#[derive(Clone, Copy, Debug)]
struct Schedule {
    first: Duration,
    every: Duration,
    time: Duration,
}

impl Schedule {
    fn due(self, number: u32) -> Option<Duration> {
        let due = self.first + self.every * number;
        (due < self.time).then_some(due)
    }

    /// How many messages are due.
    fn messages(self) -> u64 {
        let time = self.time.saturating_sub(self.first).as_nanos();
        u64::try_from(time.div_ceil(self.every.as_nanos().max(1))).unwrap_or(u64::MAX)
    }
}

pub(crate) async fn dm(world: World, load: &Load) -> anyhow::Result<()> {
    let pods = world.places("pod")?;
    let (counts, ticks) = (Arc::new(Counts::default()), Arc::new(Mutex::new(times())));
    let run = format!("{:x}", uuid::Uuid::now_v7().as_u128() >> 48);
    let name = |side: &str, pair: usize| format!("{side}{run}-{pair}");
    let all: Vec<_> =
        (0..load.pairs).flat_map(|pair| ["a", "b"].map(|side| name(side, pair))).collect();
    world.enrol(&all).await?;
    let mut people = Vec::new();
    let mut planned = 0;
    let every = Duration::from_secs_f64(load.pairs as f64 / load.rate);
    for pair in 0..load.pairs {
        let names = ["a", "b"].map(|side| name(side, pair));
        let first = Duration::from_secs_f64(pair as f64 / load.rate);
        let schedule = Schedule { first, every, time: Duration::from_secs(load.seconds) };
        planned += schedule.messages();
        for side in 0..2 {
            let person = Person {
                name: names[side].clone(),
                partner: names[1 - side].clone(),
                schedule: (side == 0).then_some(schedule),
                counts: Arc::clone(&counts),
                ticks: Arc::clone(&ticks),
                waiting: HashMap::new(),
                received: HashSet::new(),
            };
            let at = pods[(pair + side) % pods.len()];
            let socket = enter(&world, &person.name, at, pair * 2 + side).await?;
            people.push((person, socket));
        }
    }
    let tasks = TaskGroup::new("load");
    let start = clock::now();
    for (person, socket) in people {
        let stopping = tasks.stopping();
        tasks.spawn("person", async move {
            tokio::select! {
                left = person.talk(socket, start) => if let Err(error) = left {
                    tracing::error!(%error, "a socket was lost");
                },
                () = stopping => {}
            }
        });
    }
    sleep_until((start + Duration::from_secs(load.seconds)).into()).await;
    silence(&counts).await;
    tasks.stop();
    tasks.ended().await;
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (sent, received, delivered) =
        (get(&counts.sent), get(&counts.received), get(&counts.delivered));
    let mut report = Report::default();
    report.fact("messages sent", sent);
    report.none("messages never sent", planned.saturating_sub(sent));
    let ticks = ticks.lock().unwrap_or_else(PoisonError::into_inner);
    report.times("send to DELIVERED", &ticks, Duration::from_millis(100));
    report.none("messages not received", sent.saturating_sub(received));
    report.none("messages received twice", get(&counts.doubled));
    report.none("messages never DELIVERED", sent.saturating_sub(delivered));
    report.print()
}

async fn enter(
    world: &World,
    name: &str,
    at: SocketAddr,
    client: usize,
) -> anyhow::Result<(Outgoing, Incoming)> {
    let path = format!("/ws?ticket={}", world.ticket(name));
    connect(at, &path, client).await.with_context(|| format!("{name} is not let in"))
}

/// Waits until everything has come, or nothing comes any more.
async fn silence(counts: &Counts) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let mut last = (0, clock::now());
    loop {
        looks.tick().await;
        let (sent, delivered) =
            (counts.sent.load(Ordering::Relaxed), counts.delivered.load(Ordering::Relaxed));
        let all = delivered + counts.received.load(Ordering::Relaxed);
        if all != last.0 {
            last = (all, clock::now());
        }
        if (sent > 0 && all >= 2 * sent) || last.1.elapsed() > SILENCE {
            return;
        }
    }
}

impl Person {
    async fn talk(
        mut self,
        (mut outgoing, mut incoming): (Outgoing, Incoming),
        start: Instant,
    ) -> anyhow::Result<()> {
        let mut number = 0;
        loop {
            let due = self.schedule.and_then(|schedule| schedule.due(number));
            tokio::select! {
                () = sleep_until((start + due.unwrap_or_default()).into()), if due.is_some() => {
                    outgoing.send(&json!({
                        "payload": format!("message {number}"),
                        "sender_id": self.name,
                        "reciever_id": self.partner,
                        "client_msg_id": number.to_string(),
                    })).await?;
                    number += 1;
                    self.counts.sent.fetch_add(1, Ordering::Relaxed);
                }
                text = incoming.next() => {
                    let text = text.context("the socket has ended")?;
                    if let Some(id) = self.hear(Frame::read(&text)?, start) {
                        outgoing.send(&json!({"type": "ack", "message_id": id})).await?;
                    }
                }
            }
        }
    }

    /// Takes a frame in; gives the id of a message to be acknowledged.
    fn hear(&mut self, frame: Frame, start: Instant) -> Option<String> {
        let id = frame.message_id?;
        if frame.message.is_some() && frame.kind != "status" {
            let counted = match self.received.insert(id.clone()) {
                true => &self.counts.received,
                false => &self.counts.doubled,
            };
            counted.fetch_add(1, Ordering::Relaxed);
            return Some(id);
        }
        if let Some(number) = frame.client_msg_id.and_then(|number| number.parse().ok()) {
            let due = self.schedule.and_then(|schedule| schedule.due(number))?;
            self.waiting.entry(id.clone()).or_insert(due);
        }
        if frame.status.as_deref() == Some("DELIVERED") {
            let due = self.waiting.remove(&id)?;
            let took = clock::now().saturating_duration_since(start + due);
            note(&mut self.ticks.lock().unwrap_or_else(PoisonError::into_inner), took);
            self.counts.delivered.fetch_add(1, Ordering::Relaxed);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_refuses_is_an_error_of_the_run() {
        let refused = r#"{"type":"error","message":"too fast","client_msg_id":"7"}"#;
        let error = Frame::read(refused).unwrap_err().to_string();
        assert!(error.starts_with("refused: ") && error.contains("too fast"), "{error}");
        assert_eq!(Frame::read(r#"{"type":"pong"}"#).unwrap().kind, "pong");
    }

    #[test]
    fn as_many_messages_are_planned_as_are_due() {
        let ms = Duration::from_millis;
        for (first, every, time) in [(0, 100, 1_000), (30, 100, 1_000), (0, 300, 1_000), (9, 1, 5)]
        {
            let schedule = Schedule { first: ms(first), every: ms(every), time: ms(time) };
            let due = (0..).map_while(|number| schedule.due(number)).count() as u64;
            assert_eq!(schedule.messages(), due, "{schedule:?}");
        }
    }
}
