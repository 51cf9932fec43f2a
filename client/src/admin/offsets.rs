//! Offsets of partitions: finding them, and deleting what lies below one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use klamm_protocol::api::delete_records::{self, DeleteRecords};
use klamm_protocol::api::list_offsets::{self, ListOffsets};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::owners::Owner;
use super::{Admin, Effect, Outcomes, may_help, to_each};
use crate::answer::Answer;
use crate::config::{IsolationLevel, keys};
use crate::error::{Error, Result, Subject};
use crate::metadata::Topic;
use crate::together::together;

/// What a leader says of one partition.
pub(super) type Told<T> = ((Str, i32), ErrorCode, T);

/// Which offset is wanted of each partition.
type Specs = HashMap<(Str, i32), OffsetSpec>;

/// Which offset of a partition is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The first that is still there.
    Earliest,
    /// One more than the last.
    Latest,
    /// That of the record with the greatest timestamp. Brokers before Kafka 3.0 do not find it.
    MaxTimestamp,
    /// The first whose timestamp, in milliseconds since 1970, is this or later.
    Timestamp(i64),
}

/// An offset that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// None where no record has such a timestamp.
    pub offset: Option<i64>,
    /// That of the record, where a timestamp was asked for.
    pub timestamp: Option<i64>,
    /// The epoch in which the record was written, where the broker says it.
    pub leader_epoch: Option<i32>,
}

impl OffsetSpec {
    fn to_wire(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(ms) => ms.max(0),
        }
    }

    /// The first version in which brokers know it: an older one takes any number below zero that
    /// it does not know for the time before all records.
    fn version(self) -> i16 {
        match self {
            Self::MaxTimestamp => 7,
            Self::Latest | Self::Earliest | Self::Timestamp(_) => 1,
        }
    }
}

