//! Records of a partition on their way into the stores.

use klamm_consumer::{ConsumerBatch, ConsumerRecord};

use crate::cache::Pair;
use crate::wire::Event;

/// Records of one step, at most.
pub(crate) const STEP_RECORDS: usize = 1_000;
/// Bytes of the records of one step, about.
const STEP_BYTES: usize = 256 * 1024;

/// Some records, and the offset behind them.
pub(crate) type Piece = (Vec<ConsumerRecord>, i64);

/// What a stream has given.
pub(crate) type Next = klamm_consumer::Result<Option<Piece>>;

/// What lies ready.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) records: Vec<ConsumerRecord>,
    pub(crate) end: i64,
    /// Why there is no more, if there was such a word. It is told once: who drops it waits for ever.
    pub(crate) last: Option<Next>,
}

impl Ready {
    /// Gathers what comes without waiting, as much as a step has.
    pub(crate) fn gather(first: Piece, mut next: impl FnMut() -> Option<Next>) -> Self {
        let (mut records, mut end) = first;
        let mut last = None;
        while records.len() < STEP_RECORDS && last.is_none() {
            match next() {
                Some(Ok(Some((more, behind)))) => {
                    records.extend(more);
                    end = behind;
                }
                Some(word) => last = Some(word),
                None => break,
            }
        }
        Self { records, end, last }
    }
}

/// A batch with the offset behind it.
pub(crate) fn piece(batch: ConsumerBatch) -> Piece {
    let end = batch.end_offset();
    (batch.into_iter().collect(), end)
}

/// The records of the next step.
pub(crate) fn some_records(
    rest: &mut std::iter::Peekable<impl Iterator<Item = ConsumerRecord>>,
) -> Vec<ConsumerRecord> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while some.len() < STEP_RECORDS && bytes < STEP_BYTES {
        let Some(record) = rest.next() else { break };
        bytes += record.value.as_ref().map_or(0, |value| value.len());
        some.push(record);
    }
    some
}

/// An event and where it lies.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) event: Event,
    pub(crate) offset: i64,
    pub(crate) at: i64,
}

impl Placed {
    pub(crate) fn pair(&self) -> Pair {
        let (to, from) = self.event.pair();
        (to.to_owned(), from.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64) -> ConsumerRecord {
        let (topic, value) = ("unsent-messages".into(), Some("{}".into()));
        let headers = Vec::new();
        ConsumerRecord { topic, partition: 0, offset, timestamp: 0, key: None, value, headers }
    }

    fn some(offset: i64) -> Piece {
        (vec![record(offset)], offset + 1)
    }

    fn broken() -> klamm_consumer::Error {
        let subject = klamm_client::Subject::Partition("unsent-messages".into(), 0);
        klamm_consumer::Error::NotAssigned { subject }
    }

    /// It was: an error that came behind other records was thrown away, and as it is told once, the
    /// partition stood still for ever.
    #[test]
    fn an_error_behind_what_lies_ready_is_kept_until_that_is_done() {
        let mut nexts = vec![Ok(Some(some(8))), Err(broken())].into_iter();
        let ready = Ready::gather(some(7), || nexts.next());
        assert_eq!((ready.records.len(), ready.end), (2, 9));
        assert!(matches!(ready.last, Some(Err(_))), "{:?}", ready.last);
        let mut nexts = vec![Ok(None), Ok(Some(some(8)))].into_iter();
        let ready = Ready::gather(some(7), || nexts.next());
        assert!(matches!(ready.last, Some(Ok(None))), "{:?}", ready.last);
        assert_eq!(ready.records.len(), 1, "it asks no more behind the end");
        let ready = Ready::gather(some(7), || None);
        assert!(ready.last.is_none());
    }
}
