//! The topic that is used: made, waited for, and asked for its offsets.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use klamm_protocol::api::{CreateTopics, ListOffsets, Metadata};
use klamm_protocol::api::{create_topics, list_offsets, metadata};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::args::{Target, Topic};
use crate::wire::Connection;

// Of each API the version that every broker of the last years knows.
const CREATE_TOPICS: i16 = 4;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 4;

/// How long ten thousand partitions may take.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// A special place in a partition; the discriminants are those of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The first record that there is.
    Start = -2,
    /// Behind the last one.
    End = -1,
}

/// Creates the topic unless it is there or must not be created, and waits until all of its
/// partitions answer.
///
/// # Errors
/// The broker refuses, or some partition has no leader for too long.
pub(crate) fn prepare(target: &Target) -> Result<()> {
    let topic = &target.topic;
    let mut connection = Connection::open(&target.broker.address)?;
    if !topic.no_create {
        create(&mut connection, topic)?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let missing = match not_led(&mut connection, topic)? {
            Some(why) => why,
            None => match ask_offsets(&mut connection, topic, Spot::End)? {
                Ok(_) => return Ok(()),
                Err(code) => format!("a partition says {}", code.name()),
            },
        };
        if Instant::now() > deadline {
            bail!("the topic {} is not ready: {missing}", topic.name);
        }
        thread::sleep(PAUSE);
    }
}

/// The offset of this spot in each partition, in the order of the partitions.
pub(crate) fn offsets(target: &Target, spot: Spot) -> Result<Vec<i64>> {
    let topic = &target.topic;
    let mut connection = Connection::open(&target.broker.address)?;
    match ask_offsets(&mut connection, topic, spot)? {
        Ok(offsets) => Ok(offsets),
        Err(code) => bail!("asked for offsets of {}, the broker says {}", topic.name, code.name()),
    }
}

fn create(connection: &mut Connection, topic: &Topic) -> Result<()> {
    let config = |(key, value): &(String, String)| create_topics::Config {
        name: Str::from(key.as_str()),
        value: Some(Str::from(value.as_str())),
    };
    let request = create_topics::Request {
        topics: vec![create_topics::Topic {
            name: Str::from(topic.name.as_str()),
            num_partitions: topic.partitions,
            replication_factor: topic.replication,
            configs: topic.create_config.iter().map(config).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = connection.call::<CreateTopics>(CREATE_TOPICS, &request)?;
    let created = answer.topics.first().context("the broker says nothing of the topic")?;
    match created.error_code {
        ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
        code => {
            let why = created.error_message.as_deref().unwrap_or(code.meaning());
            bail!("the topic {} was not created: {} ({why})", topic.name, code.name())
        }
    }
}

/// Why the topic cannot be used yet, as far as Metadata tells.
fn not_led(connection: &mut Connection, topic: &Topic) -> Result<Option<String>> {
    let request = metadata::Request {
        topics: Some(vec![metadata::Topic {
            name: Some(Str::from(topic.name.as_str())),
            ..Default::default()
        }]),
        allow_auto_topic_creation: topic.no_create,
        ..Default::default()
    };
    let answer = connection.call::<Metadata>(METADATA, &request)?;
    let told = answer.topics.first().context("the broker says nothing of the topic")?;
    if !told.error_code.is_none() {
        return Ok(Some(told.error_code.name().to_owned()));
    }
    let led = told.partitions.iter().filter(|partition| partition.leader_id >= 0).count();
    let wanted = usize::try_from(topic.partitions).unwrap_or(0);
    Ok((led < wanted).then(|| format!("{led} of {wanted} partitions have a leader")))
}

fn ask_offsets(
    connection: &mut Connection,
    topic: &Topic,
    spot: Spot,
) -> Result<Result<Vec<i64>, ErrorCode>> {
    let partition = |partition_index| list_offsets::Partition {
        partition_index,
        timestamp: spot as i64,
        ..Default::default()
    };
    let request = list_offsets::Request {
        replica_id: -1,
        topics: vec![list_offsets::Topic {
            name: Str::from(topic.name.as_str()),
            partitions: (0..topic.partitions).map(partition).collect(),
        }],
        ..Default::default()
    };
    let answer = connection.call::<ListOffsets>(LIST_OFFSETS, &request)?;
    let mut told: Vec<_> = answer.topics.into_iter().flat_map(|topic| topic.partitions).collect();
    told.sort_unstable_by_key(|partition| partition.partition_index);
    Ok(told.iter().map(|told| told.error_code.ok().map(|()| told.offset)).collect())
}
