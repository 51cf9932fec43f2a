//! Committed offsets: kept, told, expired and deleted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use klamm_broker::{Broker, BrokerBuilder};
use klamm_protocol::api::{
    CreatePartitions, DeleteTopics, Metadata, OffsetCommit, OffsetDelete, OffsetFetch,
    create_partitions, delete_topics, metadata, offset_commit, offset_delete, offset_fetch,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Uuid;
use klamm_storage::disk::MemoryDisk;
use klamm_utils::clock::ManualClock;
use support::group::Member;

fn builder() -> BrokerBuilder {
    Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0")
}

/// Somebody outside the group, on a broker with the topic `orders`.
async fn outsider(broker: &Broker, group: &str) -> Member {
    let mut outsider = Member::connect(broker, group).await;
    outsider.client.create_topic("orders", 3, &[]).await;
    outsider
}

async fn topic_id(member: &mut Member, name: &str) -> Uuid {
    let topic = metadata::Topic { name: Some(name.into()), ..Default::default() };
    let request = metadata::Request { topics: Some(vec![topic]), ..Default::default() };
    member.client.call::<Metadata>(12, &request).await.topics[0].topic_id
}

#[tokio::test]
async fn what_is_committed_is_told_at_every_version() {
    let broker = builder().start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    let id = topic_id(&mut member, "orders").await;
    for version in 2..=10 {
        let offset = i64::from(version);
        let partition = offset_commit::Partition {
            partition_index: 1,
            committed_offset: offset,
            committed_leader_epoch: if version >= 6 { 4 } else { -1 },
            committed_metadata: Some("note".into()),
        };
        let topic = offset_commit::Topic {
            name: "orders".into(),
            topic_id: id,
            partitions: vec![partition],
        };
        let request = offset_commit::Request {
            group_id: "g".into(),
            topics: vec![topic],
            ..Default::default()
        };
        let response = member.client.call::<OffsetCommit>(version, &request).await;
        assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE);
        let expected = ("orders".into(), 1, offset, "note".into());
        assert_eq!(member.committed().await, [expected], "version {version}");
    }
    for version in 1..=7 {
        let topics =
            vec![offset_fetch::Topic { name: "orders".into(), partition_indexes: vec![0, 1] }];
        let group_id = "g".into();
        let topics = Some(topics);
        let request = offset_fetch::Request { group_id, topics, ..Default::default() };
        let response = member.client.call::<OffsetFetch>(version, &request).await;
        let told = response.topics[0].partitions.iter();
        let told: Vec<_> = told.map(|it| (it.partition_index, it.committed_offset)).collect();
        assert_eq!(told, [(0, -1), (1, 10)], "version {version}");
        let epoch = response.topics[0].partitions[1].committed_leader_epoch;
        assert_eq!(epoch, if version >= 5 { 4 } else { -1 }, "version {version}");
    }
    let topic =
        offset_fetch::GroupTopic { topic_id: id, partition_indexes: vec![1], ..Default::default() };
    let unknown = offset_fetch::GroupTopic { topic_id: Uuid([9; 16]), ..topic.clone() };
    let group = offset_fetch::Group {
        group_id: "g".into(),
        topics: Some(vec![topic, unknown]),
        ..Default::default()
    };
    let request = offset_fetch::Request { groups: vec![group], ..Default::default() };
    let topics = member.client.call::<OffsetFetch>(10, &request).await.groups.remove(0).topics;
    let told = topics.iter().map(|topic| {
        (topic.topic_id, topic.partitions[0].committed_offset, topic.partitions[0].error_code)
    });
    let unknown = (Uuid([9; 16]), -1, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(told.collect::<Vec<_>>(), [(id, 10, ErrorCode::NONE), unknown]);
}

#[tokio::test]
async fn only_members_commit_to_a_group_that_has_any() {
    let broker = builder().start().await.unwrap();
    let mut outsider = outsider(&broker, "g").await;
    assert_eq!(outsider.commit(0, 1).await, ErrorCode::NONE);
    assert_eq!(outsider.describe().await.group_state, "Empty");
    let mut member = Member::connect(&broker, "g").await;
    member.settle_alone("all").await;
    assert_eq!(member.commit(0, 2).await, ErrorCode::NONE);
    assert_eq!(outsider.commit(0, 3).await, ErrorCode::UNKNOWN_MEMBER_ID);
    member.generation -= 1;
    assert_eq!(member.commit(0, 4).await, ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(outsider.committed().await[0].2, 2);
    assert_eq!(outsider.commit(7, 1).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut stranger = Member::connect(&broker, "other").await;
    stranger.generation = 3;
    assert_eq!(stranger.commit(0, 1).await, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[tokio::test]
async fn offsets_expire_once_their_group_is_empty() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let broker = builder().set("offsets.retention.minutes", "60");
    let broker = broker.clock(Arc::clone(&clock) as _).start().await.unwrap();
    let minutes = |count: u64| Duration::from_secs(count * 60);
    let mut member = outsider(&broker, "g").await;
    member.settle_alone("all").await;
    assert_eq!(member.commit(0, 5).await, ErrorCode::NONE);
    for _ in 0..1000 {
        clock.advance(Duration::from_secs(9));
        assert_eq!(member.heartbeat().await, ErrorCode::NONE);
    }
    assert_eq!(member.committed().await.len(), 1, "as long as there is a member");
    assert_eq!(member.leave().await, ErrorCode::NONE);
    clock.advance(minutes(59));
    assert_eq!(member.committed().await.len(), 1);
    // The next search comes after ten minutes at most.
    clock.advance(minutes(11));
    assert_eq!(member.committed().await, []);
    assert_eq!(member.describe().await.group_state, "Dead");
}

#[tokio::test]
async fn a_client_may_say_how_long_its_offsets_are_kept() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let broker = builder().clock(Arc::clone(&clock) as _).start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    let partition = offset_commit::Partition { committed_offset: 3, ..Default::default() };
    let topic = offset_commit::Topic {
        name: "orders".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = offset_commit::Request {
        group_id: "g".into(),
        retention_time_ms: 3_600_000,
        topics: vec![topic],
        ..Default::default()
    };
    member.client.call::<OffsetCommit>(4, &request).await;
    clock.advance(Duration::from_secs(3_599));
    assert_eq!(member.committed().await.len(), 1);
    clock.advance(Duration::from_secs(601));
    assert_eq!(member.committed().await, []);
}

#[tokio::test]
async fn offsets_go_with_their_topic() {
    let folder = tempfile::tempdir().unwrap();
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    member.client.create_topic("other", 1, &[]).await;
    assert_eq!(member.commit(0, 5).await, ErrorCode::NONE);
    assert_eq!(member.commit(2, 6).await, ErrorCode::NONE);
    let topic_names = vec!["orders".into()];
    let request = delete_topics::Request { topic_names, ..Default::default() };
    member.client.call::<DeleteTopics>(5, &request).await;
    assert_eq!(member.committed().await, []);
    member.client.create_topic("orders", 3, &[]).await;
    assert_eq!(member.commit(1, 1).await, ErrorCode::NONE);
    broker.kill().await;
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let mut member = Member::connect(&broker, "g").await;
    while member.describe().await.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {}
    assert_eq!(member.committed().await, [("orders".into(), 1, 1, "up to 1".into())]);
}

/// Their records say the topic's name alone, and a topic made anew has the same.
#[tokio::test]
async fn offsets_with_a_retention_of_their_own_go_with_their_topic() {
    let folder = tempfile::tempdir().unwrap();
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    let partition = offset_commit::Partition { committed_offset: 7, ..Default::default() };
    let topic = offset_commit::Topic {
        name: "orders".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = offset_commit::Request {
        group_id: "g".into(),
        retention_time_ms: 3_600_000,
        topics: vec![topic],
        ..Default::default()
    };
    member.client.call::<OffsetCommit>(4, &request).await;
    broker.kill().await;
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let mut member = Member::connect(&broker, "g").await;
    while member.describe().await.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {}
    assert_eq!(member.committed().await.len(), 1);
    let topic_names = vec!["orders".into()];
    let request = delete_topics::Request { topic_names, ..Default::default() };
    member.client.call::<DeleteTopics>(5, &request).await;
    member.client.create_topic("orders", 3, &[]).await;
    assert_eq!(member.committed().await, []);
}

#[tokio::test]
async fn the_number_of_partitions_that_say_where_groups_are_stays() {
    let broker = builder().start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    assert_eq!(member.commit(0, 5).await, ErrorCode::NONE);
    let topic = create_partitions::Topic {
        name: "__consumer_offsets".into(),
        count: 60,
        ..Default::default()
    };
    let request = create_partitions::Request { topics: vec![topic], ..Default::default() };
    let answer = member.client.call::<CreatePartitions>(3, &request).await;
    assert_eq!(answer.results[0].error_code, ErrorCode::INVALID_PARTITIONS);
    assert_eq!(member.committed().await.len(), 1);
}

#[tokio::test]
async fn offsets_of_topics_that_are_read_are_not_deleted() {
    let broker = builder().start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    member.client.create_topic("unread", 1, &[]).await;
    member.settle_alone("all").await;
    assert_eq!(member.commit(0, 5).await, ErrorCode::NONE);
    let delete = async |member: &mut Member, group: &str, topic: &str, index| {
        let partitions = vec![offset_delete::Partition { partition_index: index }];
        let topics = vec![offset_delete::Topic { name: topic.into(), partitions }];
        let request = offset_delete::Request { group_id: group.into(), topics };
        let answer = member.client.call::<OffsetDelete>(0, &request).await;
        let of_partition = answer.topics.first().map(|topic| topic.partitions[0].error_code);
        (answer.error_code, of_partition)
    };
    let none = ErrorCode::NONE;
    let subscribed = (none, Some(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC));
    assert_eq!(delete(&mut member, "g", "orders", 0).await, subscribed);
    assert_eq!(delete(&mut member, "g", "unread", 0).await, (none, Some(none)));
    let unknown = (none, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(delete(&mut member, "g", "orders", 9).await, unknown);
    let missing = (ErrorCode::GROUP_ID_NOT_FOUND, None);
    assert_eq!(delete(&mut member, "nowhere", "orders", 0).await, missing);
    member.leave().await;
    assert_eq!(delete(&mut member, "g", "orders", 0).await, (none, Some(none)));
    assert_eq!(member.committed().await, []);
}

/// Each record bears the name of the group: without a bound, a request of a MiB wrote two GB.
#[tokio::test]
async fn a_commit_of_more_than_may_be_stored_at_once_is_refused_whole() {
    let builder = builder().set("offsets.topic.segment.bytes", "1048576");
    let broker = builder.start().await.unwrap();
    let mut member = outsider(&broker, &"g".repeat(32_000)).await;
    let partition = |offset| offset_commit::Partition {
        committed_offset: offset,
        committed_leader_epoch: -1,
        ..Default::default()
    };
    for (count, code) in [(17, ErrorCode::INVALID_COMMIT_OFFSET_SIZE), (16, ErrorCode::NONE)] {
        let topic = offset_commit::Topic {
            name: "orders".into(),
            partitions: (1..=count).map(partition).collect(),
            ..Default::default()
        };
        let request = offset_commit::Request {
            group_id: member.group.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        let answer = member.client.call::<OffsetCommit>(8, &request).await;
        let codes: Vec<_> = answer.topics[0].partitions.iter().map(|it| it.error_code).collect();
        assert_eq!(codes, vec![code; usize::try_from(count).unwrap()]);
        let kept = member.committed().await.iter().map(|(_, _, offset, _)| *offset).next();
        assert_eq!(kept, code.is_none().then_some(16));
    }
}

/// Java's consumers before 3.9 ended by the code for which others look for the coordinator again.
#[tokio::test]
async fn a_coordinator_whose_disk_is_full_is_one_to_look_for_again() {
    let disk = MemoryDisk::new();
    let broker = Broker::builder().disk(Arc::new(disk.clone())).start().await.unwrap();
    let mut member = outsider(&broker, "g").await;
    assert_eq!(member.commit(0, 5).await, ErrorCode::NONE);
    disk.set_capacity(0);
    let fetched = loop {
        // Some fits into what the log had taken.
        while member.commit(0, 6).await.is_none() {}
        let request = offset_fetch::Request {
            groups: vec![offset_fetch::Group { group_id: "g".into(), ..Default::default() }],
            ..Default::default()
        };
        let answer = member.client.call::<OffsetFetch>(8, &request).await;
        let code = answer.groups[0].error_code;
        if code != ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {
            break code;
        }
    };
    assert_eq!(fetched, ErrorCode::NOT_COORDINATOR);
}
