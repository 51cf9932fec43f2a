//! A group of either protocol: what both can be asked.

use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::classic::{ClassicGroup, OffsetExpiry, State};
use super::consumer::{self, ConsumerGroup};

/// A group, by the protocol that its members speak.
#[derive(Clone, Debug)]
pub(crate) enum Group {
    /// Members assign among themselves.
    Classic(ClassicGroup),
    /// The group assigns.
    Consumer(ConsumerGroup),
}

impl Group {
    /// The group, if it is of the classic protocol.
    pub(crate) fn classic(&mut self) -> Option<&mut ClassicGroup> {
        match self {
            Self::Classic(group) => Some(group),
            Self::Consumer(_) => None,
        }
    }

    /// When it is to be looked at.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Classic(group) => group.deadline(),
            Self::Consumer(group) => group.deadline(),
        }
    }

    /// Kafka's name for its protocol.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
            Self::Consumer(_) => "consumer",
        }
    }

    /// What its members do; empty if it never had any.
    pub(crate) fn protocol_type(&self) -> Str {
        match self {
            Self::Classic(group) => group.protocol_type(),
            Self::Consumer(_) => Str::from_static("consumer"),
        }
    }

    /// Kafka's name for where it is.
    pub(crate) fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state().name(),
            Self::Consumer(group) => group.state().name(),
        }
    }

    /// How many members it has.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Classic(group) => group.size(),
            Self::Consumer(group) => group.size(),
        }
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state() == State::Empty,
            Self::Consumer(group) => group.state() == consumer::State::Empty,
        }
    }

    /// Whether ids are out that clients may still join with.
    pub(crate) fn has_pending(&self) -> bool {
        match self {
            Self::Classic(group) => group.has_pending(),
            Self::Consumer(_) => false,
        }
    }

    /// Whether members read a topic.
    pub(crate) fn subscribes_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.subscribes_to(topic),
            Self::Consumer(group) => group.subscribes_to(topic),
        }
    }

    /// From when on its offsets grow old.
    pub(crate) fn offset_expiry(&self) -> OffsetExpiry {
        match self {
            Self::Classic(group) => group.offset_expiry(),
            Self::Consumer(_) => OffsetExpiry::SinceCommit,
        }
    }

    /// Whether offsets of topics that nobody reads may be deleted.
    ///
    /// # Errors
    /// The code that says why not.
    pub(crate) fn check_offset_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_offset_delete(),
            Self::Consumer(_) => Ok(()),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// The code that says why not.
    pub(crate) fn check_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.check_delete(),
            Self::Consumer(group) => group.check_delete(),
        }
    }
}
