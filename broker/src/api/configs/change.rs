//! What the two requests that change settings have in common.

use std::collections::HashMap;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::catalog::resource::BROKER_LOGGER;
use crate::catalog::{ConfigChange, ConfigOperation, Planner, Refusal, Resource};
use crate::server::Call;

/// What is to become of the settings of one resource.
pub(super) enum Wanted {
    /// These are changed, and the others stay.
    Some(Vec<ConfigChange>),
    /// These hold, and no others.
    All(Vec<(Str, Option<Str>)>),
}

/// What is asked for one resource.
pub(super) struct Asked {
    pub(super) kind: i8,
    pub(super) name: Str,
    pub(super) wanted: Result<Wanted, Refusal>,
}

/// Changes the settings of each resource or refuses to, each alone, and says which. What is
/// changed is on disk and in force when this returns.
pub(super) async fn change_each(
    call: &Call,
    asked: Vec<Asked>,
    validate_only: bool,
) -> Vec<Result<(), Refusal>> {
    let count = asked.len();
    let plan = move |planner: &mut Planner<'_>| -> Vec<_> {
        let mut times = HashMap::new();
        for one in &asked {
            *times.entry((one.kind, one.name.clone())).or_insert(0) += 1;
        }
        let change = |one: Asked| match times.get(&(one.kind, one.name.clone())) {
            Some(1) => change(planner, one),
            _ => Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                "Each resource must appear at most once.",
            )),
        };
        asked.into_iter().map(change).collect()
    };
    let outcomes =
        if validate_only { Ok(call.node.plan(plan)) } else { call.node.change(plan).await };
    outcomes.unwrap_or_else(|refusal| vec![Err(refusal); count])
}

fn change(planner: &mut Planner<'_>, asked: Asked) -> Result<(), Refusal> {
    let wanted = asked.wanted?;
    if let (BROKER_LOGGER, Wanted::Some(changes)) = (asked.kind, &wanted) {
        return check_levels(planner.broker().node_id, &asked.name, changes);
    }
    let resource = Resource::new(asked.kind, &asked.name)?;
    match wanted {
        Wanted::Some(changes) => planner.alter_configs(&resource, &changes),
        Wanted::All(configs) => planner.replace_configs(&resource, &configs),
    }
}

/// Says why the levels of loggers are not changed: there is one logger, whose level is set where
/// the broker is started.
fn check_levels(node: i32, name: &str, changes: &[ConfigChange]) -> Result<(), Refusal> {
    let invalid = |message| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    match name.parse::<i32>() {
        Err(_) => return invalid(format!("Node id must be an integer, but it is: {name}")),
        Ok(id) if id != node => {
            return invalid(format!("Unexpected node id. Expected {node}, but received {id}"));
        }
        Ok(_) => {}
    }
    let Some(change) = changes.first() else { return Ok(()) };
    match change.operation {
        ConfigOperation::Append | ConfigOperation::Subtract => invalid(format!(
            "{} operation is not allowed for the BROKER_LOGGER resource",
            change.operation.name()
        )),
        _ if change.name.as_str() != "root" => {
            let message = format!("Logger {} does not exist!", change.name);
            Err(Refusal::new(ErrorCode::INVALID_CONFIG, message))
        }
        ConfigOperation::Delete => {
            invalid("Removing the log level of the root logger is not allowed".to_owned())
        }
        ConfigOperation::Set => {
            invalid("The log level of this broker is set where it is started.".to_owned())
        }
    }
}

/// The error of an outcome, as answers have it.
pub(super) fn error(outcome: Result<(), Refusal>) -> (ErrorCode, Option<Str>) {
    match outcome {
        Ok(()) => (ErrorCode::NONE, None),
        Err(refusal) => (refusal.code, Some(refusal.message.into())),
    }
}
