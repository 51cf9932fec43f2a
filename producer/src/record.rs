//! A record on its way to a topic.

use bytes::Bytes;
use klamm_protocol::records::Header;
use klamm_protocol::wire::Str;

/// The most bytes that a record takes in a batch besides key, value and headers: six varints and
/// the attributes.
const OVERHEAD_MAX: usize = 41;
/// The most that one header takes besides its key and value: two varints.
const HEADER_OVERHEAD_MAX: usize = 10;

/// The value of a header: what bytes are made of, or `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValue(Option<Bytes>);

impl From<Option<Bytes>> for HeaderValue {
    fn from(value: Option<Bytes>) -> Self {
        Self(value)
    }
}

macro_rules! header_values {
    ($($value:ty),*) => {
        $(impl From<$value> for HeaderValue {
            fn from(value: $value) -> Self {
                Self(Some(value.into()))
            }
        })*
    };
}

header_values!(Bytes, &'static str, &'static [u8], String, Vec<u8>);

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

    /// With one more header, whose value may be `None`.
    #[must_use]
    pub fn header(mut self, key: impl Into<Bytes>, value: impl Into<HeaderValue>) -> Self {
        self.push_header(key, value);
        self
    }

    /// Adds a header, whose value may be `None`.
    pub fn push_header(&mut self, key: impl Into<Bytes>, value: impl Into<HeaderValue>) {
        let HeaderValue(value) = value.into();
        self.headers.push(Header { key: key.into(), value });
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

    /// Its headers, in order.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_header_may_be_none() {
        let record = Record::to("orders").header("a", "1").header("b", None);
        let record = record.header("c", Bytes::new()).header("d", vec![4]);
        let values: Vec<_> = record.headers().iter().map(|header| header.value.clone()).collect();
        let bytes = |value: &'static [u8]| Some(Bytes::from_static(value));
        assert_eq!(values, [bytes(b"1"), None, bytes(b""), bytes(&[4])]);
    }
}
