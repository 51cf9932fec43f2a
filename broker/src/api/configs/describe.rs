//! DescribeConfigs: tells every setting there is, where its value comes from, and its type.
//! Versions 0 to 4.
//!
//! Topics and brokers have settings here; other resources are answered as invalid.

use klamm_protocol::api::describe_configs::{
    ConfigAnswer, Request, Resource, ResourceAnswer, Response, Synonym,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{BROKER, TOPIC};
use crate::catalog::{Refusal, check_topic_name};
use crate::config::Source;
use crate::config::describe::{ConfigEntry, describe_broker, describe_cluster, describe_topic};
use crate::server::{Call, Reply};

/// What the client wants beside names and values.
#[derive(Clone, Copy)]
struct Wants {
    synonyms: bool,
    documentation: bool,
}

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let wants =
        Wants { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.into_iter().map(|resource| {
        let (error_code, message, configs) = match entries(&call, &resource) {
            Ok(entries) => {
                let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
                let is_wanted = |entry: &ConfigEntry| {
                    keys.is_none_or(|keys| keys.iter().any(|key| key == entry.name.as_str()))
                };
                let told = entries.into_iter().filter(is_wanted).map(|entry| answer(entry, wants));
                (ErrorCode::NONE, String::new(), told.collect())
            }
            Err(refusal) => (refusal.code, refusal.message, Vec::new()),
        };
        ResourceAnswer {
            error_code,
            error_message: Some(message.into()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs,
        }
    });
    let results = results.collect();
    Reply::Now(Response { throttle_time_ms: 0, results })
}

fn entries(call: &Call, resource: &Resource) -> Result<Vec<ConfigEntry>, Refusal> {
    let node = &call.node;
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            check_topic_name(name)?;
            let image = node.catalog.image();
            let missing = || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "");
            let topic = image.topic(name).ok_or_else(missing)?;
            Ok(describe_topic(&topic.overrides, &node.config()))
        }
        BROKER if name.is_empty() => Ok(describe_cluster(&node.config())),
        BROKER => {
            let invalid = |message| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            match name.parse::<i32>() {
                Ok(id) if id == node.id() => Ok(describe_broker(&node.config())),
                Ok(id) => invalid(format!(
                    "Unexpected broker id, expected {} or empty string, but received {id}",
                    node.id()
                )),
                Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
            }
        }
        _ => {
            let code = ErrorCode::INVALID_REQUEST;
            Err(Refusal::new(code, code.meaning()))
        }
    }
}

fn answer(entry: ConfigEntry, wants: Wants) -> ConfigAnswer {
    let synonyms = if wants.synonyms { entry.synonyms } else { Vec::new() };
    let synonyms = synonyms.into_iter().map(|synonym| Synonym {
        name: synonym.name.into(),
        value: synonym.value.map(Into::into),
        source: synonym.source.id(),
    });
    ConfigAnswer {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        is_default: entry.source == Source::Default,
        config_source: entry.source.id(),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms.collect(),
        config_type: entry.kind.map_or(0, |kind| kind.id()),
        documentation: entry.documentation.filter(|_| wants.documentation).map(Str::from_static),
    }
}
