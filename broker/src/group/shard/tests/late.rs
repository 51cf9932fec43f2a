//! What is read long after it was sent, because the shard was held up.

use klamm_storage::disk::MemoryDisk;
use klamm_utils::clock::ManualClock;

use super::*;
use crate::builder::open;
use crate::config::Layers;
use crate::group::OFFSETS_TOPIC;
use crate::group::consumer::Beat;
use crate::group::shard::command::Refused;
use crate::node::Node;
use crate::shard::Asked;

/// Where a member of a new group is once it has joined.
const EPOCH: i32 = 2;

/// A broker without a socket, whose groups are all in one shard.
async fn node(clock: &Arc<ManualClock>) -> Arc<Node> {
    let settings = [("durability", "os-cached"), ("offsets.topic.num.partitions", "1")].into_iter();
    let fixed = settings.map(|(name, value)| (name.into(), value.into())).collect();
    let config = BrokerConfig::new(Layers { fixed, ..Layers::default() }).unwrap();
    let (disk, clock) = (Arc::new(MemoryDisk::new()), Arc::clone(clock));
    let node = Arc::new(open(Arc::new(config), disk, clock, Arc::default()).unwrap());
    node.auto_create(&OFFSETS_TOPIC.into()).await.unwrap();
    node
}

/// The only consumer of a group sends a heartbeat.
async fn send(node: &Arc<Node>, group: &'static str, epoch: i32) -> Asked<Result<Beat, Refused>> {
    let beat = Heartbeat {
        member_id: consumer_id(0),
        epoch,
        rebalance_timeout: (epoch == 0).then_some(Duration::from_secs(20)),
        topic_names: (epoch == 0).then(|| vec![topic(0).0]),
        owned: (epoch == 0).then(Partitions::default),
        ..Heartbeat::default()
    };
    let command = |answer| Command::ConsumerHeartbeat(group.into(), beat, answer);
    node.groups.shards.ask(node, group, command).await
}

#[tokio::test]
async fn who_spoke_in_time_is_in_though_it_is_heard_late() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let node = node(&clock).await;
    for group in ["alive", "silent"] {
        let joined = send(&node, group, 0).await.answer().await.unwrap();
        assert_eq!(joined.map(|beat| beat.epoch), Ok(EPOCH), "{group}");
    }
    clock.advance(Duration::from_secs(44));
    // The shard's task has no turn before the answer is waited for.
    let asked = send(&node, "alive", EPOCH).await;
    clock.advance(Duration::from_secs(60));
    let beaten = asked.answer().await.unwrap();
    assert_eq!(beaten.map(|beat| beat.epoch), Ok(EPOCH), "its session of 45 s was not over");
    // It has a session from when it was heard, to speak again.
    clock.advance(Duration::from_secs(44));
    for (group, expected) in [("alive", Ok(EPOCH)), ("silent", Err(ErrorCode::UNKNOWN_MEMBER_ID))] {
        let beaten = send(&node, group, EPOCH).await.answer().await.unwrap();
        assert_eq!(beaten.map(|beat| beat.epoch).map_err(|refused| refused.code), expected);
    }
}
