//! Kafka's error codes in one table.

use std::fmt;

use crate::wire::{Reader, Result, Wire, WireError, Writer};

/// What a broker says went wrong. Data, not an exception: answers carry one per item.
///
/// A code that is not in the table travels unharmed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($code:literal $name:ident $retriable:ident $meaning:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($code);
            )*

            /// Every code of the table, in rising order.
            pub const ALL: &'static [Self] = &[$(Self($code)),*];

            fn row(self) -> Option<(&'static str, bool, &'static str)> {
                match self.0 {
                    $($code => Some((stringify!($name), $retriable!(), $meaning)),)*
                    _ => None,
                }
            }
        }
    };
}

macro_rules! retriable {
    () => {
        true
    };
}

macro_rules! fatal {
    () => {
        false
    };
}

impl ErrorCode {
    /// Kafka's name for it, such as `OFFSET_OUT_OF_RANGE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_CODE", |row| row.0)
    }

    /// Whether the same request may succeed later, as Kafka's clients see it.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.1)
    }

    /// What it means, in one sentence without a full stop.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("This code is not known here", |row| row.2)
    }

    /// Whether this is [`NONE`](Self::NONE).
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// `Ok` for [`NONE`](Self::NONE), the code itself otherwise.
    ///
    /// # Errors
    /// Any code but `NONE`.
    pub fn ok(self) -> std::result::Result<(), Self> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.0, self.meaning())
    }
}

impl Wire for ErrorCode {
    fn read(r: &mut Reader) -> Result<Self> {
        i16::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }

    fn read_nullable(_: &mut Reader) -> Result<Option<Self>> {
        Err(WireError::UnexpectedNull)
    }

    fn write_null(w: &mut Writer) {
        w.fail(WireError::UnexpectedNull);
    }
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR fatal "The broker failed in a way it did not expect";
    0 NONE fatal "No error";
    1 OFFSET_OUT_OF_RANGE fatal "The offset lies outside the log";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable "The topic or the partition is not here";
}
