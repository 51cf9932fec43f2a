//! IncrementalAlterConfigs: changes some settings of topics, brokers, groups, and subscriptions to
//! the metrics of clients, and leaves the others. Versions 0 and 1.
//!
//! A change holds at once, without a restart, and after one.

use klamm_protocol::api::incremental_alter_configs::{Config, Request, ResourceAnswer, Response};
use klamm_protocol::error_code::ErrorCode;

use super::change::{Asked, Wanted, change_each, error};
use crate::catalog::{ConfigChange, ConfigOperation, Refusal};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let asked = request.resources.iter().map(|resource| Asked {
        kind: resource.resource_type,
        name: resource.resource_name.clone(),
        wanted: resource.configs.iter().map(change).collect::<Result<_, _>>().map(Wanted::Some),
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

fn change(config: &Config) -> Result<ConfigChange, Refusal> {
    let Some(operation) = ConfigOperation::from_id(config.config_operation) else {
        let message = format!("Unknown operations type {}", config.config_operation);
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    };
    Ok(ConfigChange { name: config.name.clone(), operation, value: config.value.clone() })
}
