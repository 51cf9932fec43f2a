//! What the shards of all coordinators have in common.
//!
//! A coordinator's topic, `__consumer_offsets` or `__transaction_state`, has partitions; what is
//! coordinated belongs to the one that Java's hash of its name says, and each has a task that owns
//! what belongs there.
//!
//! | module | what it is about |
//! |---|---|
//! | [`shards`] | the shards that run, and asking them |
//! | [`serve`] | the task of one: reading the log and serving it, again after each failure |
//! | [`mailbox`] | what it waits for |
//! | [`append`] | records on their way to the disk |
//! | [`writes`] | the answers that wait for them |
//! | [`load`] | from the log to the state |
//! | [`timers`] | what is to be looked at when |

pub(crate) mod append;
mod load;
pub(crate) mod mailbox;
pub(crate) mod serve;
mod shards;
pub(crate) mod timers;
pub(crate) mod writes;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use tokio::sync::oneshot;

pub(crate) use shards::Shards;

/// Where an answer goes. An error is the shard's: it cannot tell, now or ever.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, ErrorCode>>;

/// An answer that a shard owes.
#[derive(Debug)]
pub(crate) struct Asked<T>(Option<oneshot::Receiver<Result<T, ErrorCode>>>);

impl<T> Asked<T> {
    /// The two ends of an answer.
    pub(crate) fn somebody() -> (Answer<T>, Self) {
        let (answer, asked) = oneshot::channel();
        (answer, Self(Some(asked)))
    }

    /// There is no shard here.
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The shard is elsewhere, still reads its log, or has failed; or what it answers.
    pub(crate) async fn answer(self) -> Result<T, ErrorCode> {
        let nobody = Err(ErrorCode::NOT_COORDINATOR);
        match self.0 {
            Some(asked) => asked.await.unwrap_or(nobody),
            None => nobody,
        }
    }
}

/// The key and the value of a record, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedRecord {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
}

/// The partition that a name belongs to, as in Kafka: by Java's hash of it.
pub(crate) fn partition_of(name: &str, count: i32) -> Option<i32> {
    let hash = name
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0).checked_rem(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_where_java_puts_them() {
        let check = |name, partition| assert_eq!(partition_of(name, 50), Some(partition));
        check("", 0);
        check("g", 3);
        check("console-consumer-12345", 6);
        // Its hash is the least number, which has no absolute value.
        check("polygenelubricants", 0);
        check("grüße-😀", 27);
        assert_eq!(partition_of("g", 0), None);
    }
}
