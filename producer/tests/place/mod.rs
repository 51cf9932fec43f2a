//! Where transactions are tried.
#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]

use klamm_broker::Broker;
use klamm_client::Kafka;
use klamm_consumer::{ConsumeExt as _, Start};
use klamm_producer::{ProduceExt as _, ProducerBuilder, Record, TransactionalProducer};

use crate::cluster::{Cluster, SOON, create, prompt, topic};

/// The generations of the protocol, as `transaction.version.max` names them.
pub const GENERATIONS: [&str; 2] = ["1", "2"];

/// A cluster, a client of it, and a topic of three partitions whose name is that of everything
/// else as well.
pub struct Place {
    pub cluster: Cluster,
    pub kafka: Kafka,
    pub name: String,
}

impl Place {
    pub async fn new(what: &str) -> Self {
        Self::at(what, Cluster::start().await).await
    }

    pub async fn at(what: &str, cluster: Cluster) -> Self {
        let config = cluster.config().set("retry.backoff.ms", "5");
        let kafka = Kafka::connect(config.set("reconnect.backoff.ms", "1")).await.unwrap();
        let name = cluster.name(what);
        create(&kafka, topic(&kafka, &name, 3)).await;
        Self { cluster, kafka, name }
    }

    /// A place with a broker of this process, for tests of what no other does.
    pub async fn here(what: &str) -> Self {
        let broker = prompt(Broker::builder().ephemeral()).start().await.unwrap();
        Self::at(what, Cluster::of(broker)).await
    }

    /// The broker of this process.
    pub fn broker(&self) -> &Broker {
        self.cluster.broker.as_ref().unwrap()
    }

    pub async fn producer(&self, generation: &str) -> TransactionalProducer {
        self.builder(generation).build_transactional().await.unwrap()
    }

    pub fn builder(&self, generation: &str) -> ProducerBuilder {
        let builder = self.kafka.producer().transactional_id(&self.name);
        builder.set("transaction.version.max", generation)
    }

    pub fn record(&self, value: impl ToString) -> Record {
        Record::to(self.name.as_str()).value(value.to_string())
    }

    /// What readers of committed records see, partition by partition, up to the last record of
    /// each: an untransactional one that is written now.
    pub async fn committed(&self) -> Vec<String> {
        let end = self.kafka.producer().build().await.unwrap();
        for partition in 0..3 {
            end.send(self.record("end").partition(partition)).await.unwrap();
        }
        let builder = self.kafka.consumer().assign_topic(self.name.as_str(), Start::Earliest);
        let builder = builder.set("isolation.level", "read_committed");
        let mut consumer = builder.build().await.unwrap();
        let (mut seen, mut ends) = (Vec::new(), 0);
        while ends < 3 {
            let batch = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap();
            for record in batch {
                match String::from_utf8(record.value.unwrap().to_vec()).unwrap().as_str() {
                    "end" => ends += 1,
                    value => seen.push(value.to_owned()),
                }
            }
        }
        seen.sort_unstable();
        seen
    }

    pub async fn end(self) {
        self.cluster.stop().await;
    }
}
