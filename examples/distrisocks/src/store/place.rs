//! Where a message stands among others.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Where a message stands among others: two pods may have given two the same moment. Its text is
/// what callers hand back to go on from there, and means nothing to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) placed_us: i64,
    pub(super) message_id: Uuid,
}

impl Place {
    /// Before everything.
    pub const FIRST: Self = Self { placed_us: i64::MIN, message_id: Uuid::nil() };
    /// Behind everything.
    pub const LAST: Self = Self { placed_us: i64::MAX, message_id: Uuid::max() };

    /// A place so long before this one: what is placed by clocks that differ may come to stand before
    /// what is there already.
    #[must_use]
    pub fn before(self, time: std::time::Duration) -> Self {
        let us = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self { placed_us: self.placed_us.saturating_sub(us), message_id: Uuid::nil() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.placed_us, self.message_id.simple())
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> std::result::Result<Self, NoPlace> {
        let (placed_us, id) = text.split_once('.').ok_or(NoPlace)?;
        let placed_us = i64::from_str_radix(placed_us, 16).map_err(|_| NoPlace)?;
        let message_id = Uuid::parse_str(id).map_err(|_| NoPlace)?;
        Ok(Self { placed_us, message_id })
    }
}

/// A text is not that of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("before: give the cursor of a message that an earlier answer has")]
pub struct NoPlace;
