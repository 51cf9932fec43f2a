//! Members of groups of the consumer protocol: how they come, share, stay and go, also over a crash
//! of the broker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use klamm_broker::{Broker, BrokerBuilder};
use klamm_protocol::api::consumer_group_heartbeat::{Request, Response, TopicPartitions};
use klamm_protocol::api::{
    ConsumerGroupDescribe, ConsumerGroupHeartbeat, DeleteGroups, FindCoordinator, ListGroups,
    OffsetCommit, OffsetFetch, SyncGroup, consumer_group_describe, delete_groups, find_coordinator,
    list_groups, offset_commit, offset_fetch, sync_group,
};
use klamm_protocol::consumer_protocol::{Assignment, TopicPartitions as OfTopic};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock::ManualClock;
use support::Client;
use support::group::Member as ClassicMember;

fn builder() -> BrokerBuilder {
    Broker::builder()
        .ephemeral()
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.consumer.assignment.interval.ms", "0")
}

async fn start() -> Broker {
    builder().start().await.unwrap()
}

async fn start_in(folder: &Path) -> Broker {
    builder().data_dir(folder).start().await.unwrap()
}

/// A client that speaks the consumer protocol.
struct Member {
    client: Client,
    id: Str,
    epoch: i32,
    told: Vec<TopicPartitions>,
}

impl Member {
    /// Connects, and finds the coordinator; joins nothing yet.
    async fn connect(broker: &Broker, id: &str) -> Self {
        let mut client = Client::connect(broker).await;
        let coordinator_keys = vec!["g".into()];
        let request = find_coordinator::Request { coordinator_keys, ..Default::default() };
        let found = client.call::<FindCoordinator>(4, &request).await;
        assert_eq!(found.coordinators[0].error_code, ErrorCode::NONE);
        Self { client, id: id.into(), epoch: 0, told: Vec::new() }
    }

    async fn join(&mut self, topics: &[&str]) -> ErrorCode {
        let names = topics.iter().map(|name| Str::from(*name)).collect();
        self.epoch = 0;
        self.beat(Request {
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(names),
            topic_partitions: Some(Vec::new()),
            ..Request::default()
        })
        .await
    }

    /// Says that it has come to what it was told.
    async fn acknowledge(&mut self) -> ErrorCode {
        let topic_partitions = Some(self.told.clone());
        self.beat(Request { topic_partitions, ..Request::default() }).await
    }

    async fn beat(&mut self, request: Request) -> ErrorCode {
        let answer = self.ask(request).await;
        if answer.error_code.is_none() {
            self.epoch = answer.member_epoch;
            self.told = answer.assignment.map_or(self.told.clone(), |it| it.topic_partitions);
        }
        answer.error_code
    }

