//! ListConfigResources: lists what has settings.
//!
//! | version | adds |
//! |---|---|
//! | 1 | resources of every type, where version 0 lists client metrics only (KIP-1142) |

crate::api! {
    /// Lists what has settings.
    ListConfigResources = 74, versions 0..=1, flexible 0..;

    struct Request {
        /// Empty asks for all.
        resource_types: Vec<i8>         [1..; must],
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        config_resources: Vec<ConfigResource>,
    }
    struct ConfigResource {
        resource_name: Str,
        /// 2 topic, 4 broker, 8 logger of a broker, 16 client metrics, 32 group.
        resource_type: i8               [1..] = 16,
    }
}
