//! Who wrote to me while I was away, in one read.
#![forbid(unsafe_code)]
