//! What administrators ask.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::command::{Listed, Overview};
use super::coordinator::{Coordinator, Step};
use crate::group::classic::{ClassicGroup, Description};
use crate::group::records::GroupRecord;

impl Coordinator {
    /// All groups.
    pub(super) fn list(&self) -> Vec<Listed> {
        let list = |(name, group): (&Str, &ClassicGroup)| Listed {
            group: name.clone(),
            protocol_type: group.protocol_type(),
            state: group.state().name(),
        };
        self.groups.iter().map(list).collect()
    }

    /// One group, if it is there.
    pub(super) fn describe(&self, name: &Str) -> Option<Description> {
        self.groups.get(name).map(ClassicGroup::describe)
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
        step.records.push(GroupRecord::group_gone(name));
        self.drop_group(name);
    }

    /// All groups in numbers.
    pub(super) fn overview(&self) -> Vec<Overview> {
        let overview = |(name, group): (&Str, &ClassicGroup)| Overview {
            group: name.clone(),
            members: group.size(),
            offsets: self.offsets.of_group(name).cloned().unwrap_or_default(),
        };
        self.groups.iter().map(overview).collect()
    }
}
