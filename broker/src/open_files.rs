//! How the files that the process may have open are shared out.
//!
//! A broker that runs out of them can neither take a connection nor begin a segment. So there are
//! never as many connections, and the storage never keeps as many files, that none is left.

use rustix::process::{Resource, getrlimit};

/// What the storage keeps open where the limit allows it.
const LOGS_MAX: usize = 4096;
/// What is left to syncs, compaction, reads of files that are no longer kept, and HTTP.
const SPARE_MAX: usize = 1024;
/// Fewer are of no use to the storage, which would open and close them for each request.
const LOGS_MIN: usize = 64;

/// The shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    /// Files that the process may have open; `usize::MAX` where there is no limit.
    pub(crate) limit: usize,
    /// Files that the storage keeps open.
    pub(crate) logs: usize,
    /// Connections that there may be.
    pub(crate) connections: usize,
}

impl OpenFiles {
    /// Under the limit of this process, which is what `ulimit -n` says.
    pub(crate) fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        Self::of(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX))
    }

    fn of(limit: usize) -> Self {
        let logs = (limit / 4).clamp(LOGS_MIN, LOGS_MAX);
        let spare = (limit / 4).min(SPARE_MAX);
        Self { limit, logs, connections: limit.saturating_sub(logs + spare) }
    }

    /// Says so, where fewer connections fit than are allowed.
    pub(crate) fn warn_unless_they_fit(&self, max_connections: usize) {
        if self.connections < max_connections {
            let Self { limit, connections, .. } = self;
            tracing::warn!(
                "the process may have {limit} files open (ulimit -n): at most {connections} \
                 connections are taken, where max.connections is {max_connections}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_fit_the_limit() {
        for limit in [256, 1024, 4096, 20_000, 65_536, 1 << 20] {
            let OpenFiles { logs, connections, .. } = OpenFiles::of(limit);
            let spare = limit - logs - connections;
            assert!((64..=LOGS_MAX).contains(&logs) && connections >= limit / 2, "{limit}");
            assert!((64..=SPARE_MAX).contains(&spare), "{limit}");
        }
        let unlimited = OpenFiles::of(usize::MAX);
        assert_eq!(unlimited.logs, LOGS_MAX);
        assert!(unlimited.connections > usize::MAX / 2);
        assert_eq!(OpenFiles::of(20).connections, 0);
    }
}
