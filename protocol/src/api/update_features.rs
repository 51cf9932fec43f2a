//! UpdateFeatures: to be described.

crate::api! {
    /// To be described.
    UpdateFeatures = 57, versions 0..=2, flexible 0..;

    struct Request {
        timeout_ms: i32 = 60000,
        feature_updates: Vec<FeatureUpdate>,
        validate_only: bool             [1..; must],
    }
    struct FeatureUpdate {
        feature: Str,
        max_version_level: i16,
        allow_downgrade: bool           [..=0; must],
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
