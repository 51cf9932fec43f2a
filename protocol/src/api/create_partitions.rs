//! CreatePartitions: adds partitions to topics.
//!
//! | version | adds |
//! |---|---|
//! | 2 | flexible form |
//! | 3 | the error for too many changes in too short a time (KIP-599) |

crate::api! {
    /// Adds partitions to topics.
    CreatePartitions = 37, versions 0..=3, flexible 2..;

    struct Request {
        topics: Vec<Topic>,
        timeout_ms: i32,
        validate_only: bool,
    }
    struct Topic {
        name: Str,
        /// How many the topic shall have in all.
        count: i32,
        /// Where the new ones shall lie; null leaves it to the cluster.
        assignments: Option<Vec<Assignment>>,
    }
    struct Assignment {
        broker_ids: Vec<i32>,
    }

    struct Response {
        throttle_time_ms: i32,
        results: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        name: Str,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
