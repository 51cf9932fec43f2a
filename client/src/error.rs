//! What can go wrong between a client and its brokers.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::{BatchError, BuildError};
use klamm_protocol::wire::{Str, WireError};

use crate::answer::Origin;
use crate::config::{ConfigError, SaslMechanism};
use crate::sasl::AuthenticationError;
use crate::tls::TlsError;

/// What the clients' calls give.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a client's call failed. Cheap to clone: one failure may concern many records.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No connection to this address.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// `host:port`.
        address: Arc<str>,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The connection could not be made secret.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// `host:port`.
        address: Arc<str>,
        /// Why.
        source: TlsError,
    },
    /// Client and broker do not believe each other.
    #[error("{mechanism} authentication with {address} failed: {source}")]
    Authentication {
        /// `host:port`.
        address: Arc<str>,
        /// How the client was to prove who it is.
        mechanism: SaslMechanism,
        /// Why.
        source: AuthenticationError,
    },
    /// The connection ended before the answer came.
    #[error("the connection to {address} ended during {api}: {reason}")]
    Disconnected {
        /// `host:port`.
        address: Arc<str>,
        /// What was asked.
        api: &'static str,
        /// Why.
        reason: Arc<str>,
        /// Whether the request may have reached the broker.
        sent: bool,
    },
    /// The broker did not answer in time.
    #[error("{address} did not answer {api} within {after:?}")]
    Timeout {
        /// `host:port`.
        address: Arc<str>,
        /// What was asked.
        api: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// Broker and client have no version of the API in common.
    #[error("{address} offers versions {theirs} of {api}, and this client speaks {ours}")]
    Unsupported {
        /// `host:port`.
        address: Arc<str>,
        /// The API.
        api: &'static str,
        /// Ours, as `lowest-highest`.
        ours: Arc<str>,
        /// Theirs, as `lowest-highest`, or `none`.
        theirs: Arc<str>,
    },
    /// The bytes of a request or an answer make no sense.
    #[error("{api} with {address}: {source}")]
    Wire {
        /// `host:port`.
        address: Arc<str>,
        /// What was asked.
        api: &'static str,
        /// What is wrong.
        source: WireError,
    },
    /// The broker refused.
    #[error("{subject}: {} ({origin}): {}", named(*code), told(*code, message.as_deref()))]
    Broker {
        /// Why.
        code: ErrorCode,
        /// What the broker says besides.
        message: Option<Str>,
        /// What it was about.
        subject: Subject,
        /// Which broker, and what it was asked.
        origin: Origin,
    },
    /// No broker of the cluster has this node id, as far as this client has heard.
    #[error("no broker {node} is known in the cluster")]
    UnknownBroker {
        /// The node id.
        node: i32,
    },
    /// The topic has no such partition, as far as this client has heard.
    #[error("{subject}: the topic has {count} partitions")]
    NoPartition {
        /// The partition.
        subject: Subject,
        /// How many there are.
        count: usize,
    },
    /// Nobody leads the partition, as far as this client has heard.
    #[error("{subject}: no broker leads the partition")]
    NoLeader {
        /// The partition.
        subject: Subject,
    },
    /// A batch that a broker sent is damaged.
    #[error("{subject}: {source}")]
    Batch {
        /// The partition.
        subject: Subject,
        /// What is wrong.
        source: BatchError,
    },
    /// Records cannot be made a batch.
    #[error("{subject}: {source}")]
    Build {
        /// The partition.
        subject: Subject,
        /// What is wrong.
        source: BuildError,
    },
    /// A record cannot be sent, for it is larger than a request may be.
    #[error("{subject}: a record of {bytes} bytes, where {max} are the most")]
    RecordTooLarge {
        /// The partition.
        subject: Subject,
        /// Its size.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// A record was not acknowledged before its time was over.
    #[error("{subject}: not acknowledged within {after:?}{}", at_last(last))]
    DeliveryTimeout {
        /// The partition.
        subject: Subject,
        /// How long it had.
        after: Duration,
        /// Whether it may be in the log nevertheless.
        possibly_written: bool,
        /// What last kept it from being stored, if anything is known of that.
        last: Option<Arc<Error>>,
    },
    /// The caller waited for room or for metadata as long as `max.block.ms` allows.
    #[error("{subject}: no room or no leader within {after:?}{}", at_last(last))]
    Blocked {
        /// What was to be sent, or looked for.
        subject: Subject,
        /// How long it waited.
        after: Duration,
        /// What last kept it waiting, if anything is known of that.
        last: Option<Arc<Error>>,
    },
    /// An earlier attempt may have stored the batch, though the last one did not.
    #[error("{last}; an earlier attempt may have stored the batch")]
    Doubtful {
        /// Why the last attempt failed.
        last: Arc<Error>,
    },
    /// The client gave a batch up before it knew what became of it.
    #[error("{subject}: given up before it was known whether the broker stored the batch")]
    Abandoned {
        /// The partition.
        subject: Subject,
    },
    /// Something of a transaction failed, so that it can only be aborted.
    #[error("{source}; the transaction can only be aborted")]
    MustAbort {
        /// What failed first.
        source: Arc<Error>,
    },
    /// A transactional producer and its coordinator disagree in a way that cannot be mended: the
    /// producer cannot go on, and another must take its place.
    #[error("{source}; the producer cannot go on")]
    ProducerLost {
        /// What was told.
        source: Arc<Error>,
    },
    /// The transaction that the record was part of was aborted before the record was sent.
    #[error("{subject}: not sent, for the transaction was aborted")]
    Aborted {
        /// The partition.
        subject: Subject,
    },
    /// A producer has one transaction at a time, and this one's is still open.
    #[error("{subject}: a transaction is open already")]
    InTransaction {
        /// The transactional id.
        subject: Subject,
    },
    /// Nobody has said yet whether the transaction is committed. The producer goes on asking, and
    /// begins no other before it knows.
    #[error("{subject}: not known within {after:?} whether the transaction is committed")]
    Undecided {
        /// The transactional id.
        subject: Subject,
        /// How long it was waited for.
        after: Duration,
    },
    /// The consumer does not have the partition, or no longer.
    #[error("{subject}: not assigned to this consumer")]
    NotAssigned {
        /// The partition.
        subject: Subject,
    },
    /// The group has committed no offset, and `auto.offset.reset` says that this is an error.
    #[error("{subject}: no offset to begin at")]
    NoOffset {
        /// The partition.
        subject: Subject,
    },
    /// What a consumer has read is no longer in the log: a new leader had less than the one before.
    /// `auto.offset.reset` says that this is an error.
    #[error("{subject}: the log was cut at {end}, and the consumer was at {offset}")]
    Truncated {
        /// The partition.
        subject: Subject,
        /// Where the consumer was.
        offset: i64,
        /// Where the log parts from what it has read.
        end: i64,
    },
    /// The application took longer than `max.poll.interval.ms` to ask for more, so that its
    /// partitions went to others. The next call joins the group again.
    #[error("{subject}: nothing was asked for within {after:?}; the partitions went to others")]
    PollInterval {
        /// The group.
        subject: Subject,
        /// How long it had.
        after: Duration,
    },
    /// A consumer was closed, and what it had worked on could not be committed in the time that
    /// it was given: its group may go on earlier.
    #[error("{subject}: the last commit did not come through within {after:?}")]
    LastCommit {
        /// The group.
        subject: Subject,
        /// How long it had.
        after: Duration,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// What an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The cluster.
    Cluster,
    /// One broker.
    Broker(i32),
    /// One topic, or another resource with a name.
    Name(Str),
    /// One partition.
    Partition(Str, i32),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Name(name) => f.write_str(name),
            Self::Partition(topic, index) => write!(f, "{topic}-{index}"),
        }
    }
}

