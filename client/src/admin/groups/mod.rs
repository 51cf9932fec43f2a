//! Groups: which there are, who is in them, and how far they have read.

mod change;
mod consumer;
mod describe;
mod lag;
mod list;
mod offsets;
mod share;
mod streams;

pub use crate::group_offsets::CommittedOffset;
pub use change::Departure;
pub use describe::{GroupDescription, GroupMember};
pub use lag::PartitionLag;
pub use list::ListedGroup;
pub use share::{ShareGroupDescription, ShareGroupMember, ShareOffset};
pub use streams::{StreamsGroupDescription, StreamsGroupMember, StreamsTasks, Subtopology};

use std::fmt;

use klamm_protocol::wire::Str;

/// What a group is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupState {
    /// Members have come or gone, and the others are waited for.
    PreparingRebalance,
    /// All are there, and wait for the leader to assign.
    CompletingRebalance,
    /// Every member has its partitions.
    Stable,
    /// No members; offsets may be there.
    Empty,
    /// It is gone.
    Dead,
    /// The coordinator is assigning.
    Assigning,
    /// Members are taking over what was assigned.
    Reconciling,
    /// Something that this client does not know, as the broker says it; empty where it says
    /// nothing.
    Other(Str),
}

const STATES: [(GroupState, &str); 7] = [
    (GroupState::PreparingRebalance, "PreparingRebalance"),
    (GroupState::CompletingRebalance, "CompletingRebalance"),
    (GroupState::Stable, "Stable"),
    (GroupState::Empty, "Empty"),
    (GroupState::Dead, "Dead"),
    (GroupState::Assigning, "Assigning"),
    (GroupState::Reconciling, "Reconciling"),
];

impl GroupState {
    fn from_wire(name: Str) -> Self {
        let known = STATES.iter().find(|(_, known)| name == *known);
        known.map_or_else(|| Self::Other(name), |(state, _)| state.clone())
    }
}

/// As the brokers say it.
impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = STATES.iter().find(|(state, _)| state == self).map(|(_, name)| *name);
        match (self, known) {
            (Self::Other(name), _) => f.write_str(name),
            (_, name) => f.write_str(name.unwrap_or_default()),
        }
    }
}

/// Partitions, or tasks, by name and number, in order, of what brokers tell by name.
fn in_order(told: impl IntoIterator<Item = (Str, Vec<i32>)>) -> Vec<(Str, i32)> {
    let of_name = |(name, numbers): (Str, Vec<i32>)| {
        numbers.into_iter().map(move |number| (name.clone(), number))
    };
    let mut all: Vec<_> = told.into_iter().flat_map(of_name).collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_names() {
        for (state, name) in STATES {
            assert_eq!(GroupState::from_wire(name.into()), state);
            assert_eq!(state.to_string(), name);
        }
        assert_eq!(GroupState::from_wire("NotReady".into()).to_string(), "NotReady");
    }
}
