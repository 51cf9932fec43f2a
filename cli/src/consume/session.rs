//! Reading chosen partitions.

use klamm_client::Kafka;
use klamm_consumer::Consumer;

use super::{QUIET, Ranges, Records, Silence, ready};
use crate::connect::interrupted;
use crate::failure::ErrorStyle;
use crate::place::ends;

/// A consumer of chosen partitions, from one place to another.
pub(super) struct Session {
    pub(super) consumer: Consumer,
    pub(super) ranges: Ranges,
    pub(super) records: Records,
    /// Who waits for what is still to come waits for brokers, too, and is told of that so.
    pub(super) follows: Option<ErrorStyle>,
}

impl Session {
    /// Prints until the end is reached, if there is one, or the user ends it.
    pub(super) async fn run(mut self, kafka: &Kafka) -> anyhow::Result<()> {
        let (silence, follows) = (Silence::new(kafka), self.follows);
        let (admin, partitions) = (kafka.admin(), self.ranges.partitions());
        let ask = async || ends(&admin, &partitions).await;
        let unanswered = async {
            match follows {
                Some(errors) => match silence.tell(errors, ask).await {},
                None => Err(silence.unanswered(ask).await),
            }
        };
        let ended = tokio::select! {
            ended = self.print_all(&silence) => ended,
            unanswered = unanswered => unanswered,
            interrupted = interrupted() => interrupted,
        };
        tokio::select! {
            // Output that is closed is closed; everything else has printed up to here.
            settled = self.records.settle(&ended) => settled.and(ended),
            // Once more is at once.
            interrupted = interrupted() => interrupted,
        }
    }

    async fn print_all(&mut self, silence: &Silence) -> anyhow::Result<()> {
        while !self.records.is_enough() && !self.ranges.is_over() {
            let batch = match ready(self.consumer.next_batch()).await {
                Some(batch) => batch?,
                None => {
                    // Nothing is there now: who watches sees all that there was.
                    self.records.flush().await?;
                    match tokio::time::timeout(QUIET, self.consumer.next_batch()).await {
                        Ok(batch) => batch?,
                        Err(_) => {
                            self.ranges
                                .look(|topic, partition| self.consumer.position(topic, partition));
                            continue;
                        }
                    }
                }
            };
            silence.broken();
            let (topic, partition) = (batch.topic(), batch.partition());
            self.records.print(&batch, self.ranges.until(topic, partition))?;
            if self.ranges.advance(topic, partition, batch.end_offset()) {
                self.consumer.pause(topic, partition)?;
            }
            self.records.relieve().await?;
        }
        self.records.flush().await
    }
}
