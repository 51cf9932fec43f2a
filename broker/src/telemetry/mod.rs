//! What clients tell of themselves (KIP-714): who is asked for which metrics, and what they pushed.
//!
//! ```text
//! api/telemetry ─ Telemetry ─┬─ subscription (what a client is asked for: from the settings)
//!                            ├─ pattern      (by what a subscription chooses clients)
//!                            ├─ client       (when it may ask and push: pure)
//!                            ├─ otlp         (what a push says)
//!                            └─ series       (what is kept of it) ─► /metrics
//! ```
//!
//! # Invariants
//!
//! - Clients and series are bounded in number, a push and a line in size: whoever pushes too much
//!   is told so, or has what is beyond left out.
//! - A push is decoded and rendered while nothing is locked, where it keeps nobody up, and one at a
//!   time: however much there is in it, it takes nothing from those who produce.
//! - A client that stays away for three of its intervals is forgotten with its metrics.

mod client;
mod otlp;
mod pattern;
mod series;
mod subscription;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Compression;
use klamm_protocol::wire::{Str, Uuid};
use klamm_utils::random::Random;
use tokio::sync::Semaphore;

use self::client::{Client, Wrong};
use self::otlp::Numbers;
use self::series::SeriesSet;
use crate::catalog::Image;

pub(crate) use self::pattern::Pattern;
pub(crate) use self::subscription::Subscription;

/// The largest push, as it comes and once decompressed (`telemetry.max.bytes`).
pub(crate) const PUSH_BYTES_MAX: usize = 1 << 20;
/// Clients that are remembered; beyond them, the one that was not heard of for longest is forgotten.
const CLIENTS_MAX: usize = 16_384;
/// So much of a client's id is kept, in characters: each of its lines bears it.
const CLIENT_ID_LEN_MAX: usize = 255;
/// Pushes that are taken in or wait for that.
const LINE_MAX: usize = 32;
/// Series that are kept of all clients together.
const SERIES_MAX: usize = 100_000;
/// Intervals after which a client that is silent is forgotten.
const SILENT_INTERVALS: u32 = 3;
/// A client is remembered for so long at the least.
const REMEMBERED_MIN: Duration = Duration::from_secs(60);

/// What a subscription may choose a client by.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) client_id: Str,
    pub(crate) instance_id: Uuid,
    /// As the client called its library in ApiVersions.
    pub(crate) software_name: Str,
    pub(crate) software_version: Str,
    pub(crate) address: SocketAddr,
}

/// A push as it came.
pub(crate) struct Push {
    pub(crate) subscription_id: i32,
    pub(crate) is_last: bool,
    pub(crate) compression: i8,
    pub(crate) metrics: Bytes,
}

/// The clients that were asked for metrics.
///
/// Guarded by a mutex that is held for a look-up; what takes longer is done to copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    state: Arc<Mutex<State>>,
    /// Held by whoever takes a push in: nobody else changes series meanwhile.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The places of those who do or wait to.
    line: Line,
}

/// Places for so many pushes.
#[derive(Clone, Debug)]
struct Line(Arc<Semaphore>);

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LINE_MAX)))
    }
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<Uuid, Known>,
    series: usize,
    random: Random,
}

#[derive(Debug)]
struct Known {
    client: Client,
    client_id: Str,
    seen: Duration,
    series: Arc<SeriesSet>,
}

/// A push that came in time, from a client that knows what it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    instance_id: Uuid,
    wanted: Arc<Subscription>,
    compression: Compression,
    metrics: Bytes,
}

impl Telemetry {
    /// Tells a client what it is asked for. The id is the one it goes by from now on.
    pub(crate) fn ask(
        &self,
        image: &Image,
        mut facts: Facts,
        now: Duration,
    ) -> Result<(Uuid, Arc<Subscription>), ErrorCode> {
        if facts.instance_id == Uuid::ZERO {
            facts.instance_id = Uuid(self.lock().random.uuid());
        }
        let id = facts.instance_id;
        // Patterns are compiled for it.
        let subscription = Subscription::of(image, &facts);
        let mut state = self.lock();
        let known = state.know(&facts, subscription, now);
        known.client.ask(now)?;
        Ok((id, Arc::clone(known.client.subscription())))
    }

