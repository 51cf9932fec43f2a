//! A key-value store: in this process, or in Redis.
//!
//! It holds what can be computed anew from the log or from leases that run out: never the only
//! copy of anything. Every write is absolute, so that to write twice is to write once.

mod breaker;
mod memory;
mod redis;
mod stores;
pub mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use memory::Memory;
pub use redis::Redis;
pub use stores::{AuxiliaryKind, Side, Stores};

/// A key-value store. Cheap to clone: clones are the same store.
#[derive(Clone, Debug)]
pub struct Kv {
    backend: Backend,
    /// Set by who wants to see what happens without it.
    cut: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Backend {
    Memory(Memory),
    Redis(Redis),
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// It was cut off on purpose.
    #[error("the store is cut off")]
    Cut,
    /// It did not answer just now, and is not asked again at once.
    #[error("redis did not answer just now; it is asked again within a second")]
    Away,
    /// The key holds something of another kind.
    #[error("{0:?} holds another kind of value")]
    WrongKind(String),
    /// Redis did not answer, or refused.
    #[error("redis: {0}")]
    Redis(#[from] ::redis::RedisError),
}

/// What a call gives.
pub type Result<T> = std::result::Result<T, KvError>;

/// One thing to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The text of a key.
    Text(String),
    /// The members of a set.
    Members(String),
    /// The fields of a hash.
    Fields(String),
    /// One field of a hash.
    Field(String, String),
}

/// What was found. Where there is nothing, it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The text of a key or a field.
    Text(Option<String>),
    /// The members of a set.
    Members(BTreeSet<String>),
    /// The fields of a hash.
    Fields(BTreeMap<String, String>),
}

impl Found {
    /// The text; none if something else was asked for.
    #[must_use]
    pub fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { text } else { None }
    }

    /// The members; none if something else was asked for.
    #[must_use]
    pub fn into_members(self) -> BTreeSet<String> {
        if let Self::Members(members) = self { members } else { BTreeSet::new() }
    }

    /// The fields; none if something else was asked for.
    #[must_use]
    pub fn into_fields(self) -> BTreeMap<String, String> {
        if let Self::Fields(fields) = self { fields } else { BTreeMap::new() }
    }
}

/// One thing to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The set has this member.
    AddMember(String, String),
    /// The set does not have this member.
    RemoveMember(String, String),
    /// The set does not have this member, unless there is such a key.
    RemoveMemberWithout {
        /// The set.
        set: String,
        /// The member.
        member: String,
        /// What keeps it.
        key: String,
    },
    /// The field of the hash has this value.
    SetField(String, String, String),
    /// The hash does not have this field.
    RemoveField(String, String),
    /// The key is gone, whatever it held.
    Delete(String),
}

/// A field that tells how far a store has come, and what it must say for a write to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The hash.
    pub hash: String,
    /// Its field.
    pub field: String,
    /// What it must hold; none if it must not be there.
    pub expected: Option<String>,
    /// What it holds afterwards.
    pub value: String,
}

/// What came of a write under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marked {
    /// All was written, and the mark with it.
    Written,
    /// Nothing was written: the mark held this.
    Elsewhere(Option<String>),
}

impl Kv {
    /// A store in this process, empty.
    #[must_use]
    pub fn memory() -> Self {
        Self::of(Backend::Memory(Memory::default()))
    }

    /// Redis at an address such as `localhost:6379` or `redis://:password@host:6379/0`. It is
    /// connected to when it is first asked, and again after it was lost.
    ///
    /// # Errors
    /// The address is not one.
    pub fn redis(address: &str) -> Result<Self> {
        Ok(Self::of(Backend::Redis(Redis::new(address)?)))
    }

    fn of(backend: Backend) -> Self {
        Self { backend, cut: Arc::default() }
    }

    /// Cuts the store off, in this process, or joins it again.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    /// Whether it is cut off.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// What keys hold, all at one moment, in one round trip.
    pub async fn read(&self, reads: &[Read]) -> Result<Vec<Found>> {
        match self.connected()? {
            Backend::Memory(memory) => memory.read(reads),
            Backend::Redis(redis) => redis.read(reads).await,
        }
    }

    /// Changes keys, all or none, in one round trip.
    pub async fn write(&self, writes: &[Write]) -> Result<()> {
        match self.connected()? {
            Backend::Memory(memory) => memory.write(writes),
            Backend::Redis(redis) => redis.write(writes).await,
        }
    }

    /// Changes keys and the mark, all or none, if the mark is as expected.
    pub async fn write_marked(&self, mark: &Mark, writes: &[Write]) -> Result<Marked> {
        match self.connected()? {
            Backend::Memory(memory) => memory.write_marked(mark, writes),
            Backend::Redis(redis) => redis.write_marked(mark, writes).await,
        }
    }

    /// The text of a key.
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        let found = self.read(&[Read::Text(key.into())]).await?;
        Ok(found.into_iter().next().and_then(Found::into_text))
    }

    /// The members of a set.
    pub async fn members(&self, key: &str) -> Result<BTreeSet<String>> {
        let found = self.read(&[Read::Members(key.into())]).await?;
        Ok(found.into_iter().next().map(Found::into_members).unwrap_or_default())
    }

    /// The fields of a hash.
    pub async fn fields(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let found = self.read(&[Read::Fields(key.into())]).await?;
        Ok(found.into_iter().next().map(Found::into_fields).unwrap_or_default())
    }

    /// Has the key hold this text, for good or for a time.
    pub async fn put(&self, key: &str, text: &str, lasts: Option<Duration>) -> Result<()> {
        match self.connected()? {
            Backend::Memory(memory) => memory.put(key, text, lasts),
            Backend::Redis(redis) => redis.put(key, text, lasts).await?,
        }
        Ok(())
    }

    /// Has the key hold this text for a time if there is no such key; tells whether it did.
    pub async fn claim(&self, key: &str, text: &str, lasts: Duration) -> Result<bool> {
        match self.connected()? {
            Backend::Memory(memory) => Ok(memory.claim(key, text, lasts)),
            Backend::Redis(redis) => redis.claim(key, text, lasts).await,
        }
    }

    /// Has the key last for so long from now; tells whether it was still there.
    pub async fn renew(&self, key: &str, lasts: Duration) -> Result<bool> {
        match self.connected()? {
            Backend::Memory(memory) => Ok(memory.renew(key, lasts)),
            Backend::Redis(redis) => redis.renew(key, lasts).await,
        }
    }

    /// Deletes the key if it holds this text; tells whether it did.
    pub async fn remove_if(&self, key: &str, text: &str) -> Result<bool> {
        match self.connected()? {
            Backend::Memory(memory) => Ok(memory.remove_if(key, text)),
            Backend::Redis(redis) => redis.remove_if(key, text).await,
        }
    }

    fn connected(&self) -> Result<&Backend> {
        if self.is_cut() { Err(KvError::Cut) } else { Ok(&self.backend) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_passes_the_suite() {
        suite::conforms(&Kv::memory(), "test").await;
        suite::forgets(&Kv::memory(), "test").await;
    }

    #[tokio::test]
    async fn a_store_that_is_cut_off_says_so_and_loses_nothing() {
        let kv = Kv::memory();
        kv.put("key", "text", None).await.unwrap();
        kv.cut(true);
        assert!(matches!(kv.get("key").await, Err(KvError::Cut)));
        kv.clone().cut(false);
        assert_eq!(kv.get("key").await.unwrap().as_deref(), Some("text"));
    }
}
