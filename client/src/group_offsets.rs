//! Committed offsets on the wire: one question to a coordinator and its answer, in every version.
//! What is asked again, and when, is the caller's business.
//!
//! Topics go by their ids where all of these are known and the coordinator understands that
//! (KIP-848): then nothing is said of a topic that was made anew under the same name. Otherwise they
//! go by their names.

use std::collections::{BTreeMap, HashMap, HashSet};

use klamm_protocol::api::offset_commit::{self, OffsetCommit};
use klamm_protocol::api::offset_fetch::{self, OffsetFetch};
use klamm_protocol::wire::{Str, Uuid};

use crate::admin::Outcomes;
use crate::admin::coordinators::unless_elsewhere;
use crate::admin::offsets::by_topic;
use crate::answer::{Answer, Origin};
use crate::connection::Connection;
use crate::error::{Result, Subject};

/// The newest version of both APIs in which topics have names; in later ones they have ids.
const BY_NAME_UNTIL: i16 = 9;
/// The first version of OffsetFetch that asks for many groups.
const MANY_GROUPS_FROM: i16 = 8;
/// The first version of OffsetFetch that can wait for transactions.
const STABLE_FROM: i16 = 7;
/// The first version of OffsetCommit that knows static members.
const STATIC_FROM: i16 = 7;
/// What outsiders have for a member epoch.
const NO_EPOCH: i32 = -1;

/// The ids of topics, as far as they are known.
pub type TopicIds = BTreeMap<Str, Uuid>;

/// What was said for each partition of one group: none where it has committed nothing.
pub type Offsets = Outcomes<(Str, i32), Option<CommittedOffset>>;

/// How far a group has read a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record that was read, where it is known.
    pub leader_epoch: Option<i32>,
    /// What the consumer stored beside the offset.
    pub metadata: Str,
}

impl From<i64> for CommittedOffset {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: Str::default() }
    }
}

/// Who commits.
#[derive(Clone, Debug)]
pub struct Committer {
    /// The generation that it is a member of; -1 outside the group.
    pub generation: i32,
    /// Its member id; empty outside the group.
    pub member: Str,
    /// Its instance id, if it is a static member.
    pub instance: Option<Str>,
}

impl Committer {
    /// Somebody who is in no group.
    #[must_use]
    pub fn outsider() -> Self {
        Self { generation: NO_EPOCH, member: Str::default(), instance: None }
    }
}

/// A group and who commits for it, as a consumer of the group tells a producer that commits the
/// group's offsets in its transactions.
#[derive(Clone, Debug)]
pub struct GroupMetadata {
    /// The group.
    pub id: Str,
    /// Who commits.
    pub committer: Committer,
}

impl GroupMetadata {
    /// A group that the committer is no member of: then nobody is fenced off.
    #[must_use]
    pub fn outsider(id: impl Into<Str>) -> Self {
        Self { id: id.into(), committer: Committer::outsider() }
    }
}

/// Who asks what was committed. By default somebody who is in no group.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Has the coordinator refuse offsets that an open transaction may still change.
    pub stable: bool,
    /// The member id and the member epoch, if it is a member that speaks the consumer protocol:
    /// the coordinator refuses one that is behind.
    pub member: Option<(Str, i32)>,
    /// The topics that it means, if it knows their ids.
    pub ids: TopicIds,
}

/// What groups have committed, of all partitions or of these: one outcome for each group and each
/// partition that is asked for.
///
/// # Errors
/// The coordinator cannot be asked. What it says of one group is that group's outcome.
///
/// # Cancel safety
/// Dropped before it returns, it has changed nothing.
pub async fn fetch(
    connection: &Connection,
    groups: &[Str],
    partitions: Option<&[(Str, i32)]>,
    reader: &Reader,
) -> Result<Outcomes<Str, Offsets>> {
    let asked = partitions.unwrap_or_default().iter().map(|(topic, _)| topic);
    let has_ids = partitions.is_some() && knows_all(&reader.ids, asked);
    let version = connection.version::<OffsetFetch>(newest(has_ids))?;
    if version >= MANY_GROUPS_FROM {
        return fetch_of_many(connection, version, groups, partitions, reader).await;
    }
    let mut outcomes = Vec::with_capacity(groups.len());
    for group in groups {
        let offsets = fetch_of_one(connection, version, group, partitions, reader.stable).await;
        outcomes.push((group.clone(), offsets));
    }
    Ok(outcomes)
}

