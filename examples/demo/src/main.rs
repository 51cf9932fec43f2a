//! All example applications in one process.
#![forbid(unsafe_code)]
fn main() {}
