//! ApiVersions: which APIs and versions a broker serves.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | flexible form, the client's software (KIP-511), the broker's features (KIP-584) |
//! | 4 | features whose lowest version is 0 |
//!
//! The answer has response header 0 at every version: see [`crate::header`].

crate::api! {
    /// Asks which APIs and versions a broker serves.
    ApiVersions = 18, versions 0..=4, flexible 3..;

    struct Request {
        client_software_name: Str           [3..],
        client_software_version: Str        [3..],
    }

    struct Response {
        error_code: ErrorCode,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32               [1..];
        tagged {
            0 => supported_features: Vec<SupportedFeature> [3..],
            1 => finalized_features_epoch: i64             [3..] = -1,
            2 => finalized_features: Vec<FinalizedFeature> [3..],
            3 => zk_migration_ready: bool                  [3..],
        }
    }
    struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }
    struct SupportedFeature {
        name: Str,
        min_version: i16,
        max_version: i16,
    }
    struct FinalizedFeature {
        name: Str,
        max_version_level: i16,
        min_version_level: i16,
    }
}