/// Commits offsets once: what the coordinator says of each, in the order in which they are given.
///
/// # Errors
/// The coordinator cannot be asked; the offsets may be committed nevertheless.
///
/// # Cancel safety
/// Dropped before it returns, the offsets may be committed or not.
pub async fn commit(
    connection: &Connection,
    group: &Str,
    committer: &Committer,
    offsets: impl IntoIterator<Item = (Str, i32, CommittedOffset)>,
    ids: &TopicIds,
) -> Result<Outcomes<(Str, i32), ()>> {
    let offsets: Vec<_> = offsets.into_iter().collect();
    let has_ids = knows_all(ids, offsets.iter().map(|(topic, ..)| topic));
    let version = connection.version::<OffsetCommit>(newest(has_ids))?;
    let places: Vec<_> = offsets.iter().map(|(topic, index, _)| (topic.clone(), *index)).collect();
    let request = commit_request(version, group, committer, offsets, ids);
    let Answer { body, origin } =
        connection.submit::<OffsetCommit>(version, &request).await?.answer().await?;
    let names = by_id(version, ids);
    let told = body.topics.into_iter().flat_map(|topic| {
        let name = names.get(&topic.topic_id).cloned().unwrap_or(topic.name);
        let partitions = topic.partitions.into_iter();
        partitions.map(move |told| ((name.clone(), told.partition_index), told.error_code))
    });
    let told: HashMap<_, _> = told.collect();
    let outcome = |place: (Str, i32)| {
        let subject = Subject::Partition(place.0.clone(), place.1);
        let outcome = match told.get(&place) {
            Some(code) => origin.check(*code, None, subject),
            None => Err(origin.unanswered(subject)),
        };
        (place, outcome)
    };
    Ok(places.into_iter().map(outcome).collect())
}

/// Whether every topic has a known id.
fn knows_all<'a>(ids: &TopicIds, mut topics: impl Iterator<Item = &'a Str>) -> bool {
    topics.all(|topic| ids.get(topic).is_some_and(|id| !id.is_zero()))
}

/// The newest version that can be spoken, with ids or without.
fn newest(has_ids: bool) -> i16 {
    if has_ids { i16::MAX } else { BY_NAME_UNTIL }
}

/// The names behind the ids of an answer in this version.
fn by_id(version: i16, ids: &TopicIds) -> BTreeMap<Uuid, Str> {
    let ids = ids.iter().filter(|_| version > BY_NAME_UNTIL);
    ids.map(|(name, id)| (*id, name.clone())).collect()
}

/// A topic as a version says it: by its name and no id, or the other way round.
fn named(version: i16, name: Str, ids: &TopicIds) -> (Str, Uuid) {
    match ids.get(&name) {
        Some(id) if version > BY_NAME_UNTIL => (Str::default(), *id),
        _ => (name, Uuid::ZERO),
    }
}

fn commit_request(
    version: i16,
    group: &Str,
    committer: &Committer,
    offsets: impl IntoIterator<Item = (Str, i32, CommittedOffset)>,
    ids: &TopicIds,
) -> offset_commit::Request {
    let mut topics = BTreeMap::<Str, Vec<_>>::new();
    for (topic, partition_index, committed) in offsets {
        topics.entry(topic).or_default().push(offset_commit::Partition {
            partition_index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(committed.metadata),
        });
    }
    let topic = |(name, partitions)| {
        let (name, topic_id) = named(version, name, ids);
        offset_commit::Topic { name, topic_id, partitions }
    };
    offset_commit::Request {
        group_id: group.clone(),
        generation_id_or_member_epoch: committer.generation,
        member_id: committer.member.clone(),
        group_instance_id: committer.instance.clone().filter(|_| version >= STATIC_FROM),
        topics: topics.into_iter().map(topic).collect(),
        ..offset_commit::Request::default()
    }
}