impl Admin {
    /// Finds an offset of each partition, or several of one that is named as often.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn list_offsets(
        &self,
        wanted: &[(Str, i32, OffsetSpec)],
    ) -> Result<Outcomes<(Str, i32), FoundOffset>> {
        let (rounds, round_of) = rounds(wanted);
        let asked = together(rounds.iter().map(|specs| self.list(specs))).await;
        let mut found = HashMap::with_capacity(wanted.len());
        for (round, outcomes) in asked.into_iter().enumerate() {
            found.extend(outcomes?.into_iter().map(|(item, outcome)| ((round, item), outcome)));
        }
        let outcome = |(round, (topic, index, _)): (usize, &(Str, i32, OffsetSpec))| {
            let place = (round, (topic.clone(), *index));
            let outcome = found.remove(&place).expect("one outcome of each partition");
            (place.1, outcome)
        };
        Ok(round_of.into_iter().zip(wanted).map(outcome).collect())
    }

    async fn list(&self, specs: &Specs) -> Result<Outcomes<(Str, i32), FoundOffset>> {
        let ask = async |node, partitions| self.list_at(node, partitions, specs).await;
        self.by_leader(specs.keys().cloned(), Effect::Reads, ask).await
    }

    /// What one leader tells of its partitions.
    async fn list_at(
        &self,
        node: i32,
        partitions: Vec<(Str, i32)>,
        specs: &Specs,
    ) -> Result<Outcomes<(Str, i32), FoundOffset>> {
        let connection = self.kafka.broker(node).await?;
        let version = connection.version::<ListOffsets>(i16::MAX)?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|item| specs[item].version() <= version);
        let unsupported = |item| {
            let error = connection.unsupported::<ListOffsets>(specs[&item].version());
            (item, Err(error))
        };
        let mut outcomes: Vec<_> = unknown.into_iter().map(unsupported).collect();
        if !known.is_empty() {
            let request = self.question(&known, specs);
            let pending = connection.submit::<ListOffsets>(version, &request).await?;
            outcomes.extend(read_answer(pending.answer().await?.map(found), known));
        }
        Ok(outcomes)
    }

    fn question(&self, partitions: &[(Str, i32)], specs: &Specs) -> list_offsets::Request {
        let isolation = self.kafka.config().get(&keys::ISOLATION_LEVEL);
        let topic = |name: Str, indexes: Vec<i32>| list_offsets::Topic {
            partitions: indexes
                .into_iter()
                .map(|partition_index| list_offsets::Partition {
                    partition_index,
                    timestamp: specs[&(name.clone(), partition_index)].to_wire(),
                    ..list_offsets::Partition::default()
                })
                .collect(),
            name,
        };
        list_offsets::Request {
            replica_id: -1,
            isolation_level: i8::from(isolation == IsolationLevel::ReadCommitted),
            topics: by_topic(partitions, topic),
            timeout_ms: self.timeout_ms(),
        }
    }

    /// Deletes what lies below an offset of each partition; -1 stands for all. Gives the first
    /// offset that is left.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn delete_records(
        &self,
        below: &[(Str, i32, i64)],
    ) -> Result<Outcomes<(Str, i32), i64>> {
        let partitions = below.iter().map(|(topic, index, _)| (topic.clone(), *index));
        let offsets: HashMap<_, _> =
            below.iter().map(|(topic, index, below)| ((topic.clone(), *index), *below)).collect();
        self.by_leader(partitions, Effect::Changes, async |node, partitions| {
            let request = delete_records::Request {
                topics: by_topic(&partitions, |name, indexes| delete_records::Topic {
                    partitions: indexes
                        .into_iter()
                        .filter_map(|partition_index| {
                            let offset = *offsets.get(&(name.clone(), partition_index))?;
                            Some(delete_records::Partition { partition_index, offset })
                        })
                        .collect(),
                    name,
                }),
                timeout_ms: self.timeout_ms(),
            };
            let answer = self.kafka.call::<DeleteRecords>(node, &request).await?;
            Ok(read_answer(answer.map(deleted), partitions))
        })
        .await
    }

    /// Asks the leaders of these partitions, as [`by_owner`](Self::by_owner), each partition once.
    pub(super) async fn by_leader<T, F: Future<Output = Result<Outcomes<(Str, i32), T>>>>(
        &self,
        partitions: impl Iterator<Item = (Str, i32)>,
        effect: Effect,
        ask: impl Fn(i32, Vec<(Str, i32)>) -> F,
    ) -> Result<Outcomes<(Str, i32), T>> {
        let find = async |partitions| self.leaders(partitions).await;
        let ask = async |node, partitions: Vec<_>, deadline| {
            let told = self.until(deadline, ask(node, partitions.clone())).await;
            to_each(partitions, told)
        };
        let again = |error: &Error| is_worth_asking_again(error, effect);
        self.by_owner(partitions.collect(), find, ask, again).await
    }

    /// Who leads each of these partitions. A broker that is gone leads nothing any more.
    async fn leaders(&self, mut partitions: Vec<(Str, i32)>) -> Result<Vec<((Str, i32), Owner)>> {
        partitions.sort_unstable();
        partitions.dedup();
        let mut names: Vec<_> = partitions.iter().map(|(name, _)| name.clone()).collect();
        names.dedup();
        let (_, topics) = self.kafka.refresh(Some(&names)).await?;
        let topics: HashMap<_, _> = topics.into_iter().collect();
        let owner = |item: (Str, i32)| {
            let owner = match leader(&topics[&item.0], &item) {
                Ok(node) => Owner::Node(node),
                Err(error @ Error::NoLeader { .. }) => Owner::Unknown(error),
                Err(error) => Owner::Nobody(error),
            };
            (item, owner)
        };
        Ok(partitions.into_iter().map(owner).collect())
    }
}

/// What is wanted, in as many questions as it takes for none to name a partition twice, which
/// brokers refuse; and in which of them each is.
fn rounds(wanted: &[(Str, i32, OffsetSpec)]) -> (Vec<Specs>, Vec<usize>) {
    let (mut rounds, mut round_of) = (Vec::<Specs>::new(), Vec::with_capacity(wanted.len()));
    for (topic, index, spec) in wanted {
        let item = (topic.clone(), *index);
        let round = rounds.iter().take_while(|specs| specs.contains_key(&item)).count();
        if round == rounds.len() {
            rounds.push(Specs::new());
        }
        rounds[round].insert(item, *spec);
        round_of.push(round);
    }
    (rounds, round_of)
}

fn leader(topic: &Result<Arc<Topic>>, (name, index): &(Str, i32)) -> Result<i32> {
    let subject = || Subject::Partition(name.clone(), *index);
    let topic = topic.as_ref().map_err(Error::clone)?;
    let count = topic.partitions.len();
    let partition = topic.partition(*index);
    let partition = partition.ok_or_else(|| Error::NoPartition { subject: subject(), count })?;
    partition.leader.ok_or_else(|| Error::NoLeader { subject: subject() })
}

