//! Load on the unsent messages: how fast they are taken, counted and told of.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::StatusCode;
use klamm_utils::clock;
use serde::Deserialize;
use serde_json::json;

use crate::report::{Report, note, times};
use crate::world::World;

/// Messages in one request: as many as are allowed.
const BATCH: u64 = 1_000;
/// Requests that are under way at the same time.
const POSTERS: usize = 4;
/// What was not counted by then is lost.
const PATIENCE: Duration = Duration::from_secs(120);

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
    let run = Run { world, load, url: format!("http://{place}"), name };
    let mut report = Report::default();

    let start = clock::now();
    run.write().await?;
    let rate = run.load.messages as f64 / start.elapsed().as_secs_f64();
    report.figure("messages taken a second", format!("{rate:.0}"), ">= 20000", rate >= 20_000.0);
    let total = run.counted().await?;
    let rate = total as f64 / start.elapsed().as_secs_f64();
    report.figure("messages counted a second", format!("{rate:.0}"), ">= 50000", rate >= 50_000.0);
    run.tell(&mut report, total);

    run.read(&mut report).await?;
    if run.load.rebuild {
        let start = clock::now();
        run.world.press("kill", "redis").await?;
        run.world.press("start", "redis").await?;
        let total = run.counted().await?;
        let took = start.elapsed();
        let what = format!("an empty master rebuilt, {} messages", run.load.messages);
        report.figure(&what, format!("{took:.1?}"), "< 60 s", took < Duration::from_secs(60));
        run.tell(&mut report, total);
    }
    report.print()
}

impl Run {
    fn user(&self, number: u64) -> String {
        format!("u{}-{}", self.name, number % self.load.users)
    }

    fn tell(&self, report: &mut Report, total: u64) {
        report.none("messages lost", self.load.messages.saturating_sub(total));
        report.none("messages counted twice", total.saturating_sub(self.load.messages));
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
            "fromuser": format!("f{}", number / self.load.users % 5),
            "message": format!("message {number}"),
            "message_id": format!("{}-{number}", self.name),
        })
    }

    async fn unsent(&self, user: u64) -> anyhow::Result<u64> {
        let url = format!("{}/users/{}/unsent", self.url, self.user(user));
        let (status, text) = self.world.http.get(&url).await?;
        ensure!(status.is_success(), "{status} {text}");
        Ok(serde_json::from_str::<Unsent>(&text)?.total)
    }

    /// How many messages wait for all users together, once it is as many as were written, or after
    /// a while.
    async fn counted(&self) -> anyhow::Result<u64> {
        let deadline = clock::now() + PATIENCE;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        // Each user is asked for the last time when all that was written to him is there.
        let mut total = 0;
        for user in 0..self.load.users {
            let wanted = (self.load.messages + self.load.users - 1 - user) / self.load.users;
            total += loop {
                // While the master is away or empty there may be no answer, or an old one.
                let found = self.unsent(user).await.unwrap_or(0);
                if found >= wanted || clock::now() > deadline {
                    break found;
                }
                looks.tick().await;
            };
        }
        Ok(total)
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
        report.times("a read", &times, Some(Duration::from_millis(5)));
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
