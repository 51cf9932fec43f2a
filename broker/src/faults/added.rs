use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use klamm_utils::random::Random;
use tokio::sync::watch;

use super::Fault;

/// A fault that a broker has.
///
/// Dropping this does not take the fault away.
#[derive(Clone, Debug)]
pub struct AddedFault(Arc<Armed>);

impl AddedFault {
    pub(super) fn new(armed: Arc<Armed>) -> Self {
        Self(armed)
    }

    /// How many requests it has struck.
    #[must_use]
    pub fn strikes(&self) -> u64 {
        *self.0.strikes.borrow()
    }

    /// Waits until it has struck as many requests.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub async fn struck(&self, times: u64) {
        let mut strikes = self.0.strikes.subscribe();
        // It cannot fail: the sender is in `self`.
        let _ = strikes.wait_for(|strikes| *strikes >= times).await;
    }

    /// Takes the fault away.
    pub fn remove(&self) {
        self.0.removed.store(true, Ordering::Release);
    }
}

/// A fault and how far it has come.
#[derive(Debug)]
pub(crate) struct Armed {
    fault: Fault,
    removed: AtomicBool,
    progress: Mutex<Progress>,
    strikes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Progress {
    /// Requests that it could have struck.
    seen: u64,
    random: Random,
}

impl Armed {
    pub(super) fn new(fault: Fault) -> Self {
        let seed = fault.chance.map_or(0, |chance| chance.seed);
        let progress = Mutex::new(Progress { seen: 0, random: Random::seeded(seed) });
        let removed = AtomicBool::new(false);
        Self { fault, removed, progress, strikes: watch::Sender::new(0) }
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Whether it will never strike again.
    pub(super) fn is_spent(&self) -> bool {
        let spent = self.fault.times.is_some_and(|times| *self.strikes.borrow() >= times);
        spent || self.removed.load(Ordering::Acquire)
    }

    /// Decides whether to strike a request that it is for.
    pub(crate) fn strikes(&self) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_spent() {
            return false;
        }
        progress.seen += 1;
        let drawn =
            self.fault.chance.map(|chance| (progress.random.fraction(), chance.probability));
        let strikes = progress.seen > self.fault.after
            && drawn.is_none_or(|(drawn, probability)| drawn < probability);
        if strikes {
            self.strikes.send_modify(|strikes| *strikes += 1);
        }
        strikes
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::api::ApiKey;

    use super::*;

    fn check(fault: Fault, struck: &[bool]) {
        let armed = Armed::new(fault);
        let strikes: Vec<_> = struck.iter().map(|_| armed.strikes()).collect();
        assert_eq!(strikes, struck);
    }

    #[test]
    fn it_spares_and_strikes_as_often_as_it_is_told() {
        let fault = || Fault::hang_up(ApiKey::Fetch);
        check(fault(), &[true, true, true]);
        check(fault().times(2), &[true, true, false, false]);
        check(fault().after(1).times(1), &[false, true, false]);
        check(fault().times(0), &[false]);
        check(fault().at_random(0.0, 1), &[false, false]);
        check(fault().at_random(1.0, 1).times(1), &[true, false]);
    }

    #[test]
    fn a_seed_repeats() {
        let draw = |seed| {
            let armed = Armed::new(Fault::hang_up(ApiKey::Fetch).at_random(0.5, seed));
            (0..64).map(|_| armed.strikes()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
