//! Criterion benches for every layer.
#![forbid(unsafe_code)]
