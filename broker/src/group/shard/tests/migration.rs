//! Groups on their way from one protocol to the other, and back.

use super::*;
use crate::group::shard::command::Refused;

/// A group of the classic protocol with one member, to which this was assigned.
fn assigned(assignment: Bytes) -> World {
    let mut world = World::new();
    let join = world.joining(Identity::default());
    let mut asked = world.ask(|answer| Command::Join(GROUPS[0].into(), join, answer));
    world.happen(Happening::Wait { seconds: 0 });
    let joined = asked.try_recv().unwrap().unwrap().unwrap();
    let sync = Sync {
        token: world.token(),
        member: Identity { member_id: joined.member_id.clone(), instance_id: None },
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments: vec![(joined.member_id, assignment)],
    };
    let mut asked = world.ask(|answer| Command::Sync(GROUPS[0].into(), sync, answer));
    assert!(asked.try_recv().unwrap().is_ok());
    world
}

/// A client of the consumer protocol joins.
fn upgrade(world: &mut World) -> Result<(), Refused> {
    let beat = Heartbeat {
        member_id: consumer_id(0),
        rebalance_timeout: Some(Duration::from_secs(20)),
        topic_names: Some(vec![topic(0).0]),
        owned: Some(Partitions::new()),
        ..Heartbeat::default()
    };
    let mut asked = world.ask(|answer| Command::ConsumerHeartbeat(GROUPS[0].into(), beat, answer));
    asked.try_recv().unwrap().unwrap().map(drop)
}

#[test]
fn a_group_is_taken_over_only_if_partitions_are_all_that_is_assigned() {
    let check = |assignment: Bytes, reason: Option<&str>| {
        let mut world = assigned(assignment);
        let refused = reason.map(|reason| Refused {
            code: ErrorCode::GROUP_ID_NOT_FOUND,
            message: format!(
                "Cannot upgrade classic group one to consumer group because {reason}."
            ),
        });
        assert_eq!(upgrade(&mut world).err(), refused);
        assert_eq!(world.is_consumer(0), refused.is_none());
        world.check();
    };
    let with = |user_data: Option<&'static [u8]>| {
        let user_data = user_data.map(Bytes::from_static);
        let said = consumer_protocol::Assignment { user_data, ..Default::default() };
        said.encode(1).unwrap()
    };
    check(Bytes::new(), None);
    check(with(None), None);
    check(with(Some(b"")), None);
    check(
        with(Some(b"tasks")),
        Some(
            "an unsupported custom assignor is in use. Please refer to the documentation or \
             switch to a default assignor before re-attempting the upgrade",
        ),
    );
    let malformed = "the embedded consumer protocol is malformed";
    check(Bytes::from_static(b"?"), Some(malformed));
}

#[test]
fn a_member_that_says_too_much_keeps_a_group_from_being_taken_over() {
    let mut world = assigned(everything());
    world.config.topic_segment_bytes = 1 << 20;
    let long = Protocol { name: "long".into(), metadata: vec![0; 600 << 10].into() };
    let mut join = world.joining(Identity::default());
    join.protocols.push(long);
    world.ask(|answer| Command::Join(GROUPS[0].into(), join, answer));
    let refused = upgrade(&mut world).unwrap_err();
    assert!(refused.message.contains("more of itself than can be stored"), "{refused:?}");
    assert!(!world.is_consumer(0));
}

#[test]
fn members_that_fit_into_no_record_together_stay_where_they_are() {
    let mut world = World::new();
    world.config.topic_segment_bytes = 1 << 20;
    world.happen(Happening::Beat { group: 0, client: 0 });
    let said = consumer_protocol::Subscription {
        topics: vec![topic(0).0],
        user_data: Some(vec![0; 300 << 10].into()),
        ..Default::default()
    };
    let metadata = said.encode(1).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let protocol = Protocol { name: "range".into(), metadata: metadata.clone() };
        let join = Join { protocols: vec![protocol], ..world.joining(Identity::default()) };
        let mut asked = world.ask(|answer| Command::Join(GROUPS[0].into(), join, answer));
        ids.push(asked.try_recv().unwrap().unwrap().unwrap().member_id);
    }
    world.happen(Happening::ConsumerLeave { group: 0, client: 0 });
    assert!(world.is_consumer(0));
    world.check();
    let leaver = Identity { member_id: ids.remove(0), instance_id: None };
    world.ask(|answer| Command::Leave(GROUPS[0].into(), vec![leaver], answer));
    assert!(!world.is_consumer(0));
    world.check();
}

#[test]
fn a_crash_does_not_end_the_rebalance_in_which_a_group_goes_back() {
    let mut world = World::new();
    world.happen(Happening::Beat { group: 0, client: 0 });
    world.happen(Happening::Join { group: 0, client: 1 });
    assert!(world.is_consumer(0));
    world.happen(Happening::ConsumerLeave { group: 0, client: 0 });
    assert!(!world.is_consumer(0));
    for _ in 0..2 {
        let Some(Group::Classic(group)) = world.coordinator.groups.get(GROUPS[0]) else {
            panic!("the group has gone back");
        };
        assert_eq!((group.state(), group.size()), (State::PreparingRebalance, 1));
        world.happen(Happening::Restart);
    }
}
