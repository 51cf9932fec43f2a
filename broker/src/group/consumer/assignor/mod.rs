//! How partitions are shared among members, by the group itself.
//!
//! | | |
//! |---|---|
//! | [`uniform`] | as even as may be, and nothing changes hands without need |
//! | [`range`] | of each topic neighbouring partitions, the same ones of topics that are alike |
//!
//! Both are functions of who reads what, and of the target before.

mod range;
mod uniform;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use klamm_protocol::wire::{Str, Uuid};

use super::change::Partitions;

/// A way of sharing partitions among members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// As even as may be, and nothing changes hands without need.
    Uniform,
    /// Of each topic neighbouring partitions.
    Range,
}

/// A member, as far as sharing is concerned.
#[derive(Clone, Debug)]
pub(super) struct Subscriber<'a> {
    pub(super) id: &'a Str,
    /// Set where the member is static.
    pub(super) instance_id: Option<&'a Str>,
    /// What it reads: one set for all who read the same, as far as that is known.
    pub(super) topics: Rc<BTreeSet<Uuid>>,
    /// What it was to hold so far.
    pub(super) target: &'a Partitions,
}

impl Assignor {
    /// The one that has this name in Kafka.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// Its name in Kafka.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Who shall hold what: an entry for each member. `count` tells how many partitions a topic
    /// has.
    pub(super) fn assign(
        self,
        members: &[Subscriber<'_>],
        count: impl Fn(&Uuid) -> i32,
    ) -> BTreeMap<Str, Partitions> {
        match self {
            Self::Uniform => uniform::assign(members, count),
            Self::Range => range::assign(members, count),
        }
    }
}
