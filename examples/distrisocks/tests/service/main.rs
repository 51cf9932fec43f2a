//! Pods and the service of accounts, on an embedded broker and SQLite.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![forbid(unsafe_code)]

mod accounts;
mod delivery;
mod faults;
#[path = "../../../unsent/tests/service/gate.rs"]
mod gate;
mod harness;
mod modes;
