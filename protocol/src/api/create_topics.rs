//! CreateTopics: creates topics.
//!
//! | version | adds |
//! |---|---|
//! | 1 | validation without creation, and error messages |
//! | 2 | throttle time |
//! | 4 | -1 for the default number of partitions and replicas (KIP-464) |
//! | 5 | flexible form; answers tell partitions, replicas and settings (KIP-525) |
//! | 6 | the error for too many changes in too short a time (KIP-599) |
//! | 7 | topic ids in answers (KIP-516) |

crate::api! {
    /// Creates topics.
    CreateTopics = 19, versions 0..=7, flexible 5..;

    struct Request {
        topics: Vec<Topic>,
        timeout_ms: i32 = 60000,
        validate_only: bool             [1..; must],
    }
    struct Topic {
        name: Str,
        /// -1 for the default, or where assignments are given.
        num_partitions: i32,
        /// -1 for the default, or where assignments are given.
        replication_factor: i16,
        /// Where each partition shall lie; empty leaves it to the cluster.
        assignments: Vec<Assignment>,
        configs: Vec<Config>,
    }
    struct Assignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }
    struct Config {
        name: Str,
        value: Option<Str>,
    }

    struct Response {
        throttle_time_ms: i32           [2..],
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str,
        topic_id: Uuid                  [7..],
        error_code: ErrorCode,
        error_message: Option<Str>      [1..],
        /// -1 where unknown.
        num_partitions: i32             [5..] = -1,
        /// -1 where unknown.
        replication_factor: i16         [5..] = -1,
        /// Null where they may not be seen.
        configs: Option<Vec<ConfigAnswer>> [5..];
        tagged {
            /// Why `configs` is null, if it is.
            0 => topic_config_error_code: ErrorCode [5..],
        }
    }
    struct ConfigAnswer {
        name: Str,
        value: Option<Str>,
        read_only: bool,
        /// As in DescribeConfigs; -1 unknown.
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}
