//! Produce and Fetch as bytes: reading and writing the messages of both sides, with one partition
//! and with a hundred, beside a plain copy of their bytes (records are not copied by either).
//! `cargo bench -p klamm-benches --bench codec`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use klamm_protocol::api::{Fetch, Produce, fetch, produce};
use klamm_protocol::bytes::Bytes;
use klamm_protocol::declare::Api;
use klamm_protocol::header::{
    RequestHeader, decode_request, decode_response, encode_request, encode_response,
};
use klamm_protocol::wire::{Encoded, Records, Str, Uuid};

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
    let message = |what| Message { name: format!("{} {what}", A::NAME) };
    message("request").bench(
        criterion,
        request,
        |request| {
            let written = encode_request::<A>(version, 1, Some(&CLIENT_ID), request);
            written.expect("the newest version can say it")
        },
        |frame| {
            let (_, body) = RequestHeader::split(frame).expect("written here");
            decode_request::<A>(body).expect("written here")
        },
    );
    message("response").bench(
        criterion,
        response,
        |response| {
            let written = encode_response::<A>(version, 1, response);
            written.expect("the newest version can say it")
        },
        |frame| decode_response::<A>(version, frame).expect("written here"),
    );
}

/// A message in both directions, beside a plain copy of its bytes.
struct Message {
    name: String,
}

impl Message {
    fn bench<T, R>(
        &self,
        criterion: &mut Criterion,
        make: impl Fn(i32) -> T,
        encode: impl Fn(&T) -> Encoded,
        decode: impl Fn(Bytes) -> R,
    ) {
        let mut group = criterion.benchmark_group(&self.name);
        for partitions in PARTITIONS {
            let message = make(partitions);
            let frame = encode(&message).into_bytes().slice(PREFIX_LEN..);
            let mut copy = vec![0; frame.len()];
            let id = |name| BenchmarkId::new(name, partitions);
            group.throughput(Throughput::Elements(partitions as u64));
            group.bench_function(id("encode"), |bencher| {
                bencher.iter(|| encode(black_box(&message)));
            });
            group.bench_function(id("decode"), |bencher| {
                bencher.iter(|| decode(black_box(frame.clone())));
            });
            group.bench_function(id("floor"), |bencher| {
                bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&frame)));
            });
        }
        group.finish();
    }
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
