//! The regular expressions over the names of topics that a group has.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use klamm_protocol::wire::Str;
use regex_lite::{Error, Regex};

use super::topics::Topics;
use crate::regex;

/// The patterns of a group, each compiled once.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled(BTreeMap<Str, Regex>);

impl Compiled {
    /// Takes a pattern in, if it is not there.
    ///
    /// # Errors
    /// It is no regular expression, or one that is too large.
    pub(super) fn add(&mut self, pattern: &Str) -> Result<&Regex, Error> {
        Ok(match self.0.entry(pattern.detached()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(regex::whole(pattern)?),
        })
    }

    /// The topics whose names a pattern matches; none if it is no regular expression.
    pub(super) fn matching(&mut self, pattern: &Str, topics: &Topics) -> BTreeSet<Str> {
        let Ok(regex) = self.add(pattern) else { return BTreeSet::new() };
        topics.names().filter(|name| regex.is_match(name)).cloned().collect()
    }

    /// Keeps the patterns that members use.
    pub(super) fn retain(&mut self, used: &BTreeSet<Str>) {
        self.0.retain(|pattern, _| used.contains(pattern));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_not_kept() {
        let mut compiled = Compiled::default();
        let (used, unused, bad) = ("a.*".into(), "b.*".into(), "(".into());
        assert!(compiled.add(&used).is_ok() && compiled.add(&unused).is_ok());
        assert!(compiled.add(&bad).is_err());
        compiled.retain(&BTreeSet::from([used.clone()]));
        assert_eq!(compiled.0.keys().collect::<Vec<_>>(), [&used]);
    }
}
