//! The whole broker over loopback: produce and fetch of one record, of 64 KiB and of 1 MiB, and
//! sessions in which nothing happens, beside a plain socket that takes and gives as many bytes.
//! `cargo bench -p klamm-benches --bench loopback`

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use klamm_benches::echo;
use klamm_benches::requests::{batch, fetch, fetch_on, produce};
use klamm_benches::wire::{Wire, frame};
use klamm_broker::Broker;
use klamm_protocol::api::{Fetch, Produce};
use klamm_protocol::wire::Records;
use tokio::runtime::Runtime;

/// Records of a batch, and bytes of each.
const SHAPES: [(usize, usize); 4] = [(1, 100), (1, 1024), (64, 1024), (64, 16 * 1024)];
/// Partitions of a session in which nothing happens.
const IDLE: [i32; 2] = [10, 1000];

/// A broker that keeps little, and a connection to it.
async fn start() -> (Broker, Wire) {
    let broker = Broker::builder()
        .ephemeral()
        .set("message.max.bytes", "2097152")
        .set("log.segment.bytes", "67108864")
        .set("log.retention.bytes", "268435456")
        .set("log.retention.ms", "-1")
        .set("log.retention.check.interval.ms", "500")
        .set("log.segment.delete.delay.ms", "0")
        .start()
        .await
        .expect("an ephemeral broker starts");
    let wire = Wire::connect(&broker.bootstrap()).await.expect("the broker answers");
    (broker, wire)
}

fn produce_and_fetch(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    for (records, len) in SHAPES {
        let name = format!("{records} x {len}");
        let batch = batch(records, len);
        let (broker, mut wire) = runtime.block_on(start());
        let topic = runtime.block_on(wire.create_topic("bench", 1)).expect("the topic is made");
        let request = produce(topic, 1, batch.bytes());
        let answer = runtime.block_on(wire.call::<Produce>(&request)).expect("the broker answers");
        assert!(answer.topics[0].partitions[0].error_code.is_none(), "{answer:?}");
        let size = batch.bytes().len();
        let mut group = criterion.benchmark_group("loopback produce");
        group.throughput(Throughput::Bytes(size as u64));
        compare(&mut group, &runtime, &mut wire, (&name, frame::<Produce>(&request)));
        group.finish();
        let again = runtime.block_on(wire.call::<Produce>(&request)).expect("the broker answers");
        let last = again.topics[0].partitions[0].base_offset;
        let mut group = criterion.benchmark_group("loopback fetch");
        group.throughput(Throughput::Bytes(size as u64));
        let request = fetch(topic, 1, last, size);
        let answer = runtime.block_on(wire.call::<Fetch>(&request)).expect("the broker answers");
        let records = answer.topics[0].partitions[0].records.as_ref();
        assert_eq!(records.map(Records::len), Some(size), "{answer:?}");
        compare(&mut group, &runtime, &mut wire, (&name, frame::<Fetch>(&request)));
        group.finish();
        drop(wire);
        runtime.block_on(broker.stop());
    }
}

/// Measures a request, and a plain socket with frames of the same size.
fn compare(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    wire: &mut Wire,
    (name, request): (&str, Bytes),
) {
    let mut answer = 0;
    group.bench_function(BenchmarkId::new("broker", name), |bencher| {
        bencher.iter(|| answer = exchange(runtime, wire, &request));
    });
    floor(group, runtime, name, (request.len(), answer));
}

fn floor(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: &str,
    (size, answer): (usize, usize),
) {
    let plain = async {
        let address = echo::start().await?;
        Wire::connect(&address).await
    };
    let mut plain = runtime.block_on(plain).expect("there is a loopback");
    let request = echo::frame(size, answer);
    group.bench_function(BenchmarkId::new("floor", name), |bencher| {
        bencher.iter(|| exchange(runtime, &mut plain, &request));
    });
}

/// Sends a request, and says how long the answer was.
fn exchange(runtime: &Runtime, wire: &mut Wire, request: &[u8]) -> usize {
    let answer = runtime.block_on(wire.exchange(request)).expect("the server is there");
    answer.len() + 4
}

fn sessions(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let (broker, mut wire) = runtime.block_on(start());
    let mut group = criterion.benchmark_group("loopback fetch in an idle session");
    for partitions in IDLE {
        let name = format!("idle-{partitions}");
        let made = runtime.block_on(wire.create_topic(&name, partitions));
        let mut open = fetch(made.expect("the topic is made"), partitions, 0, 1 << 20);
        open.session_epoch = 0;
        let opened = runtime.block_on(wire.call::<Fetch>(&open)).expect("the broker answers");
        assert_ne!(opened.session_id, 0, "a session is opened");
        let mut epoch = 0;
        let (mut size, mut answer) = (0, 0);
        group.bench_function(BenchmarkId::new("broker", partitions), |bencher| {
            bencher.iter(|| {
                epoch += 1;
                let request = frame::<Fetch>(&fetch_on(opened.session_id, epoch));
                size = request.len();
                answer = exchange(&runtime, &mut wire, &request);
            });
        });
        floor(&mut group, &runtime, &partitions.to_string(), (size, answer));
    }
    group.finish();
    drop(wire);
    runtime.block_on(broker.stop());
}

criterion_group!(benches, produce_and_fetch, sessions);
criterion_main!(benches);
