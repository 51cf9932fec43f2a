//! Transactions, through the socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::path::Path;

use klamm_broker::Broker;
use klamm_protocol::api::{
    ApiVersions, DeleteTopics, DescribeProducers, ListTransactions, WriteTxnMarkers, api_versions,
    delete_topics, describe_producers, list_transactions, write_txn_markers,
};
use klamm_protocol::error_code::ErrorCode;

use support::transaction::{Generation, Producer};
use support::{Client, ephemeral};

const GENERATIONS: [Generation; 2] = [Generation::First, Generation::Second];

#[tokio::test]
async fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    for generation in GENERATIONS {
        let broker = ephemeral().await;
        let mut client = Client::connect(&broker).await;
        client.create_topic("t", 2, &[]).await;
        let mut producer = Producer::connect(&broker, "tx", generation).await;
        producer.init().await;

        producer.write("t", 0, "a").await;
        producer.write("t", 1, "b").await;
        assert_eq!(client.committed("t", 0).await, (vec![], 0));
        producer.commit().await;
        producer.settled().await;
        assert_eq!(client.committed("t", 0).await, (vec!["a".into()], 2));
        assert_eq!(client.committed("t", 1).await, (vec!["b".into()], 2));

        producer.write("t", 0, "c").await;
        producer.write("t", 0, "d").await;
        producer.abort().await;
        producer.settled().await;
        producer.write("t", 0, "e").await;
        assert_eq!(client.committed("t", 0).await, (vec!["a".into()], 5));
        producer.commit().await;
        producer.settled().await;
        assert_eq!(client.committed("t", 0).await, (vec!["a".into(), "e".into()], 7));
        broker.stop().await;
    }
}

#[tokio::test]
async fn transactions_of_several_producers_do_not_hide_each_other_longer_than_needed() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut one = Producer::connect(&broker, "one", Generation::Second).await;
    let mut other = Producer::connect(&broker, "other", Generation::First).await;
    one.init().await;
    other.init().await;
    one.write("t", 0, "a").await;
    other.write("t", 0, "b").await;
    other.commit().await;
    other.settled().await;
    assert_eq!(client.committed("t", 0).await, (vec![], 0));
    one.abort().await;
    one.settled().await;
    assert_eq!(client.committed("t", 0).await, (vec!["b".into()], 4));
    broker.stop().await;
}

