//! Whole services through real sockets: broker, database writer, bot and two chat servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod faults;
mod rooms;
mod security;
mod set;
mod superchat;
mod writer;