fn found(answer: list_offsets::Response) -> Vec<Told<FoundOffset>> {
    let known = |value: i64| (value >= 0).then_some(value);
    let partitions = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            let epoch = partition.leader_epoch;
            let found = FoundOffset {
                offset: known(partition.offset),
                timestamp: known(partition.timestamp),
                leader_epoch: (epoch >= 0).then_some(epoch),
            };
            ((name.clone(), partition.partition_index), partition.error_code, found)
        })
    });
    partitions.collect()
}

fn deleted(answer: delete_records::Response) -> Vec<Told<i64>> {
    let partitions = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            let item = (name.clone(), partition.partition_index);
            (item, partition.error_code, partition.low_watermark)
        })
    });
    partitions.collect()
}

/// What a broker answered of each partition that it was asked about.
pub(super) fn read_answer<T>(
    Answer { body, origin }: Answer<Vec<Told<T>>>,
    partitions: Vec<(Str, i32)>,
) -> Outcomes<(Str, i32), T> {
    let mut told: HashMap<_, _> =
        body.into_iter().map(|(item, code, value)| (item, (code, value))).collect();
    let outcome = |item: (Str, i32)| {
        let subject = Subject::Partition(item.0.clone(), item.1);
        let outcome = match told.remove(&item) {
            Some((code, value)) => origin.check(code, None, subject).map(|()| value),
            None => Err(origin.unanswered(subject)),
        };
        (item, outcome)
    };
    partitions.into_iter().map(outcome).collect()
}

/// Whether to ask again may help, and does no harm; maybe another leader.
fn is_worth_asking_again(error: &Error, effect: Effect) -> bool {
    // A broker that refuses because it does not lead has changed nothing.
    let is_moved = matches!(error, Error::Broker { .. }) && error.is_stale_metadata();
    is_moved || may_help(error, effect)
}

