//! DeleteShareGroupOffsets: makes a share group forget where it stands in topics.
//!
//! Only for a group without members (KIP-932).

crate::api! {
    /// Makes a share group forget where it stands in topics.
    DeleteShareGroupOffsets = 92, versions 0..=0, flexible 0..;

    struct Request {
        group_id: Str,
        topics: Vec<Topic>,
    }
    struct Topic {
        topic_name: Str,
    }

    struct Response {
        throttle_time_ms: i32,
        /// What is wrong with the request as a whole.
        error_code: ErrorCode,
        error_message: Option<Str>,
        topics: Vec<TopicAnswer>,
    }
    struct TopicAnswer {
        topic_name: Str,
        topic_id: Uuid,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
