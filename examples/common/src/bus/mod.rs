//! Fleeting messages between instances: who types, who is there, and which sessions ended. And what
//! they count or claim together.
//!
//! No message is kept, and what a listener is too slow for is dropped: what must not be lost is in
//! the log or the database.

mod memory;
mod redis;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

pub use memory::MemoryBus;
pub use redis::RedisBus;

use crate::config::Config;
use crate::telemetry::Telemetry;

/// How many messages a listener may be behind.
const BEHIND_MAX: usize = 4096;

/// Where instances hear of each other; clones are handles to the same.
#[derive(Clone, Debug)]
pub enum Bus {
    /// Between instances of one process.
    Memory(MemoryBus),
    /// Between processes.
    Redis(RedisBus),
}

/// Which bus to use.
#[derive(Clone, Debug)]
pub enum Settings {
    /// Within the process.
    Memory,
    /// A server: `redis://host:port`.
    Redis(String),
}

/// A message was not sent, or a claim not made.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server said so, or is away.
    #[error("redis: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// The server did not answer in time.
    #[error("redis does not answer")]
    Timeout,
}

/// What was published on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// On which.
    pub channel: Arc<str>,
    /// What.
    pub payload: Bytes,
}

/// What was counted of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// When it begins anew.
    pub left: Duration,
}

/// Hears what is published on its channels, from soon after it was told to listen.
#[derive(Debug)]
pub struct Listener {
    ear: Ear,
    heard: mpsc::Receiver<Heard>,
}

#[derive(Debug)]
enum Ear {
    Memory(memory::Ear),
    Redis(redis::Ear),
}

impl Settings {
    /// `BUS=memory` or `BUS=redis` with `REDIS_HOST` and `REDIS_PORT`; to name a host is enough.
    pub fn read(config: &mut Config) -> Self {
        let host = config.text("REDIS_HOST", "");
        let port: u16 = config.value("REDIS_PORT", 6379);
        match config.text("BUS", if host.is_empty() { "memory" } else { "redis" }).as_str() {
            "memory" => Self::Memory,
            "redis" => {
                let host = if host.is_empty() { "127.0.0.1" } else { &host };
                Self::Redis(format!("redis://{host}:{port}"))
            }
            other => {
                config.refuse(format!("BUS={other}: neither memory nor redis"));
                Self::Memory
            }
        }
    }
}

impl Bus {
    /// Makes the bus; a server may be away still. Its tasks end with `tasks`.
    pub fn open(
        settings: &Settings,
        tasks: &TaskGroup,
        telemetry: &Telemetry,
    ) -> Result<Self, BusError> {
        match settings {
            Settings::Memory => Ok(Self::memory()),
            Settings::Redis(url) => {
                Ok(Self::Redis(RedisBus::new(url, tasks.clone(), telemetry.uses("redis"))?))
            }
        }
    }

    /// A bus within this process.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(MemoryBus::default())
    }

    /// Sends to everyone who listens to `channel` now.
    pub async fn publish(&self, channel: &str, payload: Bytes) -> Result<(), BusError> {
        match self {
            Self::Memory(bus) => {
                bus.publish(channel, &payload);
                Ok(())
            }
            Self::Redis(bus) => bus.publish(channel, &payload).await,
        }
    }

    /// A listener without channels.
    #[must_use]
    pub fn listener(&self) -> Listener {
        let (sender, heard) = mpsc::channel(BEHIND_MAX);
        let ear = match self {
            Self::Memory(bus) => Ear::Memory(bus.ear(sender)),
            Self::Redis(bus) => Ear::Redis(bus.ear(sender)),
        };
        Listener { ear, heard }
    }

    /// True for the first who claims `name` within `lifetime`.
    pub async fn claim(&self, name: &str, lifetime: Duration) -> Result<bool, BusError> {
        match self {
            Self::Memory(bus) => Ok(bus.claim(name, lifetime)),
            Self::Redis(bus) => bus.claim(name, lifetime).await,
        }
    }

    /// Counts one of `name`, within `lifetime` of the first: how many there are now, and how long
    /// until they are forgotten.
    pub async fn count(&self, name: &str, lifetime: Duration) -> Result<Counted, BusError> {
        match self {
            Self::Memory(bus) => Ok(bus.count(name, lifetime)),
            Self::Redis(bus) => bus.count(name, lifetime).await,
        }
    }

    /// Takes back one that was counted.
    pub async fn uncount(&self, name: &str) -> Result<(), BusError> {
        match self {
            Self::Memory(bus) => {
                bus.uncount(name);
                Ok(())
            }
            Self::Redis(bus) => bus.uncount(name).await,
        }
    }
}

