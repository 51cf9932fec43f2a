//! Consumer groups.

#[allow(dead_code, unused_imports, reason = "until the coordinator drives it")]
pub(crate) mod classic;
