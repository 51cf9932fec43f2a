//! How many files the broker may have open: as many as it is allowed, not the few that a shell gives.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What macOS grants where it names no bound.
const WITHOUT_BOUND: u64 = 10_240;

/// Raises the soft limit to the hard one, as a JVM does for Kafka.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(WITHOUT_BOUND);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays where it is, see ulimit -n");
    }
}
