//! The administrator of groups against a real cluster.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

mod cluster;

use klamm_client::admin::{CommittedOffset, Departure, GroupState};
use klamm_client::{Error, Kafka};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use cluster::{Cluster, can, code, create, topic};

const LIST_GROUPS: i16 = 16;
const OFFSET_DELETE: i16 = 47;

/// With a topic of three partitions.
async fn start() -> (Cluster, Kafka, Str) {
    let cluster = Cluster::start().await;
    let kafka = cluster.connect().await;
    let name = cluster.name("a");
    create(&kafka, topic(&kafka, &name, 3)).await;
    (cluster, kafka, name.into())
}

#[tokio::test]
async fn what_was_committed_comes_back_whole() {
    let (cluster, kafka, topic) = start().await;
    let admin = kafka.admin();
    let (group, nobody) = (Str::from(cluster.name("g")), Str::from(cluster.name("nobody")));
    let noted = CommittedOffset { offset: 7, leader_epoch: Some(3), metadata: "noted".into() };
    let offsets = [(topic.clone(), 1, noted.clone()), (nobody.clone(), 0, 5.into())];
    let altered = admin.alter_group_offsets(&group, &offsets).await.unwrap();
    assert_eq!(altered.iter().filter(|(_, outcome)| outcome.is_ok()).count(), 1);
    let unknown = altered.iter().find(|((topic, _), _)| *topic == nobody).unwrap();
    assert_eq!(code(&unknown.1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));

    let wanted = [(topic.clone(), 0), (topic.clone(), 1)];
    let told = admin.group_offsets_of(&group, &wanted).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|(place, told)| (place, told.unwrap())).collect();
    assert_eq!(told, [(wanted[0].clone(), None), (wanted[1].clone(), Some(noted.clone()))]);

    let groups = [group.clone(), cluster.name("other").into()];
    let all = admin.group_offsets(&groups).await.unwrap();
    assert!(groups.iter().eq(all.iter().map(|(group, _)| group)));
    let offsets = all[0].1.as_ref().unwrap();
    assert_eq!((offsets.len(), offsets[0].1.as_ref().unwrap()), (1, &Some(noted)));
    assert!(all[1].1.as_ref().unwrap().is_empty());

    if can(&kafka, OFFSET_DELETE, 0, "deleting offsets").await {
        let deleted = admin.delete_group_offsets(&group, &wanted[1..]).await.unwrap();
        assert!(deleted[0].1.is_ok(), "{deleted:?}");
        let told = admin.group_offsets_of(&group, &wanted).await.unwrap();
        assert!(told[1].1.as_ref().unwrap().is_none());
    }
    cluster.stop().await;
}

/// Brokers that know such groups say that there is none; others that they do not know them.
#[tokio::test]
async fn groups_of_other_kinds_are_asked_for() {
    let (cluster, kafka, _) = start().await;
    let (admin, nobody) = (kafka.admin(), [Str::from(cluster.name("nobody"))]);
    let check = |api: &str, told: Option<Error>| match told {
        Some(Error::Unsupported { api: lacking, .. }) => assert_eq!(lacking, api),
        Some(error) => assert_eq!(error.code(), Some(ErrorCode::GROUP_ID_NOT_FOUND), "{error}"),
        // A share group that has read nothing need not be there.
        None => assert_eq!(api, "DescribeShareGroupOffsets"),
    };
    let share = admin.describe_share_groups(&nobody).await.unwrap().remove(0);
    check("ShareGroupDescribe", share.1.err());
    let offsets = admin.share_group_offsets(&nobody).await.unwrap().remove(0);
    check("DescribeShareGroupOffsets", offsets.1.err());
    let streams = admin.describe_streams_groups(&nobody).await.unwrap().remove(0);
    check("StreamsGroupDescribe", streams.1.err());
    cluster.stop().await;
}

#[tokio::test]
async fn groups_are_listed_described_and_deleted() {
    let (cluster, kafka, topic) = start().await;
    let admin = kafka.admin();
    let (group, nobody) = (Str::from(cluster.name("g")), Str::from(cluster.name("nobody")));
    admin.alter_group_offsets(&group, &[(topic, 2, 0.into())]).await.unwrap();

    let listed = async |states: &[Str], types: &[Str]| {
        let listed = admin.list_groups(states, types).await.unwrap();
        let mut listed = listed.into_iter().flat_map(|(_, listed)| listed.unwrap());
        listed.find(|listed| listed.id == group)
    };
    assert!(listed(&[], &[]).await.is_some());
    if can(&kafka, LIST_GROUPS, 5, "filters of groups").await {
        let empty = listed(&["Empty".into()], &["classic".into()]).await.unwrap();
        assert_eq!(empty.state, GroupState::Empty);
        assert!(listed(&["Stable".into()], &[]).await.is_none());
    }

    let described = admin.describe_groups(&[nobody.clone(), group.clone()]).await.unwrap();
    // Before Kafka 4, a group that is not there is dead.
    match &described[0].1 {
        Ok(group) => assert_eq!(group.state, GroupState::Dead),
        error => assert_eq!(code(error), Some(ErrorCode::GROUP_ID_NOT_FOUND)),
    }
    let description = described[1].1.as_ref().unwrap();
    assert!(description.members.is_empty());
    let lag = admin.group_lag(description).await.unwrap();
    assert_eq!((lag[0].partition, lag[0].lag()), (2, Some(0)));

    let stranger = [Departure::Member("m".into()), Departure::Instance("i".into())];
    let removed = admin.remove_members(&group, &stranger).await.unwrap();
    assert!(removed.iter().all(|(_, gone)| gone.is_err()));

    let deleted = admin.delete_groups(&[group.clone(), nobody]).await.unwrap();
    assert!(deleted[0].1.is_ok());
    assert_eq!(code(&deleted[1].1), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    assert!(listed(&[], &[]).await.is_none());
    cluster.stop().await;
}
