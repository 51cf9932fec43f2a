//! Long answers that are sent from the files they lie in, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use klamm_broker::Broker;
use klamm_protocol::api::{DeleteRecords, Fetch};
use klamm_protocol::api::{delete_records, fetch};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::header::decode_response;
use support::transaction::{Generation, Producer};
use support::{Client, batch, fetch_request, values};

/// More than the sockets of both sides hold together.
const LONG: i32 = 16 << 20;

async fn start_in(folder: &std::path::Path) -> Broker {
    let builder = Broker::builder().data_dir(folder).listen("localhost:0");
    let builder = builder.set("http.listen", "").set("durability", "os-cached");
    builder.start().await.unwrap()
}

fn text(number: i64, len: usize) -> String {
    format!("{number:09}").repeat(len / 9)
}

/// A topic with so many batches of one record each.
async fn fill(client: &mut Client, count: i64, len: usize, configs: &[(&str, &str)]) {
    client.create_topic("t", 1, configs).await;
    for number in 0..count {
        let answer = client.produce("t", batch(&[&text(number, len)])).await;
        assert_eq!(answer.error_code, ErrorCode::NONE);
    }
}

fn request(offset: i64, bytes_max: i32) -> fetch::Request {
    let mut request = fetch_request("t", offset, 0);
    request.max_bytes = bytes_max;
    request.topics[0].partitions[0].partition_max_bytes = bytes_max;
    request
}

/// Checks that these are the records from an offset on. Gives the one behind them.
fn check(answer: &fetch::Response, mut offset: i64, len: usize) -> i64 {
    for (at, value) in values(&answer.topics[0].partitions[0]) {
        assert_eq!(at, offset);
        assert!(value == text(offset, len), "record {offset}");
        offset += 1;
    }
    offset
}

#[tokio::test]
async fn long_runs_of_batches_arrive_whole_beside_other_answers() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut client = Client::connect(&broker).await;
    let (count, len) = (2000, 1000);
    fill(&mut client, count, len, &[]).await;
    let mut offset = 0;
    while offset < count {
        let from = [offset, count, offset];
        let mut ids = Vec::new();
        for offset in from {
            ids.push(client.send::<Fetch>(12, &request(offset, 300_000)).await);
        }
        let mut ends = Vec::new();
        for (id, offset) in ids.into_iter().zip(from) {
            ends.push(check(&client.answer::<Fetch>(12, id).await, offset, len));
        }
        assert!(ends[0] > offset && ends[1] == count && ends[2] > offset);
        offset = ends[0];
    }
}

#[tokio::test]
async fn a_slow_reader_is_sent_what_is_deleted_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut slow = Client::connect(&broker).await;
    let mut other = Client::connect(&broker).await;
    let configs = [("segment.bytes", "20000000"), ("file.delete.delay.ms", "0")];
    fill(&mut other, 30, 900_000, &configs).await;
    let id = slow.send::<Fetch>(12, &request(0, LONG)).await;
    slow.readable().await;
    let partition = delete_records::Partition { partition_index: 0, offset: 29 };
    let topics = vec![delete_records::Topic { name: "t".into(), partitions: vec![partition] }];
    let request = delete_records::Request { topics, timeout_ms: 10_000 };
    let answer = other.call::<DeleteRecords>(2, &request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::NONE);
    assert_eq!(check(&slow.answer::<Fetch>(12, id).await, 0, 900_000), 18);
}

/// Where the broker reads long answers into memory (on other systems than Linux 6.5), they arrive.
#[tokio::test]
async fn an_answer_whose_file_is_cut_meanwhile_ends_the_connection_and_is_never_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut client = Client::connect(&broker).await;
    fill(&mut client, 20, 900_000, &[]).await;
    let id = client.send::<Fetch>(12, &request(0, LONG)).await;
    client.readable().await;
    let file = folder.path().join("t-0/00000000000000000000.log");
    std::fs::File::options().write(true).open(file).unwrap().set_len(15_000_000).unwrap();
    if let Some(frame) = client.frame().await {
        let (answered, answer) = decode_response::<Fetch>(12, frame).unwrap();
        assert_eq!((answered, check(&answer, 0, 900_000)), (id, 18));
    }
    let mut other = Client::connect(&broker).await;
    other.create_topic("other", 1, &[]).await;
}

#[tokio::test]
async fn readers_of_committed_records_are_told_what_was_aborted_in_a_long_run() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::Second).await;
    producer.init().await;
    let values = [1, 2, 3, 4].map(|number| text(number, 50_000));
    let [aborted @ .., third, fourth] = &values;
    for value in aborted {
        producer.write("t", 0, value).await;
    }
    producer.abort().await;
    producer.settled().await;
    for value in [third, fourth] {
        producer.write("t", 0, value).await;
    }
    producer.commit().await;
    producer.settled().await;
    assert!(client.committed("t", 0).await == (vec![third.clone(), fourth.clone()], 6));
}
