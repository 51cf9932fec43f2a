//! Rooms, in several instances behind a proxy.
#![forbid(unsafe_code)]
