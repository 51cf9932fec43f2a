//! Offsets of partitions: finding them, and deleting what lies below one.

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::api::delete_records::{self, DeleteRecords};
use klamm_protocol::api::list_offsets::{self, ListOffsets};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use super::{Admin, Effect, Outcomes};
use crate::config::{IsolationLevel, keys};
use crate::error::{Error, Result, Subject};

/// What a leader says of one partition.
type Answer<T> = ((Str, i32), ErrorCode, T);

/// Which offset of a partition is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The first that is still there.
    Earliest,
    /// One more than the last.
    Latest,
    /// That of the record with the greatest timestamp.
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
}

impl Admin {
    /// Finds one offset of each partition.
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
        let isolation = self.kafka.config().get(&keys::ISOLATION_LEVEL);
        let partitions = wanted.iter().map(|(topic, index, _)| (topic.clone(), *index));
        let spec: HashMap<_, _> =
            wanted.iter().map(|(topic, index, spec)| ((topic.clone(), *index), *spec)).collect();
        self.by_leader(partitions, Effect::Reads, async |node, partitions| {
            let request = list_offsets::Request {
                replica_id: -1,
                isolation_level: i8::from(isolation == IsolationLevel::ReadCommitted),
                topics: by_topic(partitions, |name, indexes| list_offsets::Topic {
                    partitions: indexes
                        .into_iter()
                        .map(|index| list_offsets::Partition {
                            partition_index: index,
                            timestamp: spec
                                .get(&(name.clone(), index))
                                .map_or(OffsetSpec::Latest, |spec| *spec)
                                .to_wire(),
                            ..list_offsets::Partition::default()
                        })
                        .collect(),
                    name,
                }),
                timeout_ms: self.timeout_ms(),
            };
            let answer = self.kafka.call::<ListOffsets>(node, &request).await?;
            let partitions = answer.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |partition| {
                    let found = FoundOffset {
                        offset: (partition.offset >= 0).then_some(partition.offset),
                        timestamp: (partition.timestamp >= 0).then_some(partition.timestamp),
                        leader_epoch: (partition.leader_epoch >= 0)
                            .then_some(partition.leader_epoch),
                    };
                    ((name.clone(), partition.partition_index), partition.error_code, found)
                })
            });
            Ok(partitions.collect())
        })
        .await
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
                topics: by_topic(partitions, |name, indexes| delete_records::Topic {
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
            let partitions = answer.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                topic.partitions.into_iter().map(move |partition| {
                    let item = (name.clone(), partition.partition_index);
                    (item, partition.error_code, partition.low_watermark)
                })
            });
            Ok(partitions.collect())
        })
        .await
    }

    /// Asks each partition's leader, and again those whose leader has moved. Answers are in the
    /// order of the question.
    pub(super) async fn by_leader<T>(
        &self,
        partitions: impl Iterator<Item = (Str, i32)>,
        effect: Effect,
        ask: impl AsyncFn(i32, &[(Str, i32)]) -> Result<Vec<Answer<T>>>,
    ) -> Result<Outcomes<(Str, i32), T>> {
        let asked: Vec<_> = partitions.collect();
        let order: HashMap<_, usize> = asked.iter().cloned().zip(0..).collect();
        let (mut left, mut outcomes) = (asked, Vec::new());
        let deadline = clock::now() + self.timeout;
        let mut backoff = self.kafka.retry_backoff();
        loop {
            let last_try = clock::now() >= deadline;
            let (led, mut again) = self.leaders(left, last_try, &mut outcomes).await?;
            for (node, partitions) in led {
                let answers = self.retry(effect, async || ask(node, &partitions).await).await;
                sort_answers(answers, partitions, last_try, &mut outcomes, &mut again);
            }
            if again.is_empty() {
                outcomes.sort_by_key(|(item, _)| order.get(item).copied());
                return Ok(outcomes);
            }
            left = again;
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// Partitions by their leaders, and those that have none now. What does not exist has its
    /// outcome at once.
    async fn leaders<T>(
        &self,
        partitions: Vec<(Str, i32)>,
        last_try: bool,
        outcomes: &mut Outcomes<(Str, i32), T>,
    ) -> Result<(BTreeMap<i32, Vec<(Str, i32)>>, Vec<(Str, i32)>)> {
        let mut names: Vec<_> = partitions.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let (metadata, _) =
            self.retry(Effect::Reads, async || self.kafka.refresh(Some(&names)).await).await?;
        let (mut led, mut leaderless) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for (name, index) in partitions {
            let partition = metadata.topic(&name).and_then(|topic| topic.partition(index));
            let code = match partition.map(|partition| partition.leader) {
                Some(Some(node)) => {
                    led.entry(node).or_default().push((name, index));
                    continue;
                }
                Some(None) if !last_try => {
                    leaderless.push((name, index));
                    continue;
                }
                Some(None) => ErrorCode::LEADER_NOT_AVAILABLE,
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            let subject = Subject::Partition(name.clone(), index);
            outcomes.push(((name, index), Err(Error::Broker { code, message: None, subject })));
        }
        Ok((led, leaderless))
    }
}

/// Puts what a broker answered to the outcomes, and the partitions that it leads no more to those
/// that are to be asked again.
fn sort_answers<T>(
    answers: Result<Vec<Answer<T>>>,
    partitions: Vec<(Str, i32)>,
    last_try: bool,
    outcomes: &mut Outcomes<(Str, i32), T>,
    again: &mut Vec<(Str, i32)>,
) {
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => {
            let failed = partitions.into_iter().map(|item| (item, Err(error.clone())));
            return outcomes.extend(failed);
        }
    };
    for (item, code, value) in answers {
        let subject = Subject::Partition(item.0.clone(), item.1);
        match Error::check(code, None, subject) {
            Err(error) if error.is_stale_metadata() && !last_try => again.push(item),
            outcome => outcomes.push((item, outcome.map(|()| value))),
        }
    }
}

/// Partitions gathered under their topics.
pub(crate) fn by_topic<T>(partitions: &[(Str, i32)], topic: impl Fn(Str, Vec<i32>) -> T) -> Vec<T> {
    let mut topics = BTreeMap::<Str, Vec<i32>>::new();
    for (name, index) in partitions {
        topics.entry(name.clone()).or_default().push(*index);
    }
    topics.into_iter().map(|(name, indexes)| topic(name, indexes)).collect()
}
