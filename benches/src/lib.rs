//! What each layer costs.
//!
//! Criterion benches measure time, each beside a floor: the least that the machine needs for the
//! same bytes. `ratios` runs them and tells how far above their floors they are. `instructions`
//! counts what a request costs from its frame to the frame of its answer. `README.md` says more.
#![forbid(unsafe_code)]

pub mod committed;
pub mod echo;
pub mod place;
pub mod requests;
pub mod sparse;
pub mod wire;
