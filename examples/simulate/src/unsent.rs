//! Load on the unsent messages: how fast they are taken, counted and told of.

mod master;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::StatusCode;
use klamm_utils::clock;
use serde::Deserialize;
use serde_json::json;

use self::master::{Content, Master};
use crate::report::{Report, note, times};
use crate::world::World;

/// Messages in one request: as many as are allowed.
const BATCH: u64 = 1_000;
/// Requests that are under way at the same time.
const POSTERS: usize = 4;
/// What was not counted by then is lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// Messages that are posted one by one, to see how soon they can be read.
const SINGLE: u64 = 300;
const SINGLE_EVERY: Duration = Duration::from_millis(20);
/// Senders of each user, and texts that are kept of each.
const SENDERS: u64 = 5;
const TEXTS_MAX: u64 = 100;

/// How much is written, and how often is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Messages.
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// Whom they are written to, each by five others.
    #[arg(long, default_value_t = 1_000)]
    users: u64,
    /// Questions a second.
    #[arg(long, default_value_t = 500.0)]
    reads: f64,
    /// For how long is asked.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Then kill the master, start it empty, and wait until it has everything again. Only with
    /// `demo up`.
    #[arg(long)]
    rebuild: bool,
}

#[derive(Debug, Deserialize)]
struct Unsent {
    total: u64,
}

#[derive(Debug, Deserialize)]
struct Stats {
    reads_aux: u64,
    reads_master: u64,
}

/// What waits, held against what was written: user by user, so that what one has too much does not
/// stand in for what another lacks.
#[derive(Debug, Default)]
struct Counted {
    total: u64,
    lost: u64,
    doubled: u64,
}

impl Counted {
    fn add(&mut self, wanted: u64, found: u64) {
        self.total += found;
        self.lost += wanted.saturating_sub(found);
        self.doubled += found.saturating_sub(wanted);
    }

    fn tell(&self, report: &mut Report) {
        report.none("messages lost", self.lost);
        report.none("messages counted twice", self.doubled);
    }
}

/// A run against one instance.
struct Run {
    world: World,
    load: Load,
    url: String,
    /// Tells this run from others.
    name: String,
}

pub(crate) async fn unsent(world: World, load: Load) -> anyhow::Result<()> {
    let place = *world.places("unsent-producer")?.first().context("nobody takes messages")?;
    let name = format!("{:x}", uuid::Uuid::now_v7().as_u128() >> 48);
    let master = Master::of(&world).await?;
    ensure!(master.is_some() || !load.rebuild, "--rebuild needs a Redis: `demo up`");
    let run = Run { world, load, url: format!("http://{place}"), name };
    let mut report = Report::default();
    run.write_and_count(master.as_ref(), &mut report).await?;
    run.read_single(&mut report).await?;
    run.read(&mut report).await?;
    if let (true, Some(master)) = (run.load.rebuild, &master) {
        run.rebuild(master, &mut report).await?;
    }
    report.print()
}

impl Run {
    fn user(&self, number: u64) -> String {
        format!("u{}-{}", self.name, number % self.load.users)
    }

    /// While nobody counts, all is taken; then all is counted. So neither waits for the other.
    async fn write_and_count(
        &self,
        master: Option<&Master>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        self.world.press("kill", "unsent-consumer").await?;
        let start = clock::now();
        let written = self.write().await;
        let taken = self.load.messages as f64 / start.elapsed().as_secs_f64();
        self.world.press("start", "unsent-consumer").await?;
        written?;
        let reached = taken >= 20_000.0;
        report.figure("messages taken a second", format!("{taken:.0}"), ">= 20000", reached);
        // From the first that is counted: to join a group takes its time, once.
        let (counted, took) = match master {
            // One that was killed is a member of the group until its session is over.
            Some(master) => master.progress(PATIENCE * 5).await?,
            None => {
                let start = clock::now();
                (self.counted().await?.total, start.elapsed())
            }
        };
        let rate = counted as f64 / took.as_secs_f64().max(0.001);
        let reached = rate >= 50_000.0;
        report.figure("messages counted a second", format!("{rate:.0}"), ">= 50000", reached);
        self.counted().await?.tell(report);
        if let Some(master) = master {
            self.tell_content(report, master.content_of(self.users()).await?);
        }
        Ok(())
    }

    /// Kills the master, starts it empty, and looks at itself until it has come to the end of the
    /// log. What it holds then must be what it held before.
    async fn rebuild(&self, master: &Master, report: &mut Report) -> anyhow::Result<()> {
        master.settled(PATIENCE).await?;
        let before = master.content_of(self.users()).await?;
        let records = master.records().await?;
        let start = clock::now();
        self.world.press("kill", "redis").await?;
        self.world.press("start", "redis").await?;
        master.settled(PATIENCE * 5).await?;
        let took = start.elapsed();
        let what = format!("an empty master rebuilt, {records} records");
        report.figure(&what, format!("{took:.1?}"), "< 60 s", took < Duration::from_secs(60));
        let after = master.content_of(self.users()).await?;
        self.tell_content(report, after);
        report.none("stores rebuilt otherwise than before", u64::from(after != before));
        Ok(())
    }

    fn users(&self) -> Vec<String> {
        (0..self.load.users).map(|user| self.user(user)).collect()
    }

