//! Produces, reads in groups and copies exactly once while connections break at random, and tells
//! whether every record was treated as promised.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use klamm_trials::proxy::Proxy;
use klamm_trials::storm::{Seen, Storm, be_a_member, copy, produce, verify_copies, verify_records};
use klamm_utils::clock;
use klamm_utils::random::Random;

/// Members of each group, and copiers.
const MEMBERS: usize = 3;
const COPIERS: usize = 2;
/// Within so long after all is produced connections are broken in each way, if not before.
const BROKEN_WITHIN: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Arguments {
    /// Where clients begin.
    #[arg(long)]
    bootstrap: String,
    /// A proxy to be in front of a broker, as LISTEN=BROKER; the broker advertises LISTEN.
    #[arg(long)]
    proxy: Vec<String>,
    /// How long the producer takes.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many records it sends.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Over how many partitions.
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// What chance begins with; otherwise it is chosen, and printed.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| Random::new().bits());
    println!("seed {seed}");
    let mut proxies = Vec::new();
    for proxy in &arguments.proxy {
        let (listen, broker) = proxy.split_once('=').unwrap_or((proxy, &arguments.bootstrap));
        proxies.push(Proxy::start(listen, broker, seed).await?);
    }
    let time = Duration::from_secs(arguments.seconds);
    let (records, partitions) = (arguments.records, arguments.partitions);
    let storm = Storm::prepare(&arguments.bootstrap, records, partitions, time).await?;
    let groups = storm.groups().await?;
    let outcomes = rage(&storm, &groups, &proxies, seed).await;
    for proxy in &proxies {
        println!("{:?}", proxy.tally());
    }
    Ok(report(&storm, &outcomes))
}

type Outcome = (String, Result<()>);

/// Everything at once, then a verdict on each.
async fn rage(storm: &Storm, groups: &[Seen], proxies: &[Proxy], seed: u64) -> Vec<Outcome> {
    let begin = clock::now();
    let producing = async {
        proxies.iter().for_each(|proxy| proxy.set_foul(true));
        let produced = produce(storm).await;
        let broken = breaks(proxies).await;
        proxies.iter().for_each(|proxy| proxy.set_foul(false));
        println!("produced after {:.1} s", begin.elapsed().as_secs_f64());
        let caught_up = storm.catch_up(groups).await;
        storm.end();
        println!("all caught up after {:.1} s", begin.elapsed().as_secs_f64());
        (produced, broken, caught_up)
    };
    let members = async {
        let mut random = Random::seeded(seed);
        let members = groups.iter().flat_map(|seen| std::iter::repeat_n(seen, MEMBERS));
        let members = members.map(|seen| be_a_member(storm, seen, Random::seeded(random.bits())));
        all(members.collect()).await
    };
    let copiers = async {
        let mut random = Random::seeded(!seed);
        let copiers = (0..COPIERS).map(|copier| copy(storm, copier, Random::seeded(random.bits())));
        all(copiers.collect()).await
    };
    let ((produced, broken, caught_up), members, _) = tokio::join!(producing, members, copiers);
    let mut outcomes = vec![("every record is acknowledged".into(), produced)];
    if !proxies.is_empty() {
        outcomes.push(("connections are cut, halved and reset".into(), broken));
    }
    outcomes.push(("groups and copiers catch up".into(), caught_up));
    outcomes.push(("members read what was sent".into(), members.into_iter().collect()));
    for seen in groups {
        let missing = seen.missing(storm.records);
        let seen_by = format!("a {:?} group sees each record at least once", seen.protocol());
        let outcome = if missing == 0 { Ok(()) } else { Err(anyhow::anyhow!("{missing} missed")) };
        outcomes.push((seen_by, outcome));
    }
    outcomes.push(("each record is there once, in order".into(), verify_records(storm).await));
    outcomes.push(("each is copied exactly once, in order".into(), verify_copies(storm).await));
    outcomes
}

/// Returns once every proxy has broken connections in each way.
async fn breaks(proxies: &[Proxy]) -> Result<()> {
    for proxy in proxies {
        let within = tokio::time::timeout(BROKEN_WITHIN, proxy.breaks_each_way()).await;
        within.with_context(|| format!("the weather was too fair: {:?}", proxy.tally()))?;
    }
    Ok(())
}

/// Drives all of these on this task.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).map(Some).collect();
    let mut done: Vec<_> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            let polled = future.as_mut().map(|future| future.as_mut().poll(context));
            if let Some(std::task::Poll::Ready(output)) = polled {
                *done = Some(output);
                *future = None;
            }
        }
        match running.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

fn report(storm: &Storm, outcomes: &[Outcome]) -> ExitCode {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let counters = &storm.troubles;
    println!(
        "{} records; {} waits for room; {} members read {} and were told {} errors; {} copiers \
         committed {} transactions and aborted {}",
        storm.records,
        count(&counters.blocked),
        count(&counters.members),
        count(&counters.read),
        count(&counters.told),
        count(&counters.copiers),
        count(&counters.committed),
        count(&counters.aborted),
    );
    for (what, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("ok    {what}"),
            Err(error) => println!("FAIL  {what}: {error:#}"),
        }
    }
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
