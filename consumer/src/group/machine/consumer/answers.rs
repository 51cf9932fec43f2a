//! What a member makes of what it is told.

use std::collections::BTreeSet;
use std::time::Instant;

use klamm_client::{Error, Result};
use klamm_protocol::error_code::ErrorCode;

use super::ConsumerMachine;
use crate::assignment::Place;
use crate::group::machine::{Heard, NO_GENERATION, Told, is_passing};

impl ConsumerMachine {
    pub(super) fn heard(&mut self, outcome: Result<Heard>, now: Instant) {
        let Some((round, said)) = self.said.take() else { return };
        if round != self.member.round || !self.member.is_active() {
            // All is lost since, and it says everything anew.
            return;
        }
        match outcome {
            Ok(Heard::Classic) => {}
            Ok(Heard::Consumer(told)) => {
                self.known = Some(said);
                self.told(told, now);
            }
            Err(error) => self.failed(error, now),
        }
    }

    fn told(&mut self, told: Told, now: Instant) {
        self.member.rules.backoff.reset();
        self.has_told_refusal = false;
        self.member.identity.generation = told.epoch;
        self.interval = told.interval;
        self.member.beat_at = now + told.interval;
        if let Some(assigned) = told.assigned {
            self.target = assigned;
            self.targets += 1;
            if !self.knows_names() {
                self.member.look_at = now;
            }
        }
        self.reconcile();
    }

    fn failed(&mut self, error: Error, now: Instant) {
        self.known = None;
        match error.code() {
            Some(ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID) => self.lose(),
            // The group is gone, but for who joins anew. To who does it means something else.
            Some(ErrorCode::GROUP_ID_NOT_FOUND) if self.member.identity.is_member() => self.lose(),
            // It may be allowed later.
            Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                if !std::mem::replace(&mut self.has_told_refusal, true) {
                    self.member.refused(error);
                }
            }
            _ if is_passing(&error) => {}
            code => {
                // Whom the coordinator has not taken in, or has fenced, cannot leave.
                let is_fenced = code == Some(ErrorCode::FENCED_INSTANCE_ID);
                self.may_be_known = self.member.identity.is_member() && !is_fenced;
                self.lose();
                return self.member.fatal(error);
            }
        }
        self.member.try_later(now);
    }

    /// Goes towards what it shall have: first it gives up, then the coordinator hears of that,
    /// and then it takes what is new.
    pub(super) fn reconcile(&mut self) {
        if !self.member.leaving.is_empty() || !self.member.identity.is_member() {
            return;
        }
        let owned = self.owned();
        let topics: BTreeSet<_> = self.member.owned.iter().map(|(topic, _)| topic).collect();
        self.ids.retain(|topic, _| topics.contains(topic));
        let is_to_leave = |(topic, partition): &&Place| {
            let id = self.ids.get(topic);
            id.is_none_or(|id| !self.target.contains(&(*id, *partition)))
        };
        self.member.leaving = self.member.owned.iter().filter(is_to_leave).cloned().collect();
        let is_acknowledged = self.known.as_ref().is_some_and(|known| known.owned == owned);
        if !self.member.leaving.is_empty() || !is_acknowledged {
            return;
        }
        let mut added = BTreeSet::new();
        for (id, partition) in self.target.difference(&owned) {
            let Some(name) = self.names.get(id) else { continue };
            // A topic of the same name that it still has was deleted: it is given up first.
            if self.ids.get(name).is_none_or(|known| known == id) {
                self.ids.insert(name.clone(), *id);
                added.insert((name.clone(), *partition));
            }
        }
        self.member.add(added.into_iter().collect());
    }

    /// Whether the names of all topics are known of which it shall have partitions.
    pub(super) fn knows_names(&self) -> bool {
        self.target.iter().all(|(id, _)| self.names.contains_key(id))
    }

    /// Others may have the member's partitions already; it begins anew.
    pub(super) fn lose(&mut self) {
        self.member.lose();
        self.member.identity.generation = NO_GENERATION;
        (self.known, self.said) = (None, None);
        self.target.clear();
        self.ids.clear();
    }
}
