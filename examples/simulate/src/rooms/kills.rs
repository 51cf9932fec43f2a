//! Processes die while people talk.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use klamm_utils::random::Random;

use super::load::{ACCOUNTS, Crowd};
use super::plan::Plan;
use super::{Run, rotated, stored};
use crate::report::Report;
use crate::world::World;

/// What is killed, and how often.
#[derive(Clone, Debug, Args)]
pub(crate) struct Kills {
    /// How many processes are killed, one after the other: at least as many as there are, so that
    /// each is.
    #[arg(long, default_value_t = 50)]
    rounds: u64,
    /// Which, and when: the same for the same number.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these, by their names.
    #[arg(long)]
    only: Vec<String>,
}

/// Up to so long is waited before a kill, and before the process is started again.
const PAUSE_MS: u64 = 2_000;
/// Messages a second.
const RATE: f64 = 100.0;
const ROOMS: usize = 6;
const SOCKETS: usize = 30;

pub(crate) async fn kills(world: World, kills: &Kills) -> anyhow::Result<()> {
    let world = Arc::new(world);
    let seed = kills.seed.unwrap_or_else(|| Random::new().below(1 << 32));
    tracing::info!(seed, rounds = kills.rounds, "processes will be killed");
    let mut random = Random::seeded(seed);
    let rounds = rounds(&world, kills, &mut random)?;
    let time: Duration = rounds.iter().map(|round| round.before + round.down).sum();
    let plan = Plan {
        run: format!("{:x}", uuid::Uuid::now_v7().as_u128() >> 48),
        rooms: ROOMS,
        senders: SOCKETS,
        rate: RATE,
        time: time + Duration::from_secs(5),
    };
    let crowd = Crowd { sockets: SOCKETS, accounts: ACCOUNTS };
    let run = Run::start(&world, plan, crowd, rotated(&world.places("chat")?)).await?;
    for round in &rounds {
        tokio::time::sleep(round.before).await;
        world.press("kill", &round.victim).await?;
        tokio::time::sleep(round.down).await;
        world.press("start", &round.victim).await?;
        tracing::info!(victim = round.victim, down = ?round.down, "was killed and is back");
    }
    let plan = Arc::clone(&run.plan);
    let outcome = run.end().await?;
    let stored = stored::read(&world, &plan, &outcome.total).await?;
    let mut report = Report::default();
    report.fact("seed", seed);
    report.fact("processes killed", rounds.len());
    outcome.tell(&plan, &mut report);
    report.fact("sent again by the log, same id", outcome.total.doubled);
    let sent: u64 = (0..plan.senders).map(|sender| plan.words(sender)).sum();
    let acknowledged = outcome.total.acknowledged.len() as u64;
    report.none("messages never acknowledged", sent.saturating_sub(acknowledged));
    report.none("acknowledged messages not stored", stored.lost);
    report.none("messages stored twice", stored.doubled);
    report.none("messages stored elsewhere than shown", stored.misplaced);
    report.none("processes that have ended", world.ended().await?);
    report.print()
}

/// One kill.
struct Round {
    before: Duration,
    victim: String,
    down: Duration,
}

fn rounds(world: &World, kills: &Kills, random: &mut Random) -> anyhow::Result<Vec<Round>> {
    let is_meant =
        |name: &&str| kills.only.is_empty() || kills.only.iter().any(|only| only == name);
    let names: Vec<_> = world.names().filter(is_meant).collect();
    let (count, rounds) = (names.len(), kills.rounds);
    anyhow::ensure!(count > 0, "there is nobody to be killed");
    anyhow::ensure!(rounds >= count as u64, "{rounds} rounds do not reach all {count} processes");
    let pause = |random: &mut Random| Duration::from_millis(random.below(PAUSE_MS));
    let round = |number: u64| Round {
        before: pause(random),
        // Everyone's turn comes.
        victim: names[usize::try_from(number).unwrap_or(0) % count].to_owned(),
        down: pause(random),
    };
    Ok((0..rounds).map(round).collect())
}
