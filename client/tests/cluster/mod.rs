//! What tests of the clients run against: a broker in this process or, where
//! `KLAMM_TEST_BOOTSTRAP` names one, any other cluster. `compat/crates/run` starts some.
#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]
#![allow(clippy::print_stdout, reason = "what a cluster cannot do is said")]

use std::time::Duration;

use klamm_broker::{Broker, BrokerBuilder};
use klamm_client::admin::NewTopic;
use klamm_client::{ClientConfig, Error, Kafka, Versions};
use klamm_protocol::api::metadata;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::random::Random;
use klamm_utils::uuid::Uuid;

/// Longer than anything here takes.
pub const SOON: Duration = Duration::from_secs(60);

/// A cluster, and names in it that nobody else uses.
pub struct Cluster {
    /// The broker, if it is of this process.
    pub broker: Option<Broker>,
    /// Where clients begin.
    pub address: String,
    name: Uuid,
}

impl Cluster {
    /// The cluster that is named, or a broker of this process that keeps nobody waiting.
    pub async fn start() -> Self {
        match Self::elsewhere() {
            Some(cluster) => cluster,
            None => Self::of(prompt(Broker::builder().ephemeral()).start().await.unwrap()),
        }
    }

    /// The cluster that is named.
    pub fn elsewhere() -> Option<Self> {
        let address = std::env::var("KLAMM_TEST_BOOTSTRAP").ok()?;
        Some(Self::at(None, address))
    }

    /// A broker of this process, for tests of what no other does.
    pub fn of(broker: Broker) -> Self {
        let address = broker.bootstrap();
        Self::at(Some(broker), address)
    }

    /// The same, where clients begin elsewhere.
    pub fn at(broker: Option<Broker>, address: String) -> Self {
        Self { broker, address, name: Uuid(Random::new().uuid()) }
    }

    /// A name for a topic, a group or an id that only this test has.
    pub fn name(&self, what: &str) -> String {
        format!("{what}.{}", self.name)
    }

    /// A client of it.
    pub async fn connect(&self) -> Kafka {
        Kafka::connect(self.config()).await.unwrap()
    }

    /// What a client needs to find it.
    pub fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.address)
    }

    /// Ends the broker, if it is of this process.
    pub async fn stop(self) {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

/// A broker that keeps nobody waiting.
pub fn prompt(builder: BrokerBuilder) -> BrokerBuilder {
    builder
        .set("group.min.session.timeout.ms", "1000")
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.consumer.min.heartbeat.interval.ms", "50")
        .set("group.consumer.heartbeat.interval.ms", "50")
        .set("group.consumer.min.session.timeout.ms", "3000")
        .set("group.consumer.session.timeout.ms", "3000")
        .set("group.consumer.assignment.interval.ms", "0")
}

/// A topic with as many replicas as there are brokers, up to three; brokers before Kafka 2.4 want
/// to be told.
pub fn topic(kafka: &Kafka, name: &str, partitions: i32) -> NewTopic {
    let replicas = i16::try_from(kafka.metadata().brokers.len().min(3)).unwrap();
    NewTopic::new(name).partitions(partitions).replication(replicas)
}

/// Makes a topic, and returns once every broker knows all of its leaders.
pub async fn create(kafka: &Kafka, topic: NewTopic) {
    for (name, created) in kafka.admin().create_topics(&[topic]).await.unwrap() {
        created.unwrap_or_else(|error| panic!("{name}: {error}"));
        until_known(kafka, &name).await;
    }
}

/// Returns once every broker knows the leaders of all of a topic's partitions.
pub async fn until_known(kafka: &Kafka, name: &Str) {
    let topic = metadata::Topic { name: Some(name.clone()), ..Default::default() };
    let request = metadata::Request {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    for node in kafka.metadata().brokers.keys() {
        eventually(async || {
            let answer = kafka.call::<metadata::Metadata>(*node, &request).await.unwrap().body;
            let topic = &answer.topics[0];
            let mut partitions = topic.partitions.iter();
            topic.error_code.is_none() && partitions.all(|partition| partition.error_code.is_none())
        })
        .await;
    }
}

/// The same of the cluster that is named; a broker of this process can.
pub async fn somewhere_can(key: i16, version: i16, what: &str) -> bool {
    match Cluster::elsewhere() {
        Some(cluster) => can(&cluster.connect().await, key, version, what).await,
        None => true,
    }
}

/// The code of a failure.
pub fn code<T>(outcome: &Result<T, Error>) -> Option<ErrorCode> {
    outcome.as_ref().err().and_then(Error::code)
}

/// Whether the cluster serves an API in a version as new as this; if not, says so for who reads
/// the tests' output.
pub async fn can(kafka: &Kafka, key: i16, version: i16, what: &str) -> bool {
    let served = kafka.admin().api_versions().await.unwrap();
    let newest = |served: &Versions| served.of(key).map(|range| *range.end());
    let can = served.iter().all(|(_, served)| newest(served.as_ref().unwrap()) >= Some(version));
    if !can {
        println!("n.a.: {what}");
    }
    can
}

/// Returns once it is so. What one broker has done, the others hear a moment later.
pub async fn eventually(so: impl AsyncFn() -> bool) {
    let so = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, so).await.unwrap();
}