async fn fetch_of_many(
    connection: &Connection,
    version: i16,
    groups: &[Str],
    partitions: Option<&[(Str, i32)]>,
    reader: &Reader,
) -> Result<Outcomes<Str, Offsets>> {
    let request = request_of_many(version, groups, partitions, reader);
    let Answer { body, origin } =
        connection.submit::<OffsetFetch>(version, &request).await?.answer().await?;
    let names = by_id(version, &reader.ids);
    let told = body.groups.into_iter().map(|group| read_group(group, &names, &origin));
    let mut told: HashMap<_, _> = told.collect();
    let outcome = |group: &Str| {
        let unanswered = || Err(origin.unanswered(Subject::Name(group.clone())));
        let offsets = told.remove(group).unwrap_or_else(unanswered);
        (group.clone(), offsets.map(|offsets| whole(offsets, partitions, &origin)))
    };
    Ok(groups.iter().map(outcome).collect())
}

/// An outcome for each partition that was asked for, also where the answer leaves it out.
fn whole(mut told: Offsets, partitions: Option<&[(Str, i32)]>, origin: &Origin) -> Offsets {
    let places: HashSet<_> = told.iter().map(|(place, _)| place.clone()).collect();
    for place in partitions.unwrap_or_default().iter().filter(|place| !places.contains(place)) {
        let subject = Subject::Partition(place.0.clone(), place.1);
        told.push((place.clone(), Err(origin.unanswered(subject))));
    }
    told
}

fn request_of_many(
    version: i16,
    groups: &[Str],
    partitions: Option<&[(Str, i32)]>,
    reader: &Reader,
) -> offset_fetch::Request {
    let (member_id, member_epoch) = match &reader.member {
        Some((id, epoch)) => (Some(id), *epoch),
        None => (None, NO_EPOCH),
    };
    let topic = |name, partition_indexes| {
        let (name, topic_id) = named(version, name, &reader.ids);
        offset_fetch::GroupTopic { name, topic_id, partition_indexes }
    };
    let wanted = |group: &Str| offset_fetch::Group {
        group_id: group.clone(),
        member_id: member_id.cloned(),
        member_epoch,
        topics: partitions.map(|partitions| by_topic(partitions, topic)),
    };
    offset_fetch::Request {
        groups: groups.iter().map(wanted).collect(),
        require_stable: reader.stable,
        ..offset_fetch::Request::default()
    }
}

fn read_group(
    group: offset_fetch::GroupAnswer,
    names: &BTreeMap<Uuid, Str>,
    origin: &Origin,
) -> (Str, Result<Offsets>) {
    let told = origin.check(group.error_code, None, Subject::Name(group.group_id.clone()));
    let topics = group.topics.into_iter().flat_map(|topic| {
        let name = names.get(&topic.topic_id).cloned().unwrap_or(topic.name);
        topic.partitions.into_iter().map(move |partition| {
            // The same partition, as versions for one group have it.
            let partition = offset_fetch::PartitionAnswer {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            };
            read_partition(&name, partition, origin)
        })
    });
    (group.group_id, told.map(|()| topics.collect()))
}

async fn fetch_of_one(
    connection: &Connection,
    version: i16,
    group: &Str,
    partitions: Option<&[(Str, i32)]>,
    stable: bool,
) -> Result<Offsets> {
    let request = request_of_one(version, group, partitions, stable);
    let answer = connection.submit::<OffsetFetch>(version, &request).await?.answer().await?;
    let origin = answer.origin.clone();
    read_one(group, answer).map(|offsets| whole(offsets, partitions, &origin))
}

fn request_of_one(
    version: i16,
    group: &Str,
    partitions: Option<&[(Str, i32)]>,
    stable: bool,
) -> offset_fetch::Request {
    let topic = |name, partition_indexes| offset_fetch::Topic { name, partition_indexes };
    offset_fetch::Request {
        group_id: group.clone(),
        topics: partitions.map(|partitions| by_topic(partitions, topic)),
        require_stable: stable && version >= STABLE_FROM,
        ..offset_fetch::Request::default()
    }
}

fn read_one(group: &Str, answer: Answer<offset_fetch::Response>) -> Result<Offsets> {
    let Answer { body, origin } = answer;
    origin.check(body.error_code, None, Subject::Name(group.clone()))?;
    let origin = &origin;
    let offsets = body.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| read_partition(&name, partition, origin))
    });
    // The first version says beside each partition what is wrong with the group.
    unless_elsewhere(offsets.collect())
}

