//! Records at a fixed rate, and how long each took to arrive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::thread::set_current_timer_slack;

use super::cell::{Cell, Cpu, Measured, RATE};
use crate::latency::Latencies;
use crate::measure::sleep_until;

/// Records at the beginning that are not timed: connections are opened, topics found.
const WARM_UP: u64 = 1000;

/// What both sides of a client share.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    epoch: Instant,
    expected: u64,
    size: usize,
    arrived: AtomicU64,
    latencies: Mutex<Latencies>,
}

impl Arrivals {
    pub(super) fn new(cell: &Cell) -> Self {
        let inner = Inner {
            epoch: Instant::now(),
            expected: cell.records + WARM_UP,
            size: cell.size,
            arrived: AtomicU64::new(0),
            latencies: Mutex::new(Latencies::new()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How many records there will be, with those that are not timed.
    pub(super) fn expected(&self) -> u64 {
        self.inner.expected
    }

    pub(super) fn are_complete(&self) -> bool {
        self.inner.arrived.load(Ordering::Relaxed) >= self.inner.expected
    }

    /// A record has arrived.
    pub(super) fn note(&self, value: &[u8]) {
        let Inner { epoch, arrived, latencies, .. } = &*self.inner;
        let Some(due) = value.first_chunk() else { return };
        let due = *epoch + Duration::from_nanos(u64::from_le_bytes(*due));
        if arrived.fetch_add(1, Ordering::Relaxed) >= WARM_UP {
            let took = Instant::now().saturating_duration_since(due);
            latencies.lock().unwrap_or_else(PoisonError::into_inner).record(took);
        }
    }

    /// Sends at the rate, each record stamped with the time at which it was due: who is late makes
    /// the wait longer and not the load smaller.
    pub(super) fn send_at_rate(
        &self,
        mut send: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<Measured> {
        // Else the kernel may wake us fifty microseconds late.
        set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        let (cpu, began) = (Cpu::start(), Instant::now());
        for number in 0..self.inner.expected {
            let due = began + Duration::from_secs_f64(number as f64 / RATE);
            sleep_until(due);
            let mut value = vec![b'.'; self.inner.size];
            let stamp = (due - self.inner.epoch).as_nanos() as u64;
            value[..size_of::<u64>()].copy_from_slice(&stamp.to_le_bytes());
            send(value)?;
        }
        let (seconds, cpu_seconds) = (began.elapsed().as_secs_f64(), cpu.seconds());
        Ok(Measured { records: self.inner.expected, seconds, cpu_seconds, latencies: None })
    }

    /// How long the records took.
    pub(super) fn latencies(&self) -> Latencies {
        self.inner.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
