//! Which version of an API client and broker speak.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use klamm_protocol::api::api_versions;
use klamm_protocol::declare::Api;
use klamm_protocol::wire::Str;

/// The versions that one broker offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    ranges: HashMap<i16, RangeInclusive<i16>>,
    /// The levels that the cluster has agreed on.
    features: HashMap<Str, i16>,
}

impl Versions {
    pub(crate) fn from_answer(answer: &api_versions::Response) -> Self {
        let range =
            |api: &api_versions::ApiVersion| (api.api_key, api.min_version..=api.max_version);
        let level = |feature: &api_versions::FinalizedFeature| {
            (feature.name.detached(), feature.max_version_level)
        };
        Self {
            ranges: answer.api_keys.iter().map(range).collect(),
            features: answer.finalized_features.iter().map(level).collect(),
        }
    }

    /// The level of a feature that the cluster has agreed on, such as `transaction.version`; 0 if
    /// it has not.
    #[must_use]
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// The features that the cluster has agreed on and their levels, in the order of their names.
    #[must_use]
    pub fn features(&self) -> Vec<(Str, i16)> {
        let mut all: Vec<_> =
            self.features.iter().map(|(name, level)| (name.clone(), *level)).collect();
        all.sort();
        all
    }

    /// What the broker offers of the API with this number.
    #[must_use]
    pub fn of(&self, api_key: i16) -> Option<RangeInclusive<i16>> {
        self.ranges.get(&api_key).cloned()
    }

    /// Every API's number and versions, in the order of the numbers.
    #[must_use]
    pub fn all(&self) -> Vec<(i16, RangeInclusive<i16>)> {
        let mut all: Vec<_> =
            self.ranges.iter().map(|(key, range)| (*key, range.clone())).collect();
        all.sort_by_key(|(key, _)| *key);
        all
    }

    /// The newest version that both sides speak, but none above `at_most`.
    #[must_use]
    pub fn newest<A: Api>(&self, at_most: i16) -> Option<i16> {
        let theirs = self.ranges.get(&A::KEY)?;
        let newest = (*theirs.end()).min(*A::VERSIONS.end()).min(at_most);
        (newest >= *theirs.start() && newest >= *A::VERSIONS.start()).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_protocol::api::api_versions::{ApiVersion, FinalizedFeature, Response};
    use klamm_protocol::api::produce::Produce;

    #[test]
    fn a_feature_counts_once_the_cluster_has_agreed() {
        let finalized = FinalizedFeature {
            name: "transaction.version".into(),
            max_version_level: 2,
            min_version_level: 0,
        };
        let answer = Response { finalized_features: vec![finalized], ..Response::default() };
        let versions = Versions::from_answer(&answer);
        assert_eq!(versions.feature("transaction.version"), 2);
        assert_eq!(versions.feature("group.version"), 0);
    }

    #[test]
    fn the_newest_common_version_is_taken() {
        let check = |min_version, max_version, at_most, expected| {
            let api_keys = vec![ApiVersion { api_key: 0, min_version, max_version }];
            let versions = Versions::from_answer(&Response { api_keys, ..Response::default() });
            assert_eq!(versions.newest::<Produce>(at_most), expected);
        };
        check(0, 13, i16::MAX, Some(13));
        check(0, 99, i16::MAX, Some(13));
        check(0, 7, i16::MAX, Some(7));
        check(0, 13, 12, Some(12));
        check(0, 2, i16::MAX, None);
        check(14, 20, i16::MAX, None);
        check(13, 13, 12, None);
        assert_eq!(Versions::default().newest::<Produce>(i16::MAX), None);
    }
}
