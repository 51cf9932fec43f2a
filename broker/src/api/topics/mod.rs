//! Topics made, deleted and grown.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod grow;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::catalog::Refusal;
use klamm_protocol::error_code::ErrorCode;

/// The names that a request has more than once: Kafka refuses all of them.
fn duplicates<T: Eq + Hash + Clone>(names: impl Iterator<Item = T>) -> HashSet<T> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

fn twice() -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")
}
