//! Members of a group that come, go and die while there is work.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use klamm_client::{ClientConfig, Error, Kafka};
use klamm_consumer::{Consumer, ConsumerBatch, GroupProtocol};
use klamm_protocol::error_code::ErrorCode;
use tokio::sync::oneshot;

use support::{SOON, World, member, protocols};

const PARTITIONS: i32 = 6;
/// The offset at which a partition ends when all is produced.
const END: i64 = 1_500;

/// What the members have done together.
#[derive(Default)]
struct Ledger {
    /// By partition, how far everything was read without a gap, and what was committed.
    partitions: BTreeMap<i32, (i64, i64)>,
}

impl Ledger {
    fn read(&mut self, batch: &ConsumerBatch) {
        let (read, committed) = self.partitions.entry(batch.partition()).or_default();
        let first = batch.records()[0].offset;
        assert!(first <= *read, "{} to {first} of {} were lost", *read, batch.partition());
        assert!(first >= *committed, "{first} was read after {committed} was committed");
        *read = (*read).max(batch.end_offset());
    }

    fn committed(&mut self, batch: &ConsumerBatch) {
        let (_, committed) = self.partitions.entry(batch.partition()).or_default();
        *committed = (*committed).max(batch.end_offset());
    }

    fn is_read(&self, to: i64) -> bool {
        self.partitions.len() == PARTITIONS as usize
            && self.partitions.values().all(|(read, _)| *read >= to)
    }
}

/// How a member ends.
enum End {
    /// It says goodbye.
    Close,
    /// It falls silent.
    Die,
}

/// A member as a process of its own: its tasks live and die with its thread.
struct Worker {
    end: oneshot::Sender<End>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(world: &World, assignor: &'static str, ledger: &Arc<Mutex<Ledger>>) -> Self {
        let (end, ended) = oneshot::channel();
        let (address, group) = (world.address.clone(), world.group.clone());
        let (topic, ledger) = (world.topic.clone(), Arc::clone(ledger));
        let protocol = world.protocol;
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async {
                let kafka = Kafka::connect(ClientConfig::new(&address)).await.unwrap();
                let builder = member(&kafka, &group, protocol).subscribe([topic]);
                let builder = match protocol {
                    GroupProtocol::Classic => builder
                        .set("partition.assignment.strategy", assignor)
                        .set("session.timeout.ms", "1000"),
                    GroupProtocol::Consumer => builder.remote_assignor(assignor),
                };
                let builder = builder.auto_commit(false);
                let mut consumer = builder.build().await.unwrap();
                let end = tokio::select! {
                    end = ended => end.unwrap(),
                    () = work(&mut consumer, &ledger) => return,
                };
                if let End::Close = end {
                    consumer.close(SOON).await.unwrap();
                }
            });
        });
        Self { end, thread }
    }

    fn end(self, how: End) {
        self.end.send(how).ok();
        self.thread.join().unwrap();
    }
}

/// Reads, and commits what it has read. What was taken away in between is read by others.
async fn work(consumer: &mut Consumer, ledger: &Mutex<Ledger>) {
    loop {
        let batch = consumer.next_batch().await.unwrap();
        ledger.lock().unwrap().read(&batch);
        match consumer.commit(batch.end()).await {
            Ok(()) => ledger.lock().unwrap().committed(&batch),
            Err(error) => assert!(is_of_a_rebalance(&error), "a commit was refused: {error}"),
        }
    }
}

/// Whether somebody else has the partition, or the group has not told this member yet.
fn is_of_a_rebalance(error: &Error) -> bool {
    match error.code() {
        None => matches!(error, Error::NotAssigned { .. }),
        Some(code) => matches!(
            code,
            ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::STALE_MEMBER_EPOCH
                | ErrorCode::FENCED_MEMBER_EPOCH
        ),
    }
}

async fn read_to(ledger: &Mutex<Ledger>, offset: i64) {
    let read = async {
        while !ledger.lock().unwrap().is_read(offset) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, read).await.expect("the group does not get on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_read_again_that_was_committed() {
    let spoken = protocols().await;
    for (protocol, assignor) in [
        (GroupProtocol::Classic, "range"),
        (GroupProtocol::Classic, "cooperative-sticky"),
        (GroupProtocol::Consumer, "uniform"),
        (GroupProtocol::Consumer, "range"),
    ] {
        if !spoken.contains(&protocol) {
            continue;
        }
        let world = World::speaking(protocol, PARTITIONS).await;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let start = || Worker::start(&world, assignor, &ledger);
        let produce = async {
            for _ in 0..(END - 100) / 20 {
                for partition in 0..PARTITIONS {
                    world.produce(partition, 20).await;
                }
            }
        };
        let churn = async {
            let first = start();
            read_to(&ledger, 200).await;
            let second = start();
            read_to(&ledger, 300).await;
            let third = start();
            read_to(&ledger, 500).await;
            second.end(End::Die);
            read_to(&ledger, 700).await;
            let fourth = start();
            first.end(End::Close);
            read_to(&ledger, 900).await;
            third.end(End::Die);
            fourth.end(End::Die);
            let fifth = start();
            read_to(&ledger, END).await;
            fifth.end(End::Close);
        };
        tokio::join!(produce, churn);
        world.stop().await;
    }
}
