//! ListPartitionReassignments: lists the partitions that are moving to other brokers. Version 0.
//!
//! There are no other brokers, so there are none.

use klamm_protocol::api::list_partition_reassignments::{Request, Response};

use crate::server::{Call, Reply};

pub(crate) async fn handle(_call: Call, _request: Request) -> Reply<Response> {
    Reply::Now(Response::default())
}
