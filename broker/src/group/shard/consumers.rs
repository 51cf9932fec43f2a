//! Members of groups of the consumer protocol: how they come, stay and go.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::Refused;
use super::coordinator::{Coordinator, Setting, Step};
use crate::group::classic::{self, CONSUMER, ClassicGroup, State};
use crate::group::consumer::{
    Beat, ConsumerGroup, Description, Effects, Heartbeat, Leave, Refusal, Unfit,
};
use crate::group::kind::Group;
use crate::group::records::GroupRecord;

impl Coordinator {
    /// A member is alive, or a client joins. That makes the group if need be, or has it go on with
    /// the consumer protocol if it spoke the classic one so far.
    pub(super) fn consumer_heartbeat(
        &mut self,
        name: &Str,
        beat: Heartbeat,
        setting: Setting<'_>,
        step: &mut Step,
    ) -> Result<Beat, Refused> {
        let limits = setting.consumer_limits(name);
        let scope = setting.scope(&limits);
        let mut effects = Effects::default();
        let refuse = |refusal: Refusal| Refused::from_group(name, &refusal);
        let (mut successor, is_classic) = match self.groups.get_mut(name) {
            Some(Group::Consumer(group)) => {
                let beat = group.heartbeat(beat, scope, &mut effects).map_err(refuse)?;
                self.take_changes(name, effects, step);
                return Ok(beat);
            }
            None if !beat.joins() => {
                let message = format!("Consumer group {name} not found.");
                return Err(Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, message });
            }
            Some(Group::Classic(_)) if !beat.joins() => {
                return Err(Refused::no_consumer_group(name, true));
            }
            None => (ConsumerGroup::default(), false),
            Some(Group::Classic(group)) if group.state() == State::Empty => {
                (ConsumerGroup::default(), true)
            }
            Some(Group::Classic(group)) => {
                check_upgrade(name, group, setting)?;
                let successor = ConsumerGroup::taken_over(group.handover(), scope, &mut effects);
                let refuse = |unfit: Unfit| Refused::upgrade(name, unfit.reason());
                (successor.map_err(refuse)?, true)
            }
        };
        let beat = successor.heartbeat(beat, scope, &mut effects).map_err(refuse)?;
        if is_classic {
            self.dismiss(name, setting, step);
        }
        self.groups.insert(name.detached(), Group::Consumer(successor));
        self.take_changes(name, effects, step);
        Ok(beat)
    }

    /// Whoever waits in a group of the classic protocol finds its successor when it comes back.
    fn dismiss(&mut self, name: &Str, setting: Setting<'_>, step: &mut Step) {
        let mut effects = classic::Effects::default();
        if let Some(group) = self.groups.get_mut(name).and_then(Group::classic) {
            group.dismiss(setting.now, &mut effects);
        }
        let waiting = self.carry_out(name, effects);
        step.answers.extend(waiting.answers);
        step.records.push(GroupRecord::group_gone(name));
    }

    /// Once the last member of the consumer protocol is gone, those of the classic one go on among
    /// themselves, unless they are too many, or say more than can be stored in one record.
    pub(super) fn give_over_if_due(&mut self, name: &Str, setting: Setting<'_>, step: &mut Step) {
        let Some(Group::Consumer(group)) = self.groups.get(name) else { return };
        let config = setting.config;
        if !config.consumer.migration.allows_downgrade() || group.size() > config.size_max {
            return;
        }
        let Some(handover) = group.handover(setting.topics) else { return };
        let successor = ClassicGroup::taken_over(handover, setting.limits(), setting.now);
        if !successor.fits_record() {
            return;
        }
        self.erase_members(name, step);
        step.records.push(GroupRecord::group(name, successor.snapshot()));
        self.put_group(&name.detached(), Group::Classic(successor));
    }

    /// A member leaves.
    pub(super) fn consumer_leave(
        &mut self,
        name: &Str,
        leave: &Leave,
        setting: Setting<'_>,
        step: &mut Step,
    ) -> Result<(), Refused> {
        let limits = setting.consumer_limits(name);
        let group = self.consumer_group(name)?;
        let mut effects = Effects::default();
        let left = group.leave(leave, setting.scope(&limits), &mut effects);
        left.map_err(|refusal| Refused::from_group(name, &refusal))?;
        self.take_changes(name, effects, step);
        self.give_over_if_due(name, setting, step);
        Ok(())
    }

    /// Tells of a group.
    pub(super) fn consumer_describe(
        &mut self,
        name: &Str,
        setting: Setting<'_>,
    ) -> Result<Description, Refused> {
        let limits = setting.consumer_limits(name);
        Ok(self.consumer_group(name)?.describe(setting.scope(&limits)))
    }

    fn consumer_group(&mut self, name: &Str) -> Result<&mut ConsumerGroup, Refused> {
        match self.groups.get_mut(name) {
            Some(Group::Consumer(group)) => Ok(group),
            other => Err(Refused::no_consumer_group(name, other.is_some())),
        }
    }

    /// Has written what a group has changed, and has it looked at again in time.
    pub(super) fn take_changes(&mut self, name: &Str, effects: Effects, step: &mut Step) {
        let records = effects.changes.into_iter().map(|it| GroupRecord::consumer(name, it));
        step.records.extend(records);
        step.rebalances += effects.rebalances;
        self.look_in_time(name);
    }
}

/// Whether a group of the classic protocol may go on with the consumer protocol.
fn check_upgrade(name: &Str, group: &ClassicGroup, setting: Setting<'_>) -> Result<(), Refused> {
    let config = &setting.config.consumer;
    if !config.migration.allows_upgrade() {
        return Err(Refused::upgrade(name, "online upgrade is disabled"));
    }
    if group.protocol_type() != CONSUMER {
        let reason = "the group does not use the consumer embedded protocol";
        return Err(Refused::upgrade(name, reason));
    }
    if group.size() > config.size_max {
        let reason = "the group size exceeds the consumer group maximum size";
        return Err(Refused::upgrade(name, reason));
    }
    Ok(())
}

impl Refused {
    /// In Kafka's words.
    fn upgrade(group: &str, reason: &str) -> Self {
        let message =
            format!("Cannot upgrade classic group {group} to consumer group because {reason}.");
        Self { code: ErrorCode::GROUP_ID_NOT_FOUND, message }
    }

    fn from_group(group: &str, refusal: &Refusal) -> Self {
        Self { code: refusal.code(), message: refusal.message(group) }
    }

    fn no_consumer_group(group: &str, is_classic: bool) -> Self {
        let message = match is_classic {
            true => format!("Group {group} is not a consumer group."),
            false => format!("Group {group} not found."),
        };
        Self { code: ErrorCode::GROUP_ID_NOT_FOUND, message }
    }
}
