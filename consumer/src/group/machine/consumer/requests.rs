//! What a member says.

use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::api::consumer_group_heartbeat::{Request, TopicPartitions};
use klamm_protocol::wire::{Str, Uuid};

use super::{ConsumerMachine, PlaceById};
use crate::group::machine::ms;

/// Who joins is there.
const JOINING: i32 = 0;
/// Who leaves is here.
const LEAVING: i32 = -1;
/// Likewise, if it is a static member, which may come back.
const LEAVING_FOR_A_WHILE: i32 = -2;

impl ConsumerMachine {
    /// A heartbeat with all that is news to the coordinator.
    pub(super) fn say(&mut self) -> Request {
        let saying = self.saying();
        self.may_be_known = true;
        self.has_had_pattern |= saying.pattern.is_some();
        // A pattern that was is taken back by an empty one.
        let pattern = || match &saying.pattern {
            None if self.has_had_pattern => Some(Str::default()),
            pattern => pattern.clone(),
        };
        let (identity, rules) = (&self.member.identity, &self.member.rules);
        let base = Request {
            group_id: rules.group.clone(),
            member_id: identity.member.clone(),
            member_epoch: if identity.is_member() { identity.generation } else { JOINING },
            instance_id: rules.instance.clone(),
            ..Request::default()
        };
        let request = match &self.known {
            None => Request {
                rack_id: rules.rack.clone(),
                rebalance_timeout_ms: ms(rules.rebalance_timeout),
                subscribed_topic_names: Some(saying.topics.iter().cloned().collect()),
                subscribed_topic_regex: pattern(),
                server_assignor: rules.remote_assignor.clone(),
                topic_partitions: Some(by_topic(&saying.owned)),
                ..base
            },
            Some(known) => Request {
                subscribed_topic_names: (known.topics != saying.topics)
                    .then(|| saying.topics.iter().cloned().collect()),
                subscribed_topic_regex: pattern().filter(|_| known.pattern != saying.pattern),
                topic_partitions: ((&known.owned, known.target) != (&saying.owned, saying.target))
                    .then(|| by_topic(&saying.owned)),
                ..base
            },
        };
        self.said = Some((self.member.round, saying));
        request
    }

    /// The last heartbeat.
    pub(super) fn goodbye(&self) -> Request {
        let rules = &self.member.rules;
        let is_static = rules.instance.is_some();
        Request {
            group_id: rules.group.clone(),
            member_id: self.member.identity.member.clone(),
            member_epoch: if is_static { LEAVING_FOR_A_WHILE } else { LEAVING },
            instance_id: rules.instance.clone(),
            ..Request::default()
        }
    }
}

fn by_topic(places: &BTreeSet<PlaceById>) -> Vec<TopicPartitions> {
    let mut topics = BTreeMap::<Uuid, Vec<i32>>::new();
    for (topic_id, partition) in places {
        topics.entry(*topic_id).or_default().push(*partition);
    }
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    topics.into_iter().map(topic).collect()
}
