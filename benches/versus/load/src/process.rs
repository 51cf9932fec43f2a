//! What processes and the machine used, from /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// Ticks in a second of /proc's CPU times: fixed for programs, whatever the kernel's own clock.
const TICKS: f64 = 100.0;

/// A process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessState {
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) rss_mib: f64,
    /// The highest since the start, or since [`forget_peak`].
    pub(crate) peak_rss_mib: f64,
}

/// Looks at a process.
pub(crate) fn look(pid: u32) -> Result<ProcessState> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).with_context(|| format!("there is no {path}"))
    };
    let stat = read("stat")?;
    // The second field is the name in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat is not as expected")?;
    let ticks = |index: usize| -> Result<f64> {
        let field = fields.split_whitespace().nth(index).context("/proc/PID/stat is short")?;
        Ok(field.parse::<f64>()? / TICKS)
    };
    let status = read("status")?;
    Ok(ProcessState {
        user_seconds: ticks(11)?,
        system_seconds: ticks(12)?,
        rss_mib: status_mib(&status, "VmRSS:"),
        peak_rss_mib: status_mib(&status, "VmHWM:"),
    })
}

/// Lets the peak of a process's memory begin anew. Where that is not allowed the old one stands.
pub(crate) fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").ok();
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu_seconds() -> f64 {
    seconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU seconds of the calling thread so far.
pub(crate) fn thread_cpu_seconds() -> f64 {
    seconds(clock_gettime(ClockId::ThreadCPUTime))
}

/// The machine's CPUs at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineState {
    busy_seconds: f64,
    all_seconds: f64,
}

impl MachineState {
    /// None where /proc/stat is not to be had.
    pub(crate) fn look() -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let line = stat.lines().next()?;
        let ticks: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|field| field.parse().ok())
            .collect();
        let all: f64 = ticks.iter().sum();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self { busy_seconds: (all - idle) / TICKS, all_seconds: all / TICKS })
    }

    /// The share of the CPUs since then that went to others than those who used `known_seconds`.
    pub(crate) fn elsewhere_share(&self, since: &Self, known_seconds: f64) -> f64 {
        let busy = self.busy_seconds - since.busy_seconds;
        let all = (self.all_seconds - since.all_seconds).max(1.0 / TICKS);
        ((busy - known_seconds) / all).clamp(0.0, 1.0)
    }
}

fn status_mib(status: &str, key: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

fn seconds(time: rustix::time::Timespec) -> f64 {
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        let state = look(std::process::id()).unwrap();
        assert!(state.rss_mib > 0.0 && state.peak_rss_mib >= state.rss_mib / 2.0);
        assert!(own_cpu_seconds() > 0.0);
        assert!(MachineState::look().is_some());
    }
}