/// Partitions gathered under their topics.
pub(crate) fn by_topic<T>(partitions: &[(Str, i32)], topic: impl Fn(Str, Vec<i32>) -> T) -> Vec<T> {
    let mut topics = BTreeMap::<Str, Vec<i32>>::new();
    for (name, index) in partitions {
        topics.entry(name.clone()).or_default().push(*index);
    }
    topics.into_iter().map(|(name, indexes)| topic(name, indexes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::owners;
    use crate::fake;
    use crate::{ClientConfig, Kafka};
    use klamm_protocol::api::metadata::Metadata;
    use klamm_protocol::declare::Api as _;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;
    use tokio::net::TcpListener;

    /// An answer of "a", partition 0.
    fn listed(asked: &fake::Served, error_code: ErrorCode, offset: i64) -> bytes::Bytes {
        let partition = list_offsets::PartitionAnswer { error_code, offset, ..Default::default() };
        let topic = list_offsets::TopicAnswer { name: "a".into(), partitions: vec![partition] };
        let body = list_offsets::Response { topics: vec![topic], ..Default::default() };
        fake::answer::<ListOffsets>(asked, &body)
    }

    #[tokio::test]
    async fn the_next_leader_is_asked_where_the_last_is_gone() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = gone.local_addr().unwrap().to_string();
        drop(gone);
        let looked = AtomicU32::new(0);
        let address = fake::broker(move |asked| {
            Some(match asked.api_key {
                Metadata::KEY => {
                    // The client connects, and then looks who leads.
                    let is_known = looked.fetch_add(1, Ordering::Relaxed) >= 2;
                    fake::metadata(asked, &[&asked.address, &place], i32::from(!is_known))
                }
                ListOffsets::KEY => listed(asked, ErrorCode::NONE, 7),
                _ => fake::versions(asked, &[(Metadata::KEY, 12), (ListOffsets::KEY, 7)]),
            })
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let wanted = [("a".into(), 0, OffsetSpec::Latest)];
        let admin = kafka.admin();
        let found = tokio::time::timeout(Duration::from_secs(10), admin.list_offsets(&wanted));
        let found = found.await.unwrap().unwrap();
        assert_eq!(found[0].1.as_ref().unwrap().offset, Some(7));
    }

    /// All of it was lost with the last look for leaders.
    #[tokio::test]
    async fn what_was_answered_is_told_though_nobody_says_any_more_who_leads() {
        let told = AtomicBool::new(false);
        let address = fake::broker(move |asked| match asked.api_key {
            Metadata::KEY if told.load(Ordering::Relaxed) => None,
            Metadata::KEY => Some(fake::metadata(asked, &[&asked.address], 0)),
            ListOffsets::KEY => {
                told.store(true, Ordering::Relaxed);
                Some(listed(asked, ErrorCode::OFFSET_NOT_AVAILABLE, -1))
            }
            _ => Some(fake::versions(asked, &[(Metadata::KEY, 12), (ListOffsets::KEY, 7)])),
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let admin = kafka.admin().with_timeout(Duration::from_secs(1));
        let found = admin.list_offsets(&[("a".into(), 0, OffsetSpec::Latest)]).await.unwrap();
        let error = found[0].1.as_ref().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::OFFSET_NOT_AVAILABLE), "{error}");
    }

    #[tokio::test]
    async fn a_partition_that_is_named_twice_is_asked_about_once() {
        let address = fake::broker(|asked| match asked.api_key {
            Metadata::KEY => Some(fake::metadata(asked, &[&asked.address], 0)),
            _ => Some(fake::versions(asked, &[(Metadata::KEY, 12)])),
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let ask = async |_, partitions: Vec<_>| {
            Ok(partitions.into_iter().map(|item| (item, Ok(()))).collect())
        };
        let places = [("a".into(), 0), ("b".into(), 0), ("a".into(), 0), ("b".into(), 0)];
        let asked = kafka.admin().by_leader(places.into_iter(), Effect::Changes, ask).await;
        let asked = asked.unwrap();
        assert!(matches!(&asked[..], [(_, Ok(())), (_, Err(_))]), "{asked:?}");
    }

    #[tokio::test]
    async fn old_brokers_are_not_asked_for_what_they_do_not_know() {
        for (max_version, known) in [(6, false), (7, true)] {
            let address = fake::broker(move |asked| {
                let apis = [(Metadata::KEY, 12), (ListOffsets::KEY, max_version)];
                Some(match asked.api_key {
                    Metadata::KEY => fake::metadata(asked, &[&asked.address], 0),
                    ListOffsets::KEY => listed(asked, ErrorCode::NONE, 7),
                    _ => fake::versions(asked, &apis),
                })
            });
            let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
            let find = async |spec| {
                let found = kafka.admin().list_offsets(&[("a".into(), 0, spec)]).await;
                found.unwrap().remove(0).1
            };
            assert_eq!(find(OffsetSpec::Latest).await.unwrap().offset, Some(7));
            match find(OffsetSpec::MaxTimestamp).await {
                Ok(found) => assert!(known && found.offset == Some(7)),
                Err(Error::Unsupported { ours, .. }) => assert!(!known && &*ours == "7-11"),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn partitions_whose_leader_is_not_ready_are_asked_for_again() {
        let origin = crate::answer::Origin::of::<ListOffsets>(&"a:1".into());
        let told = |index, code| ((Str::from("a"), index), code, index);
        let codes =
            [ErrorCode::NONE, ErrorCode::OFFSET_NOT_AVAILABLE, ErrorCode::INVALID_TIMESTAMP];
        let body = (0..).zip(codes).map(|(index, code)| told(index, code)).collect();
        let partitions = [0, 1, 2, 3].map(|index| (Str::from("a"), index)).into();
        let answers = read_answer(Answer { body, origin }, partitions);
        let sort = |last_try: bool| {
            let again = |error: &Error| !last_try && is_worth_asking_again(error, Effect::Reads);
            let (again, outcomes) = owners::sort(answers.clone(), again);
            assert_eq!(outcomes[0].1.as_ref().ok(), Some(&0));
            let again: Vec<_> = again.into_iter().map(|(item, _)| item).collect();
            (outcomes.len(), again)
        };
        assert_eq!(sort(false), (3, vec![("a".into(), 1)]));
        assert_eq!(sort(true), (4, vec![]));
    }

    #[test]
    fn what_may_have_been_changed_is_not_asked_for_again() {
        let lost = |sent| Error::Disconnected {
            address: "a:1".into(),
            api: "DeleteRecords",
            reason: "it ended".into(),
            sent,
        };
        let origin = crate::answer::Origin::of::<DeleteRecords>(&"a:1".into());
        let moved = origin.error(ErrorCode::NOT_LEADER_OR_FOLLOWER, Subject::Cluster);
        let unready = origin.error(ErrorCode::OFFSET_NOT_AVAILABLE, Subject::Cluster);
        let refused = origin.error(ErrorCode::TOPIC_AUTHORIZATION_FAILED, Subject::Cluster);
        for (error, reads, changes) in [
            (lost(false), true, true),
            (lost(true), true, false),
            (moved, true, true),
            (unready, true, true),
            (refused, false, false),
        ] {
            let again = |effect| is_worth_asking_again(&error, effect);
            assert_eq!((again(Effect::Reads), again(Effect::Changes)), (reads, changes), "{error}");
        }
    }
}
