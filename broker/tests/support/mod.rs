//! A client that says exactly what it is told to, on a broker that goes with the test.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod group;
pub mod transaction;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klamm_broker::Broker;
use klamm_protocol::api::{CreateTopics, Fetch, Produce};
use klamm_protocol::api::{create_topics, fetch, produce};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::frame::FrameCodec;
use klamm_protocol::header::{decode_response, encode_request};
use klamm_protocol::records::{Batch, BatchBuilder, BatchOptions, BatchProducer, batches};
use klamm_protocol::wire::{Records, Str};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::codec::Decoder as _;

/// Longer than any answer takes, so that a missing one fails the test and does not hang it.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn ephemeral() -> Broker {
    Broker::builder().ephemeral().start().await.unwrap()
}

pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    next_id: i32,
    /// Bytes sent and received so far.
    pub traffic: (usize, usize),
}

impl Client {
    pub async fn connect(broker: &Broker) -> Self {
        Self::connect_to(&broker.bootstrap()).await
    }

    pub async fn connect_to(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self { stream, buffer: BytesMut::new(), next_id: 1, traffic: (0, 0) }
    }

    /// Sends a request and waits for its answer.
    pub async fn call<A: Api>(&mut self, version: i16, request: &A::Request) -> A::Response {
        let id = self.send::<A>(version, request).await;
        self.answer::<A>(version, id).await
    }

    /// Sends a request; gives the id that its answer will have.
    pub async fn send<A: Api>(&mut self, version: i16, request: &A::Request) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        let client = Str::from_static("test");
        let message = encode_request::<A>(version, id, Some(&client), request).unwrap();
        self.send_bytes(&message.into_bytes()).await;
        id
    }

    pub async fn answer<A: Api>(&mut self, version: i16, id: i32) -> A::Response {
        let frame = self.frame().await.expect("the broker closed the connection");
        let (answered, response) = decode_response::<A>(version, frame).unwrap();
        assert_eq!(answered, id, "answers come in the order of the requests");
        response
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        // The broker may have closed already: the test sees it when it reads.
        let _ = self.stream.write_all(bytes).await;
        self.traffic.0 += bytes.len();
    }

    /// The next frame; `None` when the broker closed the connection.
    pub async fn frame(&mut self) -> Option<Bytes> {
        tokio::time::timeout(PATIENCE, self.read_frame()).await.expect("no answer came")
    }

    async fn read_frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = FrameCodec::new(1 << 30).decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => self.traffic.1 += bytes,
            }
        }
    }

    /// Waits until some of an answer is there, without taking any of it.
    pub async fn readable(&mut self) {
        let readable = tokio::time::timeout(PATIENCE, self.stream.readable()).await;
        readable.expect("no answer came").unwrap();
    }

    /// Whether some of an answer comes within this time: only to show that none does.
    pub async fn has_answer_within(&mut self, time: Duration) -> bool {
        !self.buffer.is_empty() || {
            let read = self.stream.read_buf(&mut self.buffer);
            tokio::time::timeout(time, read).await.is_ok()
        }
    }

    pub async fn is_closed(&mut self) -> bool {
        self.frame().await.is_none()
    }

    pub async fn shut_down(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub async fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| create_topics::Config {
            name: (*name).into(),
            value: Some((*value).into()),
        };
        let topic = create_topics::Topic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = create_topics::Request { topics: vec![topic], ..Default::default() };
        let response = self.call::<CreateTopics>(7, &request).await;
        assert_eq!(response.topics[0].error_code, ErrorCode::NONE, "{response:?}");
    }

    pub async fn produce(&mut self, topic: &str, batch: Bytes) -> produce::PartitionAnswer {
        let response = self.call::<Produce>(9, &produce_request(topic, 0, -1, batch)).await;
        response.topics[0].partitions[0].clone()
    }

    pub async fn fetch(&mut self, topic: &str, offset: i64) -> fetch::PartitionAnswer {
        let response = self.call::<Fetch>(12, &fetch_request(topic, offset, 0)).await;
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.topics[0].partitions[0].clone()
    }
}

pub fn produce_request(topic: &str, partition: i32, acks: i16, batch: Bytes) -> produce::Request {
    let records = Some(Records::from(batch));
    produce::Request {
        acks,
        timeout_ms: 10_000,
        topics: vec![produce::Topic {
            name: topic.into(),
            partitions: vec![produce::Partition { index: partition, records }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub fn fetch_request(topic: &str, offset: i64, max_wait_ms: i32) -> fetch::Request {
    fetch::Request {
        max_wait_ms,
        min_bytes: 1,
        topics: vec![fetch::Topic {
            topic: topic.into(),
            partitions: vec![fetch::Partition {
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A batch of these values, without a producer.
pub fn batch(values: &[&str]) -> Bytes {
    batch_of(BatchProducer::NONE, values)
}

pub fn batch_of(producer: BatchProducer, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.set_producer(producer);
    for (at, value) in (0..).zip(values) {
        builder.push(1_000 + at, Some(b"key"), Some(value.as_bytes()), &[]).unwrap();
    }
    builder.build(0).unwrap().bytes().clone()
}

/// The values of the records in an answer, with their offsets.
pub fn values(answer: &fetch::PartitionAnswer) -> Vec<(i64, String)> {
    let records = answer.records.clone().unwrap_or_default().into_bytes();
    let all = batches(records).map(Result::unwrap).flat_map(|batch: Batch| {
        batch.verify_crc().unwrap();
        batch.records(1 << 20).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    });
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    all.map(|record| (record.offset, text(record.value))).collect()
}