    /// What the master itself holds of this run.
    fn tell_content(&self, report: &mut Report, content: Content) {
        let mut wanted = Content::default();
        for pair in 0..self.load.users * SENDERS {
            let (user, sender) = (pair % self.load.users, pair / self.load.users);
            // Every so many messages one is of this pair.
            let round = self.load.users * SENDERS;
            let first = sender * self.load.users + user;
            let count = (self.load.messages + round - 1).saturating_sub(first) / round;
            wanted.senders += u64::from(count > 0);
            wanted.texts += count.min(TEXTS_MAX);
        }
        report.fact("senders in the master", content.senders);
        report.fact("texts in the master", content.texts);
        report.none("senders missing in it", wanted.senders.abs_diff(content.senders));
        report.none("texts missing in it", wanted.texts.abs_diff(content.texts));
    }

    /// From a single POST being sent until a read shows it.
    async fn read_single(&self, report: &mut Report) -> anyhow::Result<()> {
        let mut found = times();
        let mut due = tokio::time::interval(SINGLE_EVERY);
        for number in 0..SINGLE {
            due.tick().await;
            let user = format!("single-{}-{number}", self.name);
            let message = json!({"touser": user, "fromuser": "alice", "message": "hi"});
            let start = clock::now();
            let url = format!("{}/messages", self.url);
            let (status, text) = self.world.http.post(&url, message.to_string()).await?;
            ensure!(status == StatusCode::ACCEPTED, "{status} {text}");
            while self.total(&user).await? == 0 {
                ensure!(start.elapsed() < PATIENCE, "a message cannot be read");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            note(&mut found, start.elapsed());
        }
        report.times("readable after the POST", &found, Duration::from_millis(50));
        Ok(())
    }

    /// Posts all messages; those of a request that failed again, under the same ids.
    async fn write(&self) -> anyhow::Result<()> {
        let batches = (0..self.load.messages.div_ceil(BATCH)).map(|batch| async move {
            let numbers = batch * BATCH..((batch + 1) * BATCH).min(self.load.messages);
            let messages: Vec<_> = numbers.map(|number| self.message(number)).collect();
            let body = serde_json::to_string(&messages)?;
            loop {
                let url = format!("{}/messages/batch", self.url);
                let (status, text) = self.world.http.post(&url, body.clone()).await?;
                match status {
                    StatusCode::ACCEPTED => return anyhow::Ok(()),
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => anyhow::bail!("a batch was refused: {other} {text}"),
                }
            }
        });
        stream::iter(batches).buffer_unordered(POSTERS).try_collect().await
    }

    fn message(&self, number: u64) -> serde_json::Value {
        json!({
            "touser": self.user(number),
            "fromuser": format!("f{}", number / self.load.users % SENDERS),
            "message": format!("message {number}"),
            "message_id": format!("{}-{number}", self.name),
        })
    }

    async fn unsent(&self, user: u64) -> anyhow::Result<u64> {
        self.total(&self.user(user)).await
    }

    async fn total(&self, user: &str) -> anyhow::Result<u64> {
        let url = format!("{}/users/{user}/unsent", self.url);
        let (status, text) = self.world.http.get(&url).await?;
        ensure!(status.is_success(), "{status} {text}");
        Ok(serde_json::from_str::<Unsent>(&text)?.total)
    }

    /// How many messages wait for each user, once it is as many as were written, or after a while.
    async fn counted(&self) -> anyhow::Result<Counted> {
        let deadline = clock::now() + PATIENCE;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        // Each user is asked for the last time when all that was written to him is there.
        let mut counted = Counted::default();
        for user in 0..self.load.users {
            let wanted = (self.load.messages + self.load.users - 1 - user) / self.load.users;
            loop {
                // While the master is away or empty there may be no answer, or an old one.
                let found = self.unsent(user).await.unwrap_or(0);
                if found >= wanted || clock::now() > deadline {
                    counted.add(wanted, found);
                    break;
                }
                looks.tick().await;
            }
        }
        Ok(counted)
    }

    /// Asks at fixed times, however long answers take.
    async fn read(&self, report: &mut Report) -> anyhow::Result<()> {
        let before = self.stats().await?;
        let count = (self.load.reads * self.load.seconds as f64) as u64;
        let start = clock::now();
        let reads = (0..count).map(|number| {
            let due = start + Duration::from_secs_f64(number as f64 / self.load.reads);
            async move {
                tokio::time::sleep_until(due.into()).await;
                self.unsent(number).await?;
                anyhow::Ok(due.elapsed())
            }
        });
        let took: Vec<Duration> = stream::iter(reads).buffered(1_000).try_collect().await?;
        let mut times = times();
        took.into_iter().for_each(|took| note(&mut times, took));
        report.times("a read", &times, Duration::from_millis(5));
        let after = self.stats().await?;
        let (aux, master) =
            (after.reads_aux - before.reads_aux, after.reads_master - before.reads_master);
        let share = aux as f64 / (aux + master).max(1) as f64 * 100.0;
        report.figure("reads off the master", format!("{share:.1} %"), ">= 90 %", share >= 90.0);
        Ok(())
    }

    async fn stats(&self) -> anyhow::Result<Stats> {
        let (_, text) = self.world.http.get(&format!("{}/stats", self.url)).await?;
        serde_json::from_str(&text).with_context(|| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_user_has_too_much_is_not_what_another_lacks() {
        let mut counted = Counted::default();
        for (wanted, found) in [(5, 5), (5, 4), (5, 6)] {
            counted.add(wanted, found);
        }
        assert_eq!((counted.total, counted.lost, counted.doubled), (15, 1, 1));
    }
}
