//! Planning changes of settings.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::image::{BROKER_RESOURCE, TOPIC_RESOURCE, config};
use super::plan::{Planner, Refusal};
use crate::config::key::{Dynamic, Kind};
use crate::config::keys::{broker_key, topic_key};
use crate::config::{TopicOverrides, Values};

/// The longest value that the records can say.
const VALUE_LEN_MAX: usize = 32_767;

/// Whose settings are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// Those of the topic of this name.
    Topic(&'a str),
    /// Those of the broker with this number; empty for all brokers.
    Broker(&'a str),
}

/// What is done to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Give it this value.
    Set,
    /// Let the default hold.
    Delete,
    /// Add these elements to a list.
    Append,
    /// Take these elements out of a list.
    Subtract,
}

impl ConfigOperation {
    /// The operation that a request says by this number.
    #[must_use]
    pub fn from_id(id: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract]
            .get(usize::try_from(id).ok()?)
            .copied()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// One change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The key.
    pub name: Str,
    /// What is done.
    pub operation: ConfigOperation,
    /// With what; a deletion needs nothing.
    pub value: Option<Str>,
}

impl Planner<'_> {
    /// Changes some settings and leaves the others.
    ///
    /// # Errors
    /// There is no such topic or broker, or a setting cannot be changed so. Nothing is changed
    /// then.
    pub fn alter_configs(
        &mut self,
        resource: Resource<'_>,
        changes: &[ConfigChange],
    ) -> Result<(), Refusal> {
        check_keys(changes.iter().map(|change| (&change.name, change.operation, &change.value)))?;
        let before = self.values(resource)?;
        let mut after = before.clone();
        for change in changes {
            let value = change.value.as_deref().unwrap_or_default();
            match change.operation {
                ConfigOperation::Set => {
                    after.insert(change.name.to_string(), value.to_owned());
                }
                ConfigOperation::Delete => {
                    after.remove(change.name.as_str());
                }
                operation => {
                    let list = changed_list(resource, &change.name, operation, value, &after)?;
                    after.insert(change.name.to_string(), list);
                }
            }
        }
        self.change_values(resource, &before, &after)
    }

    /// Replaces all settings by these: the older form of [`alter_configs`](Self::alter_configs).
    ///
    /// # Errors
    /// The same.
    pub fn replace_configs(
        &mut self,
        resource: Resource<'_>,
        configs: &[(Str, Option<Str>)],
    ) -> Result<(), Refusal> {
        check_keys(configs.iter().map(|(name, value)| (name, ConfigOperation::Set, value)))?;
        let before = self.values(resource)?;
        let set = configs
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.as_ref()?.to_string())));
        self.change_values(resource, &before, &set.collect())
    }

    /// What is set now.
    fn values(&self, resource: Resource<'_>) -> Result<Values, Refusal> {
        match resource {
            Resource::Topic("") => Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                "Default topic resources are not allowed.",
            )),
            Resource::Topic(name) => {
                let topic = self.image.topic(name).ok_or_else(|| {
                    let message = format!("The topic '{name}' does not exist.");
                    Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message)
                })?;
                let set = topic.overrides.iter();
                Ok(set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
            }
            Resource::Broker(name) => {
                let node = self.broker.node_id;
                if !name.is_empty() && name.parse() != Ok(node) {
                    let message =
                        format!("Unexpected broker id, expected {node}, but received {name}");
                    return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
                }
                Ok(self.image.broker_config(name).clone())
            }
        }
    }

    /// Checks what is to hold, and plans a record for each difference.
    fn change_values(
        &mut self,
        resource: Resource<'_>,
        before: &Values,
        after: &Values,
    ) -> Result<(), Refusal> {
        let (kind, name) = match resource {
            Resource::Topic(name) => {
                self.check_topic(after)?;
                (TOPIC_RESOURCE, name)
            }
            Resource::Broker(name) => {
                check_broker(name.is_empty(), before, after)?;
                (BROKER_RESOURCE, name)
            }
        };
        let name = Str::from(name);
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            self.push(config(kind, &name, key, None));
        }
        for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
            self.push(config(kind, &name, key, Some(value)));
        }
        Ok(())
    }

    fn check_topic(&self, after: &Values) -> Result<(), Refusal> {
        let invalid = |message| Refusal::new(ErrorCode::INVALID_CONFIG, message);
        let overrides: TopicOverrides =
            after.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let checked = overrides.validate(&self.broker.layers);
        checked.map_err(|error| invalid(error.to_string()))?;
        if after.values().any(|value| value.len() > VALUE_LEN_MAX) {
            return Err(too_long());
        }
        Ok(())
    }
}

