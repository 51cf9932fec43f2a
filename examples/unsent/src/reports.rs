//! What the consumer tells others: changes, and records that nobody can read.

use klamm_consumer::ConsumerRecord;
use klamm_producer::{Producer, Record, Result, TryEnqueueError};

use crate::wire::{CHANGES, Change, DEAD_LETTERS, Sender, WireError};

/// Sends records about the work.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    producer: Producer,
}

impl Reports {
    pub(crate) fn new(producer: Producer) -> Self {
        Self { producer }
    }

    /// Another number waits for a user from a sender; none if nothing does. Tells whether more can
    /// be told just now: nobody waits for a broker that is slow.
    pub(crate) async fn change(
        &self,
        touser: &str,
        fromuser: &str,
        sender: Option<Sender>,
    ) -> bool {
        let nothing = || Sender {
            fromuser: fromuser.into(),
            count: 0,
            first_at: 0,
            last_at: 0,
            last_offset: -1,
            preview: String::new(),
        };
        let change = Change { touser: touser.into(), sender: sender.unwrap_or_else(nothing) };
        let json = serde_json::to_vec(&change).expect("a struct of texts and numbers is JSON");
        let record = Record::to(CHANGES).key(touser.to_owned()).value(json);
        match self.producer.try_enqueue(record) {
            Ok(_) => true,
            // It is asked for once, and then known.
            Err(TryEnqueueError::UnknownTopic(record)) => {
                self.producer.enqueue(*record).await.is_ok()
            }
            Err(TryEnqueueError::Full(_) | TryEnqueueError::Refused(_)) => false,
        }
    }

    /// Keeps a record that nobody can read, beside why.
    pub(crate) async fn bury(&self, record: &ConsumerRecord, why: &WireError) -> Result<()> {
        let source = format!("{}-{}@{}", record.topic, record.partition, record.offset);
        let mut letter = Record::to(DEAD_LETTERS)
            .header("x-error", why.to_string().into_bytes())
            .header("x-attempts", b"1".to_vec())
            .header("x-source-offset", source.into_bytes());
        if let Some(key) = &record.key {
            letter = letter.key(key.clone());
        }
        if let Some(value) = &record.value {
            letter = letter.value(value.clone());
        }
        self.producer.send(letter).await.map(drop)
    }
}
