//! Joining: how clients become members, and how members ask for another round.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::effects::{Effects, JoinRefusal, Joined, Token};
use super::events::{Join, Moment};
use super::member::Member;
use super::{ClassicGroup, Phase};

/// With a dash and a UUID behind it, a name of this length is still a text that Kafka can write.
const NAME_BYTES_MAX: usize = i16::MAX as usize - 37;

impl ClassicGroup {
    /// A client joins. It is answered when all have joined, or at once if nothing is to be waited
    /// for.
    pub(crate) fn join(&mut self, join: Join, now: Moment, effects: &mut Effects) {
        let sent = join.member.member_id.detached();
        let instance_id = join.member.instance_id.as_ref().filter(|_| sent.is_empty());
        // Who starts again takes the place that it had.
        let known = instance_id.and_then(|id| self.members.static_id(id)).unwrap_or(&sent);
        if !self.has_room_for(known) {
            // Nobody waits for it any more: its client does not come back.
            self.pending.remove(&sent);
            self.remove_waiting(&sent, effects);
            effects.refuse(join.token, ErrorCode::GROUP_MAX_SIZE_REACHED, Str::default());
            self.complete_join_if_due(now, effects);
        } else if !self.supports(&join) {
            effects.refuse(join.token, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, sent);
        } else if sent.is_empty() {
            self.join_new(join, now, effects);
        } else if self.pending.contains_key(&sent) {
            self.join_pending(join, now, effects);
        } else {
            match self.members.check(&join.member).map(|_| ()) {
                Err(code) => effects.refuse(join.token, code, sent),
                Ok(()) => self.join_again(join, now, effects),
            }
        }
    }

