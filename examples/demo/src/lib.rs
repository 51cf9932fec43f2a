//! All example applications behind one door: in one process, or each in its own.
//!
//! | module | what it does |
//! |---|---|
//! | [`cast`] | the services, and the settings of each |
//! | [`proxy`] | the door: paths to services, the least busy instance, sockets |
//! | [`control`] | `/demo/api`: what runs, and how to end it and start it again |
//! | [`whole`] | everything in one process, and nothing to install |
//! | [`up`] | each service a process, on PostgreSQL, Redis and nginx |
//! | [`record`] | what a running demo leaves for those who want to reach it |
//! | [`settings`] | what all services are told |
//! | [`logs`] | what the services have to say |
#![forbid(unsafe_code)]

mod banner;
pub mod cast;
pub mod control;
pub mod logs;
pub mod proxy;
mod readiness;
pub mod record;
pub mod settings;
pub mod up;
pub mod whole;
