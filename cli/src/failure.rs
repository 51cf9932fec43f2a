//! What can go wrong, and the exit code that says so.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use klamm_broker::StartError;
use klamm_client::Error as ClientError;
use klamm_protocol::error_code::ErrorCode;
use serde_json::json;

use crate::output::say;

/// How a process ends, for those who look at nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    NotFound = 4,
    Refused = 5,
    Partial = 6,
    Damaged = 7,
    Interrupted = 130,
}

/// How a failure is told on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorStyle {
    Text,
    /// One object.
    Json,
}

/// What only the command line knows to go wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments are sound each, and make no sense together or for what they are about.
    #[error("{0}")]
    Usage(String),
    /// What the command was about is not there.
    #[error("{0}")]
    NotFound(String),
    /// A group cannot be changed from outside while it has members.
    #[error("group {group} has {}; stop {} first", members.join(", "), them(members.len()))]
    InUse {
        /// The group.
        group: String,
        /// Its members, each with what helps to find it.
        members: Vec<String>,
    },
    /// Whoever reads our output has gone.
    #[error("standard output is closed")]
    OutputClosed,
    /// Some of the items of a command failed, or all of them.
    #[error("{}", list(failures))]
    Items {
        /// What failed, and why.
        failures: Vec<(String, ClientError)>,
        /// How many items there were.
        of: usize,
    },
    /// Records were not stored, or nobody knows whether they were.
    #[error("{failed} of {} records are not stored; the first: {first}", failed + stored)]
    Records {
        /// How many.
        failed: u64,
        /// How many are stored.
        stored: u64,
        /// Why the first is not.
        first: Box<ClientError>,
    },
    /// The files that were looked at are damaged.
    #[error("damage was found: {findings} findings")]
    Damaged {
        /// How many places.
        findings: usize,
    },
    /// The user wants no more of it.
    #[error("interrupted")]
    Interrupted,
}

