//! FindCoordinator: finds the broker that coordinates a group, a transaction or a share partition.
//!
//! | version | adds |
//! |---|---|
//! | 1 | the type of the key, throttle time and error messages (KIP-98) |
//! | 3 | flexible form |
//! | 4 | many keys at once (KIP-699) |
//! | 5 | the error TRANSACTION_ABORTABLE (KIP-890) |
//! | 6 | share groups (KIP-932) |

crate::api! {
    /// Finds the broker that coordinates a group, a transaction or a share partition.
    FindCoordinator = 10, versions 0..=6, flexible 3..;

    struct Request {
        key: Str                        [..=3; must],
        /// 0 group, 1 transactional id, 2 share partition (`group:topic id:partition`).
        key_type: i8                    [1..; must],
        coordinator_keys: Vec<Str>      [4..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        error_code: ErrorCode           [..=3],
        error_message: Option<Str>      [1..=3],
        /// -1 on error.
        node_id: i32                    [..=3],
        host: Str                       [..=3],
        port: i32                       [..=3],
        coordinators: Vec<Coordinator>  [4..],
    }
    struct Coordinator {
        key: Str,
        /// -1 on error.
        node_id: i32,
        host: Str,
        port: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
