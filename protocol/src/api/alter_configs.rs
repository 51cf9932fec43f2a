//! AlterConfigs: replaces all settings of a resource at once.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//!
//! Settings that are not named go back to their defaults; [`super::incremental_alter_configs`]
//! leaves them alone.

crate::api! {
    /// Replaces all settings of a resource at once.
    AlterConfigs = 33, versions 0..=2, flexible 2..;

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
        /// Null stands for the default.
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