impl Listener {
    /// Listens to exactly these channels from now on.
    pub fn listen_to(&self, channels: HashSet<Arc<str>>) {
        match &self.ear {
            Ear::Memory(ear) => ear.listen_to(channels),
            Ear::Redis(ear) => ear.listen_to(channels),
        }
    }

    /// The next message. `None` when the bus was stopped.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

/// What every kind of bus does; compat runs it on a real Redis, too.
pub mod conformance {
    use std::collections::HashSet;
    use std::time::Duration;

    use anyhow::{Context as _, ensure};
    use bytes::Bytes;

    use super::{Bus, Listener};

    /// Runs all checks on two handles to the same bus.
    pub async fn check(here: &Bus, there: &Bus) -> anyhow::Result<()> {
        let mut listener = here.listener();
        listener.listen_to(HashSet::from(["room a".into(), "room b".into()]));
        hear(&mut listener, there, "room a").await?;
        hear(&mut listener, there, "room b").await?;
        listener.listen_to(HashSet::from(["room b".into(), "room c".into()]));
        hear(&mut listener, there, "room c").await?;
        there.publish("room a", Bytes::from_static(b"unheard")).await?;
        there.publish("room b", Bytes::from_static(b"\x00last\xff")).await?;
        loop {
            let heard = listener.next().await.context("the bus ended")?;
            ensure!(&*heard.channel != "room a", "heard what it does not listen to any more");
            if heard.payload == b"\x00last\xff"[..] {
                break;
            }
        }
        let (name, lifetime) = (uuid::Uuid::now_v7().to_string(), Duration::from_secs(30));
        ensure!(here.claim(&name, lifetime).await?, "the first may claim");
        ensure!(!there.claim(&name, lifetime).await?, "the second may not");
        ensure!(here.count(&name, lifetime).await?.count == 1, "the first is one");
        let second = there.count(&name, lifetime).await?;
        ensure!(second.count == 2 && second.left <= lifetime, "{second:?} of two instances");
        here.uncount(&name).await?;
        ensure!(here.count(&name, lifetime).await?.count == 2, "one was taken back");
        here.uncount("never counted").await?;
        ensure!(here.count("never counted", lifetime).await?.count == 1, "less than nothing");
        here.uncount("never counted").await?;
        Ok(())
    }

    /// Publishes until it is heard: to listen takes effect soon, not at once.
    async fn hear(listener: &mut Listener, bus: &Bus, channel: &str) -> anyhow::Result<()> {
        loop {
            bus.publish(channel, Bytes::from_static(b"hello")).await?;
            let heard = tokio::time::timeout(Duration::from_millis(50), listener.next()).await;
            if let Ok(heard) = heard
                && &*heard.context("the bus ended")?.channel == channel
            {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_conforms() {
        let bus = Bus::memory();
        conformance::check(&bus, &bus.clone()).await.unwrap();
    }

    #[tokio::test]
    async fn a_listener_that_is_gone_or_slow_holds_nobody_up() {
        let bus = Bus::memory();
        let mut slow = bus.listener();
        slow.listen_to(HashSet::from(["x".into()]));
        drop({
            let gone = bus.listener();
            gone.listen_to(HashSet::from(["x".into()]));
            gone
        });
        for _ in 0..=BEHIND_MAX {
            bus.publish("x", Bytes::new()).await.unwrap();
        }
        assert!(slow.next().await.is_some());
    }
}
