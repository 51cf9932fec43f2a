//! ListConfigResources: names everything that has settings. Versions 0 and 1.

use klamm_protocol::api::list_config_resources::{ConfigResource, Request, Response};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::catalog::Image;
use crate::catalog::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::server::{Call, Reply};

/// All kinds, in the order in which Kafka tells them.
const KINDS: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let asked = match (call.version, request.resource_types.as_slice()) {
        (0, _) => &[CLIENT_METRICS],
        (_, []) => KINDS.as_slice(),
        (_, asked) => asked,
    };
    if asked.iter().any(|kind| !KINDS.contains(kind)) {
        let error_code = ErrorCode::UNSUPPORTED_VERSION;
        return Reply::Now(Response { error_code, ..Response::default() });
    }
    let (image, node) = (call.node.catalog.image(), call.node.id());
    let told = KINDS.into_iter().filter(|kind| asked.contains(kind)).flat_map(|resource_type| {
        let resource = move |resource_name| ConfigResource { resource_name, resource_type };
        names(&image, node, resource_type).into_iter().map(resource)
    });
    Reply::Now(Response { config_resources: told.collect(), ..Response::default() })
}

/// Groups and subscriptions are named where something is set on them; topics and brokers always.
fn names(image: &Image, node: i32, kind: i8) -> Vec<Str> {
    match kind {
        TOPIC => image.topics().map(|topic| topic.name.clone()).collect(),
        BROKER | BROKER_LOGGER => vec![node.to_string().into()],
        kind => image.names_with_settings(kind).cloned().collect(),
    }
}
