//! What has settings.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::names::check_topic_name;
use super::plan::Refusal;

/// The number that says "topic" in requests and records about settings.
pub const TOPIC: i8 = 2;
/// The number that says "broker" there.
pub const BROKER: i8 = 4;
/// The number that says "logger of a broker"; such settings are not kept.
pub const BROKER_LOGGER: i8 = 8;
/// The number that says "subscription to the metrics of clients".
pub const CLIENT_METRICS: i8 = 16;
/// The number that says "group".
pub const GROUP: i8 = 32;

/// Whose settings are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Those of the topic of this name.
    Topic(Str),
    /// Those of the broker with this number; of all brokers if there is none.
    Broker(Option<i32>),
    /// Those of a subscription to the metrics of clients.
    ClientMetrics(Str),
    /// Those of the group of this name.
    Group(Str),
}

impl Resource {
    /// What a request calls by this number and this name.
    ///
    /// # Errors
    /// There can be no such thing. The texts are those of Kafka's answers to changes.
    pub fn new(kind: i8, name: &Str) -> Result<Self, Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        match (kind, name.as_str()) {
            (TOPIC, "") => invalid("Default topic resources are not allowed.".to_owned()),
            (TOPIC, topic) => check_topic_name(topic).map(|()| Self::Topic(name.clone())),
            (BROKER, "") => Ok(Self::Broker(None)),
            (BROKER, broker) => match broker.parse() {
                Ok(id) => Ok(Self::Broker(Some(id))),
                Err(_) => invalid(format!("Node id must be an integer, but it is: {broker}")),
            },
            (CLIENT_METRICS, "") => invalid("Subscription name can't be empty".to_owned()),
            (CLIENT_METRICS, _) => Ok(Self::ClientMetrics(name.clone())),
            (GROUP, "") => invalid("Default group resources are not allowed.".to_owned()),
            (GROUP, _) => Ok(Self::Group(name.clone())),
            (other, _) => invalid(format!("Unknown resource type {other}")),
        }
    }

    /// The number by which records call its kind.
    #[must_use]
    pub fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => TOPIC,
            Self::Broker(_) => BROKER,
            Self::ClientMetrics(_) => CLIENT_METRICS,
            Self::Group(_) => GROUP,
        }
    }

    /// The name by which records call it: empty for all brokers.
    #[must_use]
    pub fn name(&self) -> Str {
        match self {
            Self::Topic(name) | Self::ClientMetrics(name) | Self::Group(name) => name.detached(),
            Self::Broker(None) => Str::default(),
            Self::Broker(Some(id)) => id.to_string().into(),
        }
    }
}
