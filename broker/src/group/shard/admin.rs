//! What administrators ask.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::{Listed, Overview, Refused};
use super::coordinator::{Coordinator, Step};
use crate::group::classic::Description;
use crate::group::consumer::Effects;
use crate::group::kind::Group;
use crate::group::records::GroupRecord;

impl Coordinator {
    /// All groups.
    pub(super) fn list(&self) -> Vec<Listed> {
        let list = |(name, group): (&Str, &Group)| Listed {
            group: name.clone(),
            kind: group.kind(),
            protocol_type: group.protocol_type(),
            state: group.state_name(),
        };
        self.groups.iter().map(list).collect()
    }

    /// One group of the classic protocol, if it is there.
    pub(super) fn describe(&self, name: &Str) -> Result<Description, Refused> {
        let message = match self.groups.get(name) {
            Some(Group::Classic(group)) => return Ok(group.describe()),
            Some(Group::Consumer(_)) => format!("Group {name} is not a classic group."),
            None => format!("Group {name} not found."),
        };
        Err(Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, message })
    }

    /// Deletes a group that has no members, with all that it has committed.
    pub(super) fn delete_group(&mut self, name: &Str, step: &mut Step) -> Result<(), ErrorCode> {
        let group = self.groups.get(name).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        group.check_delete()?;
        self.erase_group(name, step);
        Ok(())
    }

    /// Takes a group without members away, with all that it has committed.
    pub(super) fn erase_group(&mut self, name: &Str, step: &mut Step) {
        for (topic, partition) in self.offsets.take_group(name) {
            step.records.push(GroupRecord::offset_gone(name, &topic, partition));
        }
        self.erase_members(name, step);
        self.drop_group(name);
    }

    /// Has written that a group is no more; what it has committed stays.
    pub(super) fn erase_members(&mut self, name: &Str, step: &mut Step) {
        match self.groups.get_mut(name) {
            Some(Group::Consumer(group)) => {
                let mut effects = Effects::default();
                group.erase(&mut effects);
                self.take_changes(name, effects, step);
            }
            Some(Group::Classic(_)) => step.records.push(GroupRecord::group_gone(name)),
            None => {}
        }
    }

    /// All groups in numbers.
    pub(super) fn overview(&self) -> Vec<Overview> {
        let overview = |(name, group): (&Str, &Group)| Overview {
            group: name.clone(),
            members: group.size(),
            offsets: self.offsets.of_group(name).cloned().unwrap_or_default(),
        };
        self.groups.iter().map(overview).collect()
    }
}