fn read_partition(
    topic: &Str,
    answer: offset_fetch::PartitionAnswer,
    origin: &Origin,
) -> ((Str, i32), Result<Option<CommittedOffset>>) {
    // Offsets are kept for long: they are not to hold on to the answer's bytes.
    let place = (topic.detached(), answer.partition_index);
    let subject = Subject::Partition(place.0.clone(), place.1);
    let committed = CommittedOffset {
        offset: answer.committed_offset,
        leader_epoch: (answer.committed_leader_epoch >= 0).then_some(answer.committed_leader_epoch),
        metadata: answer.metadata.unwrap_or_default().detached(),
    };
    let outcome = origin.check(answer.error_code, None, subject);
    (place, outcome.map(|()| (committed.offset >= 0).then_some(committed)))
}

#[cfg(test)]
mod tests {
    use klamm_broker::Broker;
    use klamm_protocol::api::api_versions::ApiVersions;
    use klamm_protocol::api::offset_fetch::{
        GroupAnswer, GroupPartitionAnswer, GroupTopicAnswer, PartitionAnswer, TopicAnswer,
    };
    use klamm_protocol::declare::Api as _;
    use klamm_protocol::error_code::ErrorCode;
    use klamm_protocol::wire::{Wire as _, Writer};

    use super::*;
    use crate::admin::NewTopic;
    use crate::{ClientConfig, Error, Kafka, fake};

    #[test]
    fn every_version_can_say_what_is_asked() {
        let (group, places) = (Str::from("g"), [("t".into(), 0), ("u".into(), 3), ("t".into(), 1)]);
        let groups = std::slice::from_ref(&group);
        let ids = TopicIds::from([("t".into(), Uuid([1; 16])), ("u".into(), Uuid([2; 16]))]);
        let member = Some(("m".into(), 3));
        let reader = Reader { stable: true, member, ids: ids.clone() };
        for version in 1..=BY_NAME_UNTIL + 1 {
            let request = match version {
                ..MANY_GROUPS_FROM => request_of_one(version, &group, Some(&places), true),
                _ => request_of_many(version, groups, Some(&places), &reader),
            };
            let mut writer = Writer::new(version, version >= 6);
            request.write(&mut writer);
            assert!(writer.finish().is_ok(), "version {version}");
            assert_eq!(request.groups.len(), usize::from(version >= MANY_GROUPS_FROM));
        }
        let (member, instance) = (Str::from("m"), Some("i".into()));
        let committer = Committer { generation: 1, member, instance };
        for version in 2..=BY_NAME_UNTIL + 1 {
            let offsets = [("t".into(), 0, 7.into())];
            let request = commit_request(version, &group, &committer, offsets, &ids);
            let mut writer = Writer::new(version, version >= 8);
            request.write(&mut writer);
            assert!(writer.finish().is_ok(), "version {version}");
        }
    }

    #[test]
    fn both_forms_of_the_answer_say_the_same() {
        let old = |partition_index, committed_offset, error_code| PartitionAnswer {
            partition_index,
            committed_offset,
            metadata: Some("m".into()),
            error_code,
            ..PartitionAnswer::default()
        };
        let new = |old: PartitionAnswer| GroupPartitionAnswer {
            partition_index: old.partition_index,
            committed_offset: old.committed_offset,
            committed_leader_epoch: old.committed_leader_epoch,
            metadata: old.metadata,
            error_code: old.error_code,
        };
        let partitions = vec![
            old(0, 7, ErrorCode::NONE),
            old(1, -1, ErrorCode::NONE),
            old(2, -1, ErrorCode::UNSTABLE_OFFSET_COMMIT),
        ];
        let topics = vec![GroupTopicAnswer {
            name: "t".into(),
            partitions: partitions.iter().cloned().map(new).collect(),
            ..GroupTopicAnswer::default()
        }];
        let origin = Origin::of::<OffsetFetch>(&"a:1".into());
        let group = GroupAnswer { topics, ..GroupAnswer::default() };
        let of_many = read_group(group, &BTreeMap::new(), &origin).1.unwrap();
        let topics = vec![TopicAnswer { name: "t".into(), partitions }];
        let body = offset_fetch::Response { topics, ..Default::default() };
        let answer = Answer { body, origin };
        let of_one = read_one(&"g".into(), answer).unwrap();
        for found in [of_one, of_many] {
            let committed = CommittedOffset { metadata: "m".into(), ..7.into() };
            assert_eq!(found[0].0, ("t".into(), 0));
            assert_eq!(found[0].1.as_ref().unwrap(), &Some(committed));
            assert_eq!(found[1].1.as_ref().unwrap(), &None);
            assert!(found[2].1.as_ref().is_err_and(Error::is_retriable));
        }
    }