fn too_long() -> Refusal {
    let message = format!(
        "The configuration value cannot be added because it exceeds the maximum value size of \
         {VALUE_LEN_MAX} bytes."
    );
    Refusal::new(ErrorCode::INVALID_CONFIG, message)
}

/// Each key at most once, and none without a value unless it is deleted.
fn check_keys<'a>(
    changes: impl Iterator<Item = (&'a Str, ConfigOperation, &'a Option<Str>)> + Clone,
) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let mut names: Vec<_> = changes.clone().map(|(name, ..)| name).collect();
    names.sort_unstable();
    if names.array_windows().any(|[one, two]| one == two) {
        return invalid("Error due to duplicate config keys".to_owned());
    }
    let lacks_value =
        |operation, value: &Option<Str>| operation != ConfigOperation::Delete && value.is_none();
    let nulls: Vec<_> = changes
        .filter(|(_, operation, value)| lacks_value(*operation, value))
        .map(|(name, ..)| name.as_str())
        .collect();
    if !nulls.is_empty() {
        return invalid(format!("Null value not supported for : {}", nulls.join(",")));
    }
    Ok(())
}

/// A list with elements added or taken out. One that is not set starts from the default.
fn changed_list(
    resource: Resource<'_>,
    name: &str,
    operation: ConfigOperation,
    value: &str,
    values: &Values,
) -> Result<String, Refusal> {
    let key = match resource {
        Resource::Topic(_) => topic_key(name),
        Resource::Broker(_) => broker_key(name),
    };
    let Some(key) = key.filter(|key| key.kind == Kind::List) else {
        let operation = operation.name();
        let message = format!("Can't {operation} to key {name} because its type is not LIST.");
        return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
    };
    let present = values.get(name).map(String::as_str).or(key.default).unwrap_or_default();
    let parts = |text: &'_ str| -> Vec<String> {
        text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let mut list = parts(present);
    for part in parts(value) {
        if operation == ConfigOperation::Subtract {
            list.retain(|present| *present != part);
        } else if !list.contains(&part) {
            list.push(part);
        }
    }
    Ok(list.join(","))
}

/// What is changed must be changeable while brokers run, and be a value that its key takes. Keys
/// that are not known are kept for whoever knows them, as in Kafka.
fn check_broker(for_all: bool, before: &Values, after: &Values) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .filter_map(|(name, value)| Some((broker_key(name)?, value)))
        .collect();
    let of = |dynamic| {
        let keys = changed.iter().filter(|(key, _)| key.dynamic == dynamic);
        keys.map(|(key, _)| key.name).collect::<Vec<_>>()
    };
    let fixed = of(Dynamic::ReadOnly);
    if !fixed.is_empty() {
        let keys = fixed.join(", ");
        return invalid(format!("Cannot update these configs dynamically: [{keys}]"));
    }
    let of_one = of(Dynamic::PerBroker);
    if for_all && !of_one.is_empty() {
        let keys = of_one.join(", ");
        return invalid(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: \
             [{keys}]"
        ));
    }
    let is_secured = |name: &&&str| name.starts_with("ssl.") || name.starts_with("sasl.");
    let secured: Vec<_> = of_one.iter().filter(is_secured).copied().collect();
    if !secured.is_empty() {
        let keys = secured.join(", ");
        return invalid(format!(
            "These security configs can be dynamically updated only per-listener using the \
             listener prefix: [{keys}]"
        ));
    }
    for (key, value) in changed {
        if let Err(error) = key.validate(value) {
            return invalid(error.to_string());
        }
    }
    if after.values().any(|value| value.len() > VALUE_LEN_MAX) { Err(too_long()) } else { Ok(()) }
}
