//! Topics that callers wait to hear of: whoever asks a broker asks for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use klamm_protocol::wire::Str;

use crate::error::{Error, Result};

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Wanted(Mutex<Wants>);

#[derive(Debug, Default)]
struct Wants {
    next: u64,
    /// In the order in which they came.
    all: BTreeMap<u64, Want>,
}

#[derive(Debug)]
struct Want {
    name: Str,
    /// Why there is no topic, once that is known.
    refused: Option<Error>,
}

/// One who waits to hear of a topic, until dropped.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    wanted: &'a Wanted,
    number: u64,
}

/// What is wanted at one moment.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) names: Vec<Str>,
    /// The first one that was not wanted yet.
    next: u64,
}

impl Wanted {
    /// From now on, this is wanted.
    pub(crate) fn want(&self, name: &Str) -> Waiter<'_> {
        let mut wants = self.lock();
        let number = wants.next;
        wants.next += 1;
        wants.all.insert(number, Want { name: name.clone(), refused: None });
        Waiter { wanted: self, number }
    }

    /// What nobody has been told of yet: to be asked for now.
    pub(crate) fn ask(&self) -> Asked {
        let wants = self.lock();
        let open = wants.all.values().filter(|want| want.refused.is_none());
        let names: BTreeSet<_> = open.map(|want| &want.name).collect();
        Asked { names: names.into_iter().cloned().collect(), next: wants.next }
    }

    /// Tells those who wanted these when they were asked for why there is none.
    pub(crate) fn refuse(&self, asked: &Asked, refused: &BTreeMap<Str, Error>) {
        for (_, want) in self.lock().all.range_mut(..asked.next) {
            if want.refused.is_none() {
                want.refused = refused.get(&want.name).cloned();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wants> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Whether somebody else has not asked in vain.
    ///
    /// # Errors
    /// Why there is no topic.
    pub(crate) fn check(&self) -> Result<()> {
        let wants = self.wanted.lock();
        let refused = wants.all.get(&self.number).and_then(|want| want.refused.clone());
        refused.map_or(Ok(()), Err)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.wanted.lock().all.remove(&self.number);
    }
}
