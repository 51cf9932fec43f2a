//! The requests of a group's one member, at versions in which a member joins at its first try and
//! topics have names.

use std::io;

use anyhow::ensure;
use bytes::Bytes;
use klamm_benches::wire::frame_at;
use klamm_protocol::api::{
    FindCoordinator, Heartbeat, JoinGroup, OffsetCommit, SyncGroup, find_coordinator, heartbeat,
    join_group, offset_commit, sync_group,
};
use klamm_protocol::header::decode_response;
use klamm_protocol::wire::Str;

use crate::paths::{PARTITIONS, Place, TOPIC};

const GROUP: Str = Str::from_static("counted");
const JOIN: i16 = 3;
const SYNC: i16 = 3;
const HEARTBEAT: i16 = 3;
const COMMIT: i16 = 7;

/// The member, and the generation that it is in.
struct Member {
    id: Str,
    generation: i32,
}

/// What the group's one member says now and then.
pub(crate) fn heartbeat(place: &mut Place) -> io::Result<Bytes> {
    let Member { id, generation } = join(place)?;
    let request = heartbeat::Request {
        group_id: GROUP,
        generation_id: generation,
        member_id: id,
        ..Default::default()
    };
    Ok(frame_at::<Heartbeat>(HEARTBEAT, &request))
}

/// Whether a heartbeat was taken.
pub(crate) fn is_alive(answer: Bytes) -> anyhow::Result<()> {
    let (_, answer) = decode_response::<Heartbeat>(HEARTBEAT, answer)?;
    ensure!(answer.error_code.is_none(), "{answer:?}");
    Ok(())
}

/// What the group's one member commits: an offset for each partition of the topic.
pub(crate) fn commit(place: &mut Place) -> io::Result<Bytes> {
    let Member { id, generation } = join(place)?;
    let partition = |partition_index| offset_commit::Partition {
        partition_index,
        committed_offset: 1,
        committed_metadata: Some(Str::default()),
        ..Default::default()
    };
    let topic = offset_commit::Topic {
        name: TOPIC.into(),
        partitions: (0..PARTITIONS).map(partition).collect(),
        ..Default::default()
    };
    let request = offset_commit::Request {
        group_id: GROUP,
        generation_id_or_member_epoch: generation,
        member_id: id,
        topics: vec![topic],
        ..Default::default()
    };
    Ok(frame_at::<OffsetCommit>(COMMIT, &request))
}

/// Whether all offsets were taken.
pub(crate) fn is_committed(answer: Bytes) -> anyhow::Result<()> {
    let (_, answer) = decode_response::<OffsetCommit>(COMMIT, answer)?;
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    ensure!(partitions.all(|partition| partition.error_code.is_none()), "{answer:?}");
    Ok(())
}

/// Makes the group.
fn join(place: &mut Place) -> io::Result<Member> {
    let request = find_coordinator::Request { coordinator_keys: vec![GROUP], ..Default::default() };
    place.call_at::<FindCoordinator>(4, &request)?;
    let protocol = join_group::Protocol { name: "range".into(), ..Default::default() };
    let request = join_group::Request {
        group_id: GROUP,
        session_timeout_ms: 60_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let joined = place.call_at::<JoinGroup>(JOIN, &request)?;
    let member = Member { id: joined.member_id, generation: joined.generation_id };
    let request = sync_group::Request {
        group_id: GROUP,
        generation_id: member.generation,
        member_id: member.id.clone(),
        ..Default::default()
    };
    let synced = place.call_at::<SyncGroup>(SYNC, &request)?;
    if synced.error_code.is_none() {
        return Ok(member);
    }
    Err(io::Error::other(format!("no group came to be: {synced:?}")))
}
