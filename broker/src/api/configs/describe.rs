//! DescribeConfigs: tells every setting there is, where its value comes from, and its type.
//! Versions 0 to 4.
//!
//! - A resource that is named twice is told once; a broker however its id is written.
//! - Groups and subscriptions on which nothing is set are told up to a number: every name is one.
//! - The one logger told is that from which all others have their level.

use std::collections::HashSet;

use klamm_protocol::api::describe_configs::{
    ConfigAnswer, Request, Resource, ResourceAnswer, Response, Synonym,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use tracing::level_filters::LevelFilter;

use crate::api::once;
use crate::catalog::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::catalog::{self, Image, Refusal, check_topic_name};
use crate::config::describe::{
    ConfigEntry, describe_broker, describe_client_metrics, describe_cluster, describe_group,
    describe_logger, describe_topic,
};
use crate::config::{Source, Values};
use crate::server::{Call, Reply};

/// Groups and subscriptions of one request that are told though nothing is set on them. Of all else
/// there is only as much as somebody made.
const UNSET_MAX: usize = 1000;

/// What the client wants beside names and values.
#[derive(Clone, Copy)]
struct Wants {
    synonyms: bool,
    documentation: bool,
}

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let wants =
        Wants { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let mut unset_left = UNSET_MAX;
    let results = once(request.resources, key).map(|resource| {
        let (error_code, message, configs) = match entries(&call, &resource, &mut unset_left) {
            Ok(entries) => {
                let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
                let keys: Option<HashSet<&str>> =
                    keys.map(|keys| keys.iter().map(Str::as_str).collect());
                let is_wanted = |entry: &ConfigEntry| {
                    keys.as_ref().is_none_or(|keys| keys.contains(entry.name.as_str()))
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

/// By what a resource is told from others.
fn key(resource: &Resource) -> (i8, Str) {
    let Resource { resource_type, resource_name: name, .. } = resource;
    let id = match *resource_type {
        BROKER | BROKER_LOGGER => name.parse::<i32>().ok(),
        _ => None,
    };
    (*resource_type, id.map_or_else(|| name.clone(), |id| id.to_string().into()))
}

/// Every setting; `unset_left` is how many more may be told on which nothing is set.
fn entries(
    call: &Call,
    resource: &Resource,
    unset_left: &mut usize,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let version = call.node.catalog.version();
    let (image, config) = (&version.image, &version.config);
    let name = &resource.resource_name;
    match (resource.resource_type, name.as_str()) {
        (TOPIC, topic) => {
            check_topic_name(topic)?;
            let missing = || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "");
            let topic = image.topic(topic).ok_or_else(missing)?;
            Ok(describe_topic(&topic.overrides, config))
        }
        (BROKER, "") => Ok(describe_cluster(config)),
        (BROKER, id) => {
            check_broker(id, config.node_id, " or empty string,")?;
            Ok(describe_broker(config))
        }
        (BROKER_LOGGER, "") => Err(invalid("Broker id must not be empty")),
        (BROKER_LOGGER, id) => {
            check_broker(id, config.node_id, "")?;
            Ok(vec![describe_logger(level())])
        }
        (CLIENT_METRICS, "") => Err(invalid("Client metrics subscription name must not be empty")),
        (CLIENT_METRICS, _) => {
            let subscription = catalog::Resource::ClientMetrics(name.clone());
            Ok(describe_client_metrics(own(image, &subscription, unset_left)?))
        }
        (GROUP, "") => Err(invalid("Group name must not be empty")),
        (GROUP, _) => {
            let group = catalog::Resource::Group(name.clone());
            Ok(describe_group(own(image, &group, unset_left)?, config))
        }
        _ => Err(invalid(ErrorCode::INVALID_REQUEST.meaning())),
    }
}

/// What is set on a group or a subscription.
fn own<'a>(
    image: &'a Image,
    resource: &catalog::Resource,
    unset_left: &mut usize,
) -> Result<&'a Values, Refusal> {
    let own = image.settings(resource);
    if own.is_empty() {
        let Some(left) = unset_left.checked_sub(1) else {
            return Err(invalid(&format!(
                "One request is told of {UNSET_MAX} groups and subscriptions with nothing set on them"
            )));
        };
        *unset_left = left;
    }
    Ok(own)
}

/// Says why there is no broker of this name; `or_else` is what else would have been one.
fn check_broker(name: &str, node: i32, or_else: &str) -> Result<(), Refusal> {
    match name.parse::<i32>() {
        Ok(id) if id == node => Ok(()),
        Ok(id) => Err(invalid(&format!(
            "Unexpected broker id, expected {node}{or_else} but received {id}"
        ))),
        Err(_) => Err(invalid(&format!("Broker id must be an integer, but it is: {name}"))),
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, message)
}

/// The finest level at which anything is logged, as Kafka's loggers name it.
fn level() -> &'static str {
    match LevelFilter::current().into_level() {
        None => "OFF",
        Some(level) => level.as_str(),
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