#[tokio::test]
async fn who_is_replaced_is_fenced_and_what_it_had_open_is_aborted() {
    for generation in GENERATIONS {
        let broker = ephemeral().await;
        let mut client = Client::connect(&broker).await;
        client.create_topic("t", 2, &[]).await;
        let mut old = Producer::connect(&broker, "tx", generation).await;
        old.init().await;
        old.write("t", 0, "lost").await;
        let mut new = Producer::connect(&broker, "tx", generation).await;
        new.init().await;
        assert_eq!(new.producer.0, old.producer.0);
        assert_eq!(old.try_write("t", 0, "late").await, ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(old.try_add("t", 1).await, ErrorCode::PRODUCER_FENCED);
        assert_eq!(old.try_end(true).await, ErrorCode::PRODUCER_FENCED);
        new.write("t", 0, "kept").await;
        new.commit().await;
        new.settled().await;
        assert_eq!(client.committed("t", 0).await.0, ["kept"]);
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_batch_that_overtook_the_first_of_its_transaction_waits_for_it() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::Second).await;
    producer.init().await;
    producer.go_on_with("t", 0, 1);
    let refused = producer.try_write("t", 0, "second").await;
    assert_eq!(refused, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    producer.go_on_with("t", 0, 0);
    producer.write("t", 0, "first").await;
    producer.write("t", 0, "second").await;
    producer.commit().await;
    producer.settled().await;
    assert_eq!(client.committed("t", 0).await.0, ["first", "second"]);
    broker.stop().await;
}

#[tokio::test]
async fn nothing_is_written_that_no_transaction_includes() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::First).await;
    producer.init().await;
    assert_eq!(producer.try_write("t", 0, "a").await, ErrorCode::INVALID_TXN_STATE);
    producer.write("t", 0, "a").await;
    producer.commit().await;
    producer.settled().await;
    assert_eq!(producer.try_write("t", 0, "late").await, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(producer.try_add("nowhere", 0).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let internal = producer.try_add("__transaction_state", 0).await;
    assert_eq!(internal, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(client.committed("t", 0).await, (vec!["a".into()], 2));
    broker.stop().await;
}

#[tokio::test]
async fn what_is_open_for_too_long_is_aborted() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::Second).await;
    while producer.try_init(1).await != ErrorCode::NONE {}
    producer.write("t", 0, "a").await;
    while producer.describe().await.transaction_state != "CompleteAbort" {}
    assert_eq!(producer.try_end(true).await, ErrorCode::PRODUCER_FENCED);
    assert_eq!(client.committed("t", 0).await, (vec![], 2));
    let too_long = producer.try_init(1_000_000_000).await;
    assert_eq!(too_long, ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    broker.stop().await;
}

/// A broker that keeps what it has in a folder.
async fn start(folder: &Path) -> Broker {
    let builder = Broker::builder().data_dir(folder);
    builder.set("listeners", "PLAINTEXT://127.0.0.1:0").start().await.unwrap()
}

async fn end(broker: Broker, is_clean: bool) {
    if is_clean {
        broker.stop().await
    } else {
        broker.kill().await
    };
}

/// The epoch of the coordinator that ended the last transaction of the only producer.
async fn coordinator_epoch(client: &mut Client, topic: &str) -> i32 {
    let topic = describe_producers::Topic { name: topic.into(), partition_indexes: vec![0] };
    let request = describe_producers::Request { topics: vec![topic] };
    let told = client.call::<DescribeProducers>(0, &request).await;
    told.topics[0].partitions[0].active_producers[0].coordinator_epoch
}

/// Aborts what a producer has open in partitions of `t`, as an administrator may.
async fn mark(
    client: &mut Client,
    producer: (i64, i16),
    coordinator_epoch: i32,
    partition_indexes: Vec<i32>,
) -> Vec<ErrorCode> {
    let marker = write_txn_markers::Marker {
        producer_id: producer.0,
        producer_epoch: producer.1,
        coordinator_epoch,
        topics: vec![write_txn_markers::Topic { name: "t".into(), partition_indexes }],
        ..Default::default()
    };
    let request = write_txn_markers::Request { markers: vec![marker] };
    let written = client.call::<WriteTxnMarkers>(1, &request).await;
    written.markers[0].topics[0].partitions.iter().map(|it| it.error_code).collect()
}

/// The broker's own markers were refused from then on, and its readers waited for ever.
#[tokio::test]
async fn an_administrator_does_not_replace_the_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path()).await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "id", Generation::First).await;
    producer.init().await;
    producer.write("t", 0, "aborted").await;
    assert_eq!(mark(&mut client, producer.producer, 5, vec![0]).await, [ErrorCode::NONE]);
    producer.abort().await;
    producer.settled().await;
    producer.write("t", 0, "committed").await;
    producer.commit().await;
    producer.settled().await;
    assert_eq!(client.committed("t", 0).await.0, ["committed"]);
    assert_eq!(coordinator_epoch(&mut client, "t").await, 5);
    let old = mark(&mut client, producer.producer, 4, vec![0]).await;
    assert_eq!(old, [ErrorCode::TRANSACTION_COORDINATOR_FENCED]);
    broker.stop().await;
}

#[tokio::test]
async fn transactions_outlive_stops_and_crashes() {
    let folder = tempfile::tempdir().unwrap();
    for is_clean in [true, false] {
        let topic = if is_clean { "clean" } else { "crashed" };
        let broker = start(folder.path()).await;
        let mut client = Client::connect(&broker).await;
        client.create_topic(topic, 1, &[]).await;
        let mut producer = Producer::connect(&broker, topic, Generation::Second).await;
        producer.init().await;
        producer.write(topic, 0, "aborted").await;
        producer.abort().await;
        producer.write(topic, 0, "committed").await;
        producer.commit().await;
        producer.write(topic, 0, "open").await;
        let known = producer.producer;
        let ended_by = coordinator_epoch(&mut client, topic).await;
        assert!(ended_by >= 0);
        end(broker, is_clean).await;

        let broker = start(folder.path()).await;
        let mut client = Client::connect(&broker).await;
        let mut producer = Producer::connect(&broker, topic, Generation::Second).await;
        assert_eq!(coordinator_epoch(&mut client, topic).await, ended_by);
        while producer.describe().await.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {}
        assert_eq!(producer.describe().await.transaction_state, "Ongoing");
        assert_eq!(client.committed(topic, 0).await, (vec!["committed".into()], 4));
        producer.producer = known;
        producer.commit().await;
        producer.settled().await;
        let both = vec!["committed".into(), "open".into()];
        assert_eq!(client.committed(topic, 0).await, (both, 6));
        broker.stop().await;
    }
}

