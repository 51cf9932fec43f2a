//! Many consumers in one process, half of them in one group. `KLAMM_TEST_CONSUMERS=1000` is what
//! they are meant to stand, and `--nocapture` shows what they cost; by default there are fewer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![allow(clippy::disallowed_methods, reason = "tasks as an application starts them")]
#![allow(clippy::print_stdout, reason = "it tells what consumers cost")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use klamm_consumer::{ConsumeExt as _, Consumer, Start};
use klamm_producer::{ProduceExt as _, Record};
use klamm_utils::clock;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use cluster::Cluster;
use support::{SOON, World, protocols};

/// The partitions of which somebody has read the only record.
#[derive(Default)]
struct Seen {
    partitions: Mutex<BTreeSet<(bool, i32)>>,
    more: Notify,
}

/// Reads on and on, until told to stop.
async fn read(
    mut consumer: Consumer,
    is_member: bool,
    seen: Arc<Seen>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            batch = consumer.next_batch() => {
                let partition = batch.unwrap().partition();
                seen.partitions.lock().unwrap().insert((is_member, partition));
                seen.more.notify_waiters();
            }
        }
    }
    consumer.close(SOON).await.unwrap();
}

/// Resident memory of this process in MiB, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0_u64) / 1_024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_consumers_live_in_one_process() {
    let many = std::env::var("KLAMM_TEST_CONSUMERS").ok().and_then(|many| many.parse().ok());
    let half: i32 = many.unwrap_or(60) / 2;
    for protocol in protocols().await {
        let world = World::empty(Cluster::start().await, protocol, half).await;
        let producer = world.kafka.producer().build().await.unwrap();
        for partition in 0..half {
            let record = Record::to(world.topic.clone()).partition(partition).value("one");
            producer.send(record).await.unwrap();
        }
        producer.close(SOON).await.unwrap();
        let (before, begun) = (resident(), clock::now());
        let (seen, stop) = (Arc::new(Seen::default()), watch::Sender::new(false));
        let mut all = JoinSet::new();
        for partition in 0..half {
            let chosen = world.kafka.consumer();
            let chosen = chosen.assign(world.topic.clone(), partition, Start::Earliest);
            for (builder, is_member) in [(world.member(), true), (chosen, false)] {
                let consumer = builder.build().await.unwrap();
                all.spawn(read(consumer, is_member, Arc::clone(&seen), stop.subscribe()));
            }
        }
        loop {
            let more = seen.more.notified();
            if seen.partitions.lock().unwrap().len() == 2 * usize::try_from(half).unwrap() {
                break;
            }
            more.await;
        }
        let (after, took) = (resident(), clock::now() - begun);
        println!(
            "{} consumers, {protocol:?}: {took:?} until all was read, {before} MiB before and \
             {after} MiB then, with the broker's share",
            2 * half
        );
        stop.send_replace(true);
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        println!("closed after {:?}", clock::now() - begun);
        world.stop().await;
    }
}
