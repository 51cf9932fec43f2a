//! DescribeClientQuotas: lists the limits set for clients.
//!
//! | version | adds |
//! |---|---|
//! | 1 | flexible form |
//!
//! An entity is a user, a client id, an address (`ip`), or a user together with a client id
//! (KIP-546).

crate::api! {
    /// Lists the limits set for clients.
    DescribeClientQuotas = 48, versions 0..=1, flexible 1..;

    struct Request {
        components: Vec<Component>,
        /// Whether to leave out entities with parts that no component names.
        strict: bool,
    }
    struct Component {
        /// `user`, `client-id` or `ip`.
        entity_type: Str,
        /// 0 the name given, 1 the default, 2 any name.
        match_type: i8,
        /// The name; null unless that is what to match.
        match_value: Option<Str>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// Null on error.
        entries: Option<Vec<Entry>>,
    }
    struct Entry {
        entity: Vec<Entity>,
        values: Vec<Value>,
    }
    struct Entity {
        entity_type: Str,
        /// Null for the default.
        entity_name: Option<Str>,
    }
    struct Value {
        /// Such as `producer_byte_rate`, `consumer_byte_rate` or `request_percentage`.
        key: Str,
        value: f64,
    }
}