fn named(code: ErrorCode) -> Cow<'static, str> {
    if ErrorCode::ALL.contains(&code) {
        code.name().into()
    } else {
        format!("error {}", code.0).into()
    }
}

/// What the broker says, or else what its code means.
fn told(code: ErrorCode, message: Option<&str>) -> &str {
    message.filter(|message| !message.is_empty()).unwrap_or(code.meaning())
}

fn at_last(last: &Option<Arc<Error>>) -> String {
    last.as_ref().map(|last| format!("; at last: {last}")).unwrap_or_default()
}

impl Error {
    /// The error code of a broker, or the one by which brokers say what this client knows itself.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            Self::Authentication { source, .. } => source.code(),
            Self::UnknownBroker { .. } => Some(ErrorCode::BROKER_NOT_AVAILABLE),
            Self::NoPartition { .. } => Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Self::NoLeader { .. } => Some(ErrorCode::LEADER_NOT_AVAILABLE),
            Self::Doubtful { last: source }
            | Self::MustAbort { source }
            | Self::ProducerLost { source } => source.code(),
            _ => None,
        }
    }

    /// Which broker refused, and what it was asked, where one did.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Broker { origin, .. } => Some(origin),
            Self::Doubtful { last: source }
            | Self::MustAbort { source }
            | Self::ProducerLost { source } => source.origin(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Authentication { source, .. } => source.is_retriable(),
            Self::Broker { code, .. } => code.is_retriable(),
            other => other.is_unreached() || other.is_unplaced(),
        }
    }

    /// Whether nothing that this client does will succeed any more.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Closed
            | Self::Tls { .. }
            | Self::Unsupported { .. }
            | Self::ProducerLost { .. } => true,
            Self::Authentication { source, .. } => !source.is_retriable(),
            Self::Doubtful { last } => last.is_fatal(),
            Self::Broker { code, .. } => FATAL.contains(code),
            _ => false,
        }
    }

    /// Whether the transaction that the call was part of can only be aborted.
    #[must_use]
    pub fn requires_abort(&self) -> bool {
        match self {
            Self::MustAbort { .. } => true,
            Self::Doubtful { last } => last.requires_abort(),
            _ => false,
        }
    }

    /// Whether the records of a failed call may be in the log nevertheless.
    #[must_use]
    pub fn possibly_written(&self) -> bool {
        match self {
            Self::Disconnected { sent, .. } => *sent,
            Self::Timeout { .. }
            | Self::Doubtful { .. }
            | Self::Abandoned { .. }
            | Self::Undecided { .. } => true,
            Self::MustAbort { source } | Self::ProducerLost { source } => source.possibly_written(),
            Self::DeliveryTimeout { possibly_written, .. } => *possibly_written,
            Self::Wire { source, .. } => {
                !matches!(source, WireError::Unsayable { .. } | WireError::Version { .. })
            }
            Self::Broker { code, .. } => AMBIGUOUS.contains(code),
            _ => false,
        }
    }

    /// Whether the group or the transactional id may have another coordinator by now.
    #[must_use]
    pub fn is_stale_coordinator(&self) -> bool {
        match self {
            Self::Broker { code, .. } => matches!(
                *code,
                ErrorCode::COORDINATOR_NOT_AVAILABLE
                    | ErrorCode::NOT_COORDINATOR
                    | ErrorCode::BROKER_NOT_AVAILABLE
            ),
            other => other.is_unreached(),
        }
    }

    /// Whether the cluster looks different from what this client knows of it.
    #[must_use]
    pub fn is_stale_metadata(&self) -> bool {
        match self {
            Self::Broker { code, .. } => STALE.contains(code),
            other => other.is_unreached() || other.is_unplaced(),
        }
    }

    /// Whether no broker has answered.
    fn is_unreached(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Disconnected { .. }
                | Self::Timeout { .. }
                | Self::UnknownBroker { .. }
        )
    }

    /// Whether nobody is known who could be asked.
    fn is_unplaced(&self) -> bool {
        matches!(self, Self::NoPartition { .. } | Self::NoLeader { .. })
    }
}

