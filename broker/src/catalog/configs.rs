//! Planning changes of settings.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::image::config;
use super::plan::{Planner, Refusal};
use super::resource::Resource;
use crate::config::key::{Dynamic, Key, Kind};
use crate::config::keys::{broker_key, topic_key};
use crate::config::{ConfigError, TopicOverrides, Values, validate_client_metrics, validate_group};

/// The longest value that the records can say.
const VALUE_LEN_MAX: usize = 32_767;

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

    /// What Kafka's texts call it.
    #[must_use]
    pub fn name(self) -> &'static str {
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
        resource: &Resource,
        changes: &[ConfigChange],
    ) -> Result<(), Refusal> {
        check_keys(changes.iter().map(|change| (&change.name, change.operation, &change.value)))?;
        let before = self.settings(resource)?;
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
        self.change_settings(resource, &before, &after)
    }

    /// Sets all settings: those that are not named go back to their defaults.
    ///
    /// # Errors
    /// There is no such topic or broker, or a setting cannot be changed so. Nothing is changed
    /// then.
    pub fn replace_configs(
        &mut self,
        resource: &Resource,
        configs: &[(Str, Option<Str>)],
    ) -> Result<(), Refusal> {
        check_keys(configs.iter().map(|(name, value)| (name, ConfigOperation::Set, value)))?;
        let before = self.settings(resource)?;
        let set = configs
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.as_ref()?.to_string())));
        self.change_settings(resource, &before, &set.collect())
    }

    /// What is set now.
    fn settings(&self, resource: &Resource) -> Result<Values, Refusal> {
        let node = self.broker.node_id;
        match resource {
            Resource::Topic(name) if self.image.topic(name).is_none() => {
                let message = format!("The topic '{name}' does not exist.");
                Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message))
            }
            Resource::Broker(Some(id)) if *id != node => {
                let message = format!("Unexpected broker id, expected {node}, but received {id}");
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
            }
            resource => Ok(self.image.settings(resource).clone()),
        }
    }

    /// Checks what is to hold, and plans a record for each difference.
    fn change_settings(
        &mut self,
        resource: &Resource,
        before: &Values,
        after: &Values,
    ) -> Result<(), Refusal> {
        match resource {
            Resource::Topic(_) => self.check_topic(after)?,
            Resource::Broker(id) => self.check_broker(*id, before, after)?,
            Resource::ClientMetrics(_) => validate_client_metrics(after)?,
            Resource::Group(_) => validate_group(after, &self.broker.layers)?,
        }
        if after.values().any(|value| value.len() > VALUE_LEN_MAX) {
            let message = format!(
                "The configuration value cannot be added because it exceeds the maximum value \
                 size of {VALUE_LEN_MAX} bytes."
            );
            return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
        }
        let (kind, name) = (resource.kind(), resource.name());
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            self.push(config(kind, &name, key, None));
        }
        for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
            self.push(config(kind, &name, key, Some(value)));
        }
        Ok(())
    }

    fn check_topic(&self, after: &Values) -> Result<(), Refusal> {
        let overrides: TopicOverrides =
            after.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(overrides.validate(&self.broker.layers)?)
    }

    /// What is changed must be changeable while brokers run, be a value that its key takes, and go
    /// together with all that is set.
    fn check_broker(
        &self,
        id: Option<i32>,
        before: &Values,
        after: &Values,
    ) -> Result<(), Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
        let changed = || after.iter().filter(|(name, value)| before.get(*name) != Some(value));
        check_dynamic(id.is_none(), changed().filter_map(|(name, _)| broker_key(name)))?;
        for (name, value) in changed() {
            // Keys that are not known are kept for whoever knows them, as in Kafka.
            let checked = broker_key(name).map_or(Ok(()), |key| key.validate(value));
            checked.map_err(|error| invalid(error.to_string()))?;
        }
        let of = |id| self.image.settings(&Resource::Broker(id));
        let together = |values: &Values| match id {
            None => self.broker.try_with_dynamic(of(Some(self.broker.node_id)), values),
            Some(_) => self.broker.try_with_dynamic(values, of(None)),
        };
        // What is of no use any more since the broker was started otherwise is nobody's fault now.
        let checked = match together(before) {
            Ok(_) => together(after),
            Err(_) => {
                let changed = changed().map(|(name, value)| (name.clone(), value.clone()));
                self.broker.try_with_dynamic(&changed.collect(), &Values::new())
            }
        };
        checked.map(drop).map_err(|error| invalid(error.to_string()))
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            // As Kafka has it.
            ConfigError::UnknownClientMetricsKey(_) | ConfigError::PushInterval(_) => {
                ErrorCode::INVALID_REQUEST
            }
            _ => ErrorCode::INVALID_CONFIG,
        };
        Self::new(code, error.to_string())
    }
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
        return invalid(format!("Null value not supported for : {}", nulls.join(", ")));
    }
    Ok(())
}

