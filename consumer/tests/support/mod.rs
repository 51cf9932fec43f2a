//! A cluster, a topic and a group for tests.
#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]

use std::time::Duration;

use klamm_broker::Broker;
use klamm_client::config::Value as _;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{
    Assignor, ConsumeExt as _, Consumer, ConsumerBatch, ConsumerBuilder, ConsumerEvent,
    ConsumerEvents, Error, GroupProtocol, OffsetReset,
};
use klamm_producer::{ProduceExt as _, Record};
use klamm_protocol::wire::Str;
use tokio::net::TcpListener;

use crate::cluster::{self, Cluster};

pub use crate::cluster::SOON;

/// What the members of a group may speak. Brokers before Kafka 4 speak one of them.
pub async fn protocols() -> Vec<GroupProtocol> {
    const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
    match cluster::somewhere_can(CONSUMER_GROUP_HEARTBEAT, 1, "the consumer protocol").await {
        true => vec![GroupProtocol::Classic, GroupProtocol::Consumer],
        false => vec![GroupProtocol::Classic],
    }
}

/// A cluster, and a topic and a group that nobody else has.
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
        Self::at(Cluster::start().await, protocol, partitions).await
    }

    /// The same, in this cluster.
    pub async fn at(cluster: Cluster, protocol: GroupProtocol, partitions: i32) -> Self {
        let world = Self::empty(cluster, protocol, partitions).await;
        for partition in 0..partitions {
            for _ in 0..10 {
                world.produce(partition, 10).await;
            }
        }
        world
    }

    /// The same, with a broker that nobody meets but through `pretend`, which is given where clients
    /// come to, and where the broker is.
    pub async fn behind<F: Future<Output = ()> + 'static>(
        pretend: impl FnOnce(TcpListener, String) -> F,
        protocol: GroupProtocol,
        partitions: i32,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // An address that nobody has.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = free.local_addr().unwrap().to_string();
        drop(free);
        let builder = cluster::prompt(Broker::builder().ephemeral()).listen(&behind);
        let builder = builder.set("advertised.listeners", format!("PLAINTEXT://{address}"));
        let broker = builder.start().await.unwrap();
        tokio::task::spawn_local(pretend(listener, behind));
        Self::at(Cluster::of(broker), protocol, partitions).await
    }

    /// The same, with no records yet.
    pub async fn empty(cluster: Cluster, protocol: GroupProtocol, partitions: i32) -> Self {
        let config = cluster.config().metadata_max_age(Duration::from_millis(300));
        let kafka = Kafka::connect(config).await.unwrap();
        let (topic, group) = (cluster.name("t").into(), cluster.name(&protocol.print()));
        let Cluster { broker, address, .. } = cluster;
        let world = Self { protocol, broker, address, kafka, topic, group };
        world.create(&world.topic, partitions).await;
        world
    }

    pub async fn create(&self, topic: &Str, partitions: i32) {
        cluster::create(&self.kafka, cluster::topic(&self.kafka, topic, partitions)).await;
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

/// What comes next of a consumer's events; none when they have ended.
pub async fn event(events: &mut ConsumerEvents) -> Option<ConsumerEvent> {
    tokio::time::timeout(SOON, events.next()).await.unwrap()
}

/// What ends a consumer that cannot be a member.
pub async fn end(builder: ConsumerBuilder) -> Error {
    let mut consumer = builder.build().await.unwrap();
    let error = fails(&mut consumer).await;
    assert!(error.is_fatal(), "{error}");
    let again = consumer.next_batch().await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string(), "it is told again and again");
    error
}

async fn fails(consumer: &mut Consumer) -> Error {
    let failing = async {
        loop {
            if let Err(error) = consumer.next_batch().await {
                break error;
            }
        }
    };
    tokio::time::timeout(SOON, failing).await.unwrap()
}
