//! Configuration as data.
//!
//! | module | what it gives |
//! |---|---|
//! | [`key`], [`keys`] | every key there is: one row of a table each |
//! | [`BrokerSettings`] | what a broker is started with: files, environment, arguments |
//! | [`Layers`] | values over values: started with, set at run time, defaults |
//! | [`BrokerConfig`] | the settings of a broker, parsed |
//! | [`TopicOverrides`], [`TopicConfig`] | the settings of a topic, parsed |
//! | `group`, `client_metrics` | what is allowed in the settings of groups and subscriptions |
//! | [`describe`] | what DescribeConfigs tells |
//!
//! # Invariants
//!
//! - A value is parsed and checked once; nothing that serves a request reads text.
//! - No stored value keeps a broker from starting: one that its key does not take counts as not
//!   set.

pub mod address;
mod broker;
mod client_metrics;
pub mod describe;
mod environment;
mod group;
pub mod key;
pub mod keys;
mod layers;
pub(crate) mod properties;
pub mod settings;
mod tables;
mod topic;
mod value;

pub use address::{Address, Advertise, Bind, Listener, ListenerError};
pub use broker::{
    BrokerConfig, BrokerConfigError, CleanerConfig, ConnectionLimits, ConsumerGroupConfig,
    GroupConfig, Migration, RequestLimits, SocketOptions, TransactionConfig,
};
pub(crate) use client_metrics::validate_client_metrics;
pub use describe::ConfigEntry;
pub(crate) use group::validate_group;
pub use layers::{Layers, Source, Synonym, Values};
pub use settings::{BrokerSettings, Format, Origin, SettingsError, Warning};
pub use topic::{
    Cleanup, Compaction, CompressionLevels, StoredCompression, TimestampRules, TopicConfig,
    TopicOverrides, validate,
};
pub use value::ConfigError;