/// A list with elements added or taken out. One that is not set starts from the default.
fn changed_list(
    resource: &Resource,
    name: &str,
    operation: ConfigOperation,
    value: &str,
    values: &Values,
) -> Result<String, Refusal> {
    let key = match resource {
        Resource::Topic(_) => topic_key(name),
        Resource::Broker(_) => broker_key(name),
        Resource::ClientMetrics(_) | Resource::Group(_) => None,
    };
    let Some(list) = key.filter(|key| key.kind == Kind::List) else {
        return Err(no_list(resource, name, operation, key.is_some()));
    };
    let present = values.get(name).map(String::as_str).or(list.default).unwrap_or_default();
    let mut list: Vec<_> = present.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    for part in value.split(',').map(str::trim) {
        if operation == ConfigOperation::Subtract {
            list.retain(|present| *present != part);
        } else if !list.contains(&part) {
            list.push(part);
        }
    }
    Ok(list.join(","))
}

/// Kafka has one text for brokers and another for everything else.
fn no_list(resource: &Resource, name: &str, operation: ConfigOperation, is_key: bool) -> Refusal {
    let operation = operation.name();
    let message = match resource {
        Resource::Broker(_) if is_key => {
            let operation = operation.to_ascii_lowercase();
            format!("Config value {operation} is not allowed for config key: {name}")
        }
        Resource::Broker(_) => format!("Unknown config name: {name}"),
        _ => format!("Can't {operation} to key {name} because its type is not LIST."),
    };
    Refusal::new(ErrorCode::INVALID_CONFIG, message)
}

/// Refuses keys that cannot be changed while brokers run, or not for all of them at once.
fn check_dynamic(
    for_all: bool,
    changed: impl Iterator<Item = &'static Key>,
) -> Result<(), Refusal> {
    let refuse = |why: &str, keys: &[&str]| {
        let message = format!("{why}: [{}]", keys.join(", "));
        Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
    };
    let changed: Vec<_> = changed.collect();
    let of = |dynamic| -> Vec<_> {
        let keys = changed.iter().filter(|key| key.dynamic == dynamic);
        keys.map(|key| key.name).collect()
    };
    let (fixed, of_one) = (of(Dynamic::ReadOnly), of(Dynamic::PerBroker));
    if !fixed.is_empty() {
        return refuse("Cannot update these configs dynamically", &fixed);
    }
    let is_secured = |name: &&str| name.starts_with("ssl.") || name.starts_with("sasl.");
    let secured: Vec<_> = of_one.iter().copied().filter(is_secured).collect();
    if !secured.is_empty() {
        let why = "These security configs can be dynamically updated only per-listener using the \
                   listener prefix";
        return refuse(why, &secured);
    }
    if for_all && !of_one.is_empty() {
        let why = "Cannot update these configs at default cluster level, broker id must be \
                   specified";
        return refuse(why, &of_one);
    }
    Ok(())
}
