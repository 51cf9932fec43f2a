//! Settings told and changed.

pub(crate) mod alter;
mod change;
pub(crate) mod describe;
pub(crate) mod incremental_alter;
pub(crate) mod list;
