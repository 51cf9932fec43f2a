//! Settings told and changed.

pub(crate) mod alter;
pub(crate) mod describe;

/// The numbers that say whose settings are meant.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
