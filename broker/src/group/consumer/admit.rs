//! Who sends a heartbeat, and whether it may.

use klamm_protocol::wire::Str;

use super::ConsumerGroup;
use super::change::Change;
use super::effects::{Effects, Refusal};
use super::events::{Heartbeat, LEFT_FOR_A_WHILE, Scope};
use super::member::{Current, Member, MemberState};

impl ConsumerGroup {
    /// Finds out who sends a heartbeat. A static member that comes back takes over what its
    /// predecessor had.
    ///
    /// # Errors
    /// It may not; nothing has changed.
    pub(super) fn admit(
        &mut self,
        beat: &Heartbeat,
        scope: Scope<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let size_max = scope.limits.size_max;
        let is_counted = self.is_counted(&beat.member_id, beat.instance_id.as_ref());
        if self.members.len() >= size_max && !is_counted {
            return Err(Refusal::Full { size_max });
        }
        let predecessor = match &beat.instance_id {
            None => self.check_dynamic(beat).map(|()| None)?,
            Some(instance_id) if beat.joins() => self.check_return(beat, instance_id)?,
            Some(instance_id) => self.check_static(beat, instance_id).map(|()| None)?,
        };
        let known = predecessor.as_ref().unwrap_or(&beat.member_id);
        self.check_size(beat, known, scope)?;
        self.check_pattern(beat, known)?;
        if let Some(predecessor) = predecessor {
            self.replace(&predecessor, &beat.member_id, effects);
        }
        Ok(())
    }

    /// Whether it makes the group no larger: it is a member, or takes the place of one.
    pub(super) fn is_counted(&self, member_id: &Str, instance_id: Option<&Str>) -> bool {
        self.members.contains_key(member_id)
            || instance_id.is_some_and(|id| self.static_ids.contains_key(id))
    }

    fn check_dynamic(&self, beat: &Heartbeat) -> Result<(), Refusal> {
        match self.members.get(&beat.member_id) {
            Some(member) => check_epoch(member, beat),
            None if beat.joins() => Ok(()),
            None => Err(Refusal::UnknownMember(beat.member_id.clone())),
        }
    }

    fn check_static(&self, beat: &Heartbeat, instance_id: &Str) -> Result<(), Refusal> {
        let owner = self.check_instance(&beat.member_id, instance_id)?;
        check_epoch(owner, beat)
    }

    /// The member that has an instance id, if it is this one.
    pub(super) fn check_instance(
        &self,
        member_id: &Str,
        instance_id: &Str,
    ) -> Result<&Member, Refusal> {
        let unknown = || Refusal::UnknownInstance(instance_id.clone());
        let owner = self.static_ids.get(instance_id).ok_or_else(unknown)?;
        if owner != member_id {
            return Err(Refusal::InstanceFenced {
                member_id: member_id.clone(),
                instance_id: instance_id.clone(),
                owner: owner.clone(),
            });
        }
        self.members.get(owner).ok_or_else(unknown)
    }

    /// A static member joins: the member to take over from, if there is one. One that speaks this
    /// protocol has to have left, unless it is the same, which has not heard that it has joined.
    fn check_return(&self, beat: &Heartbeat, instance_id: &Str) -> Result<Option<Str>, Refusal> {
        let Some(owner) = self.static_ids.get(instance_id) else {
            return Ok(None);
        };
        let Some(member) = self.members.get(owner) else { return Ok(None) };
        let is_classic = member.subscription.classic.is_some();
        if !is_classic && member.current.epoch != LEFT_FOR_A_WHILE {
            if *owner == beat.member_id {
                return check_epoch(member, beat).map(|()| None);
            }
            return Err(Refusal::InstanceTaken {
                member_id: beat.member_id.clone(),
                instance_id: instance_id.clone(),
                owner: owner.clone(),
            });
        }
        Ok(Some(owner.clone()))
    }

    /// What a member says of itself, with what is known of it, is to be stored.
    pub(super) fn check_size(
        &self,
        beat: &Heartbeat,
        known: &Str,
        scope: Scope<'_>,
    ) -> Result<(), Refusal> {
        let known = self.members.get(known).map(|member| &member.subscription);
        if known.is_some_and(|known| known.is_said_by(beat)) {
            return Ok(());
        }
        let bytes_max = scope.limits.record_bytes_max;
        let said = known.cloned().unwrap_or_default().updated(beat);
        if said.record_bytes() <= bytes_max { Ok(()) } else { Err(Refusal::TooLarge { bytes_max }) }
    }

    /// A pattern that is new has to be one.
    fn check_pattern(&mut self, beat: &Heartbeat, known: &Str) -> Result<(), Refusal> {
        let Some(pattern) = beat.pattern.as_ref().filter(|pattern| !pattern.is_empty()) else {
            return Ok(());
        };
        let known = self.members.get(known).and_then(|member| member.subscription.pattern());
        if known == Some(pattern) {
            return Ok(());
        }
        let refuse = |reason: String| Refusal::BadPattern { pattern: pattern.clone(), reason };
        self.compiled.add(pattern).map(drop).map_err(|error| refuse(error.to_string()))
    }

    /// A member gets another id, and begins anew with what it had.
    pub(super) fn replace(&mut self, predecessor: &Str, id: &Str, effects: &mut Effects) {
        let Some(member) = self.members.get(predecessor).cloned() else { return };
        let target = self.targets.get(predecessor).cloned().unwrap_or_default();
        self.take_out(predecessor, effects);
        let current = Current { epoch: 0, previous_epoch: 0, ..member.current };
        self.make(Change::Member(id.clone(), Some(member.subscription)), effects);
        self.make(Change::Target(id.clone(), Some(target)), effects);
        self.make(Change::Current(id.clone(), Some(current)), effects);
    }
}

/// A member may be one epoch behind if it does not claim more than it was given: the last answer
/// has not reached it. One that joins again is welcome.
fn check_epoch(member: &Member, beat: &Heartbeat) -> Result<(), Refusal> {
    let current = &member.current;
    let (received, known) = (beat.epoch, current.epoch);
    if !beat.joins() && received > known {
        return Err(Refusal::GreaterEpoch { received, known });
    }
    let missed_answer = || {
        let claims_little = beat.owned.as_ref().is_some_and(|owned| current.holds(owned));
        received == current.previous_epoch && claims_little
    };
    if !beat.joins() && received < known && !missed_answer() {
        return Err(Refusal::SmallerEpoch { received, known });
    }
    let is_unknown = matches!(current.state, MemberState::Unknown(_));
    let holds_nothing = beat.owned.as_ref().is_some_and(|owned| owned.is_empty());
    if is_unknown && !holds_nothing { Err(Refusal::UnknownState) } else { Ok(()) }
}
