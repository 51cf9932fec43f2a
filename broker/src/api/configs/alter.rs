//! IncrementalAlterConfigs: changes some settings of topics and leaves the others. Versions 0
//! and 1.
//!
//! A change holds at once, without a restart. Settings of brokers are fixed while they run.

use klamm_protocol::api::incremental_alter_configs::{
    Config, Request, Resource, ResourceAnswer, Response,
};
use klamm_protocol::error_code::ErrorCode;

use super::TOPIC;
use crate::catalog::{self, ConfigChange, ConfigOperation, Planner, Refusal};
use crate::server::{Call, Reply};

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let Request { resources, validate_only } = request;
    let wanted = resources.clone();
    let plan = move |planner: &mut Planner<'_>| -> Vec<ResourceAnswer> {
        resources.into_iter().map(|resource| alter(planner, resource)).collect()
    };
    let answers =
        if validate_only { Ok(call.node.plan(plan)) } else { call.node.change(plan).await };
    let refuse = |refusal: Refusal| {
        wanted.into_iter().map(|resource| answer(resource, Err(refusal.clone()))).collect()
    };
    Reply::Now(Response { throttle_time_ms: 0, responses: answers.unwrap_or_else(refuse) })
}

fn alter(planner: &mut Planner<'_>, resource: Resource) -> ResourceAnswer {
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
    let change = |config: &Config| {
        let operation = ConfigOperation::from_id(config.config_operation).ok_or_else(|| {
            invalid(format!("Unknown operation type {}", config.config_operation))
        })?;
        Ok(ConfigChange { name: config.name.clone(), operation, value: config.value.clone() })
    };
    let outcome = if resource.resource_type == TOPIC {
        let changes: Result<Vec<_>, Refusal> = resource.configs.iter().map(change).collect();
        let name = catalog::Resource::Topic(&resource.resource_name);
        changes.and_then(|changes| planner.alter_configs(name, &changes))
    } else {
        Err(invalid("only the settings of topics can be changed while the broker runs".into()))
    };
    answer(resource, outcome)
}

fn answer(resource: Resource, outcome: Result<(), Refusal>) -> ResourceAnswer {
    let (error_code, error_message) = match outcome {
        Ok(()) => (ErrorCode::NONE, None),
        Err(refusal) => (refusal.code, Some(refusal.message.into())),
    };
    let Resource { resource_type, resource_name, .. } = resource;
    ResourceAnswer { error_code, error_message, resource_type, resource_name }
}
