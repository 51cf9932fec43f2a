//! The auxiliary's share of a partition: it is read first, and counts for nothing.

use std::sync::Arc;

use common::kv::{AuxiliaryKind, Kv, Stores};
use klamm_utils::clock::{Clock as _, SystemClock};

use crate::fill::Fill;
use crate::follower::{Follower, Stand, Step};
use crate::marks::Place;

/// Records that one which is away may miss. One that has missed more is filled from the master.
const MISSED_RECORDS_MAX: usize = 10_000;

/// The auxiliary, as one worker sees it.
#[derive(Debug)]
pub(crate) struct Auxiliary {
    kv: Kv,
    place: Place,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A replica of the master's own making: what it does not take it hears from its master.
    Replica,
    /// A store by itself that has everything, or lacks what is known here.
    Follows(Follower),
    /// It lacks what is not known here any more.
    Lacks,
    /// It is filled from the master.
    Fills(Fill),
}

impl Auxiliary {
    /// The auxiliary of a worker that begins at `told`.
    pub(crate) fn new(stores: &Stores, place: &Place, told: i64) -> Self {
        let kv = stores.auxiliary.clone();
        let state = match stores.kind {
            AuxiliaryKind::RedisReplica => State::Replica,
            AuxiliaryKind::Separate => {
                State::Follows(Follower::new(kv.clone(), place.clone(), told, None))
            }
        };
        Self { kv, place: place.clone(), state }
    }

    /// Writes what came of some records; tells whether it did.
    pub(crate) async fn write(&mut self, step: &Arc<Step>) -> bool {
        match &mut self.state {
            State::Replica => match self.kv.write(&step.writes).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, self.place.partition, "the replica was not written to");
                    false
                }
            },
            State::Follows(follower) => {
                follower.push(step.clone());
                if follower.records() > MISSED_RECORDS_MAX {
                    self.state = State::Lacks;
                    return false;
                }
                // Who is away is asked again by and by.
                if follower.is_away() {
                    return false;
                }
                self.settle().await
            }
            State::Lacks => false,
            State::Fills(fill) => match fill.step(&self.kv, step).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, self.place.partition, "the auxiliary is not filled");
                    self.state = State::Lacks;
                    false
                }
            },
        }
    }

    /// What is done every second: it hears what it has missed, or begins to be filled from the
    /// master, which has everything before `settled`, if that is everything there is.
    pub(crate) async fn look_after(&mut self, master: &Kv, settled: Option<i64>, current: bool) {
        if matches!(self.state, State::Follows(_)) && self.settle().await && current {
            self.sign_of_life().await;
        }
        if let (State::Lacks, Some(end)) = (&self.state, settled) {
            match Fill::begin(&self.place, (master, &self.kv), end).await {
                Ok(fill) => self.state = State::Fills(fill),
                Err(error) => {
                    tracing::debug!(%error, self.place.partition, "the auxiliary is not filled yet");
                }
            }
        }
    }

    /// Whether it is where the worker is, so that it learns of a step without records: one that is
    /// ahead takes it for known, one that is away would keep it waiting.
    pub(crate) fn is_at(&self, reached: i64) -> bool {
        match &self.state {
            State::Replica => true,
            State::Follows(follower) => {
                follower.is_settled() && follower.reached() == Some(reached)
            }
            State::Lacks | State::Fills(_) => false,
        }
    }

    pub(crate) fn is_filled(&self) -> bool {
        matches!(self.state, State::Fills(_))
    }

    /// Goes on with the filling, with the master at `end`.
    pub(crate) async fn fill(&mut self, master: &Kv, end: i64) {
        let State::Fills(fill) = &mut self.state else { return };
        match fill.piece((master, &self.kv), end).await {
            Ok(false) => {}
            Ok(true) => {
                let (kv, place) = (self.kv.clone(), self.place.clone());
                self.state = State::Follows(Follower::new(kv, place, end, Some(end)));
                self.sign_of_life().await;
            }
            Err(error) => {
                tracing::debug!(%error, self.place.partition, "the auxiliary is filled later");
                self.state = State::Lacks;
            }
        }
    }

    async fn settle(&mut self) -> bool {
        let State::Follows(follower) = &mut self.state else { return false };
        match follower.settle().await {
            // One that is ahead knows it: this worker does again what the master has lost.
            Ok(Stand::Settled | Stand::Ahead) => true,
            Ok(Stand::Behind) => {
                self.state = State::Lacks;
                false
            }
            Err(error) => {
                tracing::debug!(%error, self.place.partition, "the auxiliary is not there");
                false
            }
        }
    }

    /// Says that it knows everything up to now.
    async fn sign_of_life(&self) {
        let State::Follows(follower) = &self.state else { return };
        let Some(reached) = follower.reached() else { return };
        let at = self.place.at(reached);
        let sign = self.place.sign_of_life(SystemClock::new().now_ms());
        if let Err(error) =
            self.kv.write_marked(&self.place.mark(Some(at.clone()), at), &[sign]).await
        {
            tracing::debug!(%error, self.place.partition, "the auxiliary is not there");
        }
    }
}
