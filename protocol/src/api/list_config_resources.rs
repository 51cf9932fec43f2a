//! ListConfigResources: to be described.

crate::api! {
    /// To be described.
    ListConfigResources = 74, versions 0..=1, flexible 0..;

    struct Request {
        resource_types: Vec<i8>         [1..; must],
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        config_resources: Vec<ConfigResource>,
    }
    struct ConfigResource {
        resource_name: Str,
        /// 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8               [1..] = 16,
    }
}
