//! A record on its way to a topic.

use bytes::Bytes;
use klamm_protocol::records::Header;
use klamm_protocol::wire::Str;

/// The most bytes that a record takes in a batch besides key, value and headers: six varints and
/// the attributes.
const OVERHEAD_MAX: usize = 41;
/// The most that one header takes besides its key and value: two varints.
const HEADER_OVERHEAD_MAX: usize = 10;

/// A record on its way to a topic.
///
/// ```
/// use klamm_producer::Record;
///
/// let record = Record::to("orders").key("k").value("paid").header("trace", "7");
/// assert_eq!(record.value_bytes().map(|value| value.len()), Some(4));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub(crate) topic: Str,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<Header>,
}

impl Record {
    /// A record without key and value: with a key, it deletes that key from a compacted topic.
    #[must_use]
    pub fn to(topic: impl Into<Str>) -> Self {
        let topic = topic.into();
        let (partition, timestamp, key, value) = (None, None, None, None);
        Self { topic, partition, timestamp, key, value, headers: Vec::new() }
    }

    /// With a key: records with the same key go to the same partition.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With a value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header { key: key.into(), value: Some(value.into()) });
        self
    }

    /// To this partition, whatever its key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With a timestamp in milliseconds since 1970; otherwise it is when the record is accepted.
    #[must_use]
    pub fn timestamp(mut self, timestamp_ms: i64) -> Self {
        self.timestamp = Some(timestamp_ms);
        self
    }

    /// The topic it goes to.
    #[must_use]
    pub fn topic(&self) -> &Str {
        &self.topic
    }

    /// The key, if it has one.
    #[must_use]
    pub fn key_bytes(&self) -> Option<&Bytes> {
        self.key.as_ref()
    }

    /// The value, if it has one.
    #[must_use]
    pub fn value_bytes(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    /// The most bytes that it takes in a batch.
    pub(crate) fn size_max(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let header =
            |header: &Header| header.key.len() + length(&header.value) + HEADER_OVERHEAD_MAX;
        let headers: usize = self.headers.iter().map(header).sum();
        OVERHEAD_MAX + length(&self.key) + length(&self.value) + headers
    }
}
