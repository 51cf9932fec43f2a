//! Groups.
mod assignor;
