//! What is to be looked at when.

use std::collections::{BTreeSet, HashMap};

use klamm_protocol::wire::Str;

/// One deadline for each name that has any, by whatever clock.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    by_time: BTreeSet<(T, Str)>,
    by_name: HashMap<Str, T>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_name: HashMap::new() }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<T> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }

    /// Has it looked at then, and not when was said before.
    pub(crate) fn set(&mut self, name: &Str, deadline: Option<T>) {
        let known = self.by_name.get(name).copied();
        if known == deadline {
            return;
        }
        if let Some(known) = known {
            self.by_time.remove(&(known, name.clone()));
        }
        match deadline {
            None => drop(self.by_name.remove(name)),
            Some(deadline) => {
                let name = name.detached();
                self.by_name.insert(name.clone(), deadline);
                self.by_time.insert((deadline, name));
            }
        }
    }

    /// Takes out a name whose time has come.
    pub(crate) fn take_due(&mut self, now: T) -> Option<Str> {
        let (deadline, _) = self.by_time.first()?;
        if *deadline > now {
            return None;
        }
        let (_, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_up_in_the_order_of_their_last_deadlines() {
        let mut timers = Timers::default();
        let (a, b) = (Str::from("a"), Str::from("b"));
        let at = std::time::Duration::from_secs;
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