#[tokio::test]
async fn transactions_are_described_and_listed() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 2, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::Second).await;
    assert_eq!(producer.describe().await.error_code, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
    producer.init().await;
    producer.write("t", 1, "a").await;
    let described = producer.describe().await;
    assert_eq!(described.transaction_state, "Ongoing");
    assert_eq!((described.producer_id, described.producer_epoch), producer.producer);
    assert_eq!(described.topics[0].partitions, [1]);
    assert!(described.transaction_start_time_ms > 0);
    let list = |pattern: &str, states: &[&str]| list_transactions::Request {
        state_filters: states.iter().map(|state| (*state).into()).collect(),
        transactional_id_pattern: Some(pattern.into()),
        ..Default::default()
    };
    let listed = client.call::<ListTransactions>(2, &list("t.", &["Ongoing"])).await;
    assert_eq!(listed.transaction_states[0].transactional_id, "tx");
    for (pattern, states) in [("t", &["Ongoing"]), ("", &["Empty"]), ("", &["Nothing"])] {
        let listed = client.call::<ListTransactions>(2, &list(pattern, states)).await;
        assert!(listed.transaction_states.is_empty());
        assert_eq!(listed.unknown_state_filters.len(), usize::from(states == &["Nothing"]));
    }
    // What is no expression by itself, and what would take long to match.
    for pattern in ["(", "t)|(t", "((a{9}){99}){999}"] {
        let listed = client.call::<ListTransactions>(2, &list(pattern, &[])).await;
        assert_eq!(listed.error_code, ErrorCode::INVALID_REGULAR_EXPRESSION, "{pattern}");
    }
    // Who has transactions no more lists none.
    let request = delete_topics::Request {
        topic_names: vec!["__transaction_state".into()],
        timeout_ms: 1_000,
        ..Default::default()
    };
    client.call::<DeleteTopics>(5, &request).await;
    let listed = client.call::<ListTransactions>(2, &list("", &[])).await;
    assert_eq!((listed.error_code, listed.transaction_states), (ErrorCode::NONE, vec![]));
    broker.stop().await;
}

#[tokio::test]
async fn clients_are_told_which_rules_hold() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    for version in [3, 4] {
        let request = api_versions::Request {
            client_software_name: "test".into(),
            client_software_version: "1".into(),
        };
        let told = client.call::<ApiVersions>(version, &request).await;
        let finalized = told.finalized_features.iter();
        let finalized: Vec<_> = finalized.map(|it| (&*it.name, it.max_version_level)).collect();
        assert_eq!(finalized, [("group.version", 1), ("transaction.version", 2)]);
        assert_eq!(told.supported_features.len(), if version >= 4 { 2 } else { 0 });
    }
    broker.stop().await;
}

/// The end of a transaction is still being told when the next one begins: the marker that comes then
/// is not taken for the end of the new one.
#[tokio::test]
async fn the_next_transaction_begins_while_the_last_one_ends() {
    for generation in GENERATIONS {
        let broker = ephemeral().await;
        let mut client = Client::connect(&broker).await;
        client.create_topic("t", 1, &[]).await;
        client.find_group("g").await;
        let mut producer = Producer::connect(&broker, "tx", generation).await;
        producer.init().await;
        let mut written = Vec::new();
        for number in 0..50 {
            // Which of both comes first meets the marker.
            if number % 2 == 0 {
                producer.commit_offset("g", "t", number).await;
            }
            written.push(format!("{number}"));
            producer.write("t", 0, &written[written.len() - 1]).await;
            producer.commit_offset("g", "t", number).await;
            producer.commit().await;
        }
        producer.settled().await;
        assert_eq!(client.committed("t", 0).await.0, written);
        assert_eq!(client.certain_offset("g", "t").await, Ok(49));
        broker.stop().await;
    }
}

