//! The administrator of groups against a real broker, in this process.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use klamm_broker::Broker;
use klamm_client::admin::{CommittedOffset, Departure, GroupState, NewTopic};
use klamm_client::{ClientConfig, Error, Kafka};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

async fn start() -> (Broker, Kafka) {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
    kafka.admin().create_topics(&[NewTopic::new("a").partitions(3)]).await.unwrap();
    (broker, kafka)
}

fn code<T>(outcome: &Result<T, Error>) -> Option<ErrorCode> {
    outcome.as_ref().err().and_then(Error::code)
}

#[tokio::test]
async fn what_was_committed_comes_back_whole() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    let (group, topic) = (Str::from("g"), Str::from("a"));
    let noted = CommittedOffset { offset: 7, leader_epoch: Some(3), metadata: "noted".into() };
    let offsets = [(topic.clone(), 1, noted.clone()), ("b".into(), 0, 5.into())];
    let altered = admin.alter_group_offsets(&group, &offsets).await.unwrap();
    assert_eq!(altered.iter().filter(|(_, outcome)| outcome.is_ok()).count(), 1);
    let unknown = altered.iter().find(|((topic, _), _)| *topic == "b").unwrap();
    assert_eq!(code(&unknown.1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));

    let wanted = [(topic.clone(), 0), (topic.clone(), 1)];
    let told = admin.group_offsets_of(&group, &wanted).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|(place, told)| (place, told.unwrap())).collect();
    assert_eq!(told, [(wanted[0].clone(), None), (wanted[1].clone(), Some(noted.clone()))]);

    let groups = [group.clone(), "other".into()];
    let all = admin.group_offsets(&groups).await.unwrap();
    assert!(groups.iter().eq(all.iter().map(|(group, _)| group)));
    let offsets = all[0].1.as_ref().unwrap();
    assert_eq!((offsets.len(), offsets[0].1.as_ref().unwrap()), (1, &Some(noted)));
    assert!(all[1].1.as_ref().unwrap().is_empty());

    let deleted = admin.delete_group_offsets(&group, &wanted[1..]).await.unwrap();
    assert!(deleted[0].1.is_ok());
    assert!(
        admin.group_offsets_of(&group, &wanted).await.unwrap()[1].1.as_ref().unwrap().is_none()
    );
    broker.stop().await;
}

#[tokio::test]
async fn groups_are_listed_described_and_deleted() {
    let (broker, kafka) = start().await;
    let admin = kafka.admin();
    let (group, nobody) = (Str::from("g"), Str::from("nobody"));
    admin.alter_group_offsets(&group, &[("a".into(), 2, 0.into())]).await.unwrap();

    let listed = admin.list_groups(&["Empty".into()], &["classic".into()]).await.unwrap();
    let listed = &listed[0].1.as_ref().unwrap()[0];
    assert_eq!((&listed.id, &listed.state), (&group, &GroupState::Empty));
    assert!(
        admin.list_groups(&["Stable".into()], &[]).await.unwrap()[0].1.as_ref().unwrap().is_empty()
    );

    let described = admin.describe_groups(&[nobody.clone(), group.clone()]).await.unwrap();
    assert_eq!(code(&described[0].1), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    let description = described[1].1.as_ref().unwrap();
    assert_eq!((description.coordinator, description.members.len()), (1, 0));
    let lag = admin.group_lag(description).await.unwrap();
    assert_eq!((lag[0].partition, lag[0].lag()), (2, Some(0)));

    let stranger = [Departure::Member("m".into()), Departure::Instance("i".into())];
    let removed = admin.remove_members(&group, &stranger).await.unwrap();
    assert!(removed.iter().all(|(_, gone)| code(gone) == Some(ErrorCode::UNKNOWN_MEMBER_ID)));

    let deleted = admin.delete_groups(&[group.clone(), nobody]).await.unwrap();
    assert!(deleted[0].1.is_ok());
    assert_eq!(code(&deleted[1].1), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    assert!(admin.list_groups(&[], &[]).await.unwrap()[0].1.as_ref().unwrap().is_empty());
    broker.stop().await;
}
