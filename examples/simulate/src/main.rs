//! Load for the example applications.
#![forbid(unsafe_code)]
fn main() {}
