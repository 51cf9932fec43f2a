//! Where a group is to be moved.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ArgGroup;
use klamm_protocol::wire::Str;
use klamm_utils::clock::{Clock as _, SystemClock};

use crate::group::file::{self, FileRow};
use crate::place::{Bounds, Place};

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("goal").required(true).args(["to", "by", "to_group", "from_file"]))]
pub(super) struct GoalArgs {
    /// A place in each partition
    #[arg(long, value_name = "GOAL", allow_hyphen_values = true, value_parser = Goal::parse_now)]
    to: Option<Goal>,
    /// Move by so many records, back if the number is negative
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    by: Option<i64>,
    /// To where another group is
    #[arg(long, value_name = "GROUP")]
    to_group: Option<String>,
    /// To the offsets of a file: TOPIC,PARTITION,OFFSET lines or JSON, as `export` prints them
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// Where a group is to be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Place(Place),
    /// Where it is.
    Current,
    /// So many behind where it is.
    By(i64),
    /// Where this group is.
    OfGroup(Str),
    /// To these offsets.
    Rows(Vec<FileRow>),
}

impl GoalArgs {
    /// The one goal that was said; clap has seen to that.
    pub(super) fn read(&self) -> anyhow::Result<Goal> {
        if let Some(path) = &self.from_file {
            let name = || path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(name)?;
            return Ok(Goal::Rows(file::read(&text).with_context(name)?));
        }
        if let Some(group) = &self.to_group {
            return Ok(Goal::OfGroup(group.as_str().into()));
        }
        let by = self.by.map(Goal::By);
        Ok(by.or_else(|| self.to.clone()).unwrap_or(Goal::Current))
    }
}

impl Goal {
    fn parse_now(text: &str) -> Result<Self, String> {
        Self::parse(text, SystemClock::new().now_ms())
    }

    fn parse(text: &str, now_ms: i64) -> Result<Self, String> {
        if text == "current" {
            return Ok(Self::Current);
        }
        let place = Place::parse(text, now_ms).or_else(|| Place::parse_moment(text, now_ms));
        place.map(Self::Place).ok_or_else(|| {
            format!("`{text}` is no goal: expected earliest, latest, current, an offset or a time")
        })
    }

    /// The place that brokers may have to be asked for.
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            Self::Place(place) => Some(*place),
            _ => None,
        }
    }

    /// Why it moves nothing: whoever is to give the offsets has none, or none for the topics that
    /// were chosen.
    pub(super) fn nothing(&self, group: &str, chosen: bool) -> String {
        let chosen = if chosen { " for what --topic says" } else { "" };
        let giver = match self {
            Self::Rows(_) => return format!("the file has no offset of group {group}{chosen}"),
            Self::OfGroup(other) => other,
            Self::Place(_) | Self::Current | Self::By(_) => group,
        };
        format!("group {giver} has committed nothing{chosen}")
    }

    /// The offset in one partition: `found` is what brokers say to the [`place`](Self::place),
    /// `old` what is committed. None where nothing is committed to start from.
    pub(super) fn offset(
        &self,
        bounds: Bounds,
        found: Option<i64>,
        old: Option<i64>,
    ) -> Option<i64> {
        match self {
            // As it was said, so that it can be told if it is not there.
            Self::Place(Place::Offset(offset)) => Some(*offset),
            Self::Place(place) => Some(place.offset(bounds, found)),
            Self::Current => Some(old.unwrap_or(bounds.end)),
            Self::By(count) => old.map(|old| old.saturating_add(*count)),
            Self::OfGroup(_) | Self::Rows(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn goals_are_understood() {
        let check = |text: &str, goal| assert_eq!(Goal::parse(text, NOW), Ok(goal), "{text}");
        check("earliest", Goal::Place(Place::Start));
        check("latest", Goal::Place(Place::End));
        check("current", Goal::Current);
        check("17", Goal::Place(Place::Offset(17)));
        check("-5", Goal::Place(Place::BeforeEnd(5)));
        check("2023-11-14T22:13:20Z", Goal::Place(Place::Time(NOW)));
        check("@1700000000", Goal::Place(Place::Time(NOW)));
        check("-1h", Goal::Place(Place::Time(NOW - 3_600_000)));
        for text in ["", "soon", "--5", "5x"] {
            assert!(Goal::parse(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn who_gives_no_offsets_is_named() {
        let told = |goal: Goal, chosen| goal.nothing("billing", chosen);
        assert_eq!(told(Goal::By(1), false), "group billing has committed nothing");
        let audit = told(Goal::OfGroup("audit".into()), true);
        assert_eq!(audit, "group audit has committed nothing for what --topic says");
        let file = told(Goal::Rows(Vec::new()), false);
        assert_eq!(file, "the file has no offset of group billing");
    }

    #[test]
    fn goals_become_offsets() {
        let bounds = Bounds { start: 10, end: 20 };
        let check = |goal: Goal, old, offset| {
            assert_eq!(goal.offset(bounds, Some(15), old), offset, "{goal:?}");
        };
        check(Goal::Place(Place::Start), None, Some(10));
        check(Goal::Place(Place::Offset(3)), None, Some(3));
        check(Goal::Place(Place::Time(NOW)), None, Some(15));
        check(Goal::Current, Some(12), Some(12));
        check(Goal::Current, None, Some(20));
        check(Goal::By(-2), Some(12), Some(10));
        check(Goal::By(i64::MAX), Some(12), Some(i64::MAX));
        check(Goal::By(1), None, None);
    }
}
