//! DescribeCluster: describes the brokers or the controllers of the cluster.
//!
//! | version | adds |
//! |---|---|
//! | 1 | brokers or controllers, as asked (KIP-919) |
//! | 2 | fenced brokers, if asked for (KIP-1073) |

crate::api! {
    /// Describes the brokers or the controllers of the cluster.
    DescribeCluster = 60, versions 0..=2, flexible 0..;

    struct Request {
        include_cluster_authorized_operations: bool,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8               [1..; must] = 1,
        include_fenced_brokers: bool    [2..; must],
    }

    struct Response {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8               [1..] = 1,
        cluster_id: Str,
        /// -1 where none is known.
        controller_id: i32 = -1,
        brokers: Vec<Broker>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        cluster_authorized_operations: i32 = i32::MIN,
    }
    struct Broker {
        broker_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
        is_fenced: bool                 [2..],
    }
}