    #[tokio::test]
    async fn what_an_answer_leaves_out_is_an_error() {
        for version in [MANY_GROUPS_FROM - 1, BY_NAME_UNTIL] {
            let address = fake::broker(move |asked| {
                if asked.api_key == ApiVersions::KEY {
                    return Some(fake::versions(asked, &[(OffsetFetch::KEY, version)]));
                }
                let mut body = offset_fetch::Response::default();
                let name = Str::from_static("t");
                if version >= MANY_GROUPS_FROM {
                    let partitions = vec![GroupPartitionAnswer::default()];
                    let topic = GroupTopicAnswer { name, partitions, ..Default::default() };
                    let (group_id, topics) = ("g".into(), vec![topic]);
                    body.groups = vec![GroupAnswer { group_id, topics, ..Default::default() }];
                } else {
                    body.topics =
                        vec![TopicAnswer { name, partitions: vec![PartitionAnswer::default()] }];
                }
                Some(fake::answer::<OffsetFetch>(asked, &body))
            });
            let connection = fake::connect(&address.await).await.unwrap();
            let (groups, places) = (["g".into(), "h".into()], [("t".into(), 0), ("t".into(), 1)]);
            let reader = Reader::default();
            let mut found =
                fetch(&connection, &groups, Some(&places), &reader).await.unwrap().into_iter();
            let (group, offsets) = found.next().unwrap();
            let offsets = offsets.unwrap();
            assert_eq!((group, &offsets[0].0, &offsets[1].0), ("g".into(), &places[0], &places[1]));
            assert!(offsets[0].1.is_ok(), "version {version}: {offsets:?}");
            let is_unanswered =
                |error: &Error| error.code() == Some(ErrorCode::UNKNOWN_SERVER_ERROR);
            assert!(
                offsets[1].1.as_ref().is_err_and(is_unanswered),
                "version {version}: {offsets:?}"
            );
            // Before, each group has its own answer.
            let (group, offsets) = found.next().unwrap();
            assert_eq!(group, "h");
            let is_left_out = version >= MANY_GROUPS_FROM;
            assert_eq!(offsets.is_err_and(|error| is_unanswered(&error)), is_left_out);
        }
    }

    #[tokio::test]
    async fn old_versions_tell_the_same() {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
        let admin = kafka.admin();
        admin.create_topics(&[NewTopic::new("a").partitions(2)]).await.unwrap();
        let group = Str::from("g");
        admin.alter_group_offsets(&group, &[("a".into(), 1, 7.into())]).await.unwrap();
        let connection = kafka.any_broker().await.unwrap();
        let (old, new) = (MANY_GROUPS_FROM - 1, BY_NAME_UNTIL);
        for partitions in [None, Some([(Str::from("a"), 0), ("a".into(), 1)])] {
            let partitions = partitions.as_ref().map(|partitions| &partitions[..]);
            let groups = std::slice::from_ref(&group);
            let reader = Reader::default();
            let of_many =
                fetch_of_many(&connection, new, groups, partitions, &reader).await.unwrap();
            let of_many = of_many[0].1.as_ref().unwrap();
            let of_one = fetch_of_one(&connection, old, &group, partitions, false).await.unwrap();
            let read = |offsets: &Offsets| {
                let offsets =
                    offsets.iter().map(|(place, told)| (place.clone(), told.clone().ok()));
                offsets.collect::<Vec<_>>()
            };
            assert_eq!(read(&of_one), read(of_many));
            assert_eq!(of_one.len(), partitions.map_or(1, <[_]>::len));
        }
        broker.stop().await;
    }
}
