//! What each API means: one file each, grouped as an administrator thinks of them.
//!
//! A handler gets a [`Call`](crate::server::Call) and the request, and gives a
//! [`Reply`](crate::server::Reply). It translates: partitions, the catalog and the groups never
//! see a request.

pub(crate) mod api_versions;
pub(crate) mod configs;
pub(crate) mod delete_records;
pub(crate) mod describe_cluster;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_quorum;
pub(crate) mod describe_topic_partitions;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod groups;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod offsets;
mod operations;
pub(crate) mod produce;
pub(crate) mod replicas;
pub(crate) mod security;
pub(crate) mod telemetry;
pub(crate) mod topics;
pub(crate) mod transactions;
pub(crate) mod unregister_broker;
pub(crate) mod update_features;

use std::collections::HashSet;
use std::hash::Hash;

/// Each thing that a request names, once: what is named again and again makes no long answer out
/// of a short request.
fn once<T, K: Eq + Hash>(named: Vec<T>, key: impl Fn(&T) -> K) -> impl Iterator<Item = T> {
    let mut seen = HashSet::with_capacity(named.len());
    named.into_iter().filter(move |it| seen.insert(key(it)))
}
