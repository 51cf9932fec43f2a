//! The whole broker over loopback: produce and fetch of one record and of 64 KiB, beside a plain
//! socket that echoes as many bytes. `cargo bench -p klamm-benches --bench loopback`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use klamm_broker::Broker;
use klamm_client::{ClientConfig, Connection, Kafka};
use klamm_protocol::api::{Fetch, Produce, fetch, produce};
use klamm_protocol::records::{BatchBuilder, BatchOptions};
use klamm_protocol::wire::Records;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const TOPIC: &str = "bench";
/// Records of a batch, and bytes of each.
const SHAPES: [(usize, usize); 3] = [(1, 100), (1, 1024), (64, 1024)];

fn batch(records: usize, len: usize) -> bytes::Bytes {
    let value: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for _ in 0..records {
        builder.push(1_700_000_000_000, None, Some(&value), &[]).expect("a batch holds this");
    }
    builder.build(0).expect("a batch has records").bytes().clone()
}

/// A broker that keeps little, and a connection to it, which lives as long as its owner.
async fn start() -> (Broker, Kafka, Connection) {
    let broker = Broker::builder()
        .ephemeral()
        .set("log.segment.bytes", "67108864")
        .set("log.retention.bytes", "268435456")
        .set("log.retention.ms", "-1")
        .set("log.retention.check.interval.ms", "500")
        .start()
        .await
        .expect("an ephemeral broker starts");
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await;
    let kafka = kafka.expect("the broker answers");
    kafka.topic(&TOPIC.into()).await.expect("the topic is made by asking for it");
    let connection = kafka.any_broker().await.expect("the broker answers");
    (broker, kafka, connection)
}

fn produce_request(batch: &bytes::Bytes) -> produce::Request {
    let records = Some(Records::from(batch.clone()));
    produce::Request {
        acks: 1,
        timeout_ms: 30_000,
        topics: vec![produce::Topic {
            name: TOPIC.into(),
            partitions: vec![produce::Partition { index: 0, records }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn fetch_request(offset: i64, size: usize) -> fetch::Request {
    let partition_max_bytes = i32::try_from(size).expect("a batch is small");
    fetch::Request {
        min_bytes: 1,
        max_wait_ms: 500,
        topics: vec![fetch::Topic {
            topic: TOPIC.into(),
            partitions: vec![fetch::Partition {
                fetch_offset: offset,
                partition_max_bytes,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

async fn produce(connection: &Connection, request: &produce::Request) -> i64 {
    // By name: version 12 is the last that has names.
    let pending = connection.submit::<Produce>(12, request).await.expect("the broker is there");
    let answer = pending.answer().await.expect("the broker answers");
    let partition = &answer.topics[0].partitions[0];
    assert!(partition.error_code.is_none(), "{partition:?}");
    partition.base_offset
}

async fn fetch(connection: &Connection, request: &fetch::Request) -> usize {
    let pending = connection.submit::<Fetch>(12, request).await.expect("the broker is there");
    let answer = pending.answer().await.expect("the broker answers");
    let partition = &answer.topics[0].partitions[0];
    assert!(partition.error_code.is_none(), "{partition:?}");
    partition.records.as_ref().map_or(0, Records::len)
}

/// Sends `size` bytes and gets four back: what any request over a socket costs.
async fn echo_server() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of the bench")]
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the bench connects");
        let mut buffer = vec![0; 1 << 20];
        while let Ok(size) = stream.read_u32().await {
            let size = usize::try_from(size).expect("sizes are small");
            stream.read_exact(&mut buffer[..size]).await.expect("the bench sends them");
            stream.write_all(&[0; 4]).await.expect("the bench reads them");
        }
    });
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("it is a socket");
    stream
}

fn loopback(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let mut group = criterion.benchmark_group("loopback");
    for (records, len) in SHAPES {
        let name = format!("{records} x {len}");
        let batch = batch(records, len);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        let (broker, kafka, connection) = runtime.block_on(start());
        let request = produce_request(&batch);
        let mut last = 0;
        group.bench_function(BenchmarkId::new("produce", &name), |bencher| {
            bencher.iter(|| last = runtime.block_on(produce(&connection, &request)));
        });
        let request = fetch_request(last, batch.len());
        group.bench_function(BenchmarkId::new("fetch", &name), |bencher| {
            bencher.iter(|| runtime.block_on(fetch(&connection, &request)));
        });
        drop((connection, kafka));
        runtime.block_on(broker.stop());
        let mut stream = runtime.block_on(echo_server());
        let size = u32::try_from(batch.len()).expect("a batch is small");
        group.bench_function(BenchmarkId::new("plain socket", &name), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    stream.write_u32(size).await.expect("the server reads");
                    stream.write_all(&batch).await.expect("the server reads");
                    stream.read_u32().await.expect("the server answers")
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, loopback);
criterion_main!(benches);
