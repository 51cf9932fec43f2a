//! The members of a group, and what they have in common.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::effects::Token;
use super::events::{Identity, Protocol};
use super::member::Member;

/// All members by their ids, static ones also by their instance ids.
///
/// # Invariants
/// - `instances` names exactly the members that have an instance id.
/// - `supporters` counts, for each protocol, the members that know it.
/// - `joining` counts the members whose join waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    by_id: BTreeMap<Str, Member>,
    instances: HashMap<Str, Str>,
    supporters: HashMap<Str, usize>,
    joining: usize,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    /// A member, to change what is not counted here: neither its protocols nor its join.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_id.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// As [`get_mut`](Self::get_mut), for all.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.by_id.values_mut()
    }

    /// The id of the static member with this instance id.
    pub(super) fn static_id(&self, instance_id: &str) -> Option<&Str> {
        self.instances.get(instance_id)
    }

    /// Members whose join waits.
    pub(super) fn joining(&self) -> usize {
        self.joining
    }

    /// Finds the member that says this of itself.
    ///
    /// # Errors
    /// FENCED_INSTANCE_ID: another has taken its instance id. UNKNOWN_MEMBER_ID: it is not there.
    pub(super) fn check(&self, identity: &Identity) -> Result<&Member, ErrorCode> {
        if let Some(instance_id) = &identity.instance_id {
            match self.static_id(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(id) if *id != identity.member_id => {
                    return Err(ErrorCode::FENCED_INSTANCE_ID);
                }
                Some(_) => {}
            }
        }
        self.get(&identity.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    /// Puts a member in, in the place of one with the same id.
    pub(super) fn insert(&mut self, member: Member) {
        self.remove(&member.id);
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.clone(), member.id.clone());
        }
        for protocol in &member.protocols {
            *self.supporters.entry(protocol.name.clone()).or_default() += 1;
        }
        self.joining += usize::from(member.joining.is_some());
        self.by_id.insert(member.id.clone(), member);
    }

    /// Takes a member out; whatever it waits for is the caller's to answer.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        for protocol in &member.protocols {
            if let Some(count) = self.supporters.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.supporters.remove(&protocol.name);
                }
            }
        }
        self.joining -= usize::from(member.joining.is_some());
        Some(member)
    }

    /// Ends the wait of a member's join.
    pub(super) fn take_joining(&mut self, id: &str) -> Option<Token> {
        let token = self.by_id.get_mut(id)?.joining.take()?;
        self.joining -= 1;
        Some(token)
    }

    /// Whether somebody who knows these protocols has one in common with all members.
    pub(super) fn support_any(&self, protocols: &[Protocol]) -> bool {
        protocols.iter().any(|protocol| self.all_support(&protocol.name))
    }

    fn all_support(&self, protocol: &str) -> bool {
        self.supporters.get(protocol).copied().unwrap_or_default() == self.len()
    }

    /// The protocol that most members like best among those that all know. Of two with as many
    /// votes, the one whose name comes first. None if there is no member.
    pub(super) fn vote(&self) -> Option<Str> {
        let mut votes = BTreeMap::<&Str, usize>::new();
        for member in self.iter() {
            let names = member.protocols.iter().map(|protocol| &protocol.name);
            if let Some(choice) = names.into_iter().find(|name| self.all_support(name)) {
                *votes.entry(choice).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The longest that any member may take to join again.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.iter().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let mut again = Self::default();
        self.iter().for_each(|member| again.insert(member.clone()));
        assert_eq!(self.instances, again.instances);
        assert_eq!(self.supporters, again.supporters);
        assert_eq!(self.joining, again.joining);
    }
}
