//! From what members subscribe to, and the topics that there are, to the group's epoch.

use std::collections::BTreeSet;

use klamm_protocol::wire::{Str, Uuid};

use super::ConsumerGroup;
use super::change::{Change, GroupEpoch, Matches};
use super::effects::Effects;
use super::events::Scope;
use super::member::Subscription;
use super::topics::Topics;

impl ConsumerGroup {
    /// Goes on to the next epoch if members read something else, or if the topics that they read
    /// are not what they were.
    pub(super) fn follow(&mut self, reads_other: bool, scope: Scope<'_>, effects: &mut Effects) {
        let version = scope.topics.version();
        if !reads_other && self.topics_seen == Some(version) {
            return;
        }
        let matches_other = self.match_patterns(scope, effects);
        let metadata_hash = self.metadata_hash(scope.topics);
        if reads_other || matches_other || metadata_hash != self.epoch.metadata_hash {
            self.next_epoch(metadata_hash, effects);
        }
        self.topics_seen = Some(version);
    }

    /// A member is gone: others may have what it had.
    pub(super) fn follow_departure(&mut self, scope: Scope<'_>, effects: &mut Effects) {
        self.match_patterns(scope, effects);
        let metadata_hash = self.metadata_hash(scope.topics);
        self.next_epoch(metadata_hash, effects);
    }

    fn next_epoch(&mut self, metadata_hash: i64, effects: &mut Effects) {
        let epoch = self.epoch.epoch.saturating_add(1);
        self.make(Change::Epoch(Some(GroupEpoch { epoch, metadata_hash })), effects);
        effects.rebalances += 1;
    }

    /// Finds out what the patterns of all members stand for; says whether that has changed.
    fn match_patterns(&mut self, scope: Scope<'_>, effects: &mut Effects) -> bool {
        let subscriptions = self.members.values().map(|member| &member.subscription);
        let used: BTreeSet<Str> =
            subscriptions.filter_map(Subscription::pattern).cloned().collect();
        let unused: Vec<Str> =
            self.patterns.keys().filter(|pattern| !used.contains(*pattern)).cloned().collect();
        for pattern in unused {
            self.make(Change::Pattern(pattern, None), effects);
        }
        self.compiled.retain(&used);
        let mut has_changed = false;
        for pattern in used {
            let known = self.patterns.get(&pattern);
            let version = scope.topics.version();
            // The version that is stored may be one of an earlier start, which counted anew.
            if known.is_some() && self.topics_seen == Some(version) {
                continue;
            }
            let topics = self.compiled.matching(&pattern, scope.topics);
            if known.is_none_or(|known| known.topics != topics) {
                let matches = Matches { topics, version, matched_ms: scope.now.unix_ms };
                self.make(Change::Pattern(pattern, Some(matches)), effects);
                has_changed = true;
            }
        }
        has_changed
    }

    /// The names of the topics that a member reads. Some may not exist.
    fn names_of<'a>(&'a self, subscription: &'a Subscription) -> impl Iterator<Item = &'a Str> {
        let matches = subscription.pattern().and_then(|pattern| self.patterns.get(pattern));
        let matched = matches.into_iter().flat_map(|matches| &matches.topics);
        subscription.topic_names.iter().chain(matched)
    }

    /// The topics that a member reads.
    pub(super) fn topics_of(&self, subscription: &Subscription, topics: &Topics) -> BTreeSet<Uuid> {
        let ids = self.names_of(subscription).filter_map(|name| topics.get(name));
        ids.map(|topic| topic.id).collect()
    }

    /// Whether any member reads a topic.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        let matched = |subscription: &Subscription| {
            let matches = subscription.pattern().and_then(|pattern| self.patterns.get(pattern));
            matches.is_some_and(|matches| matches.topics.contains(topic))
        };
        let mut subscriptions = self.members.values().map(|member| &member.subscription);
        subscriptions.any(|it| it.topic_names.contains(topic) || matched(it))
    }

    /// Differs between topics of members that differ. Their patterns have been matched.
    pub(super) fn metadata_hash(&self, topics: &Topics) -> i64 {
        let named = self.members.values().flat_map(|member| &member.subscription.topic_names);
        let matched = self.patterns.values().flat_map(|matches| &matches.topics);
        let names: BTreeSet<&Str> = named.chain(matched).collect();
        topics.hash(names.into_iter())
    }
}
