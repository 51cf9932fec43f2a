//! The producer and the consumer, on an embedded broker and two stores in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![forbid(unsafe_code)]

mod access;
mod content;
mod faults;
mod gate;
mod harness;
mod requests;
