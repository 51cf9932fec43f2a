//! What this process takes, as the kernel tells it.

use std::fs;

/// Memory, threads and open files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, sockets among them.
    pub files: u64,
}

impl Usage {
    /// Of this process, now; zeros where the kernel does not tell.
    #[must_use]
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            resident: number("VmRSS:") * 1024,
            threads: number("Threads:"),
            files: u64::try_from(files).unwrap_or(u64::MAX),
        }
    }
}
