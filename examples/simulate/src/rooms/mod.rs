//! Load on the rooms of the chat.

mod alarm;
mod frame;
mod kills;
mod load;
mod member;
mod plan;
mod stored;
mod tally;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;

use crate::report::Report;
use crate::socket::{Incoming, Outgoing};
use crate::world::World;
use load::{Crowd, Default};
use member::{Counts, Member};
use plan::Plan;
use tally::Tally;

pub(crate) use kills::{Kills, kills};
pub(crate) use load::Load;

/// How many sockets are opened at the same time.
const OPENING: usize = 64;
/// Nothing is missed any more when nothing has come for so long.
const SILENCE: Duration = Duration::from_secs(10);

/// A load that goes on.
struct Run {
    plan: Arc<Plan>,
    counts: Arc<Counts>,
    start: Instant,
    /// Owns a task for each member, which ends when the group is stopped.
    tasks: TaskGroup,
    /// What members have seen, filled when they end.
    tallies: Arc<Mutex<Vec<anyhow::Result<Tally>>>>,
    /// How many members each room has.
    members: Vec<u64>,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    total: Tally,
    /// How many deliveries of acknowledged messages there were not.
    lost: u64,
    /// When the first message was due.
    start: Instant,
    /// When the last delivery, or acknowledgement, came.
    last: Instant,
}

impl Run {
    /// Opens the sockets, one after the other at the places of `place`, and begins.
    async fn start(
        world: &Arc<World>,
        plan: Plan,
        Crowd { sockets, accounts }: Crowd,
        place: impl Fn(usize) -> Vec<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let (plan, counts) = (Arc::new(plan), Arc::new(Counts::default()));
        let shared = || (Arc::clone(world), Arc::clone(&plan), Arc::clone(&counts));
        let open = |index| {
            let mut member = Member::new(index, shared(), place(index));
            async move {
                if index + accounts >= sockets {
                    member.sign_up().await?;
                }
                let socket = member.join().await?;
                anyhow::Ok((member, socket))
            }
        };
        let opening = stream::iter((0..sockets).map(open)).buffer_unordered(OPENING);
        let members: Vec<(Member, (Outgoing, Incoming))> = opening.try_collect().await?;
        let mut run = Self {
            counts,
            start: clock::now(),
            tasks: TaskGroup::new("load"),
            tallies: Arc::default(),
            members: vec![0; plan.rooms],
            plan,
        };
        for (member, socket) in members {
            run.members[member.index % run.plan.rooms] += 1;
            let (start, over) = (run.start, run.tasks.stopping());
            let tallies = Arc::clone(&run.tallies);
            run.tasks.spawn("member", async move {
                let tally = member.take_part(socket, start, over).await;
                tallies.lock().unwrap_or_else(PoisonError::into_inner).push(tally);
            });
        }
        Ok(run)
    }

    /// Waits until all was sent and all that came has come, and ends.
    async fn end(self) -> anyhow::Result<Outcome> {
        tokio::time::sleep_until((self.start + self.plan.time).into()).await;
        let mut last = (0, clock::now());
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let heard = self.counts.heard.load(Ordering::Relaxed)
                + self.counts.acknowledged.load(Ordering::Relaxed);
            if heard != last.0 {
                last = (heard, clock::now());
            }
            if self.is_complete() || last.1.elapsed() > SILENCE {
                break;
            }
        }
        self.tasks.stop();
        self.tasks.ended().await;
        let tallies =
            std::mem::take(&mut *self.tallies.lock().unwrap_or_else(PoisonError::into_inner));
        let tallies = tallies.into_iter().collect::<anyhow::Result<Vec<Tally>>>()?;
        let lost = self.lost(&tallies);
        let mut total = Tally::new(0, 0);
        for tally in tallies {
            total.add(tally)?;
        }
        Ok(Outcome { total, lost, start: self.start, last: last.1 })
    }

    /// How many messages that were acknowledged did not come to how many members.
    fn lost(&self, tallies: &[Tally]) -> u64 {
        let rooms = self.plan.rooms;
        let mut said = vec![Vec::new(); rooms];
        for word in tallies.iter().flat_map(|tally| &tally.acknowledged) {
            said[word.sender % rooms].push((self.plan.seat(word.sender), word.number));
        }
        let lost = tallies.iter().map(|tally| {
            let said = said[tally.member % rooms].iter();
            said.filter(|(seat, number)| !tally.has_seen(*seat, *number)).count() as u64
        });
        lost.sum()
    }

    /// Whether every message that was due was acknowledged and has come to everyone in its room.
    fn is_complete(&self) -> bool {
        let rooms = self.plan.rooms;
        let (mut due, mut owed) = (0, 0);
        for sender in 0..self.plan.senders {
            let words = self.plan.words(sender);
            due += words;
            owed += words * self.members[sender % rooms];
        }
        self.counts.acknowledged.load(Ordering::Relaxed) >= due
            && self.counts.heard.load(Ordering::Relaxed) >= owed
    }
}

impl Outcome {
    fn tell(&self, plan: &Plan, report: &mut Report) {
        let acknowledged = self.total.acknowledged.len() as u64;
        report.fact("messages acknowledged", acknowledged);
        report.fact("refused", self.total.refused);
        if let Some(complaint) = &self.total.complaint {
            report.fact("the last complaint", complaint);
        }
        report.fact("deliveries", self.total.heard);
        report.fact("histories loaded over HTTP", self.total.histories);
        report.fact("sent for", format!("{:.1} s", plan.time.as_secs_f64()));
        report.fact("until the last delivery", format!("{:.1} s", self.took().as_secs_f64()));
        report.none("deliveries lost", self.lost);
        report.none("deliveries out of order", self.total.disordered);
    }

