//! The stretch of time in which things count, and what it cost.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::args::Span;
use crate::process::{self, MachineState, ProcessState};

/// What counts lies between `from` and `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Window {
    /// The one that begins after this span's warm-up.
    pub(crate) fn begin(span: Span) -> Result<Self> {
        let length = |seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_err(|error| anyhow!("{seconds} s: {error}"))
        };
        let from = Instant::now() + length(span.warmup_seconds)?;
        Ok(Self { from, to: from + length(span.seconds)? })
    }

    /// One without a warm-up.
    pub(crate) fn at_once(seconds: f64) -> Result<Self> {
        Self::begin(Span { seconds, warmup_seconds: 0.0 })
    }

    pub(crate) fn holds(&self, at: Instant) -> bool {
        (self.from..self.to).contains(&at)
    }

    pub(crate) fn is_over(&self, at: Instant) -> bool {
        at >= self.to
    }
}

/// What one stretch of time cost.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    pub(crate) client_cpu_seconds: f64,
    /// The share of the machine's CPUs that went to neither of us: where it is high, the rest is
    /// noise. Not known without the broker's process.
    pub(crate) elsewhere_share: Option<f64>,
    /// CPU seconds of the stretch, memory at its end; where the process is known.
    pub(crate) broker: Option<ProcessState>,
}

impl Usage {
    /// This stretch and a later one, together.
    pub(crate) fn and(self, later: Self) -> Self {
        let broker = self.broker.zip(later.broker).map(|(one, two)| ProcessState {
            user_seconds: one.user_seconds + two.user_seconds,
            system_seconds: one.system_seconds + two.system_seconds,
            rss_mib: two.rss_mib,
            peak_rss_mib: one.peak_rss_mib.max(two.peak_rss_mib),
        });
        let seconds = self.seconds + later.seconds;
        let shares = self.elsewhere_share.zip(later.elsewhere_share);
        Self {
            seconds,
            client_cpu_seconds: self.client_cpu_seconds + later.client_cpu_seconds,
            elsewhere_share: shares
                .map(|(one, two)| (one * self.seconds + two * later.seconds) / seconds),
            broker,
        }
    }
}

/// A stretch that has begun.
pub(crate) struct Meter {
    pid: Option<u32>,
    began: Instant,
    client_cpu_seconds: f64,
    machine: Option<MachineState>,
    broker: Option<ProcessState>,
}

impl Meter {
    /// # Errors
    /// There is no process of this id.
    pub(crate) fn begin(pid: Option<u32>) -> Result<Self> {
        if let Some(pid) = pid {
            process::forget_peak(pid);
        }
        Ok(Self {
            pid,
            broker: pid.map(process::look).transpose()?,
            machine: MachineState::look(),
            client_cpu_seconds: process::own_cpu_seconds(),
            began: Instant::now(),
        })
    }

    /// # Errors
    /// The process has ended.
    pub(crate) fn end(&self) -> Result<Usage> {
        let seconds = self.began.elapsed().as_secs_f64();
        let client_cpu_seconds = process::own_cpu_seconds() - self.client_cpu_seconds;
        let now = self.pid.map(process::look).transpose()?;
        let broker = now.zip(self.broker).map(|(now, then)| ProcessState {
            user_seconds: now.user_seconds - then.user_seconds,
            system_seconds: now.system_seconds - then.system_seconds,
            ..now
        });
        let elsewhere_share = broker.and_then(|broker| {
            let known = client_cpu_seconds + broker.user_seconds + broker.system_seconds;
            Some(MachineState::look()?.elsewhere_share(self.machine.as_ref()?, known))
        });
        Ok(Usage { seconds, client_cpu_seconds, elsewhere_share, broker })
    }
}

/// Runs `work` on as many threads while the window lasts, and meters the window itself, which ends
/// early if all the threads do. What they give comes in the order of the threads.
///
/// # Errors
/// One of the threads failed, or the broker's process is not there.
pub(crate) fn on_threads<T: Send>(
    window: Window,
    pid: Option<u32>,
    threads: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<(Vec<T>, Usage)> {
    thread::scope(|scope| {
        let work = &work;
        // Nothing is sent: it is disconnected when the last thread drops its end.
        let (running, all_ended) = mpsc::sync_channel::<()>(0);
        let started: Vec<_> = (0..threads)
            .map(|index| {
                let running = running.clone();
                scope.spawn(move || {
                    let done = work(index);
                    drop(running);
                    done
                })
            })
            .collect();
        drop(running);
        let until = |at: Instant| {
            let _ended = all_ended.recv_timeout(at.saturating_duration_since(Instant::now()));
        };
        until(window.from);
        let usage = Meter::begin(pid).and_then(|meter| {
            until(window.to);
            let usage = meter.end()?;
            // What counts is what lies in the window, even if this thread woke up late.
            let ended = Instant::now().min(window.to);
            let seconds = ended.saturating_duration_since(window.from).as_secs_f64();
            Ok(Usage { seconds, ..usage })
        });
        let done: Result<Vec<T>> = started
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
            .collect();
        Ok((done?, usage?))
    })
}

/// Sleeps until then, or not at all.
pub(crate) fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}
