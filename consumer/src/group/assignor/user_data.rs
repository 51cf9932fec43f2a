//! What the sticky assignors of Kafka's Java clients put beside a subscription. It carries no
//! version.

use klamm_client::config::Assignor;
use klamm_protocol::consumer_protocol::{TopicPartitions, VERSION_MAX};
use klamm_protocol::wire::{Reader, Wire, Writer};

use super::sticky::Claim;
use super::{Member, from_wire, to_wire};
use crate::assignment::Place;

klamm_protocol::structs! {
    /// Of `sticky`: what a member had before it gave everything up to join again. The oldest
    /// form lacks the generation.
    struct Sticky {
        previous_assignment: Vec<TopicPartitions>,
        generation: i32                 [1..] = -1,
    }
    /// Of `cooperative-sticky`, in subscriptions that cannot say the generation themselves.
    struct Cooperative {
        generation: i32,
    }
}

/// What a member says to the assignor of the leader beside its subscription.
pub(crate) fn user_data(assignor: Assignor, had: &[Place], generation: i32) -> Option<Bytes> {
    match assignor {
        Assignor::Range | Assignor::RoundRobin => None,
        Assignor::Sticky if had.is_empty() => None,
        Assignor::Sticky => write(&Sticky { previous_assignment: to_wire(had), generation }),
        Assignor::CooperativeSticky => write(&Cooperative { generation }),
    }
}

/// What members had, as they say it to `sticky`.
pub(super) fn claims(members: &[&Member]) -> Vec<Claim> {
    let claim = |member: &&Member| {
        let data = member.user_data.as_ref();
        let read = data.and_then(|data| read(data, VERSION_MAX).or_else(|| read(data, 0)));
        let Sticky { previous_assignment, generation } = read.unwrap_or_default();
        Claim { places: from_wire(previous_assignment), generation }
    };
    members.iter().map(claim).collect()
}

/// The generation that a member says to `cooperative-sticky`; -1 if it does not.
pub(super) fn cooperative_generation(member: &Member) -> i32 {
    let data = member.user_data.as_ref().and_then(|data| read::<Cooperative>(data, 0));
    data.map_or(-1, |data| data.generation)
}

/// None where a name is longer than Kafka's forms can say, which no topic's is.
fn write(data: &impl Wire) -> Option<Bytes> {
    let mut writer = Writer::new(VERSION_MAX, false);
    data.write(&mut writer);
    writer.finish().ok().map(klamm_protocol::wire::Encoded::into_bytes)
}

fn read<T: Wire>(data: &Bytes, version: i16) -> Option<T> {
    T::read(&mut Reader::new(data.clone(), version, false)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_kafka_are_understood() {
        let had = [("t".into(), 0), ("t".into(), 2)];
        let data = user_data(Assignor::Sticky, &had, 7).unwrap();
        let expected = b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x07";
        assert_eq!(data, &expected[..]);
        let oldest = data.slice(..data.len() - 4);
        for (data, generation) in [(data, 7), (oldest, -1)] {
            let member = Member { user_data: Some(data), ..Member::default() };
            let claims = claims(&[&member]);
            assert_eq!((claims[0].places.as_slice(), claims[0].generation), (&had[..], generation));
        }
    }

    #[test]
    fn nonsense_claims_nothing() {
        let nonsense = Some(Bytes::from_static(b"\xff\xff\xff"));
        let member = Member { user_data: nonsense, ..Member::default() };
        assert!(claims(&[&member])[0].places.is_empty());
        assert_eq!(cooperative_generation(&member), -1);
    }
}
