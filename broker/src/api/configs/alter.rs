//! AlterConfigs: replaces all settings of topics, brokers, groups, and subscriptions to the
//! metrics of clients. Versions 0 to 2.
//!
//! The older form of [`super::incremental_alter`]: settings that are not named go back to their
//! defaults.

use klamm_protocol::api::alter_configs::{Request, ResourceAnswer, Response};

use super::change::{Asked, Wanted, change_each, error};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let asked = request.resources.iter().map(|resource| {
        let configs = resource.configs.iter();
        let configs = configs.map(|config| (config.name.clone(), config.value.clone()));
        Asked {
            kind: resource.resource_type,
            name: resource.resource_name.clone(),
            wanted: Ok(Wanted::All(configs.collect())),
        }
    });
    let outcomes = change_each(&call, asked.collect(), request.validate_only).await;
    let responses = request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| {
        let (error_code, error_message) = error(outcome);
        ResourceAnswer {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    Reply::Now(Response { throttle_time_ms: 0, responses: responses.collect() })
}
