//! What a broker tells of its folder, and of its topics page by page, through real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use klamm_protocol::api::{
    ConsumerGroupDescribe, DescribeConfigs, DescribeGroups, DescribeLogDirs, DescribeProducers,
    DescribeTopicPartitions, OffsetFetch, consumer_group_describe, describe_configs,
    describe_groups, describe_log_dirs, describe_producers, describe_topic_partitions,
    offset_fetch,
};
use klamm_protocol::error_code::ErrorCode;
use support::group::Member;
use support::{Client, batch, ephemeral};

/// Topic, partition and size of each log that an answer tells of.
fn sizes(answer: &describe_log_dirs::DirAnswer) -> Vec<(&str, i32, i64)> {
    let of = |topic: &'_ describe_log_dirs::TopicAnswer| {
        topic.partitions.iter().map(|it| (it.partition_index, it.partition_size)).collect()
    };
    let topics = answer.topics.iter().map(|topic| (topic.name.as_str(), of(topic)));
    let flat = |(name, partitions): (_, Vec<_>)| {
        partitions.into_iter().map(move |(index, size)| (name, index, size))
    };
    topics.flat_map(flat).collect()
}

#[tokio::test]
async fn the_folder_is_described_with_what_lies_in_it() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("orders", 2, &[]).await;
    client.create_topic("payments", 1, &[]).await;
    let bytes = batch(&["a"]);
    let size = i64::try_from(bytes.len()).unwrap();
    client.produce("orders", bytes).await;
    let request = describe_log_dirs::Request { topics: None };
    let response = client.call::<DescribeLogDirs>(5, &request).await;
    let [dir] = response.results.as_slice() else { panic!("{response:?}") };
    assert_eq!(dir.log_dir.as_str(), broker.data_dir().to_str().unwrap());
    assert_eq!(sizes(dir), [("orders", 0, size), ("orders", 1, 0), ("payments", 0, 0)]);
    assert!(dir.total_bytes >= dir.usable_bytes && dir.usable_bytes > 0);

    let topic =
        |topic: &str, partitions| describe_log_dirs::Topic { topic: topic.into(), partitions };
    let wanted =
        vec![topic("payments", vec![0, 7]), topic("orders", vec![1]), topic("no", vec![0])];
    let request = describe_log_dirs::Request { topics: Some(wanted) };
    let response = client.call::<DescribeLogDirs>(1, &request).await;
    assert_eq!(sizes(&response.results[0]), [("orders", 1, 0), ("payments", 0, 0)]);
}

/// The partitions that each page names, as the client follows the cursors.
async fn pages(client: &mut Client, topics: &[&str], limit: i32) -> Vec<Vec<(String, i32)>> {
    let topic = |name: &&str| describe_topic_partitions::Topic { name: (*name).into() };
    let mut request = describe_topic_partitions::Request {
        topics: topics.iter().map(topic).collect(),
        response_partition_limit: limit,
        cursor: None,
    };
    let mut pages = Vec::new();
    loop {
        let response = client.call::<DescribeTopicPartitions>(0, &request).await;
        let mut page = Vec::new();
        for topic in response.topics {
            assert_eq!(topic.error_code, ErrorCode::NONE);
            let name = topic.name.unwrap().to_string();
            page.extend(topic.partitions.iter().map(|it| (name.clone(), it.partition_index)));
        }
        pages.push(page);
        request.cursor = response.next_cursor;
        if request.cursor.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("b", 3, &[]).await;
    client.create_topic("a", 2, &[]).await;
    let all: Vec<_> = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]
        .map(|(name, index)| (name.to_owned(), index))
        .into();
    let by = |limit| all.chunks(limit).map(<[_]>::to_vec).collect::<Vec<_>>();
    for limit in [1, 2, 3, 4, 5] {
        let wanted = i32::try_from(limit).unwrap();
        assert_eq!(pages(&mut client, &["b", "a", "b"], wanted).await, by(limit));
        assert_eq!(pages(&mut client, &[], wanted).await, by(limit));
    }
    assert_eq!(pages(&mut client, &[], -1).await, by(1));
    assert_eq!(pages(&mut client, &[], i32::MAX).await, by(5));
}

#[tokio::test]
async fn a_cursor_must_point_at_what_is_asked_for() {
    let broker = ephemeral().await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("a", 2, &[]).await;
    for (topic_name, partition_index) in [("b", 0), ("a", -1)] {
        let cursor =
            describe_topic_partitions::Cursor { topic_name: topic_name.into(), partition_index };
        let request = describe_topic_partitions::Request {
            topics: vec![describe_topic_partitions::Topic { name: "a".into() }],
            cursor: Some(cursor),
            ..Default::default()
        };
        let response = client.call::<DescribeTopicPartitions>(0, &request).await;
        assert_eq!(response.topics[0].error_code, ErrorCode::INVALID_REQUEST);
    }
}

/// A short request could ask for a long answer as often as it liked.
#[tokio::test]
async fn what_is_named_again_and_again_is_told_once() {
    let broker = ephemeral().await;
    let mut member = Member::connect(&broker, "g").await;
    let client = &mut member.client;
    client.create_topic("orders", 2, &[]).await;

    let resource = describe_configs::Resource {
        resource_type: 2,
        resource_name: "orders".into(),
        ..Default::default()
    };
    let resources = vec![resource; 3];
    let request = describe_configs::Request { resources, ..Default::default() };
    assert_eq!(client.call::<DescribeConfigs>(4, &request).await.results.len(), 1);

    let request = describe_groups::Request { groups: vec!["g".into(); 3], ..Default::default() };
    assert_eq!(client.call::<DescribeGroups>(6, &request).await.groups.len(), 1);

    let group_ids = vec!["g".into(); 3];
    let request = consumer_group_describe::Request { group_ids, ..Default::default() };
    assert_eq!(client.call::<ConsumerGroupDescribe>(1, &request).await.groups.len(), 1);

    let topic =
        describe_producers::Topic { name: "orders".into(), partition_indexes: vec![1, 0, 1, 1] };
    let request = describe_producers::Request { topics: vec![topic.clone(), topic] };
    let told = client.call::<DescribeProducers>(0, &request).await.topics;
    let told = told.iter().flat_map(|topic| &topic.partitions);
    assert_eq!(told.map(|it| it.partition_index).collect::<Vec<_>>(), [1, 0]);

    let topic = offset_fetch::GroupTopic {
        name: "orders".into(),
        partition_indexes: vec![1, 0, 1, 1],
        ..Default::default()
    };
    let topics = Some(vec![topic.clone(), topic]);
    let group = offset_fetch::Group { group_id: "g".into(), topics, ..Default::default() };
    let request = offset_fetch::Request { groups: vec![group; 3], ..Default::default() };
    let told = client.call::<OffsetFetch>(9, &request).await.groups;
    assert_eq!(told.len(), 1);
    let told = told[0].topics.iter().flat_map(|topic| &topic.partitions);
    assert_eq!(told.map(|it| it.partition_index).collect::<Vec<_>>(), [1, 0]);
}
