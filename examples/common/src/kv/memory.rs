//! The store of one process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Found, KvError, Mark, Marked, Read, Result, Write};

/// Keys and what they hold. The lock guards one map, and is never held across an await.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<HashMap<String, Held>>>);

#[derive(Debug)]
enum Held {
    Text { text: String, until: Option<Instant> },
    Set(BTreeSet<String>),
    Hash(BTreeMap<String, String>),
}

impl Held {
    fn is_over(&self) -> bool {
        matches!(self, Self::Text { until: Some(until), .. } if *until <= Instant::now())
    }
}

type Keys = HashMap<String, Held>;

impl Memory {
    pub(super) fn read(&self, reads: &[Read]) -> Result<Vec<Found>> {
        let keys = self.lock();
        reads.iter().map(|read| read_one(&keys, read)).collect()
    }

    pub(super) fn write(&self, writes: &[Write]) -> Result<()> {
        write_all(&mut self.lock(), writes)
    }

    pub(super) fn write_marked(&self, mark: &Mark, writes: &[Write]) -> Result<Marked> {
        let mut keys = self.lock();
        let held = read_one(&keys, &Read::Field(mark.hash.clone(), mark.field.clone()))?;
        let held = held.into_text();
        if held != mark.expected {
            return Ok(Marked::Elsewhere(held));
        }
        write_all(&mut keys, writes)?;
        let (hash, field, value) = (mark.hash.clone(), mark.field.clone(), mark.value.clone());
        write_all(&mut keys, &[Write::SetField(hash, field, value)])?;
        Ok(Marked::Written)
    }

    pub(super) fn put(&self, key: &str, text: &str, lasts: Option<Duration>) {
        self.lock().insert(key.into(), held_text(text, lasts));
    }

    pub(super) fn claim(&self, key: &str, text: &str, lasts: Duration) -> bool {
        let mut keys = self.lock();
        if keys.get(key).is_some_and(|held| !held.is_over()) {
            return false;
        }
        keys.insert(key.into(), held_text(text, Some(lasts)));
        true
    }

    pub(super) fn renew(&self, key: &str, lasts: Duration) -> bool {
        match self.lock().get_mut(key) {
            Some(held) if held.is_over() => false,
            Some(Held::Text { until, .. }) => {
                *until = Some(Instant::now() + lasts);
                true
            }
            _ => false,
        }
    }

    pub(super) fn remove_if(&self, key: &str, expected: &str) -> bool {
        let mut keys = self.lock();
        let is_it = matches!(
            keys.get(key),
            Some(held @ Held::Text { text, .. }) if text == expected && !held.is_over()
        );
        if is_it {
            keys.remove(key);
        }
        is_it
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held_text(text: &str, lasts: Option<Duration>) -> Held {
    Held::Text { text: text.into(), until: lasts.map(|lasts| Instant::now() + lasts) }
}

fn read_one(keys: &Keys, read: &Read) -> Result<Found> {
    let held = |key: &String| keys.get(key).filter(|held| !held.is_over());
    match read {
        Read::Text(key) => match held(key) {
            None => Ok(Found::Text(None)),
            Some(Held::Text { text, .. }) => Ok(Found::Text(Some(text.clone()))),
            Some(_) => Err(KvError::WrongKind(key.clone())),
        },
        Read::Members(key) => match held(key) {
            None => Ok(Found::Members(BTreeSet::new())),
            Some(Held::Set(members)) => Ok(Found::Members(members.clone())),
            Some(_) => Err(KvError::WrongKind(key.clone())),
        },
        Read::Fields(key) => match held(key) {
            None => Ok(Found::Fields(BTreeMap::new())),
            Some(Held::Hash(fields)) => Ok(Found::Fields(fields.clone())),
            Some(_) => Err(KvError::WrongKind(key.clone())),
        },
        Read::Field(key, field) => match held(key) {
            None => Ok(Found::Text(None)),
            Some(Held::Hash(fields)) => Ok(Found::Text(fields.get(field).cloned())),
            Some(_) => Err(KvError::WrongKind(key.clone())),
        },
    }
}

/// All or none: what a key holds is looked at before anything is changed.
fn write_all(keys: &mut Keys, writes: &[Write]) -> Result<()> {
    for write in writes {
        let (key, fits) = match write {
            Write::Delete(_) => continue,
            Write::AddMember(key, _)
            | Write::RemoveMember(key, _)
            | Write::RemoveMemberWithout { set: key, .. } => {
                (key, matches!(keys.get(key), None | Some(Held::Set(_))))
            }
            Write::SetField(key, ..) | Write::RemoveField(key, _) => {
                (key, matches!(keys.get(key), None | Some(Held::Hash(_))))
            }
        };
        if !fits {
            return Err(KvError::WrongKind(key.clone()));
        }
    }
    for write in writes {
        write_one(keys, write);
    }
    Ok(())
}

/// A set or a hash goes with its last member.
fn write_one(keys: &mut Keys, write: &Write) {
    match write {
        Write::AddMember(key, member) => {
            let held = keys.entry(key.clone()).or_insert_with(|| Held::Set(BTreeSet::new()));
            if let Held::Set(members) = held {
                members.insert(member.clone());
            }
        }
        Write::SetField(key, field, value) => {
            let held = keys.entry(key.clone()).or_insert_with(|| Held::Hash(BTreeMap::new()));
            if let Held::Hash(fields) = held {
                fields.insert(field.clone(), value.clone());
            }
        }
        Write::RemoveMember(key, member) => remove_member(keys, key, member),
        Write::RemoveMemberWithout { set, member, key } => {
            if !keys.contains_key(key) {
                remove_member(keys, set, member);
            }
        }
        Write::RemoveField(key, field) => {
            if let Some(Held::Hash(fields)) = keys.get_mut(key) {
                fields.remove(field);
                if fields.is_empty() {
                    keys.remove(key);
                }
            }
        }
        Write::Delete(key) => {
            keys.remove(key);
        }
    }
}

fn remove_member(keys: &mut Keys, key: &str, member: &str) {
    if let Some(Held::Set(members)) = keys.get_mut(key) {
        members.remove(member);
        if members.is_empty() {
            keys.remove(key);
        }
    }
}
