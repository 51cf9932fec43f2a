//! DeleteTopics: deletes topics.
//!
//! | version | adds |
//! |---|---|
//! | 1 | throttle time |
//! | 3 | the error for clusters in which deletion is disabled (KIP-322) |
//! | 4 | flexible form |
//! | 5 | error messages, and the error for too many changes in too short a time (KIP-599) |
//! | 6 | topics by id (KIP-516) |

crate::api! {
    /// Deletes topics.
    DeleteTopics = 20, versions 0..=6, flexible 4..;

    struct Request {
        topics: Vec<Topic>              [6..; must],
        topic_names: Vec<Str>           [..=5],
        timeout_ms: i32,
    }
    struct Topic {
        /// Null where the id is given.
        name: Option<Str>,
        topic_id: Uuid,
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        /// Null where the request had an id that is not known, or that may not be seen.
        name: Option<Str>               [.., null 6..] = Some(Str::default()),
        topic_id: Uuid                  [6..],
        error_code: ErrorCode,
        error_message: Option<Str>      [5..],
    }
}