    /// From the first message that was due to the last delivery.
    fn took(&self) -> Duration {
        self.last.duration_since(self.start)
    }
}

/// Everything is stored: rows in the database against acknowledgements, row by row.
pub(crate) async fn chat(world: World, load: &Load) -> anyhow::Result<()> {
    let world = Arc::new(world);
    let (plan, crowd) =
        load.plan(Default { rate: 10_500.0, rooms: 200, sockets: 200, seconds: 60 })?;
    let places = load.places(&world)?;
    let run = Run::start(&world, plan, crowd, rotated(&places)).await?;
    let plan = Arc::clone(&run.plan);
    let outcome = run.end().await?;
    let stored = stored::read(&world, &plan, &outcome.total).await?;
    let mut report = Report::default();
    outcome.tell(&plan, &mut report);
    report.none("deliveries doubled", outcome.total.doubled);
    report.times("send to acknowledgement", &outcome.total.acknowledgements, ms(500));
    let (rate, lag) = stored.speed(outcome.start, outcome.last);
    report.figure("stored a second", format!("{rate:.0}"), ">= 10000", rate >= 10_000.0);
    report.figure("stored after the last delivery", format!("{lag:.1?}"), "< 1 s", lag < ms(1000));
    report.none("acknowledged messages not stored", stored.lost);
    report.none("messages stored twice", stored.doubled);
    report.none("messages stored elsewhere than shown", stored.misplaced);
    report.print()
}

/// Everyone in a room hears what is said there, as fast as it can be told.
pub(crate) async fn fanout(world: World, load: &Load) -> anyhow::Result<()> {
    let default = Default { rate: 3_060.0, rooms: 20, sockets: 1_000, seconds: 30 };
    let (outcome, mut report) = hear(world, load, default).await?;
    let rate = outcome.total.heard as f64 / outcome.took().as_secs_f64();
    report.figure("deliveries a second", format!("{rate:.0}"), ">= 150000", rate >= 150_000.0);
    report.times("send to screen", &outcome.total.deliveries, ms(200));
    report.print()
}

/// How long it takes until the others see it.
pub(crate) async fn latency(world: World, load: &Load) -> anyhow::Result<()> {
    let default = Default { rate: 200.0, rooms: 10, sockets: 30, seconds: 30 };
    let (outcome, mut report) = hear(world, load, default).await?;
    report.times("send to screen", &outcome.total.deliveries, ms(50));
    report.print()
}

async fn hear(world: World, load: &Load, default: Default) -> anyhow::Result<(Outcome, Report)> {
    let world = Arc::new(world);
    let (plan, crowd) = load.plan(default)?;
    let places = load.places(&world)?;
    let run = Run::start(&world, plan, crowd, rotated(&places)).await?;
    let plan = Arc::clone(&run.plan);
    let outcome = run.end().await?;
    let mut report = Report::default();
    outcome.tell(&plan, &mut report);
    report.none("deliveries doubled", outcome.total.doubled);
    Ok((outcome, report))
}

/// An instance dies under all that listen, who come back elsewhere and have missed nothing.
pub(crate) async fn reconnect(world: World, load: &Load) -> anyhow::Result<()> {
    let world = Arc::new(world);
    let default = Default { rate: 50.0, rooms: 50, sockets: 5_000, seconds: 30 };
    let (mut plan, Crowd { sockets, accounts }) = load.plan(default)?;
    let places = world.places("chat")?;
    anyhow::ensure!(places.len() > 1, "one instance is not enough");
    anyhow::ensure!(!load.through_door, "behind the proxy nobody knows whose sockets die");
    // One in each room speaks, at an instance that lives.
    plan.senders = plan.rooms;
    let (rooms, others) = (plan.rooms, places[1..].to_vec());
    let dying = world.name_of(places[0])?.to_owned();
    // Where the others go when it dies: over all that live, as the proxy would spread them.
    let place = |index: usize| {
        let mut later = rotate(&others, index);
        if index >= rooms {
            later.insert(0, places[0]);
        }
        later
    };
    let crowd = Crowd { sockets: sockets + rooms, accounts };
    let run = Run::start(&world, plan, crowd, place).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let killed = clock::now();
    world.press("kill", &dying).await?;
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let missing = loop {
        looks.tick().await;
        let back = run.counts.back.load(Ordering::Relaxed);
        if back >= sockets as u64 || killed.elapsed() > Duration::from_secs(60) {
            break (sockets as u64).saturating_sub(back);
        }
    };
    let took = killed.elapsed();
    let plan = Arc::clone(&run.plan);
    let outcome = run.end().await?;
    world.press("start", &dying).await?;
    let mut report = Report::default();
    outcome.tell(&plan, &mut report);
    let what = format!("{sockets} sockets are back after");
    report.figure(&what, format!("{:.1} s", took.as_secs_f64()), "<= 10 s", took <= ms(10_000));
    report.none("sockets that did not come back", missing);
    report.print()
}

/// The places in another order for each member, so that rooms spread over all of them.
fn rotated(places: &[SocketAddr]) -> impl Fn(usize) -> Vec<SocketAddr> {
    move |index| rotate(places, index)
}

fn rotate(places: &[SocketAddr], by: usize) -> Vec<SocketAddr> {
    let mut places = places.to_vec();
    let by = by % places.len();
    places.rotate_left(by);
    places
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
