//! DescribeGroups: to be described.

crate::api! {
    /// To be described.
    DescribeGroups = 15, versions 0..=6, flexible 5..;

    struct Request {
        groups: Vec<Str>,
        include_authorized_operations: bool [3..; must],
    }

    struct Response {
        throttle_time_ms: i32           [1..],
        groups: Vec<GroupAnswer>,
    }
    struct GroupAnswer {
        error_code: ErrorCode,
        error_message: Option<Str>      [6..],
        group_id: Str,
        group_state: Str,
        protocol_type: Str,
        protocol_data: Str,
        members: Vec<Member>,
        /// One bit for each permitted operation; `i32::MIN` where it was not asked for.
        authorized_operations: i32      [3..] = i32::MIN,
    }
    struct Member {
        member_id: Str,
        group_instance_id: Option<Str>  [4..],
        client_id: Str,
        client_host: Str,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}
