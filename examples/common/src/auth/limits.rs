//! How often something may be tried.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, InsufficientCapacity, Quota, RateLimiter};

use super::AuthError;
use crate::bus::{Bus, MemoryBus};
use crate::config::Config;
use crate::http::network_of;

/// How much is allowed; 0 is without limit.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// New accounts in an hour from one address.
    pub signups_per_hour: u32,
    /// Attempts to log in a minute from one address.
    pub logins_per_minute: u32,
    /// Attempts to log in a minute as one user.
    pub logins_per_minute_of_user: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { signups_per_hour: 5, logins_per_minute: 10, logins_per_minute_of_user: 5 }
    }
}

impl Quotas {
    /// Without limits, for load tests.
    pub const NONE: Self =
        Self { signups_per_hour: 0, logins_per_minute: 0, logins_per_minute_of_user: 0 };

    /// `SIGNUPS_PER_HOUR`, `LOGINS_PER_MINUTE`, `LOGINS_PER_MINUTE_OF_USER`.
    pub fn read(config: &mut Config) -> Self {
        let defaults = Self::default();
        Self {
            signups_per_hour: config.value("SIGNUPS_PER_HOUR", defaults.signups_per_hour),
            logins_per_minute: config.value("LOGINS_PER_MINUTE", defaults.logins_per_minute),
            logins_per_minute_of_user: config
                .value("LOGINS_PER_MINUTE_OF_USER", defaults.logins_per_minute_of_user),
        }
    }
}

/// The limits of accounts, which all instances count together. Without the bus each counts alone.
#[derive(Debug)]
pub(super) struct Limits {
    quotas: Quotas,
    bus: Bus,
    alone: MemoryBus,
}

impl Limits {
    pub(super) fn new(quotas: Quotas, bus: Bus) -> Self {
        Self { quotas, bus, alone: MemoryBus::default() }
    }

    /// Takes one of the accounts that an address may make.
    pub(super) async fn signup(&self, from: IpAddr) -> Result<(), AuthError> {
        self.count(&signups_of(from), self.quotas.signups_per_hour, HOUR).await
    }

    /// Gives it back: no account came of it.
    pub(super) async fn no_signup(&self, from: IpAddr) {
        self.alone.uncount(&signups_of(from));
        if let Err(error) = self.bus.uncount(&signups_of(from)).await {
            tracing::debug!(%error, "an attempt counts as an account");
        }
    }

    /// Counts an attempt to log in.
    pub(super) async fn login(&self, from: IpAddr, username: &str) -> Result<(), AuthError> {
        let of_address = format!("logins:{}", network_of(from));
        self.count(&of_address, self.quotas.logins_per_minute, MINUTE).await?;
        let username: String = super::account::normal(username).chars().take(64).collect();
        let of_user = format!("logins-as:{username}");
        self.count(&of_user, self.quotas.logins_per_minute_of_user, MINUTE).await
    }

    async fn count(&self, name: &str, max: u32, lifetime: Duration) -> Result<(), AuthError> {
        if max == 0 {
            return Ok(());
        }
        let alone = || self.alone.count(name, lifetime);
        let counted = self.bus.count(name, lifetime).await.unwrap_or_else(|_| alone());
        match counted.count <= u64::from(max) {
            true => Ok(()),
            false => Err(AuthError::TooMany(counted.left)),
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn signups_of(from: IpAddr) -> String {
    format!("signups:{}", network_of(from))
}

/// At most so many in a time for each key, and all of them at once if there were none before.
pub struct Limiter<K: Hash + Eq + Clone> {
    limiter: Option<DefaultKeyedRateLimiter<K>>,
    checks: AtomicU64,
}

impl<K: Hash + Eq + Clone> Debug for Limiter<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Limiter").field("limited", &self.limiter.is_some()).finish()
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// `count` within `time`; 0 is without limit.
    #[must_use]
    pub fn new(count: u32, time: Duration) -> Self {
        Self::with_burst(count, time, count)
    }

    /// The same, with so many at once.
    #[must_use]
    pub fn with_burst(count: u32, time: Duration, burst: u32) -> Self {
        let every = time.checked_div(count).and_then(Quota::with_period);
        let quota =
            every.zip(NonZeroU32::new(burst)).map(|(quota, burst)| quota.allow_burst(burst));
        Self { limiter: quota.map(RateLimiter::keyed), checks: AtomicU64::new(0) }
    }

    /// Counts one; `Err` says how long to wait if it is one too many.
    pub fn check(&self, key: &K) -> Result<(), Duration> {
        self.check_all(key, 1)
    }

    /// Counts several, or none if one is too many. More than may be at once never may.
    pub fn check_all(&self, key: &K, count: u32) -> Result<(), Duration> {
        let (Some(limiter), Some(count)) = (&self.limiter, NonZeroU32::new(count)) else {
            return Ok(());
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % 1024 == 1023 {
            // Those who have all of their quota again need not be remembered.
            limiter.retain_recent();
        }
        match limiter.check_key_n(key, count) {
            Ok(checked) => {
                checked.map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
            }
            Err(InsufficientCapacity(_)) => Err(Duration::MAX),
        }
    }
}
