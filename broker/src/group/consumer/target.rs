//! Who shall hold what.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use klamm_protocol::wire::{Str, Uuid};

use super::ConsumerGroup;
use super::assignor::{Assignor, Subscriber};
use super::change::{Change, Partitions, TargetEpoch};
use super::effects::Effects;
use super::events::Scope;
use super::member::Subscription;
use super::topics::Topics;

impl ConsumerGroup {
    /// Makes a new target if the group has changed since the last one, unless that is too young.
    pub(super) fn retarget(&mut self, scope: Scope<'_>, effects: &mut Effects) {
        if self.epoch.epoch <= self.target_epoch.epoch || !self.may_retarget(scope) {
            return;
        }
        let targets = self.assign(scope);
        for (id, target) in targets {
            if self.targets.get(&id) != Some(&target) {
                self.make(Change::Target(id, Some(target)), effects);
            }
        }
        let epoch = TargetEpoch { epoch: self.epoch.epoch, assigned_ms: scope.now.unix_ms };
        self.make(Change::TargetEpoch(Some(epoch)), effects);
    }

    /// A clock that was set back holds nobody up.
    fn may_retarget(&self, scope: Scope<'_>) -> bool {
        let age_ms = scope.now.unix_ms.saturating_sub(self.target_epoch.assigned_ms);
        let interval = scope.limits.assignment_interval.as_millis();
        !u128::try_from(age_ms).is_ok_and(|age_ms| age_ms < interval)
    }

    fn assign(&self, scope: Scope<'_>) -> BTreeMap<Str, Partitions> {
        let nothing = Partitions::new();
        let mut read = BTreeMap::new();
        let subscribers = self.members.iter().map(|(id, member)| Subscriber {
            id,
            instance_id: member.subscription.instance_id.as_ref(),
            topics: self.shared_topics(&member.subscription, scope.topics, &mut read),
            target: self.targets.get(id).unwrap_or(&nothing),
        });
        let count = |id: &Uuid| scope.topics.partitions(id);
        self.assignor(scope).assign(&subscribers.collect::<Vec<_>>(), count)
    }

    /// The topics that a member reads, the same set for all who say the same.
    fn shared_topics<'a>(
        &self,
        said: &'a Subscription,
        topics: &Topics,
        read: &mut BTreeMap<(&'a BTreeSet<Str>, &'a Str), Rc<BTreeSet<Uuid>>>,
    ) -> Rc<BTreeSet<Uuid>> {
        let key = (&said.topic_names, &said.pattern);
        Rc::clone(read.entry(key).or_insert_with(|| Rc::new(self.topics_of(said, topics))))
    }

    /// The assignor that most members wish; else the one of the settings.
    pub(super) fn assignor(&self, scope: Scope<'_>) -> Assignor {
        let mut wishes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = &member.subscription.assignor {
                *wishes.entry(name).or_default() += 1;
            }
        }
        let wished = wishes.into_iter().max_by_key(|(_, members)| *members);
        wished.and_then(|(name, _)| Assignor::named(name)).unwrap_or(scope.limits.assignor)
    }
}
