//! What of a file is in memory: a system call that no safe library offers yet.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// `cachestat(2)`, since Linux 6.5, by its number, which is the same wherever it exists.
const CACHESTAT: libc::c_long = 451;
const PAGE: u64 = 4096;

#[repr(C)]
struct Range {
    position: u64,
    len: u64,
}

#[repr(C)]
#[derive(Default)]
struct Statistics {
    cached: u64,
    dirty: u64,
    under_write_back: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Whether all pages of a range are in memory now; `false` where nobody can tell.
pub(super) fn is_cached(file: &File, position: u64, len: u64) -> bool {
    let range = Range { position, len };
    let mut statistics = Statistics::default();
    // SAFETY: the kernel reads one `struct cachestat_range` and writes one `struct cachestat`,
    // which both types repeat field by field, through pointers that live for the call; it keeps
    // neither. A kernel without this call answers ENOSYS and touches nothing.
    let result = unsafe {
        libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut statistics, 0_u32)
    };
    let pages = (position + len).div_ceil(PAGE) - position / PAGE;
    result == 0 && statistics.cached >= pages
}
