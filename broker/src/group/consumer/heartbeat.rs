//! The heartbeat, by which members join, stay, and learn what they shall hold.

use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::change::{Change, Partitions};
use super::effects::{Beat, Effects, Refusal};
use super::events::{Heartbeat, Scope};
use super::member::Subscription;
use super::reconcile::{Aim, next};

impl ConsumerGroup {
    /// A member is alive, and says what it reads and holds.
    ///
    /// # Errors
    /// It is not a member, or not at the epoch that it takes itself to be at. Nothing has changed.
    pub(crate) fn heartbeat(
        &mut self,
        beat: Heartbeat,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<Beat, Refusal> {
        let beat = Heartbeat { member_id: beat.member_id.detached(), ..beat };
        self.admit(&beat, scope, effects)?;
        Ok(self.admitted(beat, scope, effects))
    }

    /// Does what a heartbeat that is welcome brings about.
    pub(super) fn admitted(
        &mut self,
        beat: Heartbeat,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Beat {
        let reads_other = self.subscribe(&beat, effects);
        self.follow(reads_other, scope, effects);
        self.retarget(scope, effects);
        let gets_other = self.reconcile(&beat, reads_other, scope, effects);
        self.refresh(&beat.member_id, scope);
        if let Some(member) = self.members.get_mut(&beat.member_id) {
            (member.join_until, member.sync_until) = (None, None);
        }
        let current = self.members.get(&beat.member_id).map(|member| &member.current);
        let epoch = current.map_or(0, |current| current.epoch);
        let assigned = current.into_iter().flat_map(|current| current.assigned.keys());
        let tell = beat.is_full() || gets_other;
        let assignment = tell.then(|| assigned.copied().collect());
        Beat { epoch, assignment, member_id: beat.member_id }
    }

    /// A member lives: its session begins anew.
    pub(super) fn refresh(&mut self, id: &str, scope: Scope<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let timeout = member.subscription.session_timeout(scope.limits);
        member.session_until = scope.now.elapsed.saturating_add(timeout);
        let until = member.session_until;
        self.wake.by(until);
    }

    /// Takes in what a member says of itself; tells whether it reads something else than before.
    fn subscribe(&mut self, beat: &Heartbeat, effects: &mut Effects) -> bool {
        let known = self.members.get(&beat.member_id).map(|member| &member.subscription);
        if known.is_some_and(|known| known.is_said_by(beat)) {
            return false;
        }
        let known = known.cloned().unwrap_or_default();
        let said = known.clone().updated(beat);
        let reads_other = !said.reads_as(&known);
        self.make(Change::Member(beat.member_id.clone(), Some(said)), effects);
        reads_other
    }

    /// Leads a member towards the target; tells whether it shall hold something else than before.
    fn reconcile(
        &mut self,
        beat: &Heartbeat,
        reads_other: bool,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> bool {
        let id = &beat.member_id;
        let Some(member) = self.members.get(id) else { return false };
        let epoch = self.target_epoch.epoch;
        if !reads_other && member.is_reconciled_to(epoch) {
            return false;
        }
        let nothing = Partitions::new();
        let aim = Aim {
            epoch,
            target: self.targets.get(id).unwrap_or(&nothing),
            topics: &self.topics_of(&member.subscription, scope.topics),
            reads_other,
            owned: beat.owned.as_ref(),
        };
        let is_taken = |partition: &_| self.is_held_by_other(partition, id);
        let Some(current) = next(&member.current, &aim, is_taken) else { return false };
        let gets_other = !current.assigned.keys().eq(member.current.assigned.keys());
        self.lead(id, current, scope, effects);
        gets_other
    }
}

impl Subscription {
    /// Whether a member goes on saying the same.
    pub(super) fn is_said_by(&self, beat: &Heartbeat) -> bool {
        let same = |known: &Option<Str>, said: &Option<Str>| said.is_none() || known == said;
        let names = beat.topic_names.as_ref();
        same(&self.instance_id, &beat.instance_id)
            && same(&self.rack_id, &beat.rack_id)
            && same(&self.assignor, &beat.assignor)
            && beat.pattern.as_ref().is_none_or(|said| *said == self.pattern)
            && beat.rebalance_timeout.is_none_or(|said| said == self.rebalance_timeout)
            && names.is_none_or(|said| self.topic_names == said.iter().cloned().collect())
            && self.client_id == beat.client_id
            && self.client_host == beat.client_host
            && self.classic == beat.classic
    }

    /// What a member says from now on, if it says this.
    pub(super) fn updated(mut self, beat: &Heartbeat) -> Self {
        let replace = |known: &mut Option<Str>, said: &Option<Str>| {
            if let Some(said) = said {
                *known = Some(said.detached());
            }
        };
        replace(&mut self.instance_id, &beat.instance_id);
        replace(&mut self.rack_id, &beat.rack_id);
        replace(&mut self.assignor, &beat.assignor);
        self.pattern = beat.pattern.as_ref().map_or(self.pattern, Str::detached);
        self.rebalance_timeout = beat.rebalance_timeout.unwrap_or(self.rebalance_timeout);
        if let Some(names) = &beat.topic_names {
            self.topic_names = names.iter().map(Str::detached).collect();
        }
        self.client_id = beat.client_id.detached();
        self.client_host = beat.client_host.detached();
        self.classic = beat.classic.clone();
        self
    }
}
