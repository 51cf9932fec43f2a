//! The topic of messages: made if it is missing, written with a key that is the room.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use common::patience::Patience;
use common::telemetry::Component;
use futures_util::future::OptionFuture;
use klamm_client::admin::{NewTopic, OffsetSpec};
use klamm_client::{ClientConfig, Kafka};
use klamm_producer::{Acks, ProduceExt as _, Producer, Record, TryEnqueueError};
use klamm_utils::hash::fnv1a_32;
use klamm_utils::task::TaskGroup;

use crate::frames::Failure;
use crate::message::Message;
use crate::queue::Queue;

/// For how long a message may wait for the broker, before its sender is told.
const SENT_WITHIN: Duration = Duration::from_secs(10);

/// How many partitions the topic has, if we make it.
const PARTITIONS: i32 = 12;

/// A connection to the broker, and the topic.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) kafka: Kafka,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// Offsets mean something within one topic only: this is the one.
    pub(crate) epoch: String,
}

impl Log {
    /// Connects, and makes the topic if it is missing.
    pub(crate) async fn open(bootstrap: &str, topic: &str) -> klamm_client::Result<Self> {
        let kafka = Kafka::connect(ClientConfig::new(bootstrap).client_id("chat")).await?;
        let week_ms = "604800000";
        let new = NewTopic::new(topic).partitions(PARTITIONS).config("retention.ms", week_ms);
        common::topics::create(&kafka, &[new]).await?;
        let described = kafka.topic(&topic.into()).await?;
        let partitions = i32::try_from(described.partitions.len()).unwrap_or(i32::MAX);
        Ok(Self { kafka, topic: topic.to_owned(), partitions, epoch: described.id.to_string() })
    }

    /// Where each partition begins and ends.
    pub(crate) async fn bounds(&self) -> klamm_client::Result<Vec<(i32, i64, i64)>> {
        let (mut begins, ends) = (
            self.offsets(OffsetSpec::Earliest).await?.into_iter().collect::<HashMap<_, _>>(),
            self.offsets(OffsetSpec::Latest).await?,
        );
        let bounds = ends.into_iter();
        Ok(bounds.map(|(part, end)| (part, begins.remove(&part).unwrap_or(0), end)).collect())
    }

    async fn offsets(&self, which: OffsetSpec) -> klamm_client::Result<Vec<(i32, i64)>> {
        let asked = (0..self.partitions).map(|part| (self.topic.as_str().into(), part, which));
        let asked: Vec<_> = asked.collect();
        let found = self.kafka.admin().list_offsets(&asked).await?.into_iter();
        found.map(|((_, part), found)| Ok((part, found?.offset.unwrap_or(0)))).collect()
    }

    /// Where the messages of a room lie: the hash that the clients of the original have.
    pub(crate) fn partition_of(&self, room: &str) -> i32 {
        fnv_partition(room, self.partitions)
    }

    /// A producer whose messages are safe when they are acknowledged.
    pub(crate) async fn writer(&self) -> klamm_client::Result<Writer> {
        let producer = self
            .kafka
            .producer()
            .acks(Acks::All)
            .idempotence(true)
            .linger(Duration::from_millis(2))
            .delivery_timeout(SENT_WITHIN)
            .request_timeout(SENT_WITHIN / 2)
            .max_block(SENT_WITHIN)
            .build()
            .await?;
        Ok(Writer { producer, log: self.clone() })
    }
}

fn fnv_partition(key: &str, partitions: i32) -> i32 {
    let hash = fnv1a_32(key.as_bytes()).cast_signed().unsigned_abs();
    i32::try_from(hash % partitions.unsigned_abs().max(1)).unwrap_or(0)
}

/// The log, and what writes to it, when the broker is there. None if the tasks stop first.
pub(crate) async fn reach(
    (brokers, topic): (&str, &str),
    kafka: &Component,
    tasks: &TaskGroup,
) -> Option<(Log, Writer)> {
    let mut patience = Patience::new(tasks, "reach the broker");
    let open = async || {
        let log = Log::open(brokers, topic).await?;
        let writer = log.writer().await?;
        Ok::<_, klamm_client::Error>((log, writer))
    };
    loop {
        let opened = tokio::select! {
            opened = open() => opened,
            () = tasks.stopping() => return None,
        };
        match opened {
            Ok(opened) => return Some(opened),
            Err(error) => {
                kafka.away(&error);
                patience.after(&error).await?;
            }
        }
    }
}

/// Writes messages.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    producer: Producer,
    log: Log,
}

impl Writer {
    /// Puts a message behind those that were put before; what it gives tells the offset.
    pub(crate) fn send(
        &self,
        message: &Message,
    ) -> impl Future<Output = Result<i64, Failure>> + Send + 'static + use<> {
        self.send_in(&mut Queue::default(), message)
    }

    /// The same, and it stays behind those that were put into this queue before.
    pub(crate) fn send_in(
        &self,
        queue: &mut Queue,
        message: &Message,
    ) -> impl Future<Output = Result<i64, Failure>> + Send + 'static + use<> {
        let record = Record::to(&*self.log.topic)
            .key(message.room.clone())
            .value(message.encode())
            .partition(self.log.partition_of(&message.room))
            .timestamp(message.created_at);
        let producer = self.producer.clone();
        let accepted = match queue.is_empty() {
            true => producer.try_enqueue(record),
            // One before it still waits.
            false => Err(TryEnqueueError::UnknownTopic(Box::new(record))),
        };
        let waits = matches!(accepted, Err(TryEnqueueError::UnknownTopic(_)));
        let turn = OptionFuture::from(waits.then(|| queue.line_up().first()));
        async move {
            let delivery = match accepted {
                Ok(delivery) => Ok(delivery),
                // The first record asks where the topic is.
                Err(TryEnqueueError::UnknownTopic(record)) => {
                    let _turn = turn.await;
                    producer.enqueue(*record).await
                }
                Err(error) => {
                    tracing::debug!(%error, "a message was not accepted");
                    return Err(Failure::BrokerUnavailable);
                }
            };
            match async { delivery?.await }.await {
                Ok(stored) => Ok(stored.offset.unwrap_or(-1)),
                Err(error) => {
                    tracing::debug!(%error, "a message was not stored");
                    Err(Failure::Timeout)
                }
            }
        }
    }

    /// Waits until everything that was sent is stored, or is not.
    pub(crate) async fn close(self) {
        if let Err(error) = self.producer.close(SENT_WITHIN).await {
            tracing::warn!(%error, "messages may not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_go_where_the_clients_of_the_original_put_them() {
        for (key, of_3, of_12) in [("alice", 2, 5), ("bob", 2, 8), ("room:general", 0, 0)] {
            assert_eq!((fnv_partition(key, 3), fnv_partition(key, 12)), (of_3, of_12));
        }
    }
}
