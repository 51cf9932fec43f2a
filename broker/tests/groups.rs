//! Members of groups: how they come, share, stay and go, also over a crash of the broker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use klamm_broker::{Broker, BrokerBuilder};
use klamm_protocol::api::{
    DeleteGroups, DeleteTopics, Heartbeat, LeaveGroup, ListGroups, Produce, delete_groups,
    delete_topics, heartbeat, leave_group, list_groups,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_utils::clock::ManualClock;
use support::group::Member;
use support::{Client, batch, produce_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn builder() -> BrokerBuilder {
    Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0")
}

async fn start() -> Broker {
    builder().start().await.unwrap()
}

async fn start_in(folder: &Path) -> Broker {
    builder().data_dir(folder).start().await.unwrap()
}

/// Two members of one generation, the leader first; they have these assignments.
async fn pair(broker: &Broker, group: &str, assignments: [&'static str; 2]) -> [Member; 2] {
    let mut leader = Member::connect(broker, group).await;
    let mut follower = Member::connect(broker, group).await;
    leader.settle_alone("everything").await;
    let asked = follower.start_join().await;
    while leader.heartbeat().await != ErrorCode::REBALANCE_IN_PROGRESS {}
    assert_eq!(leader.join().await.members.len(), 2);
    assert_eq!(follower.joined(asked).await.members, []);
    let asked = follower.start_sync(&[]).await;
    let ids = [leader.id.clone(), follower.id.clone()];
    let synced = leader.sync(&[(&ids[0], assignments[0]), (&ids[1], assignments[1])]).await;
    assert_eq!(&*synced.assignment, assignments[0].as_bytes());
    assert_eq!(&*follower.synced(asked).await.assignment, assignments[1].as_bytes());
    [leader, follower]
}

#[tokio::test]
async fn a_client_is_given_an_id_and_comes_back_with_it() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "g").await;
    let joined = member.join().await;
    assert_eq!((joined.generation_id, &joined.leader), (1, &joined.member_id));
    assert!(member.id.starts_with("test-"), "{}", member.id);
    assert_eq!(member.heartbeat().await, ErrorCode::NONE);
    let id = member.id.clone();
    assert_eq!(&*member.sync(&[(&id, "all")]).await.assignment, b"all");
    assert_eq!(member.describe().await.group_state, "Stable");
}

#[tokio::test]
async fn members_share_and_take_over_from_who_leaves() {
    let broker = start().await;
    let [mut leader, mut follower] = pair(&broker, "g", ["one", "other"]).await;
    assert_eq!((leader.generation, follower.generation), (2, 2));
    assert_eq!(follower.heartbeat().await, ErrorCode::NONE);
    assert_eq!(leader.leave().await, ErrorCode::NONE);
    assert_eq!(leader.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(follower.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = follower.join().await;
    assert_eq!((joined.generation_id, &joined.leader), (3, &follower.id));
    assert_eq!(follower.leave().await, ErrorCode::NONE);
    assert_eq!(follower.describe().await.group_state, "Empty");
}

#[tokio::test]
async fn a_static_member_that_starts_again_takes_its_place() {
    let broker = start().await;
    let mut old = Member::connect(&broker, "g").await;
    old.instance = Some("i".into());
    old.settle_alone("mine").await;
    let mut new = Member::connect(&broker, "g").await;
    new.instance = Some("i".into());
    let joined = new.join().await;
    assert_eq!((joined.generation_id, joined.skip_assignment), (old.generation, true));
    assert_eq!(&*new.sync(&[]).await.assignment, b"mine");
    assert_eq!(old.heartbeat().await, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(new.heartbeat().await, ErrorCode::NONE);
}

#[tokio::test]
async fn who_is_silent_is_out() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let broker = builder().clock(Arc::clone(&clock) as _).start().await.unwrap();
    let [mut silent, mut alive] = pair(&broker, "g", ["one", "other"]).await;
    clock.advance(Duration::from_secs(6));
    assert_eq!(alive.heartbeat().await, ErrorCode::NONE);
    clock.advance(Duration::from_secs(6));
    assert_eq!(alive.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(alive.join().await.members.len(), 1);
    assert_eq!(silent.heartbeat().await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn a_group_goes_on_after_a_crash_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = start_in(folder.path()).await;
    Client::connect(&broker).await.create_topic("orders", 4, &[]).await;
    let mut members = pair(&broker, "g", ["one", "other"]).await;
    for offset in 1..=3 {
        for (partition, member) in (0..).zip(&mut members) {
            assert_eq!(member.commit(partition, offset).await, ErrorCode::NONE);
        }
        broker.kill().await;
        broker = start_in(folder.path()).await;
        for member in &mut members {
            member.client = Member::connect(&broker, "g").await.client;
            while member.heartbeat().await != ErrorCode::NONE {}
        }
        let expected = |partition| ("orders".into(), partition, offset, format!("up to {offset}"));
        assert_eq!(committed(&mut members[0]).await, [expected(0), expected(1)]);
        let told = members[0].describe().await;
        assert_eq!((told.group_state.as_str(), told.members.len()), ("Stable", 2));
    }
    broker.stop().await;
}

/// What is committed, once the log has been read.
async fn committed(member: &mut Member) -> Vec<(String, i32, i64, String)> {
    while member.describe().await.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {}
    member.committed().await
}

#[tokio::test]
async fn nobody_coordinates_before_a_coordinator_is_asked_for() {
    let broker = start().await;
    let mut client = Client::connect(&broker).await;
    let request = heartbeat::Request { group_id: "g".into(), ..Default::default() };
    let answer = client.call::<Heartbeat>(4, &request).await;
    assert_eq!(answer.error_code, ErrorCode::NOT_COORDINATOR);
    let listed = client.call::<ListGroups>(5, &list_groups::Request::default()).await;
    assert_eq!((listed.error_code, listed.groups), (ErrorCode::NONE, Vec::new()));
}

#[tokio::test]
async fn old_versions_tell_one_error() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "g").await;
    let request = leave_group::Request {
        group_id: "g".into(),
        member_id: "nobody".into(),
        ..Default::default()
    };
    let answer = member.client.call::<LeaveGroup>(2, &request).await;
    assert_eq!(answer.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn groups_are_listed_and_deleted_once_they_are_empty() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "g").await;
    member.settle_alone("all").await;
    let listed = async |client: &mut Client, state: &str| {
        let states_filter = vec![state.into()];
        let request = list_groups::Request { states_filter, ..Default::default() };
        let groups = client.call::<ListGroups>(5, &request).await.groups;
        groups.into_iter().map(|group| group.group_id.to_string()).collect::<Vec<_>>()
    };
    let delete = async |client: &mut Client| {
        let request = delete_groups::Request { groups_names: vec!["g".into()] };
        client.call::<DeleteGroups>(2, &request).await.results[0].error_code
    };
    assert_eq!(listed(&mut member.client, "stable").await, ["g"]);
    assert_eq!(delete(&mut member.client).await, ErrorCode::NON_EMPTY_GROUP);
    member.leave().await;
    assert!(listed(&mut member.client, "stable").await.is_empty());
    assert_eq!(listed(&mut member.client, "empty").await, ["g"]);
    assert_eq!(delete(&mut member.client).await, ErrorCode::NONE);
    assert_eq!(delete(&mut member.client).await, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(member.describe().await.group_state, "Dead");
}

#[tokio::test]
async fn clients_do_not_write_the_records_of_groups() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "g").await;
    let request = produce_request("__consumer_offsets", 0, -1, batch(&["forged"]));
    let response = member.client.call::<Produce>(9, &request).await;
    let answer = &response.topics[0].partitions[0];
    assert_eq!(answer.error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
}

/// Its coordinator began anew with every try to store it.
#[tokio::test]
async fn a_group_may_be_larger_than_the_segments_of_its_topic() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut client = Client::connect(&broker).await;
    client.create_topic("__consumer_offsets", 1, &[("segment.bytes", "1048576")]).await;
    let mut member = Member::connect(&broker, "g").await;
    member.settle_alone("everything".repeat(200_000).leak()).await;
    broker.kill().await;
    let broker = start_in(folder.path()).await;
    member.client = Member::connect(&broker, "g").await.client;
    while member.heartbeat().await != ErrorCode::NONE {}
    broker.stop().await;
}

#[tokio::test]
async fn groups_go_with_the_topic_that_keeps_them_and_may_begin_anew() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "g").await;
    member.client.create_topic("orders", 1, &[]).await;
    member.settle_alone("all").await;
    let topic_names = vec!["__consumer_offsets".into()];
    let request = delete_topics::Request { topic_names, ..Default::default() };
    let deleted = member.client.call::<DeleteTopics>(5, &request).await;
    assert_eq!(deleted.topics[0].error_code, ErrorCode::NONE);
    assert_eq!(member.commit(0, 1).await, ErrorCode::NOT_COORDINATOR);
    let listed = member.client.call::<ListGroups>(5, &list_groups::Request::default()).await;
    assert_eq!(listed.groups, []);
    let mut member = Member::connect(&broker, "g").await;
    assert_eq!(member.describe().await.group_state, "Dead");
    member.settle_alone("all").await;
    assert_eq!((member.generation, member.commit(0, 1).await), (1, ErrorCode::NONE));
}

