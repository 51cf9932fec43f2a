//! Committed offsets: kept, told and deleted.

pub(crate) mod commit;
pub(crate) mod delete;
pub(crate) mod fetch;
