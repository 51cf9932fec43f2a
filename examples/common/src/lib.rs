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
//! | [`kv`] | a key-value store: in memory or Redis, alone or as a pair |
//! | [`patience`] | trying again while something is away |
//! | [`registry`] | who is connected where, and which pods live |
//! | [`topics`] | topics that a service makes |
//! | [`hub`] | the bounded queue of one socket |
//! | [`auth`] | accounts, passwords, tokens, tickets, limits |
#![forbid(unsafe_code)]

pub mod auth;
pub mod bus;
pub mod config;
pub mod db;
pub mod http;
pub mod hub;
pub mod kv;
pub mod patience;
pub mod registry;
pub mod service;
pub mod telemetry;
pub mod topics;