#[tokio::test]
async fn offsets_count_once_their_transaction_is_committed() {
    for generation in GENERATIONS {
        let broker = ephemeral().await;
        let mut client = Client::connect(&broker).await;
        client.create_topic("t", 1, &[]).await;
        client.find_group("g").await;
        let mut producer = Producer::connect(&broker, "tx", generation).await;
        producer.init().await;
        producer.write("t", 0, "a").await;
        assert_eq!(client.certain_offset("g", "t").await, Ok(-1));
        producer.commit_offset("g", "t", 5).await;
        let uncertain = Err(ErrorCode::UNSTABLE_OFFSET_COMMIT);
        assert_eq!(client.certain_offset("g", "t").await, uncertain);
        producer.commit().await;
        producer.settled().await;
        assert_eq!(client.certain_offset("g", "t").await, Ok(5));
        producer.commit_offset("g", "t", 7).await;
        assert_eq!(client.certain_offset("g", "t").await, uncertain);
        producer.abort().await;
        producer.settled().await;
        assert_eq!(client.certain_offset("g", "t").await, Ok(5));
        let epoch = producer.producer.1;
        producer.producer.1 = epoch + 1;
        let fenced = producer.try_commit_offset("g", "t", 9).await;
        let expected = match generation {
            Generation::First => ErrorCode::PRODUCER_FENCED,
            Generation::Second => ErrorCode::INVALID_PRODUCER_EPOCH,
        };
        assert_eq!(fenced, expected);
        broker.stop().await;
    }
}

#[tokio::test]
async fn offsets_are_announced_before_anybody_looks_for_the_group() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::First).await;
    producer.init().await;
    producer.commit_offset("g", "t", 5).await;
    producer.commit().await;
    producer.settled().await;
    assert_eq!(client.certain_offset("g", "t").await, Ok(5));
    broker.stop().await;
}

#[tokio::test]
async fn offsets_of_transactions_outlive_stops_and_crashes() {
    let folder = tempfile::tempdir().unwrap();
    for is_clean in [true, false] {
        let group = if is_clean { "clean" } else { "crashed" };
        let broker = start(folder.path()).await;
        let mut client = Client::connect(&broker).await;
        if is_clean {
            client.create_topic("t", 1, &[]).await;
        }
        client.find_group(group).await;
        let mut producer = Producer::connect(&broker, group, Generation::Second).await;
        producer.init().await;
        producer.commit_offset(group, "t", 3).await;
        producer.commit().await;
        producer.commit_offset(group, "t", 4).await;
        let known = producer.producer;
        end(broker, is_clean).await;

        let broker = start(folder.path()).await;
        let mut client = Client::connect(&broker).await;
        let uncertain = Err(ErrorCode::UNSTABLE_OFFSET_COMMIT);
        assert_eq!(client.certain_offset(group, "t").await, uncertain);
        let mut producer = Producer::connect(&broker, group, Generation::Second).await;
        while producer.describe().await.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {}
        producer.producer = known;
        producer.abort().await;
        producer.settled().await;
        assert_eq!(client.certain_offset(group, "t").await, Ok(3));
        broker.stop().await;
    }
}

#[tokio::test]
async fn who_writes_is_told_and_what_hangs_is_ended() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("t", 1, &[]).await;
    let mut producer = Producer::connect(&broker, "tx", Generation::First).await;
    producer.init().await;
    producer.write("t", 0, "a").await;
    producer.write("t", 0, "b").await;
    let topic = describe_producers::Topic { name: "t".into(), partition_indexes: vec![0, 1] };
    let request = describe_producers::Request { topics: vec![topic] };
    let told = client.call::<DescribeProducers>(0, &request).await;
    let unknown = told.topics[0].partitions[1].error_code;
    assert_eq!(unknown, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let active = &told.topics[0].partitions[0].active_producers[0];
    assert_eq!((active.producer_id, active.producer_epoch), (producer.producer.0, 0));
    assert_eq!((active.last_sequence, active.current_txn_start_offset), (1, 0));
    assert_eq!(active.coordinator_epoch, -1);

    let marked = mark(&mut client, producer.producer, 0, vec![0, 1]).await;
    assert_eq!(marked, [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(client.committed("t", 0).await, (vec![], 3));
    broker.stop().await;
}
