//! The `klamm` command.
#![forbid(unsafe_code)]

fn main() {}
