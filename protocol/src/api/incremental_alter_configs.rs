//! IncrementalAlterConfigs: changes single settings and leaves the others as they are.
//!
//! | version | adds |
//! |---|---|
//! | 1 | flexible form |

crate::api! {
    /// Changes single settings and leaves the others as they are.
    IncrementalAlterConfigs = 44, versions 0..=1, flexible 1..;

    struct Request {
        resources: Vec<Resource>,
        validate_only: bool,
    }
    struct Resource {
        /// 2 topic, 4 broker, 8 logger of a broker, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
        configs: Vec<Config>,
    }
    struct Config {
        name: Str,
        /// 0 set, 1 delete, 2 append to a list, 3 remove from a list.
        config_operation: i8,
        /// Null when the setting is deleted.
        value: Option<Str>,
    }

    struct Response {
        throttle_time_ms: i32,
        responses: Vec<ResourceAnswer>,
    }
    struct ResourceAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// 2 topic, 4 broker, 8 logger of a broker, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: Str,
    }
}