    /// Whether a client may push what it pushed.
    pub(crate) fn admit(
        &self,
        image: &Image,
        facts: &Facts,
        push: Push,
        now: Duration,
    ) -> Result<Admitted, ErrorCode> {
        let Push { subscription_id, is_last, compression, metrics } = push;
        let instance_id = facts.instance_id;
        if instance_id == Uuid::ZERO {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let subscription = Subscription::of(image, facts);
        let compression = Compression::from_id(compression.into());
        let too_large = metrics.len() > PUSH_BYTES_MAX;
        let mut state = self.lock();
        // Who was never told a subscription cannot know one.
        let known = state.know(facts, subscription, now);
        let wrong = match compression {
            _ if subscription_id != known.client.subscription().id => Some(Wrong::Id),
            None => Some(Wrong::Compression),
            Some(_) if too_large => Some(Wrong::Size),
            Some(_) => None,
        };
        known.client.push(now, is_last, wrong)?;
        let wanted = Arc::clone(known.client.subscription());
        let compression = compression.unwrap_or_default();
        Ok(Admitted { instance_id, wanted, compression, metrics })
    }

    /// Takes in what a client pushed, once it is its turn; refused where too many wait for theirs.
    pub(crate) fn take_in(
        &self,
        push: Admitted,
    ) -> impl Future<Output = Result<(), ErrorCode>> + use<> {
        let (telemetry, turn) = (self.clone(), Arc::clone(&self.turn));
        let place = Arc::clone(&self.line.0).try_acquire_owned();
        async move {
            if push.metrics.is_empty() {
                return Ok(());
            }
            let _place = place.map_err(|_| ErrorCode::THROTTLING_QUOTA_EXCEEDED)?;
            let turn = turn.lock_owned().await;
            let take_in = move || {
                // Held by the work, not by who waits for it and may go away.
                let _turn = turn;
                telemetry.take_in_now(&push)
            };
            tokio::task::spawn_blocking(take_in).await.unwrap_or_else(|error| {
                tracing::error!(%error, "taking in the metrics of a client panicked");
                Err(ErrorCode::UNKNOWN_SERVER_ERROR)
            })
        }
    }

    /// Takes as long as the push is large; nothing is locked meanwhile.
    fn take_in_now(&self, push: &Admitted) -> Result<(), ErrorCode> {
        // Before it is known whether anything was asked for: Kafka tells of noise in any case.
        let plain = push.compression.decompress(&push.metrics, PUSH_BYTES_MAX);
        let plain = plain.map_err(|_| ErrorCode::INVALID_RECORD)?;
        if push.wanted.metrics.is_empty() {
            return Ok(());
        }
        let told = Numbers::read(&plain).map_err(|_| ErrorCode::INVALID_RECORD)?;
        let samples = series::samples(&told, |name| push.wanted.wants(name));
        let (kept, room) = {
            let state = self.lock();
            let kept = state.clients.get(&push.instance_id).map(|known| Arc::clone(&known.series));
            (kept, SERIES_MAX.saturating_sub(state.series))
        };
        if let Some(mut series) = kept {
            Arc::make_mut(&mut series).take_in(samples, room);
            self.lock().keep(push.instance_id, series);
        }
        Ok(())
    }

    /// What was pushed by those who are still there, as Prometheus reads it.
    pub(crate) fn write(&self, now: Duration, out: &mut impl fmt::Write) -> fmt::Result {
        let all: Vec<_> = {
            let mut state = self.lock();
            state.forget_the_silent(now);
            let told = state.clients.iter().filter(|(_, known)| known.series.len() > 0);
            told.map(|(id, known)| (*id, known.client_id.clone(), Arc::clone(&known.series)))
                .collect()
        };
        let labelled = all.into_iter().map(|(id, client_id, series)| {
            let labels = series::of_client(&client_id, id);
            (labels, series)
        });
        series::write_all(&labelled.collect::<Vec<_>>(), out)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The client, remembered from now on. Where the settings ask it for something else than
    /// before, it begins anew.
    fn know(&mut self, facts: &Facts, subscription: Subscription, now: Duration) -> &mut Known {
        let is_known = self.clients.contains_key(&facts.instance_id);
        if !is_known && self.clients.len() >= CLIENTS_MAX {
            self.forget_the_silent(now);
        }
        if !is_known && self.clients.len() >= CLIENTS_MAX {
            self.forget_the_longest_unseen();
        }
        let known = self.clients.entry(facts.instance_id).or_insert_with(|| Known {
            client: Client::new(subscription.clone()),
            client_id: facts.client_id.chars().take(CLIENT_ID_LEN_MAX).collect::<String>().into(),
            seen: now,
            series: Arc::default(),
        });
        known.seen = now;
        if **known.client.subscription() != subscription {
            known.client = known.client.asked_for(subscription);
        }
        known
    }

    /// Replaces what is kept of a client, if it was not forgotten.
    fn keep(&mut self, id: Uuid, series: Arc<SeriesSet>) {
        if let Some(known) = self.clients.get_mut(&id) {
            self.series = self.series - known.series.len() + series.len();
            known.series = series;
        }
    }

    /// Whoever invents clients must not keep real ones out.
    fn forget_the_longest_unseen(&mut self) {
        let oldest = self.clients.iter().min_by_key(|(_, known)| known.seen).map(|(id, _)| *id);
        if let Some(known) = oldest.and_then(|id| self.clients.remove(&id)) {
            self.series -= known.series.len();
        }
    }

    fn forget_the_silent(&mut self, now: Duration) {
        let series = &mut self.series;
        self.clients.retain(|_, known| {
            let interval = known.client.subscription().interval;
            let remembered = (interval * SILENT_INTERVALS).max(REMEMBERED_MIN);
            let is_there = now.saturating_sub(known.seen) < remembered;
            if !is_there {
                *series -= known.series.len();
            }
            is_there
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::otlp::Kind;
    use super::otlp::tests::{bytes, metric};
    use super::*;

    fn facts(instance_id: Uuid) -> Facts {
        Facts {
            client_id: "orders".into(),
            instance_id,
            software_name: "librdkafka".into(),
            software_version: "2.12.0".into(),
            address: ([127, 0, 0, 1], 4711).into(),
        }
    }

    #[test]
    fn whoever_invents_clients_keeps_no_real_one_out() {
        let telemetry = Telemetry::default();
        let at = |number: usize| Duration::from_millis(number as u64);
        let ask = |now| telemetry.ask(&Image::default(), facts(Uuid::ZERO), now);
        let (first, _) = ask(at(0)).expect("asked");
        for number in 1..=CLIENTS_MAX {
            let (id, _) = ask(at(number)).expect("asked");
            assert!(telemetry.lock().clients.contains_key(&id), "{number}");
        }
        let state = telemetry.lock();
        assert_eq!(state.clients.len(), CLIENTS_MAX);
        assert!(!state.clients.contains_key(&first));
    }

    #[test]
    fn of_a_long_client_id_the_beginning_is_kept() {
        let telemetry = Telemetry::default();
        let facts = Facts { client_id: "é".repeat(10_000).into(), ..facts(Uuid::ZERO) };
        let (id, _) = telemetry.ask(&Image::default(), facts, Duration::ZERO).expect("asked");
        let kept = telemetry.lock().clients[&id].client_id.clone();
        assert_eq!(kept.as_str(), "é".repeat(CLIENT_ID_LEN_MAX));
    }

    #[test]
    fn a_silent_client_is_forgotten_when_metrics_are_read() {
        let telemetry = Telemetry::default();
        let asked = telemetry.ask(&Image::default(), facts(Uuid::ZERO), Duration::ZERO);
        let (id, subscription) = asked.expect("asked");
        assert_ne!(id, Uuid::ZERO);

        let silence = subscription.interval * SILENT_INTERVALS;
        let shortly_before = silence - Duration::from_millis(1);
        for (now, remembered) in [(shortly_before, 1), (silence, 0)] {
            telemetry.write(now, &mut String::new()).expect("a string takes all");
            assert_eq!(telemetry.lock().clients.len(), remembered, "after {now:?}");
        }
    }

    /// A push of all metrics, of a client that was asked for them.
    fn push_of(telemetry: &Telemetry, metrics: Bytes) -> Admitted {
        let asked = telemetry.ask(&Image::default(), facts(Uuid::ZERO), Duration::ZERO);
        let (instance_id, _) = asked.expect("asked");
        let wanted = Subscription { metrics: vec!["*".into()], ..Subscription::default() };
        Admitted { instance_id, wanted: wanted.into(), compression: Compression::None, metrics }
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_is_told_once_it_was_taken_in() {
        let telemetry = Telemetry::default();
        let metrics = [1.0, 2.0].map(|value| metric("m", Kind::Growth, value, &[&[]]));
        let push = push_of(&telemetry, bytes(&[], metrics.into()));
        let (id, again) = (push.instance_id, push.clone());
        let others = telemetry.turn.lock().await;
        let mut taken = pin!(telemetry.take_in(push));
        let waits = tokio::time::timeout(Duration::from_secs(9), taken.as_mut()).await;
        waits.unwrap_err();
        drop(others);
        assert_eq!(taken.await, Ok(()));
        assert_eq!(telemetry.take_in(again).await, Ok(()));
        let mut text = String::new();
        telemetry.write(Duration::ZERO, &mut text).expect("a string takes all");
        let labels = format!(r#"{{client_id="orders",client_instance_id="{id}"}}"#);
        let line = format!("kafka_client_m_total{labels} 6\n");
        assert!(text.ends_with(&line), "{text}");
        assert_eq!(telemetry.lock().series, 1);
    }

    #[tokio::test]
    async fn who_finds_too_long_a_line_comes_again() {
        let telemetry = Telemetry::default();
        let push = push_of(&telemetry, bytes(&[], vec![metric("m", Kind::Sum, 1.0, &[&[]])]));
        let others: Vec<_> = (0..LINE_MAX).map(|_| telemetry.take_in(push.clone())).collect();
        let refused = telemetry.take_in(push.clone()).await;
        assert_eq!(refused, Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED));
        drop(others);
        assert_eq!(telemetry.take_in(push).await, Ok(()));
    }

    #[tokio::test]
    async fn what_a_client_pushed_that_is_forgotten_meanwhile_is_not_kept() {
        let telemetry = Telemetry::default();
        let metrics = vec![metric("m", Kind::Sum, 1.0, &[&[]])];
        let push = push_of(&telemetry, bytes(&[], metrics));
        telemetry.lock().clients.clear();
        assert_eq!(telemetry.take_in(push).await, Ok(()));
        assert_eq!(telemetry.lock().series, 0);
    }

    #[tokio::test]
    async fn noise_is_refused() {
        let telemetry = Telemetry::default();
        let noise = push_of(&telemetry, Bytes::from_static(b"noise"));
        let zipped = Admitted { compression: Compression::Zstd, ..noise.clone() };
        let unwanted = Admitted { wanted: Arc::default(), ..noise.clone() };
        let unwanted_zipped = Admitted { wanted: Arc::default(), ..zipped.clone() };
        let refused = Err(ErrorCode::INVALID_RECORD);
        for (push, told) in
            [(noise, refused), (zipped, refused), (unwanted, Ok(())), (unwanted_zipped, refused)]
        {
            assert_eq!(telemetry.take_in(push).await, told);
        }
    }
}
