//! A broker, a topic and a group for tests: the broker in this process or, where
//! `KLAMM_TEST_BOOTSTRAP` names one, any other.
#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]

use std::time::Duration;

use klamm_broker::{Broker, BrokerBuilder};
use klamm_client::admin::NewTopic;
use klamm_client::config::Value as _;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{
    Assignor, ConsumeExt as _, Consumer, ConsumerBatch, ConsumerBuilder, GroupProtocol, OffsetReset,
};
use klamm_producer::{ProduceExt as _, Record};
use klamm_protocol::wire::Str;
use klamm_utils::random::Random;
use klamm_utils::uuid::Uuid;

pub const SOON: Duration = Duration::from_secs(60);

/// What the members of a group may speak.
pub const PROTOCOLS: [GroupProtocol; 2] = [GroupProtocol::Classic, GroupProtocol::Consumer];

/// A broker, and a topic and a group that nobody else has.
pub struct World {
    pub protocol: GroupProtocol,
    pub broker: Option<Broker>,
    pub address: String,
    pub kafka: Kafka,
    pub topic: Str,
    pub group: String,
}

impl World {
    /// With a topic of so many partitions, each with ten batches of ten records.
    pub async fn start(partitions: i32) -> Self {
        Self::speaking(GroupProtocol::Classic, partitions).await
    }

    /// The same, with members that speak this protocol.
    pub async fn speaking(protocol: GroupProtocol, partitions: i32) -> Self {
        if std::env::var("KLAMM_TEST_BOOTSTRAP").is_ok() {
            return Self::at(None, protocol, partitions).await;
        }
        let broker = broker(Broker::builder().ephemeral()).start().await.unwrap();
        Self::at(Some(broker), protocol, partitions).await
    }

    /// The same, with this broker.
    pub async fn at(broker: Option<Broker>, protocol: GroupProtocol, partitions: i32) -> Self {
        let address = match &broker {
            Some(broker) => broker.bootstrap(),
            None => std::env::var("KLAMM_TEST_BOOTSTRAP").unwrap(),
        };
        let config = ClientConfig::new(&address).metadata_max_age(Duration::from_millis(300));
        let kafka = Kafka::connect(config).await.unwrap();
        let name = Uuid(Random::new().uuid()).to_string();
        let topic: Str = format!("t{name}").into();
        let world = Self {
            protocol,
            broker,
            address,
            kafka,
            topic,
            group: format!("{}-{name}", protocol.print()),
        };
        world.create(&world.topic, partitions).await;
        for partition in 0..partitions {
            for _ in 0..10 {
                world.produce(partition, 10).await;
            }
        }
        world
    }

    pub async fn create(&self, topic: &Str, partitions: i32) {
        let topic = NewTopic::new(topic).partitions(partitions);
        let created = self.kafka.admin().create_topics(&[topic]).await.unwrap();
        created[0].1.as_ref().unwrap();
    }

    /// Adds one batch.
    pub async fn produce(&self, partition: i32, records: usize) {
        let linger = Duration::from_secs(600);
        let producer = self.kafka.producer().linger(linger).build().await.unwrap();
        for number in 0..records {
            let record = Record::to(self.topic.clone()).value(number.to_string());
            drop(producer.enqueue(record.partition(partition)).await.unwrap());
        }
        producer.close(SOON).await.unwrap();
    }

    pub fn member(&self) -> ConsumerBuilder {
        member(&self.kafka, &self.group, self.protocol).subscribe([self.topic.clone()])
    }

    /// A member of another process, so to say: nothing is shared with others.
    pub async fn stranger(&self) -> ConsumerBuilder {
        let kafka = Kafka::connect(ClientConfig::new(&self.address)).await.unwrap();
        member(&kafka, &self.group, self.protocol).subscribe([self.topic.clone()])
    }

    pub fn place(&self, partition: i32) -> (Str, i32) {
        (self.topic.clone(), partition)
    }

    pub async fn stop(self) {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

/// A broker that keeps nobody waiting.
pub fn broker(builder: BrokerBuilder) -> BrokerBuilder {
    builder
        .set("group.min.session.timeout.ms", "1000")
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.consumer.heartbeat.interval.ms", "50")
        .set("group.consumer.session.timeout.ms", "3000")
        .set("group.consumer.assignment.interval.ms", "0")
}

pub fn member(kafka: &Kafka, group: &str, protocol: GroupProtocol) -> ConsumerBuilder {
    let builder = kafka.consumer().group(group).auto_offset_reset(OffsetReset::Earliest);
    let builder = builder.fetch_max_wait(Duration::from_millis(50)).group_protocol(protocol);
    match protocol {
        GroupProtocol::Classic => {
            builder.set("heartbeat.interval.ms", "50").set("session.timeout.ms", "6000")
        }
        // The broker says these.
        GroupProtocol::Consumer => builder,
    }
}

/// A member that assigns so; in the consumer protocol it leaves that to the broker.
pub fn assigning(
    builder: ConsumerBuilder,
    protocol: GroupProtocol,
    by: Assignor,
) -> ConsumerBuilder {
    match protocol {
        GroupProtocol::Classic => builder.assignors([by]),
        GroupProtocol::Consumer => builder,
    }
}

pub async fn next(consumer: &mut Consumer) -> ConsumerBatch {
    tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap()
}

/// Reads until so many records have come. A batch is never larger than ten.
pub async fn read(consumer: &mut Consumer, records: usize) {
    let mut left = records;
    while left > 0 {
        left -= next(consumer).await.records().len();
    }
}

/// Asks until the consumer has so many partitions, and gives what it reads away.
pub async fn settle(consumer: &mut Consumer, partitions: usize) {
    let settled = async {
        while consumer.assignment().len() != partitions {
            let a_moment = Duration::from_millis(20);
            if let Ok(batch) = tokio::time::timeout(a_moment, consumer.next_batch()).await {
                batch.unwrap();
            }
        }
    };
    tokio::time::timeout(SOON, settled).await.unwrap();
}
