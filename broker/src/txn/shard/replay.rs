//! From the records of a partition to its transactional ids.

use std::collections::HashMap;

use klamm_protocol::records::Batch;
use klamm_protocol::wire::Str;

use super::coordinator::Coordinator;
use crate::txn::machine::{Snapshot, Transaction};
use crate::txn::records::{RecordError, TransactionRecord};

/// A batch that holds more than this, decompressed, was not written here.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// What the records that were read so far amount to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Replay {
    last: HashMap<Str, Snapshot>,
}

impl crate::shard::serve::Replay for Replay {
    fn read(&mut self, batch: &Batch) {
        let header = batch.header();
        if header.attributes.is_control() {
            // An administrator may write markers anywhere. No transaction includes this topic.
            return;
        }
        let offset = header.base_offset;
        let records = match batch.records(BATCH_BYTES_MAX) {
            Ok(records) => records,
            Err(error) => return tracing::error!(offset, %error, "a batch of transactions"),
        };
        for record in records {
            let decoded = match &record {
                Ok(record) => TransactionRecord::decode(record),
                Err(error) => return tracing::error!(offset, %error, "a record of a transaction"),
            };
            if let Err(error) = decoded.and_then(|record| self.apply(record)) {
                tracing::error!(offset, %error, "a record of a transaction");
            }
        }
    }
}

impl Replay {
    /// Takes a record in.
    pub(super) fn apply(&mut self, record: TransactionRecord) -> Result<(), RecordError> {
        let id = record.key.transactional_id;
        match record.value {
            None => drop(self.last.remove(&id)),
            Some(value) => drop(self.last.insert(id.detached(), value.try_into()?)),
        }
        Ok(())
    }

    /// The transactional ids as they were left.
    pub(super) fn finish(self) -> Coordinator {
        let mut coordinator = Coordinator::default();
        for (id, snapshot) in self.last {
            coordinator.put(&id, Transaction::restore(snapshot));
        }
        coordinator
    }
}
