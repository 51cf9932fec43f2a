//! Produce and Fetch as bytes: reading and writing the messages of both sides, with one partition
//! and with a hundred. `cargo bench -p klamm-benches --bench codec`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use klamm_protocol::api::{Fetch, Produce, fetch, produce};
use klamm_protocol::bytes::Bytes;
use klamm_protocol::declare::Api;
use klamm_protocol::header::{
    RequestHeader, decode_request, decode_response, encode_request, encode_response,
};
use klamm_protocol::wire::{Records, Str, Uuid};

const PARTITIONS: [i32; 2] = [1, 100];
/// What a partition carries in a Produce request and in a Fetch response.
const RECORDS_LEN: usize = 1024;
const TOPIC_ID: Uuid = Uuid([7; 16]);
const CLIENT_ID: Str = Str::from_static("bench");
/// The length in front of every frame.
const PREFIX_LEN: usize = 4;

fn codec(criterion: &mut Criterion) {
    bench_api::<Produce>(criterion, produce_request, produce_response);
    bench_api::<Fetch>(criterion, fetch_request, fetch_response);
}

/// Both messages of an API at its newest version, with their headers.
fn bench_api<A: Api>(
    criterion: &mut Criterion,
    request: fn(i32) -> A::Request,
    response: fn(i32) -> A::Response,
) {
    let version = *A::VERSIONS.end();
    let mut group = criterion.benchmark_group(A::NAME);
    for partitions in PARTITIONS {
        group.throughput(Throughput::Elements(partitions as u64));

        let encode = |request| encode_request::<A>(version, 1, Some(&CLIENT_ID), request);
        let message = request(partitions);
        group.bench_function(BenchmarkId::new("request encode", partitions), |bencher| {
            bencher.iter(|| encode(black_box(&message)).expect("the request can be said"));
        });
        let frame = frame(encode(&message).expect("the request can be said").into_bytes());
        group.bench_function(BenchmarkId::new("request decode", partitions), |bencher| {
            bencher.iter(|| {
                let (_, body) = RequestHeader::split(frame.clone()).expect("written here");
                decode_request::<A>(body).expect("written here")
            });
        });

        let encode = |response| encode_response::<A>(version, 1, response);
        let message = response(partitions);
        group.bench_function(BenchmarkId::new("response encode", partitions), |bencher| {
            bencher.iter(|| encode(black_box(&message)).expect("the response can be said"));
        });
        let frame = self::frame(encode(&message).expect("the response can be said").into_bytes());
        group.bench_function(BenchmarkId::new("response decode", partitions), |bencher| {
            bencher.iter(|| decode_response::<A>(version, frame.clone()).expect("written here"));
        });
    }
    group.finish();
}

fn frame(sent: Bytes) -> Bytes {
    sent.slice(PREFIX_LEN..)
}

fn records() -> Option<Records> {
    Some(Bytes::from_static(&[b'r'; RECORDS_LEN]).into())
}

fn produce_request(partitions: i32) -> produce::Request {
    let partition = |index| produce::Partition { index, records: records() };
    let partitions = (0..partitions).map(partition).collect();
    let topic = produce::Topic { topic_id: TOPIC_ID, partitions, ..Default::default() };
    let topics = vec![topic];
    produce::Request { acks: -1, timeout_ms: 30_000, topics, ..Default::default() }
}

fn produce_response(partitions: i32) -> produce::Response {
    let answer = |index| produce::PartitionAnswer {
        index,
        base_offset: 1 << 40,
        log_start_offset: 0,
        ..Default::default()
    };
    let partitions = (0..partitions).map(answer).collect();
    let topic = produce::TopicAnswer { topic_id: TOPIC_ID, partitions, ..Default::default() };
    produce::Response { topics: vec![topic], ..Default::default() }
}

fn fetch_request(partitions: i32) -> fetch::Request {
    let partition = |partition| fetch::Partition {
        partition,
        fetch_offset: 1 << 40,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions = (0..partitions).map(partition).collect();
    let topic = fetch::Topic { topic_id: TOPIC_ID, partitions, ..Default::default() };
    let topics = vec![topic];
    fetch::Request { max_wait_ms: 500, min_bytes: 1, topics, ..Default::default() }
}

fn fetch_response(partitions: i32) -> fetch::Response {
    let answer = |partition_index| fetch::PartitionAnswer {
        partition_index,
        high_watermark: 1 << 40,
        last_stable_offset: 1 << 40,
        log_start_offset: 0,
        records: records(),
        ..Default::default()
    };
    let partitions = (0..partitions).map(answer).collect();
    let topic = fetch::TopicAnswer { topic_id: TOPIC_ID, partitions, ..Default::default() };
    fetch::Response { topics: vec![topic], ..Default::default() }
}

criterion_group!(benches, codec);
criterion_main!(benches);
