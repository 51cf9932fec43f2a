//! All example applications behind one door: in one process, or each in its own.
#![forbid(unsafe_code)]

pub mod proxy;
