//! What consumers tell each other through the coordinator of their group: a subscription on the
//! way to the leader, an assignment on the way back.
//!
//! To the broker both are bytes. They begin with their version, and are never in the flexible
//! form. Who reads a version newer than its own reads what it knows, and leaves the rest.
//!
//! | version | adds |
//! |---|---|
//! | 1 | the partitions that the member holds still (KIP-429) |
//! | 2 | the generation in which it got them (KIP-792) |
//! | 3 | its rack (KIP-881) |
//!
//! The assignment has the same versions, and looks the same in all of them.

use crate::wire::{Encoded, Reader, Result, Wire, WireError, Writer};

/// The newest version.
pub const VERSION_MAX: i16 = 3;

crate::structs! {
    /// What a member wants.
    struct Subscription {
        topics: Vec<Str>,
        /// In the form of the assignor.
        user_data: Option<Bytes>,
        owned_partitions: Vec<TopicPartitions> [1..],
        /// -1 for a member that has never had partitions.
        generation_id: i32          [2..] = -1,
        rack_id: Option<Str>        [3..],
    }

    /// What the leader gives a member.
    struct Assignment {
        assigned_partitions: Vec<TopicPartitions>,
        /// In the form of the assignor.
        user_data: Option<Bytes>,
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        topic: Str,
        partitions: Vec<i32>,
    }
}

impl Subscription {
    /// Reads a subscription of any version.
    ///
    /// # Errors
    /// The bytes are cut, or no subscription.
    pub fn decode(bytes: Bytes) -> Result<Self> {
        decode(bytes)
    }

    /// The bytes of this version, or of the nearest that there is.
    ///
    /// # Errors
    /// A text is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes> {
        encode(self, version)
    }
}

impl Assignment {
    /// Reads an assignment of any version.
    ///
    /// # Errors
    /// The bytes are cut, or no assignment.
    pub fn decode(bytes: Bytes) -> Result<Self> {
        decode(bytes)
    }

    /// The bytes of this version, or of the nearest that there is.
    ///
    /// # Errors
    /// A text is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes> {
        encode(self, version)
    }
}

fn decode<T: Wire>(bytes: Bytes) -> Result<T> {
    let mut head = Reader::new(bytes, 0, false);
    let version = i16::read(&mut head)?;
    if version < 0 {
        return Err(WireError::NegativeVersion(version));
    }
    let rest = head.take(head.remaining())?;
    T::read(&mut Reader::new(rest, version.min(VERSION_MAX), false))
}

fn encode(value: &impl Wire, version: i16) -> Result<Bytes> {
    let version = version.clamp(0, VERSION_MAX);
    let mut writer = Writer::new(version, false);
    version.write(&mut writer);
    value.write(&mut writer);
    writer.finish().map(Encoded::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> Subscription {
        Subscription {
            topics: vec!["a".into(), "b".into()],
            user_data: Some(Bytes::from_static(b"x")),
            owned_partitions: vec![TopicPartitions { topic: "a".into(), partitions: vec![0, 1] }],
            generation_id: 7,
            rack_id: Some("r".into()),
        }
    }

    #[test]
    fn a_subscription_is_as_kafka_writes_it() {
        let bytes = b"\x00\x03\x00\x00\x00\x02\x00\x01a\x00\x01b\x00\x00\x00\x01x\
            \x00\x00\x00\x01\x00\x01a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\
            \x00\x00\x00\x07\x00\x01r";
        assert_eq!(subscription().encode(VERSION_MAX).unwrap(), &bytes[..]);
        assert_eq!(Subscription::decode(Bytes::from_static(bytes)), Ok(subscription()));
        for cut in 0..bytes.len() {
            assert!(Subscription::decode(Bytes::from_static(&bytes[..cut])).is_err());
        }
    }

    #[test]
    fn an_older_version_says_less_and_a_newer_one_is_read_as_far_as_it_is_known() {
        let oldest = Subscription::decode(subscription().encode(0).unwrap()).unwrap();
        assert_eq!(oldest.topics, subscription().topics);
        assert_eq!((oldest.owned_partitions.len(), oldest.generation_id), (0, -1));
        assert_eq!(subscription().encode(99), subscription().encode(VERSION_MAX));

        let mut newer = subscription().encode(VERSION_MAX).unwrap().to_vec();
        newer[1] = 9;
        newer.extend(b"something new");
        assert_eq!(Subscription::decode(newer.into()), Ok(subscription()));
        let negative = Subscription::decode(Bytes::from_static(b"\xff\xff\0\0\0\0"));
        assert_eq!(negative, Err(WireError::NegativeVersion(-1)));
    }

    #[test]
    fn an_assignment_comes_back() {
        let assignment =
            Assignment { assigned_partitions: subscription().owned_partitions, user_data: None };
        for version in 0..=VERSION_MAX {
            let bytes = assignment.encode(version).unwrap();
            assert_eq!(Assignment::decode(bytes), Ok(assignment.clone()));
        }
    }
}
