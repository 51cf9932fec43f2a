//! The trials in a small size, against a broker of this process.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use klamm_broker::Broker;
use klamm_trials::crowd::{Crowd, gather};
use klamm_trials::proxy::Proxy;
use klamm_trials::storm::{Storm, be_a_member, copy, produce, verify_copies, verify_records};
use klamm_utils::random::Random;
use tokio::net::TcpListener;

/// An address that nobody listens at.
async fn free() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_storm_neither_loses_nor_doubles() {
    let seed = Random::new().bits();
    println!("seed {seed}");
    let (front, behind) = (free().await, free().await);
    let broker = Broker::builder().ephemeral().listen(&behind);
    let broker = broker.set("advertised.listeners", format!("PLAINTEXT://{front}"));
    let broker = broker.set("group.initial.rebalance.delay.ms", "0").start().await.unwrap();
    let proxy = Proxy::start(&front, &behind, seed).await.unwrap();
    let storm = Storm::prepare(&front, 5_000, 3, Duration::from_secs(3)).await.unwrap();
    let groups = storm.groups().await.unwrap();
    assert_eq!(groups.len(), 2);
    let producing = async {
        proxy.set_foul(true);
        produce(&storm).await.unwrap();
        proxy.breaks_each_way().await;
        proxy.set_foul(false);
        storm.catch_up(&groups).await.unwrap();
        storm.end();
    };
    let (_, one, two, ()) = tokio::join!(
        producing,
        be_a_member(&storm, &groups[0], Random::seeded(seed)),
        be_a_member(&storm, &groups[1], Random::seeded(seed)),
        copy(&storm, 0, Random::seeded(seed)),
    );
    one.and(two).unwrap();
    verify_records(&storm).await.unwrap();
    verify_copies(&storm).await.unwrap();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_crowd_sends_and_reads_all() {
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await.unwrap();
    for shared in [false, true] {
        let bootstrap = &broker.bootstrap();
        let crowd = Crowd { bootstrap, each: 50, shared, tell: &|what| println!("{what}") };
        gather(&crowd, 20).await.unwrap();
    }
    broker.stop().await;
}