/// Codes after which a client cannot go on.
const FATAL: [ErrorCode; 11] = [
    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ErrorCode::FENCED_INSTANCE_ID,
    ErrorCode::GROUP_MAX_SIZE_REACHED,
    ErrorCode::INVALID_REGULAR_EXPRESSION,
    ErrorCode::INVALID_PRODUCER_ID_MAPPING,
    ErrorCode::PRODUCER_FENCED,
    ErrorCode::SASL_AUTHENTICATION_FAILED,
    ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ErrorCode::UNRELEASED_INSTANCE_ID,
    ErrorCode::UNSUPPORTED_ASSIGNOR,
    ErrorCode::UNSUPPORTED_SASL_MECHANISM,
];

/// Codes that leave open whether the batch is in the log. A leader that loses its place while it
/// waits for its followers says so, though the next leader may have the batch from it.
const AMBIGUOUS: [ErrorCode; 5] = [
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::KAFKA_STORAGE_ERROR,
];

/// Codes by which a broker says that something has moved.
const STALE: [ErrorCode; 11] = [
    ErrorCode::BROKER_NOT_AVAILABLE,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::REPLICA_NOT_AVAILABLE,
    ErrorCode::NOT_CONTROLLER,
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::FENCED_LEADER_EPOCH,
    ErrorCode::UNKNOWN_LEADER_EPOCH,
    ErrorCode::UNKNOWN_TOPIC_ID,
    ErrorCode::INCONSISTENT_TOPIC_ID,
];

#[cfg(test)]
mod tests;
