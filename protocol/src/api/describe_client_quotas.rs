//! DescribeClientQuotas: to be described.

crate::api! {
    /// To be described.
    DescribeClientQuotas = 48, versions 0..=1, flexible 1..;

    struct Request {
        components: Vec<Component>,
        strict: bool,
    }
    struct Component {
        entity_type: Str,
        match_type: i8,
        match_value: Option<Str>,
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        entries: Option<Vec<Entry>>,
    }
    struct Entry {
        entity: Vec<Entity>,
        values: Vec<Value>,
    }
    struct Entity {
        entity_type: Str,
        entity_name: Option<Str>,
    }
    struct Value {
        key: Str,
        value: f64,
    }
}