    async fn ask(&mut self, request: Request) -> Response {
        let request = Request {
            group_id: "g".into(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            ..request
        };
        self.client.call::<ConsumerGroupHeartbeat>(1, &request).await
    }

    fn indexes(&self) -> Vec<i32> {
        self.told.iter().flat_map(|topic| topic.partitions.iter().copied()).collect()
    }

    async fn commit(&mut self, partition: i32, offset: i64) -> ErrorCode {
        let partition = offset_commit::Partition {
            partition_index: partition,
            committed_offset: offset,
            ..Default::default()
        };
        let topic = offset_commit::Topic {
            name: "orders".into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = offset_commit::Request {
            group_id: "g".into(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.id.clone(),
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.client.call::<OffsetCommit>(9, &request).await;
        answer.topics[0].partitions[0].error_code
    }

    /// How far the group has read, as this member may know.
    async fn committed(&mut self, epoch: i32) -> Result<Vec<i64>, ErrorCode> {
        let group = offset_fetch::Group {
            group_id: "g".into(),
            member_id: Some(self.id.clone()),
            member_epoch: epoch,
            topics: None,
        };
        let request = offset_fetch::Request { groups: vec![group], ..Default::default() };
        let answer = self.client.call::<OffsetFetch>(9, &request).await;
        let group = &answer.groups[0];
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        let offsets = partitions.map(|partition| partition.committed_offset).collect();
        if group.error_code.is_none() { Ok(offsets) } else { Err(group.error_code) }
    }

    async fn describe(&mut self) -> consumer_group_describe::GroupAnswer {
        let request =
            consumer_group_describe::Request { group_ids: vec!["g".into()], ..Default::default() };
        self.client.call::<ConsumerGroupDescribe>(1, &request).await.groups.remove(0)
    }

    async fn list(&mut self) -> Vec<(String, String, String)> {
        let answer = self.client.call::<ListGroups>(5, &list_groups::Request::default()).await;
        let text = |group: list_groups::Group| {
            let texts = [group.group_id, group.group_type, group.group_state];
            let [id, kind, state] = texts.map(|text| text.to_string());
            (id, kind, state)
        };
        answer.groups.into_iter().map(text).collect()
    }
}

/// Two members that share the four partitions of a topic.
async fn pair(broker: &Broker) -> [Member; 2] {
    let mut one = Member::connect(broker, "one").await;
    one.client.create_topic("orders", 4, &[]).await;
    let mut other = Member::connect(broker, "other").await;
    assert_eq!(one.join(&["orders"]).await, ErrorCode::NONE);
    assert_eq!((one.epoch, one.indexes()), (2, vec![0, 1, 2, 3]));
    assert_eq!(one.acknowledge().await, ErrorCode::NONE);
    assert_eq!(other.join(&["orders"]).await, ErrorCode::NONE);
    assert_eq!((other.epoch, other.indexes()), (3, vec![]));
    assert_eq!(one.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!((one.epoch, one.indexes().len()), (2, 2));
    assert_eq!(one.acknowledge().await, ErrorCode::NONE);
    assert_eq!(one.epoch, 3);
    assert_eq!(other.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!(other.indexes().len(), 2);
    assert_eq!(other.acknowledge().await, ErrorCode::NONE);
    [one, other]
}

#[tokio::test]
async fn members_share_and_take_over_from_who_leaves() {
    let broker = start().await;
    let [mut one, mut other] = pair(&broker).await;
    let told = one.describe().await;
    assert_eq!(
        (told.group_state.as_str(), told.group_epoch, told.assignment_epoch),
        ("Stable", 3, 3)
    );
    assert_eq!((told.assignor_name.as_str(), told.members.len()), ("uniform", 2));
    assert_eq!(told.members[0].assignment.topic_partitions[0].topic_name, "orders");
    assert_eq!(one.list().await, [("g".into(), "consumer".into(), "Stable".into())]);
    one.epoch = -1;
    assert_eq!(one.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!(one.beat(Request::default()).await, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(other.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!((other.epoch, other.indexes()), (4, vec![0, 1, 2, 3]));
}

#[tokio::test]
async fn who_is_silent_is_out() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let broker = builder().clock(Arc::clone(&clock) as _).start().await.unwrap();
    let [mut silent, mut alive] = pair(&broker).await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(alive.beat(Request::default()).await, ErrorCode::NONE);
    clock.advance(Duration::from_secs(15));
    assert_eq!(alive.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!(alive.indexes(), [0, 1, 2, 3]);
    assert_eq!(silent.beat(Request::default()).await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn a_group_goes_on_after_a_crash_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = start_in(folder.path()).await;
    let mut members = pair(&broker).await;
    for offset in 1..=3 {
        for member in &mut members {
            let partition = member.indexes()[0];
            assert_eq!(member.commit(partition, offset).await, ErrorCode::NONE);
        }
        broker.kill().await;
        broker = start_in(folder.path()).await;
        for member in &mut members {
            let epoch = member.epoch;
            member.client = Member::connect(&broker, "").await.client;
            while member.acknowledge().await != ErrorCode::NONE {}
            assert_eq!(member.epoch, epoch);
            assert_eq!(member.committed(epoch).await, Ok(vec![offset, offset]));
        }
        let told = members[0].describe().await;
        assert_eq!((told.group_state.as_str(), told.group_epoch), ("Stable", 3));
    }
    broker.stop().await;
}

#[tokio::test]
async fn commits_need_the_epoch_of_the_member() {
    let broker = start().await;
    let [mut one, _other] = pair(&broker).await;
    let held = one.indexes()[0];
    assert_eq!(one.commit(held, 5).await, ErrorCode::NONE);
    assert_eq!(one.committed(3).await, Ok(vec![5]));
    assert_eq!(one.committed(2).await, Err(ErrorCode::STALE_MEMBER_EPOCH));
    // It has held this one since epoch 2.
    one.epoch = 2;
    assert_eq!(one.commit(held, 6).await, ErrorCode::NONE);
    let given_up = (0..4).find(|index| !one.indexes().contains(index)).unwrap();
    assert_eq!(one.commit(given_up, 6).await, ErrorCode::STALE_MEMBER_EPOCH);
    one.epoch = 4;
    assert_eq!(one.commit(held, 7).await, ErrorCode::STALE_MEMBER_EPOCH);
    one.id = "stranger".into();
    assert_eq!(one.commit(held, 7).await, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn what_no_group_can_be_asked_is_refused() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "m").await;
    let join = Request {
        rebalance_timeout_ms: 1,
        subscribed_topic_names: Some(Vec::new()),
        topic_partitions: Some(Vec::new()),
        ..Request::default()
    };
    let blank = || Some(Str::from_static(" "));
    for request in [
        Request { rebalance_timeout_ms: -1, ..join.clone() },
        Request { topic_partitions: None, ..join.clone() },
        Request { subscribed_topic_names: None, ..join.clone() },
        Request { instance_id: blank(), ..join.clone() },
        Request { rack_id: blank(), ..join.clone() },
    ] {
        let answer = member.ask(request).await;
        assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST, "{answer:?}");
        assert!(answer.error_message.is_some());
    }
    let assignor = Some("mine".into());
    let answer = member.ask(Request { server_assignor: assignor, ..join.clone() }).await;
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_ASSIGNOR);
    let pattern = Some("(".into());
    let answer = member.ask(Request { subscribed_topic_regex: pattern, ..join }).await;
    assert_eq!(answer.error_code, ErrorCode::INVALID_REGULAR_EXPRESSION);
    for epoch in [-2, -3] {
        member.epoch = epoch;
        let answer = member.ask(Request::default()).await;
        assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
    }
    member.epoch = 1;
    let answer = member.ask(Request::default()).await;
    assert_eq!(answer.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[tokio::test]
async fn an_empty_group_takes_either_protocol() {
    let broker = start().await;
    let mut member = Member::connect(&broker, "m").await;
    member.client.create_topic("orders", 1, &[]).await;
    let mut classic = ClassicMember::connect(&broker, "g").await;
    classic.settle_alone("everything").await;
    assert_eq!(member.join(&["orders"]).await, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(classic.commit(0, 5).await, ErrorCode::NONE);
    assert_eq!(classic.leave().await, ErrorCode::NONE);
    assert_eq!(member.join(&["orders"]).await, ErrorCode::NONE);
    assert_eq!(member.indexes(), [0]);
    assert_eq!(member.committed(member.epoch).await, Ok(vec![5]));
    assert_eq!(classic.describe().await.group_state, "Dead");
    let groups = delete_groups::Request { groups_names: vec!["g".into()] };
    let refused = member.client.call::<DeleteGroups>(2, &groups).await;
    assert_eq!(refused.results[0].error_code, ErrorCode::NON_EMPTY_GROUP);
    member.epoch = -1;
    assert_eq!(member.beat(Request::default()).await, ErrorCode::NONE);
    let mut classic = ClassicMember::connect(&broker, "g").await;
    classic.settle_alone("everything").await;
    assert_eq!(member.describe().await.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(classic.leave().await, ErrorCode::NONE);
    let deleted = member.client.call::<DeleteGroups>(2, &groups).await;
    assert_eq!(deleted.results[0].error_code, ErrorCode::NONE);
    assert_eq!(member.list().await, []);
}

/// What the leader of a classic group assigns to itself: all of `orders`.
async fn settle(member: &mut ClassicMember) {
    member.join().await;
    let orders = OfTopic { topic: "orders".into(), partitions: vec![0, 1, 2, 3] };
    let said = Assignment { assigned_partitions: vec![orders], user_data: None };
    let assignment = sync_group::Assignment {
        member_id: member.id.clone(),
        assignment: said.encode(1).unwrap(),
    };
    let synced = sync(member, vec![assignment]).await;
    assert_eq!(synced, [0, 1, 2, 3]);
}

/// Asks for the assignment; gives the indexes in it.
async fn sync(member: &mut ClassicMember, assignments: Vec<sync_group::Assignment>) -> Vec<i32> {
    let request = sync_group::Request {
        group_id: "g".into(),
        generation_id: member.generation,
        member_id: member.id.clone(),
        assignments,
        ..Default::default()
    };
    let answer = member.client.call::<SyncGroup>(4, &request).await;
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let told = Assignment::decode(answer.assignment).unwrap();
    told.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

#[tokio::test]
async fn a_group_goes_from_one_protocol_to_the_other_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = start_in(folder.path()).await;
    let mut new = Member::connect(&broker, "new").await;
    new.client.create_topic("orders", 4, &[]).await;
    let mut old = ClassicMember::connect(&broker, "g").await;
    settle(&mut old).await;
    assert_eq!(old.commit(0, 5).await, ErrorCode::NONE);

    assert_eq!(new.join(&["orders"]).await, ErrorCode::NONE);
    assert_eq!((new.epoch, new.indexes()), (2, vec![]));
    let kinds: Vec<i8> = new.describe().await.members.iter().map(|it| it.member_type).collect();
    assert_eq!(kinds.iter().sum::<i8>(), 1, "one of each: {kinds:?}");
    assert_eq!(old.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(old.join().await.generation_id, 2);
    let kept = sync(&mut old, Vec::new()).await;
    assert_eq!(new.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!((kept.len(), new.indexes().len()), (2, 2));
    assert_eq!(old.commit(kept[0], 6).await, ErrorCode::NONE);
    assert_eq!(old.heartbeat().await, ErrorCode::NONE);

    broker.kill().await;
    broker = start_in(folder.path()).await;
    old.client = ClassicMember::connect(&broker, "g").await.client;
    new.client = Member::connect(&broker, "").await.client;
    while new.acknowledge().await != ErrorCode::NONE {}
    assert_eq!(old.heartbeat().await, ErrorCode::NONE);

    new.epoch = -1;
    assert_eq!(new.beat(Request::default()).await, ErrorCode::NONE);
    assert_eq!(new.list().await[0].1, "classic");
    broker.kill().await;
    broker = start_in(folder.path()).await;
    old.client = ClassicMember::connect(&broker, "g").await.client;
    while old.describe().await.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {}
    assert_eq!(old.heartbeat().await, ErrorCode::REBALANCE_IN_PROGRESS);
    settle(&mut old).await;
    assert_eq!((old.generation, old.describe().await.group_state.as_str()), (3, "Stable"));
    broker.stop().await;
}
