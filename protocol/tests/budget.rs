//! What a frame may make its reader hold: lists that claim or contain far more than was sent are
//! refused, and honest messages of any size are not.

use bytes::Bytes;
use klamm_protocol::api::{
    AnyRequest, AnyResponse, ApiKey, delete_groups, fetch, metadata, produce,
};
use klamm_protocol::wire::{Str, WireError, Writer};

/// What the elements of a message may take in memory, as `wire` promises.
fn memory_max(frame_len: usize) -> usize {
    16 * frame_len + 64 * 1024
}

#[test]
fn a_claim_of_billions_is_refused_at_once() {
    let metadata = |version, count: &[u8]| {
        let body = Bytes::from([&[0; 4], count].concat());
        AnyResponse::decode(ApiKey::Metadata, version, body).map(|_| ())
    };
    // Behind the throttle time: the number of brokers.
    assert_eq!(metadata(3, &i32::MAX.to_be_bytes()), Err(WireError::Truncated));
    assert_eq!(metadata(3, &(-2i32).to_be_bytes()), Err(WireError::Length(-2)));
    assert_eq!(metadata(3, &(-1i32).to_be_bytes()), Err(WireError::UnexpectedNull));
    assert_eq!(metadata(9, &[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(WireError::Truncated));
    assert_eq!(metadata(9, &[0xff, 0xff, 0xff, 0xff, 0x7f]), Err(WireError::Varint));
}

#[test]
fn elements_that_take_one_byte_each_are_held_to_the_budget() {
    let read = |count: u32| {
        let mut w = Writer::new(2, true);
        w.varint(count + 1);
        w.put(&vec![1; count as usize]); // So many empty names.
        w.varint(0);
        let body = w.finish().unwrap().into_bytes();
        let memory_max = memory_max(body.len());
        let groups = match AnyRequest::decode(ApiKey::DeleteGroups, 2, body)? {
            AnyRequest::DeleteGroups(request) => request.groups_names,
            other => panic!("{other:?}"),
        };
        assert_eq!(groups.len(), count as usize);
        // Once more for the room that a list makes ahead.
        assert!(groups.capacity() * size_of::<Str>() <= 2 * memory_max);
        Ok(())
    };
    assert_eq!(read(1000), Ok(()));
    for count in [100_000, 10_000_000] {
        assert!(matches!(read(count), Err(WireError::Amplified(_))), "{count}");
    }
}

#[test]
fn a_message_of_unknown_tags_is_refused() {
    let read = |count: u32| {
        let mut w = Writer::new(4, true);
        w.put(&[1, 1]); // No name and no version.
        w.varint(count);
        (0..count).for_each(|_| w.put(&[99, 0]));
        AnyRequest::decode(ApiKey::ApiVersions, 4, w.finish().unwrap().into_bytes()).map(|_| ())
    };
    assert_eq!(read(1000), Ok(()));
    assert!(matches!(read(1_000_000), Err(WireError::Amplified(_))));
}

#[test]
fn a_tag_cannot_reach_beyond_its_structure() {
    let read = |tags: &[u8]| {
        let body = Bytes::from([&[1, 1], tags].concat());
        AnyRequest::decode(ApiKey::ApiVersions, 4, body).map(|_| ())
    };
    assert_eq!(read(&[1, 99, 3, b'a', b'b', b'c']), Ok(()));
    assert_eq!(read(&[1, 99, 4, b'a', b'b', b'c']), Err(WireError::Truncated));
    assert_eq!(read(&[1, 99, 2, b'a', b'b', b'c']), Err(WireError::Trailing(1)));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(WireError::Truncated));
}

const MANY: i32 = 20_000;

/// Reads what was written, at the newest version.
fn check_request(request: AnyRequest) {
    let (key, version) = (request.key(), *request.key().versions().end());
    let body = request.encode(version).expect("the newest version can say it").into_bytes();
    assert!(AnyRequest::decode(key, version, body) == Ok(request), "{}", key.name());
}

fn check_response(response: AnyResponse) {
    let (key, version) = (response.key(), *response.key().versions().end());
    let body = response.encode(version).expect("the newest version can say it").into_bytes();
    assert!(AnyResponse::decode(key, version, body) == Ok(response), "{}", key.name());
}

#[test]
fn requests_for_many_partitions_are_within_the_budget() {
    let partition = |partition| fetch::Partition { partition, ..Default::default() };
    let partitions = (0..MANY).map(partition).collect();
    let topics = vec![fetch::Topic { partitions, ..Default::default() }];
    check_request(AnyRequest::Fetch(fetch::Request { topics, ..Default::default() }.into()));

    // The smallest batch that there can be takes 61 bytes.
    let records = || Some(Bytes::from_static(&[0; 61]).into());
    let partition = |index| produce::Partition { index, records: records() };
    let partitions = (0..MANY).map(partition).collect();
    let topics = vec![produce::Topic { partitions, ..Default::default() }];
    check_request(AnyRequest::Produce(produce::Request { topics, ..Default::default() }.into()));

    let groups_names = (0..MANY).map(|index| index.to_string().into()).collect();
    check_request(AnyRequest::DeleteGroups(delete_groups::Request { groups_names }.into()));
}

#[test]
fn responses_about_many_partitions_are_within_the_budget() {
    let partition = |partition_index| fetch::PartitionAnswer {
        partition_index,
        records: Some(Bytes::new().into()),
        ..Default::default()
    };
    let partitions = (0..MANY).map(partition).collect();
    let topics = vec![fetch::TopicAnswer { partitions, ..Default::default() }];
    check_response(AnyResponse::Fetch(fetch::Response { topics, ..Default::default() }.into()));

    let partition = |index| produce::PartitionAnswer { index, ..Default::default() };
    let partitions = (0..MANY).map(partition).collect();
    let topics = vec![produce::TopicAnswer { partitions, ..Default::default() }];
    check_response(AnyResponse::Produce(produce::Response { topics, ..Default::default() }.into()));

    let topic = |index: i32| metadata::TopicAnswer {
        name: Some(index.to_string().into()),
        partitions: vec![metadata::PartitionAnswer {
            replica_nodes: vec![1],
            isr_nodes: vec![1],
            ..Default::default()
        }],
        ..Default::default()
    };
    let topics = (0..MANY).map(topic).collect();
    check_response(AnyResponse::Metadata(
        metadata::Response { topics, ..Default::default() }.into(),
    ));
}
