//! AlterClientQuotas: to be described.

crate::api! {
    /// To be described.
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
        entity_type: Str,
        entity_name: Option<Str>,
    }
    struct Op {
        key: Str,
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
