//! What consumers subscribe to, read from their metadata.

use std::collections::HashSet;

use bytes::Bytes;
use klamm_protocol::wire::{Reader, Str, Wire};

use super::checks::CONSUMER;
use super::members::Members;

/// The topics of all members together. None if that cannot be told: it is not a group of
/// consumers, or one of them says it in a form of its own.
pub(super) fn subscribed_topics(
    protocol_type: Option<&str>,
    protocol: Option<&str>,
    members: &Members,
) -> Option<HashSet<Str>> {
    if protocol_type != Some(CONSUMER) {
        return None;
    }
    if members.is_empty() {
        return Some(HashSet::new());
    }
    let protocol = protocol?;
    let mut topics = HashSet::new();
    for member in members.iter() {
        for topic in topics_of(member.metadata(protocol))? {
            if !topics.contains(&topic) {
                topics.insert(topic.detached());
            }
        }
    }
    Some(topics)
}

/// Every version of the metadata begins with the version and the topics.
fn topics_of(metadata: Bytes) -> Option<Vec<Str>> {
    let mut reader = Reader::new(metadata, 0, false);
    let version = i16::read(&mut reader).ok()?;
    let topics = Vec::<Str>::read(&mut reader).ok()?;
    (version >= 0).then_some(topics)
}
