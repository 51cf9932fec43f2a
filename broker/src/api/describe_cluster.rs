//! DescribeCluster: says who is in the cluster. Versions 0 to 2.
//!
//! Only brokers can be asked for: a controller has no listener of its own here.

use klamm_protocol::api::describe_cluster::{Broker, Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::operations;
use crate::server::{Call, Reply};

/// The endpoint type that stands for brokers (KIP-919).
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    if request.endpoint_type != BROKERS {
        return Reply::Now(refuse(request.endpoint_type));
    }
    let node = &call.node;
    let advertised = &call.peer.advertised;
    let broker = Broker {
        broker_id: node.id(),
        host: advertised.host.as_str().into(),
        port: i32::from(advertised.port),
        rack: node.config().rack.as_deref().map(Into::into),
        ..Broker::default()
    };
    Reply::Now(Response {
        cluster_id: node.cluster_id(),
        controller_id: node.id(),
        brokers: vec![broker],
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            operations::CLUSTER
        } else {
            operations::NOT_ASKED
        },
        ..Response::default()
    })
}

fn refuse(endpoint_type: i8) -> Response {
    let (error_code, message) = if endpoint_type == CONTROLLERS {
        let message = "The request was sent to an endpoint of type BROKER, but we wanted an \
                       endpoint of type CONTROLLER";
        (ErrorCode::MISMATCHED_ENDPOINT_TYPE, message.to_owned())
    } else {
        let message = format!("Unsupported endpoint type {endpoint_type}");
        (ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, message)
    };
    Response { error_code, error_message: Some(message.into()), ..Response::default() }
}
