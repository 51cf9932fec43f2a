//! The pages of the example applications, built.
#![forbid(unsafe_code)]
