//! Which group is to be looked at when.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use klamm_protocol::wire::Str;

/// One deadline for each group that has any.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Duration, Str)>,
    by_group: HashMap<Str, Duration>,
}

impl Timers {
    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }

    /// Has a group looked at then, and not when was said before.
    pub(super) fn set(&mut self, group: &Str, deadline: Option<Duration>) {
        let known = self.by_group.get(group).copied();
        if known == deadline {
            return;
        }
        if let Some(known) = known {
            self.by_time.remove(&(known, group.clone()));
        }
        match deadline {
            None => drop(self.by_group.remove(group)),
            Some(deadline) => {
                let group = group.detached();
                self.by_group.insert(group.clone(), deadline);
                self.by_time.insert((deadline, group));
            }
        }
    }

    /// Takes out a group whose time has come.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Str> {
        let (deadline, _) = self.by_time.first()?;
        if *deadline > now {
            return None;
        }
        let (_, group) = self.by_time.pop_first()?;
        self.by_group.remove(&group);
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_up_in_the_order_of_their_last_deadlines() {
        let mut timers = Timers::default();
        let (a, b) = (Str::from("a"), Str::from("b"));
        let at = Duration::from_secs;
        timers.set(&a, Some(at(1)));
        timers.set(&b, Some(at(2)));
        timers.set(&a, Some(at(3)));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.take_due(at(1)), None);
        assert_eq!(timers.take_due(at(4)), Some(b.clone()));
        timers.set(&a, None);
        assert_eq!((timers.take_due(at(9)), timers.next()), (None, None));
    }
}
