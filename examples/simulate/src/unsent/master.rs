//! The master itself: how far it is, and what it holds. Whoever asks the service may be answered
//! by the auxiliary.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use anyhow::ensure;
use common::kv::{Found, Kv, Read};
use klamm_client::admin::OffsetSpec;
use klamm_client::{ClientConfig, Kafka};
use klamm_utils::clock;
use unsent::keys;
use unsent::wire::TOPIC;

use crate::world::World;

/// Pairs of users whose texts are asked for at once.
const PAIRS: usize = 20;
const LOOK: Duration = Duration::from_millis(20);

/// The master of a demo, and the log that it is made of.
#[derive(Debug)]
pub(super) struct Master {
    kv: Kv,
    kafka: Kafka,
    log: String,
    partitions: i32,
}

/// What the master holds of some users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) senders: u64,
    pub(super) texts: u64,
    /// Of every field and its value, whatever their order.
    sum: u64,
}

impl Master {
    /// The Redis of the demo; none if it has none.
    pub(super) async fn of(world: &World) -> anyhow::Result<Option<Self>> {
        let (true, Some(address)) =
            (world.setting("KV") == Some("redis"), world.setting("REDIS_MASTER"))
        else {
            return Ok(None);
        };
        let kafka = Kafka::connect(ClientConfig::new(world.kafka())).await?;
        let topic = kafka.topic(&TOPIC.into()).await?;
        let partitions = i32::try_from(topic.partitions.len())?;
        let log = topic.id.to_string();
        Ok(Some(Self { kv: Kv::redis(address)?, kafka, log, partitions }))
    }

    /// How far each partition of the log goes.
    async fn ends(&self) -> anyhow::Result<BTreeMap<i32, i64>> {
        let wanted: Vec<_> =
            (0..self.partitions).map(|index| (TOPIC.into(), index, OffsetSpec::Latest)).collect();
        let mut ends = BTreeMap::new();
        for ((_, index), found) in self.kafka.admin().list_offsets(&wanted).await? {
            ends.insert(index, found?.offset.unwrap_or(0));
        }
        Ok(ends)
    }

    /// How far the master is in each partition; nothing while it is away.
    async fn marks(&self) -> BTreeMap<i32, i64> {
        let held = self.kv.fields(keys::MARKS).await.unwrap_or_default();
        let marks = held.into_iter().filter_map(|(index, mark)| {
            let (log, offset) = mark.rsplit_once(':')?;
            (log == self.log).then_some((index.parse().ok()?, offset.parse().ok()?))
        });
        marks.collect()
    }

    /// The records of the log.
    pub(super) async fn records(&self) -> anyhow::Result<i64> {
        Ok(self.ends().await?.into_values().sum())
    }

    /// Waits until the master is at the end of every partition.
    pub(super) async fn settled(&self, patience: Duration) -> anyhow::Result<()> {
        self.progress(patience).await.map(drop)
    }

    /// The same; and how many records it took from the first step that was seen to the end, and
    /// how long that took.
    pub(super) async fn progress(&self, patience: Duration) -> anyhow::Result<(u64, Duration)> {
        let ends = self.ends().await?;
        let deadline = clock::now() + patience;
        let mut looks = tokio::time::interval(LOOK);
        let mut first: Option<(i64, _)> = None;
        let mut begun = None;
        loop {
            looks.tick().await;
            let (marks, now) = (self.marks().await, clock::now());
            let sum: i64 = marks.values().sum();
            // What moved between two looks began with the earlier.
            match first {
                Some((before, at)) if begun.is_none() && sum > before => begun = Some((before, at)),
                _ if begun.is_none() => first = Some((sum, now)),
                _ => {}
            }
            if ends.iter().all(|(index, end)| marks.get(index).is_some_and(|mark| mark >= end)) {
                let (before, at) = begun.unwrap_or((sum, now));
                return Ok((u64::try_from(sum - before).unwrap_or(0), now - at));
            }
            ensure!(now < deadline, "the master is at {marks:?} and not at {ends:?} in time");
        }
    }

    /// Everything that it holds of these users.
    pub(super) async fn content_of(&self, users: Vec<String>) -> anyhow::Result<Content> {
        let mut content = Content::default();
        let mut texts = Vec::new();
        for users in users.chunks(PAIRS) {
            let details: Vec<_> = users.iter().map(|user| keys::details(user)).collect();
            for (user, (key, found)) in users.iter().zip(self.fields(details).await?) {
                let senders = content.add(&key, &found);
                content.senders += senders;
                texts.extend(found.keys().map(|sender| keys::texts(user, sender)));
            }
        }
        for keys in texts.chunks(PAIRS) {
            for (key, found) in self.fields(keys.to_vec()).await? {
                let texts = content.add(&key, &found);
                content.texts += texts;
            }
        }
        Ok(content)
    }

    async fn fields(
        &self,
        keys: Vec<String>,
    ) -> anyhow::Result<Vec<(String, BTreeMap<String, String>)>> {
        let reads: Vec<_> = keys.iter().cloned().map(Read::Fields).collect();
        let found = self.kv.read(&reads).await?.into_iter().map(Found::into_fields);
        Ok(keys.into_iter().zip(found).collect())
    }
}

impl Content {
    /// Adds the fields of a key, and tells how many there are.
    fn add(&mut self, key: &str, fields: &BTreeMap<String, String>) -> u64 {
        for field in fields {
            let mut hasher = DefaultHasher::new();
            (key, field).hash(&mut hasher);
            self.sum = self.sum.wrapping_add(hasher.finish());
        }
        fields.len() as u64
    }
}