#[tokio::test]
async fn members_and_lag_are_among_the_metrics() {
    let broker = builder().set("http.listen", "127.0.0.1:0").start().await.unwrap();
    let mut member = Member::connect(&broker, "g").await;
    member.client.create_topic("orders", 1, &[]).await;
    member.client.produce("orders", batch(&["a", "b", "c"])).await;
    member.settle_alone("all").await;
    assert_eq!(member.commit(0, 1).await, ErrorCode::NONE);
    let mut stream = TcpStream::connect(broker.http_address().unwrap()).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).await.unwrap();
    let of_topic = "{consumergroup=\"g\",topic=\"orders\"";
    for line in [
        "klamm_group_rebalances_total 1".to_owned(),
        "kafka_consumergroup_members{consumergroup=\"g\"} 1".to_owned(),
        format!("kafka_consumergroup_current_offset{of_topic},partition=\"0\"}} 1"),
        format!("kafka_consumergroup_lag{of_topic},partition=\"0\"}} 2"),
        format!("kafka_consumergroup_lag_sum{of_topic}}} 2"),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_broker_that_stops_lets_waiting_members_go() {
    let broker = start().await;
    let [mut leader, mut follower] = pair(&broker, "g", ["one", "other"]).await;
    // Nobody would answer this for half a minute, as one of the two does not join.
    let asked = leader.start_join().await;
    while follower.heartbeat().await != ErrorCode::REBALANCE_IN_PROGRESS {}
    let stopping = broker.stop();
    let answered = async {
        leader.client.answer::<klamm_protocol::api::JoinGroup>(support::group::JOIN, asked).await
    };
    let (_, answer) = tokio::join!(stopping, answered);
    assert_eq!(answer.error_code, ErrorCode::NOT_COORDINATOR);
}
