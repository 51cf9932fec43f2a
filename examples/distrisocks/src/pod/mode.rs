//! The ways to find a receiver, and the topics that all pods read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::wire::{BROADCAST_TOPIC, SINGLE_TOPIC};

/// How messages find the pod of their receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Mode {
    /// Each pod has a topic, and a registry says who is at which pod.
    PodId,
    /// Every pod hears every message, in a group of its own.
    Broadcast,
    /// Every pod follows one topic from its end.
    SingleTopic,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PodId, Self::Broadcast, Self::SingleTopic];

    /// Its name, as settings, answers and metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PodId => "pod-id",
            Self::Broadcast => "broadcast",
            Self::SingleTopic => "single-topic",
        }
    }
}

/// A text is not that of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pod-id, broadcast or single-topic")]
pub struct NoMode;

impl FromStr for Mode {
    type Err = NoMode;

    fn from_str(name: &str) -> Result<Self, NoMode> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or(NoMode)
    }
}

impl TryFrom<String> for Mode {
    type Error = NoMode;

    fn try_from(name: String) -> Result<Self, NoMode> {
        name.parse()
    }
}

impl From<Mode> for &'static str {
    fn from(mode: Mode) -> Self {
        mode.name()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A topic that all pods read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SharedTopic {
    /// That of [`Mode::Broadcast`], and of who cannot be found otherwise.
    Broadcast,
    /// That of [`Mode::SingleTopic`].
    Single,
}

impl SharedTopic {
    pub(super) const ALL: [Self; 2] = [Self::Broadcast, Self::Single];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Broadcast => BROADCAST_TOPIC,
            Self::Single => SINGLE_TOPIC,
        }
    }

    /// The mode that it is for.
    pub(super) fn mode(self) -> Mode {
        match self {
            Self::Broadcast => Mode::Broadcast,
            Self::Single => Mode::SingleTopic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_one_name_wherever_it_stands() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            let json = serde_json::to_string(&mode).unwrap();
            assert_eq!(json, format!("\"{mode}\""));
            assert_eq!(serde_json::from_str::<Mode>(&json).unwrap(), mode);
        }
        assert_eq!("Broadcast".parse::<Mode>(), Err(NoMode));
        assert!(serde_json::from_str::<Mode>("\"none\"").is_err());
    }
}