fn them(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

fn list(failures: &[(String, ClientError)]) -> String {
    let mut text = String::new();
    for (item, error) in failures {
        let separator = if text.is_empty() { "" } else { "\n" };
        let error = error.to_string();
        // Most errors begin with what they are about, or with the end of it.
        let subject = error.split(": ").next().unwrap_or_default();
        let is_told = error.starts_with(item) || subject.ends_with(&format!(" {item}"));
        let item = match item.strip_suffix(subject) {
            _ if is_told => String::new(),
            Some(head) if head.ends_with(' ') => head.to_owned(),
            _ => format!("{item}: "),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{item}{error}");
    }
    text
}

impl Failure {
    /// `Ok` unless there are failures among the items of a command.
    pub(crate) fn unless_all(failures: Vec<(String, ClientError)>, of: usize) -> Result<(), Self> {
        if failures.is_empty() { Ok(()) } else { Err(Self::Items { failures, of }) }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotFound(_) => Exit::NotFound,
            // A closed output is never told: it is a clean end.
            Self::OutputClosed | Self::InUse { .. } => Exit::Failed,
            Self::Items { failures, of } => match failures.first() {
                Some((_, error)) if failures.len() == *of => exit_of_client(error),
                _ => Exit::Partial,
            },
            Self::Records { stored: 0, first, .. } => exit_of_client(first),
            Self::Records { .. } => Exit::Partial,
            Self::Damaged { .. } => Exit::Damaged,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// Says on standard error what went wrong, and gives the exit code for it.
pub(crate) fn tell(error: &anyhow::Error, style: ErrorStyle) -> ExitCode {
    if let Some(Failure::OutputClosed) = error.downcast_ref() {
        return ExitCode::SUCCESS;
    }
    let exit = exit_of(error);
    match style {
        ErrorStyle::Json => say(as_json(error, exit)),
        ErrorStyle::Text if exit == Exit::Interrupted => {}
        ErrorStyle::Text => {
            message(error).lines().for_each(|line| say(format_args!("error: {line}")));
        }
    }
    ExitCode::from(exit as u8)
}

/// The error and its causes, leaving out those that an error before has told.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn as_json(error: &anyhow::Error, exit: Exit) -> serde_json::Value {
    let code = error.chain().find_map(|cause| match cause.downcast_ref::<Failure>() {
        Some(Failure::Items { failures, .. }) => failures.first()?.1.code(),
        Some(Failure::Records { first, .. }) => first.code(),
        _ => cause.downcast_ref::<ClientError>()?.code(),
    });
    json!({
        "error": {
            "message": message(error),
            "code": code.map(ErrorCode::name),
            "exit_code": exit as u8,
        }
    })
}

fn exit_of(error: &anyhow::Error) -> Exit {
    let known = |cause: &(dyn std::error::Error + 'static)| {
        let ours = cause.downcast_ref().map(Failure::exit);
        ours.or_else(|| cause.downcast_ref().map(exit_of_client))
            .or_else(|| cause.downcast_ref().and_then(exit_of_start))
            .or_else(|| cause.downcast_ref().and_then(exit_of_file))
            // The errors of the storage share theirs.
            .or_else(|| exit_of_file(cause.downcast_ref::<Arc<io::Error>>()?))
    };
    error.chain().find_map(known).unwrap_or(Exit::Failed)
}

fn exit_of_start(error: &StartError) -> Option<Exit> {
    matches!(error, StartError::Settings(_)).then_some(Exit::Usage)
}

fn exit_of_file(error: &io::Error) -> Option<Exit> {
    (error.kind() == io::ErrorKind::NotFound).then_some(Exit::NotFound)
}

fn exit_of_client(error: &ClientError) -> Exit {
    match error {
        ClientError::Config(_) => Exit::Usage,
        ClientError::Authentication { source, .. } if source.is_retriable() => Exit::Unreachable,
        ClientError::Authentication { .. } => Exit::Refused,
        ClientError::Connect { .. }
        | ClientError::Tls { .. }
        | ClientError::Disconnected { .. }
        | ClientError::Timeout { .. }
        | ClientError::UnknownBroker { .. }
        | ClientError::NoLeader { .. }
        | ClientError::DeliveryTimeout { .. }
        | ClientError::Blocked { .. } => Exit::Unreachable,
        ClientError::NoPartition { .. } => Exit::NotFound,
        ClientError::Broker { code, .. } if UNREACHABLE.contains(code) => Exit::Unreachable,
        ClientError::Broker { code, .. } if NOT_FOUND.contains(code) => Exit::NotFound,
        ClientError::Broker { code, .. } if REFUSED.contains(code) => Exit::Refused,
        _ => Exit::Failed,
    }
}

const UNREACHABLE: [ErrorCode; 7] = [
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::BROKER_NOT_AVAILABLE,
    ErrorCode::NETWORK_EXCEPTION,
];
const NOT_FOUND: [ErrorCode; 3] = [
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::UNKNOWN_TOPIC_ID,
    ErrorCode::GROUP_ID_NOT_FOUND,
];
const REFUSED: [ErrorCode; 7] = [
    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ErrorCode::GROUP_AUTHORIZATION_FAILED,
    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ErrorCode::SASL_AUTHENTICATION_FAILED,
    ErrorCode::UNSUPPORTED_SASL_MECHANISM,
    ErrorCode::ILLEGAL_SASL_STATE,
];

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use klamm_client::{Origin, Subject};

    use super::*;

    fn refused(code: ErrorCode) -> ClientError {
        let origin = Origin { api: "Metadata", address: "localhost:9092".into() };
        origin.error(code, Subject::Name("orders".into()))
    }

    fn check(error: impl Into<anyhow::Error>, exit: Exit) {
        let error = error.into().context("while trying");
        assert_eq!(exit_of(&error), exit, "{error:#}");
    }

    #[test]
    fn exit_codes_follow_from_the_cause() {
        check(refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), Exit::NotFound);
        check(refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED), Exit::Refused);
        check(refused(ErrorCode::REQUEST_TIMED_OUT), Exit::Unreachable);
        check(refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), Exit::Unreachable);
        check(refused(ErrorCode::COORDINATOR_NOT_AVAILABLE), Exit::Unreachable);
        check(refused(ErrorCode::NOT_COORDINATOR), Exit::Unreachable);
        check(refused(ErrorCode::INVALID_PARTITIONS), Exit::Failed);
        check(klamm_client::ConfigError::NoBootstrap, Exit::Failed);
        check(ClientError::from(klamm_client::ConfigError::NoBootstrap), Exit::Usage);
        check(Failure::Damaged { findings: 3 }, Exit::Damaged);
        check(Failure::Interrupted, Exit::Interrupted);
        check(anyhow::anyhow!("something else"), Exit::Failed);
    }

    #[test]
    fn some_failures_are_partial_and_all_are_the_first() {
        let failures = || vec![("orders".to_owned(), refused(ErrorCode::UNKNOWN_TOPIC_ID))];
        check(Failure::unless_all(failures(), 2).unwrap_err(), Exit::Partial);
        check(Failure::unless_all(failures(), 1).unwrap_err(), Exit::NotFound);
        assert!(Failure::unless_all(Vec::new(), 1).is_ok());
    }

    #[test]
    fn an_item_is_named_once() {
        let check = |item: &str, told: &str| {
            let failures = vec![(item.to_owned(), refused(ErrorCode::UNKNOWN_TOPIC_ID))];
            assert!(list(&failures).starts_with(told), "{}", list(&failures));
        };
        check("orders", "orders: UNKNOWN_TOPIC_ID");
        check("billing orders", "billing orders: UNKNOWN_TOPIC_ID");
        check("reorders", "reorders: orders: UNKNOWN_TOPIC_ID");
        check("billing", "billing: orders: UNKNOWN_TOPIC_ID");
    }

    #[test]
    fn a_failure_is_one_object() {
        let error = Err::<(), _>(refused(ErrorCode::UNKNOWN_TOPIC_ID)).context("no").unwrap_err();
        let told = as_json(&error, exit_of(&error));
        assert_eq!(told["error"]["code"], "UNKNOWN_TOPIC_ID");
        assert_eq!(told["error"]["exit_code"], 4);
        assert!(
            told["error"]["message"].as_str().unwrap().starts_with("no: orders: UNKNOWN_TOPIC")
        );
    }
}
