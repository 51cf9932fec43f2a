//! What a group wants done, and what it answers.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::change::{Change, Partitions};

/// What is to be done after one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// To be written in this order, before the answer leaves. They have been applied. If they are
    /// many they make several batches, of which a crash may leave the first.
    pub(crate) changes: Vec<Change>,
    /// How often the group began to share anew.
    pub(crate) rebalances: u64,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) member_id: Str,
    /// To be sent with the next heartbeat.
    pub(crate) epoch: i32,
    /// What the member shall hold; none where it is as it was.
    pub(crate) assignment: Option<Partitions>,
}

/// Why a group does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are as many members as there may be.
    Full {
        /// So many.
        size_max: usize,
    },
    /// There is no such member.
    UnknownMember(Str),
    /// There is no member with this instance id.
    UnknownInstance(Str),
    /// The member is ahead of the group.
    GreaterEpoch {
        /// What it said.
        received: i32,
        /// What it was told.
        known: i32,
    },
    /// The member is behind, and has not just missed the last answer.
    SmallerEpoch {
        /// What it said.
        received: i32,
        /// What it was told.
        known: i32,
    },
    /// A later release put the member into a state that is not known here.
    UnknownState,
    /// Another member has the instance id and has not left.
    InstanceTaken {
        /// Who asks.
        member_id: Str,
        /// What it wants to be.
        instance_id: Str,
        /// Who is that.
        owner: Str,
    },
    /// Another member has taken the instance id over.
    InstanceFenced {
        /// Who asks.
        member_id: Str,
        /// What it was.
        instance_id: Str,
        /// Who is that now.
        owner: Str,
    },
    /// What the member says of itself cannot be stored.
    TooLarge {
        /// So many bytes can.
        bytes_max: usize,
    },
    /// A pattern is no regular expression.
    BadPattern {
        /// The pattern.
        pattern: Str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Refusal {
    /// The code to answer.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Full { .. } => ErrorCode::GROUP_MAX_SIZE_REACHED,
            Self::UnknownMember(_) | Self::UnknownInstance(_) => ErrorCode::UNKNOWN_MEMBER_ID,
            Self::GreaterEpoch { .. } | Self::SmallerEpoch { .. } | Self::UnknownState => {
                ErrorCode::FENCED_MEMBER_EPOCH
            }
            Self::InstanceTaken { .. } => ErrorCode::UNRELEASED_INSTANCE_ID,
            Self::InstanceFenced { .. } => ErrorCode::FENCED_INSTANCE_ID,
            Self::TooLarge { .. } => ErrorCode::INVALID_REQUEST,
            Self::BadPattern { .. } => ErrorCode::INVALID_REGULAR_EXPRESSION,
        }
    }

    /// What Kafka says about it, where it refuses the same.
    pub(crate) fn message(&self, group: &str) -> String {
        let fenced = |than: &str, received: &i32, known: &i32| {
            format!(
                "The consumer group member has a {than} member epoch ({received}) than the one \
                 known by the group coordinator ({known}). The member must abandon all its \
                 partitions and rejoin."
            )
        };
        match self {
            Self::Full { size_max } => {
                format!(
                    "The consumer group has reached its maximum capacity of {size_max} members."
                )
            }
            Self::UnknownMember(id) => format!("Member {id} is not a member of group {group}."),
            Self::UnknownInstance(id) => format!("Instance id {id} is unknown."),
            Self::GreaterEpoch { received, known } => fenced("greater", received, known),
            Self::SmallerEpoch { received, known } => fenced("smaller", received, known),
            Self::UnknownState => "The consumer group member is in a unknown state. The member \
                must abandon all its partitions and rejoin."
                .to_owned(),
            Self::InstanceTaken { member_id, instance_id, owner } => format!(
                "Static member {member_id} with instance id {instance_id} cannot join the group \
                 because the instance id is owned by {owner} member."
            ),
            Self::InstanceFenced { member_id, instance_id, owner } => format!(
                "Static member {member_id} with instance id {instance_id} was fenced by member \
                 {owner}."
            ),
            Self::TooLarge { bytes_max } => format!(
                "The consumer group member says more of itself than can be stored in {bytes_max} \
                 bytes."
            ),
            Self::BadPattern { pattern, reason } => format!(
                "SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}."
            ),
        }
    }
}
