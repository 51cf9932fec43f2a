//! UpdateFeatures: raises or lowers the feature levels of the cluster.
//!
//! | version | adds |
//! |---|---|
//! | 1 | validation without a change, and the kind of change asked for (KIP-778) |
//! | 2 | all or nothing: one error instead of one for each feature |
//!
//! Features are of KIP-584; which there are, [`api_versions`](super::api_versions) tells.

crate::api! {
    /// Raises or lowers the feature levels of the cluster.
    UpdateFeatures = 57, versions 0..=2, flexible 0..;

    struct Request {
        timeout_ms: i32 = 60000,
        feature_updates: Vec<FeatureUpdate>,
        validate_only: bool             [1..; must],
    }
    struct FeatureUpdate {
        feature: Str,
        /// Below 1 removes the feature.
        max_version_level: i16,
        allow_downgrade: bool           [..=0; must],
        /// 1 upgrade, 2 downgrade without loss, 3 downgrade that may lose metadata.
        upgrade_type: i8                [1..; must] = 1,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        results: Vec<FeatureAnswer>     [..=1],
    }
    struct FeatureAnswer {
        feature: Str,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
