//! When compaction is tried again after it failed: a pure function of how it failed.

use super::CompactError;

/// How long a log is left alone after the disk failed once; twice as long after each further time.
const DELAY_MIN_MS: i64 = 30_000;
/// And at most.
const DELAY_MAX_MS: i64 = 16 * DELAY_MIN_MS;

/// What the last pass failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// A segment cannot be read. That stays so until the segments change.
    Corrupt {
        /// The generation of the log that the pass read.
        generation: u64,
    },
    /// The disk failed, which may pass.
    Disk {
        /// When.
        failed_ms: i64,
        /// For how long the log is left alone.
        delay_ms: i64,
    },
}

impl Setback {
    /// What is left of `before` by a pass over a log of this generation that ended with `error`.
    pub(super) fn after(
        before: Option<Self>,
        error: &CompactError,
        generation: u64,
        now_ms: i64,
    ) -> Option<Self> {
        match error {
            CompactError::Corrupt(_) => Some(Self::Corrupt { generation }),
            CompactError::Disk(_) => {
                let delay_ms = match before {
                    Some(Self::Disk { delay_ms, .. }) => (2 * delay_ms).min(DELAY_MAX_MS),
                    Some(Self::Corrupt { .. }) | None => DELAY_MIN_MS,
                };
                Some(Self::Disk { failed_ms: now_ms, delay_ms })
            }
            CompactError::Poisoned(_) | CompactError::Closed | CompactError::Stopped => before,
        }
    }

    /// Whether another pass would most likely fail as well. A clock that was set back makes
    /// nobody wait.
    pub(super) fn holds(self, generation: u64, now_ms: i64) -> bool {
        match self {
            Self::Corrupt { generation: corrupt } => generation == corrupt,
            Self::Disk { failed_ms, delay_ms } => {
                (failed_ms..failed_ms.saturating_add(delay_ms)).contains(&now_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::error::{At, Corrupt};

    fn disk() -> CompactError {
        let failed: std::io::Result<()> = Err(ErrorKind::Other.into());
        failed.at("read", "a").unwrap_err().into()
    }

    fn corrupt() -> CompactError {
        Corrupt { file: "a".into(), positions: 0..1, offsets: 0..1 }.into()
    }

    #[test]
    fn a_disk_that_keeps_failing_is_asked_ever_less_often() {
        let (mut setback, mut now_ms, mut delays) = (None, 1000, Vec::new());
        for _ in 0..7 {
            setback = Setback::after(setback, &disk(), 0, now_ms);
            let Some(Setback::Disk { delay_ms, .. }) = setback else { panic!("{setback:?}") };
            let holds = |at| setback.is_some_and(|setback| setback.holds(1, at));
            assert!(holds(now_ms) && holds(now_ms + delay_ms - 1));
            assert!(!holds(now_ms + delay_ms) && !holds(now_ms - 1));
            delays.push(delay_ms / 1000);
            now_ms += delay_ms;
        }
        assert_eq!(delays, [30, 60, 120, 240, 480, 480, 480]);
    }

    #[test]
    fn a_segment_that_cannot_be_read_is_read_again_once_the_segments_change() {
        let setback = Setback::after(None, &corrupt(), 5, 0).unwrap();
        assert!(setback.holds(5, i64::MAX) && !setback.holds(6, 0));
    }

    #[test]
    fn a_pass_that_was_ended_changes_nothing() {
        for before in [None, Setback::after(None, &disk(), 0, 0)] {
            assert_eq!(Setback::after(before, &CompactError::Stopped, 7, 7), before);
            assert_eq!(Setback::after(before, &CompactError::Closed, 7, 7), before);
        }
    }
}
