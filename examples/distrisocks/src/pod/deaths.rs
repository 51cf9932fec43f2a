//! Which pods are taken for dead.
//!
//! A lease that has run out says little: whoever could not reach the registry has none, either. A
//! pod is dead when it was seen without one for as long as a lease lasts, by looks that followed
//! each other and were all answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// What earlier looks have seen.
#[derive(Debug)]
pub(super) struct Deaths {
    /// For how long a pod must be seen dead.
    lease: Duration,
    since: BTreeMap<String, Instant>,
    looked: Option<Instant>,
}

/// What a look says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Those whose leases have run out since the last look.
    pub(super) silent: Vec<String>,
    /// Those that are dead.
    pub(super) dead: Vec<String>,
}

impl Deaths {
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, since: BTreeMap::new(), looked: None }
    }

    /// The registry has these pods without a lease; none if it did not answer.
    pub(super) fn look(&mut self, without: Option<&BTreeSet<String>>, now: Instant) -> Seen {
        let gap = self.looked.is_some_and(|looked| now.duration_since(looked) > self.lease / 2);
        let Some(without) = without.filter(|_| !gap) else {
            self.since.clear();
            self.looked = None;
            return Seen::default();
        };
        self.looked = Some(now);
        self.since.retain(|pod, _| without.contains(pod));
        let mut seen = Seen::default();
        for pod in without {
            let since = *self.since.entry(pod.clone()).or_insert_with(|| {
                seen.silent.push(pod.clone());
                now
            });
            if now.duration_since(since) >= self.lease {
                seen.dead.push(pod.clone());
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What looks a second apart say of "pod-2"; each is told whether that has a lease, or nothing.
    fn looks(answers: &[Option<bool>]) -> Vec<Seen> {
        let mut deaths = Deaths::new(3 * SECOND);
        let mut now = Instant::now();
        let mut seen = Vec::new();
        for lives in answers {
            now += SECOND;
            let without = lives.map(|lives| if lives { names(&[]) } else { names(&["pod-2"]) });
            seen.push(deaths.look(without.as_ref(), now));
        }
        seen
    }

    #[test]
    fn a_pod_is_dead_when_it_was_silent_for_a_whole_lease() {
        let seen = looks(&[Some(true), Some(false), Some(false), Some(false), Some(false)]);
        let silent: Vec<_> = seen.iter().map(|seen| seen.silent.len()).collect();
        let dead: Vec<_> = seen.iter().map(|seen| seen.dead.len()).collect();
        assert_eq!((silent, dead), (vec![0, 1, 0, 0, 0], vec![0, 0, 0, 0, 1]));
    }

    /// It was: the first pod that saw the registry again cleared up after all others.
    #[test]
    fn no_pod_is_dead_because_the_registry_was_away() {
        let mut answers = vec![Some(true)];
        answers.extend([None; 9]);
        // All leases have run out; pods renew theirs one after the other.
        answers.extend([Some(false), Some(false), Some(true), Some(true)]);
        assert!(looks(&answers).iter().all(|seen| seen.dead.is_empty()));
        // An answer that is missing in between begins it anew.
        let seen = looks(&[Some(false), Some(false), None, Some(false), Some(false), Some(false)]);
        assert!(seen.iter().all(|seen| seen.dead.is_empty()));
    }

    #[test]
    fn who_was_stopped_itself_has_seen_nothing_meanwhile() {
        let mut deaths = Deaths::new(3 * SECOND);
        let (now, without) = (Instant::now(), names(&["pod-2"]));
        deaths.look(Some(&without), now);
        assert_eq!(deaths.look(Some(&without), now + 9 * SECOND), Seen::default());
    }
}
