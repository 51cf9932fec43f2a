//! Direct messages, from pod to pod.
//!
//! See the README for how a message travels. [`auth_svc`] owns users, [`pod`] owns messages; each
//! writes its own tables only.
#![forbid(unsafe_code)]

pub mod auth_svc;
pub mod config;
pub mod pod;
pub mod status;
pub mod store;
pub mod wire;
