//! What the example applications share.
#![forbid(unsafe_code)]
