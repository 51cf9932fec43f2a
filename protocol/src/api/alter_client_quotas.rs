//! AlterClientQuotas: sets or removes limits for clients.
//!
//! | version | adds |
//! |---|---|
//! | 1 | flexible form |
//!
//! Entities are named as in [`describe_client_quotas`](super::describe_client_quotas) (KIP-546).

crate::api! {
    /// Sets or removes limits for clients.
    AlterClientQuotas = 49, versions 0..=1, flexible 1..;

    struct Request {
        entries: Vec<Entry>,
        validate_only: bool,
    }
    struct Entry {
        entity: Vec<Entity>,
        ops: Vec<Op>,
    }
    struct Entity {
        /// `user`, `client-id` or `ip`.
        entity_type: Str,
        /// Null for the default.
        entity_name: Option<Str>,
    }
    struct Op {
        /// Such as `producer_byte_rate`, `consumer_byte_rate` or `request_percentage`.
        key: Str,
        /// Ignored where the limit is removed.
        value: f64,
        remove: bool,
    }

    struct Response {
        throttle_time_ms: i32,
        entries: Vec<EntryAnswer>,
    }
    struct EntryAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>,
        entity: Vec<Entity>,
    }
}