    /// While members are joining, only those that have count: they are the ones that stay.
    fn has_room_for(&self, member_id: &str) -> bool {
        let known = self.members.get(member_id);
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing { .. } => {
                known.is_some_and(|member| member.joining.is_some())
                    || self.members.joining() < self.limits.size_max
            }
            Phase::Completing { .. } | Phase::Stable { .. } => {
                known.is_some() || self.members.len() < self.limits.size_max
            }
        }
    }

    fn supports(&self, join: &Join) -> bool {
        if self.phase == Phase::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && self.members.support_any(&join.protocols)
    }

    /// Somebody without a member id: gets one.
    fn join_new(&mut self, mut join: Join, now: Moment, effects: &mut Effects) {
        let instance_id = join.member.instance_id.as_ref();
        let new_id = new_member_id(instance_id.unwrap_or(&join.client_id), join.uuid);
        let replaced = instance_id.and_then(|id| self.members.static_id(id)).cloned();
        let comes_back = instance_id.is_none() && join.id_required;
        join.member.member_id = new_id.clone();
        if let Some(old_id) = replaced {
            self.replace_static(&old_id, join, now, effects);
        } else if comes_back {
            let until = now.elapsed.saturating_add(join.session_timeout);
            self.pending.insert(new_id.clone(), until);
            self.wake.by(until);
            effects.refuse(join.token, ErrorCode::MEMBER_ID_REQUIRED, new_id);
        } else {
            self.add(join, now, effects);
        }
    }

    /// Somebody comes back with the id that it was given.
    fn join_pending(&mut self, join: Join, now: Moment, effects: &mut Effects) {
        if join.member.instance_id.is_some() {
            // A static member never gets an id to come back with.
            let sent = join.member.member_id.detached();
            return effects.refuse(join.token, ErrorCode::UNKNOWN_SERVER_ERROR, sent);
        }
        self.pending.remove(&join.member.member_id);
        self.add(join, now, effects);
    }

    fn add(&mut self, join: Join, now: Moment, effects: &mut Effects) {
        if let Phase::Preparing { initial: Some(initial), .. } = &mut self.phase {
            initial.extend = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.detached());
        }
        let member = Member::new(join, now.elapsed);
        self.leader.get_or_insert_with(|| member.id.clone());
        self.wake.by(member.check_at());
        self.members.insert(member);
        self.rebalance_or_complete(now, effects);
    }

    /// A member joins once more.
    fn join_again(&mut self, join: Join, now: Moment, effects: &mut Effects) {
        let Some(member) = self.members.get(&join.member.member_id) else { return };
        let unchanged = member.has_protocols(&join.protocols);
        let id = member.id.clone();
        let has_current_generation = match self.phase {
            Phase::Empty | Phase::Preparing { .. } => false,
            // The answer was lost on its way.
            Phase::Completing { .. } => unchanged,
            // A leader that joins wants another assignment: it may have seen new partitions.
            Phase::Stable { .. } => unchanged && !self.is_leader(&id),
        };
        if has_current_generation {
            self.refresh(&id, now);
            let joined = self.joined(&id);
            effects.joins.push((join.token, Ok(joined)));
        } else {
            self.update(&id, join, now, effects);
            self.rebalance_or_complete(now, effects);
        }
    }

    /// Takes over what a member says of itself now, and has it wait.
    fn update(&mut self, id: &Str, join: Join, now: Moment, effects: &mut Effects) {
        let Some(mut member) = self.members.remove(id) else { return };
        if let Some(earlier) = member.joining.replace(join.token) {
            // Its connection broke, and it asks anew; should the old one live, it may do so, too.
            effects.refuse(earlier, ErrorCode::REBALANCE_IN_PROGRESS, id.clone());
        }
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        member.set_protocols(join.protocols);
        self.wake.by(member.refresh(now.elapsed));
        self.members.insert(member);
    }

    /// A static member has started again: it gets a new id and whatever it had.
    fn replace_static(&mut self, old_id: &Str, join: Join, now: Moment, effects: &mut Effects) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        if let Some(token) = member.joining.take() {
            effects.refuse(token, ErrorCode::FENCED_INSTANCE_ID, old_id.clone());
        }
        if let Some(token) = member.syncing.take() {
            effects.syncs.push((token, Err(ErrorCode::FENCED_INSTANCE_ID)));
        }
        let new_id = join.member.member_id.clone();
        member.id = new_id.clone();
        member.new_until = None;
        self.members.insert(member);
        let leader = self.leader.clone().unwrap_or_default();
        if leader == *old_id {
            self.leader = Some(new_id.clone());
        }
        let skips_assignment = join.skips_assignment;
        self.update(&new_id, join, now, effects);
        let goes_on = matches!(self.phase, Phase::Stable { .. })
            && self.protocol == self.members.vote()
            && self.fits_record();
        if goes_on {
            let old_leader = (!skips_assignment).then_some(leader);
            self.hand_back(&new_id, old_leader, effects);
        } else {
            // Before the group is stable, the leader may be about to assign to the old id.
            self.rebalance_or_complete(now, effects);
        }
    }

    /// Lets a static member go on in the generation that it was in. One that does not understand to
    /// skip the assignment is given the leader of before, so that it does not assign.
    fn hand_back(&mut self, id: &Str, old_leader: Option<Str>, effects: &mut Effects) {
        let mut joined = self.joined(id);
        match old_leader {
            None => joined.skip_assignment = self.is_leader(id),
            Some(leader) => {
                joined.leader = leader;
                joined.members = Vec::new();
            }
        }
        effects.store = true;
        if let Some(token) = self.members.take_joining(id) {
            effects.joins.push((token, Ok(joined)));
        }
    }

    /// What a member is told of the generation that it is in.
    pub(super) fn joined(&self, id: &Str) -> Joined {
        let members = if self.is_leader(id) {
            let protocol = self.protocol.as_deref().unwrap_or_default();
            self.members.iter().map(|member| member.for_leader(protocol)).collect()
        } else {
            Vec::new()
        };
        Joined {
            member_id: id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members,
        }
    }
}

impl Effects {
    pub(super) fn refuse(&mut self, token: Token, code: ErrorCode, member_id: Str) {
        self.joins.push((token, Err(JoinRefusal { code, member_id })));
    }
}

/// The client's or instance's name, a dash, and the UUID in its usual form. Of a very long name,
/// only as much as leaves an id that can be written.
pub(super) fn new_member_id(prefix: &str, uuid: [u8; 16]) -> Str {
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    let prefix = &prefix[..prefix.floor_char_boundary(NAME_BYTES_MAX)];
    format!("{prefix}-{a}-{b}-{c}-{d}-{e}").into()
}
