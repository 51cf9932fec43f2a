//! What the example applications share.
//!
//! | module | what it gives |
//! |---|---|
//! | [`config`] | settings: flags, then the environment, `.env`, a file, defaults |
//! | [`telemetry`] | log lines, `/metrics`, `/livez`, `/readyz` |
//! | [`service`] | what a started service is, and how a program runs one |
//! | [`http`] | what every HTTP service guards against |
//! | [`db`] | one database of two kinds: SQLite or PostgreSQL |
//! | [`bus`] | fleeting messages between instances: in memory or over Redis |
//! | [`auth`] | accounts, passwords, tokens, tickets, limits |
#![forbid(unsafe_code)]

pub mod auth;
pub mod bus;
pub mod config;
pub mod db;
pub mod http;
pub mod service;
pub mod telemetry;
