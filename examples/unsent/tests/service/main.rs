//! The producer and the consumer, on an embedded broker and two stores in memory.

#![forbid(unsafe_code)]

mod faults;
mod harness;
mod requests;
