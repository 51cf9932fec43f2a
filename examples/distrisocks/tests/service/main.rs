//! Pods and the service of accounts, on an embedded broker and SQLite.
#![forbid(unsafe_code)]

mod accounts;
mod delivery;
mod faults;
mod harness;
mod modes;
