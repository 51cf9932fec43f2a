//! The four offsets of a log, as four types, and the order they are always in.

use std::fmt;

macro_rules! offset {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// The offset as a plain number, for the wire.
            #[must_use]
            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

offset! {
    /// The first offset that may be read.
    StartOffset
}
offset! {
    /// The first offset of a transaction that is still open; without one, the high watermark.
    StableOffset
}
offset! {
    /// All before it is committed: acknowledged, and visible to consumers.
    HighWatermark
}
offset! {
    /// The offset that the next record will have.
    EndOffset
}

/// The offsets of a log at one moment: `start <= stable <= high_watermark <= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// See [`StartOffset`].
    pub start: StartOffset,
    /// See [`StableOffset`].
    pub stable: StableOffset,
    /// See [`HighWatermark`].
    pub high_watermark: HighWatermark,
    /// See [`EndOffset`].
    pub end: EndOffset,
}

impl Offsets {
    /// Whether the order holds.
    #[must_use]
    pub(crate) fn are_ordered(&self) -> bool {
        let Self { start, stable, high_watermark, end } = *self;
        start.0 <= stable.0 && stable.0 <= high_watermark.0 && high_watermark.0 <= end.0
    }
}

/// How far a read may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Committed records: what a consumer sees.
    HighWatermark,
    /// Records of which no transaction is open: what a `read_committed` consumer sees.
    Stable,
    /// All records, committed or not: for the owner of the log.
    End,
}
