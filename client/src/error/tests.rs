//! Every error there is: what it says, and what it means.

use std::collections::BTreeSet;

use super::*;
use crate::sasl::AuthenticationError as Sasl;

/// An error, its code, what holds of it, and what it says.
type Row = (Error, Option<ErrorCode>, &'static str, &'static str);

/// An enum whose variants have names, of which none can be forgotten: a new one does not compile
/// until it is named here, and fails the test until it has a row.
trait Named {
    const ALL: &'static [&'static str];

    fn name(&self) -> &'static str;
}

macro_rules! named {
    ($error:ident: $($variant:ident)*) => {
        impl Named for $error {
            const ALL: &'static [&'static str] = &[$(stringify!($variant)),*];

            fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant),)* }
            }
        }
    };
}

named! {
    Error: Config Connect Tls Authentication Disconnected Timeout Unsupported Wire Broker
    UnknownBroker NoPartition NoLeader Batch Build RecordTooLarge DeliveryTimeout Blocked Doubtful
    Abandoned MustAbort ProducerLost Aborted InTransaction Undecided NotAssigned NoOffset Truncated
    PollInterval LastCommit Closed
}

named! {
    Sasl: MechanismNotOffered NotAsked Refused Malformed Iterations Impostor Unsayable Token
}

named! {
    TlsError: Untrusted WrongHost NotNow BadCertificate CertificateWanted Refused NotTls BadHost
    Other
}

named! {
    ConfigError: UnknownKey BadValue BadEscape Unreadable Refused Several NoBootstrap NotBuilt
    NotServed Missing Unusable BadPattern Contradiction
}

const AFTER: Duration = Duration::from_secs(30);

fn address() -> Arc<str> {
    "kafka:9092".into()
}

fn partition() -> Subject {
    Subject::Partition("orders".into(), 3)
}

fn name(name: &'static str) -> Subject {
    Subject::Name(name.into())
}

fn refused(code: ErrorCode, message: Option<&'static str>) -> Error {
    let message = message.map(Str::from_static);
    let origin = Origin { api: "Produce", address: address() };
    origin.check(code, message, partition()).unwrap_err()
}

fn cut(sent: bool) -> Error {
    Error::Disconnected { address: address(), api: "Produce", reason: "reset".into(), sent }
}

fn connections() -> Vec<Row> {
    let source = Arc::new(io::Error::other("refused"));
    let (ours, theirs) = ("3-13".into(), "none".into());
    let wire = |source| Error::Wire { address: address(), api: "Produce", source };
    vec![
        (
            Error::Connect { address: address(), source },
            None,
            "retriable, stale",
            "cannot connect to kafka:9092: refused",
        ),
        (
            cut(true),
            None,
            "retriable, written, stale",
            "the connection to kafka:9092 ended during Produce: reset",
        ),
        (
            cut(false),
            None,
            "retriable, stale",
            "the connection to kafka:9092 ended during Produce: reset",
        ),
        (
            Error::Timeout { address: address(), api: "Produce", after: AFTER },
            None,
            "retriable, written, stale",
            "kafka:9092 did not answer Produce within 30s",
        ),
        (
            Error::Unsupported { address: address(), api: "Produce", ours, theirs },
            None,
            "fatal",
            "kafka:9092 offers versions none of Produce, and this client speaks 3-13",
        ),
        (
            wire(WireError::NotUtf8),
            None,
            "written",
            "Produce with kafka:9092: text is not valid UTF-8",
        ),
        (
            wire(WireError::Unsayable { field: "Topic.id", version: 3 }),
            None,
            "",
            "Produce with kafka:9092: version 3 cannot say field `Topic.id`",
        ),
        (Error::Closed, None, "fatal", "the client is closed"),
    ]
}

fn brokers() -> Vec<Row> {
    vec![
        (
            refused(ErrorCode::NOT_ENOUGH_REPLICAS, Some("1 of 2")),
            Some(ErrorCode::NOT_ENOUGH_REPLICAS),
            "retriable",
            "orders-3: NOT_ENOUGH_REPLICAS (Produce at kafka:9092): 1 of 2",
        ),
        (
            refused(ErrorCode::NOT_LEADER_OR_FOLLOWER, Some("")),
            Some(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            "retriable, written, stale",
            "orders-3: NOT_LEADER_OR_FOLLOWER (Produce at kafka:9092): This broker does not lead the \
             partition, or holds no replica of it; ask for new metadata",
        ),
        (
            refused(ErrorCode::REQUEST_TIMED_OUT, Some("late")),
            Some(ErrorCode::REQUEST_TIMED_OUT),
            "retriable, written",
            "orders-3: REQUEST_TIMED_OUT (Produce at kafka:9092): late",
        ),
        (
            refused(ErrorCode::PRODUCER_FENCED, Some("epoch 4")),
            Some(ErrorCode::PRODUCER_FENCED),
            "fatal",
            "orders-3: PRODUCER_FENCED (Produce at kafka:9092): epoch 4",
        ),
        (
            refused(ErrorCode(9_999), None),
            Some(ErrorCode(9_999)),
            "",
            "orders-3: error 9999 (Produce at kafka:9092): This code is not known here",
        ),
        (
            Error::UnknownBroker { node: 7 },
            Some(ErrorCode::BROKER_NOT_AVAILABLE),
            "retriable, stale",
            "no broker 7 is known in the cluster",
        ),
        (
            Error::NoPartition { subject: partition(), count: 3 },
            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            "retriable, stale",
            "orders-3: the topic has 3 partitions",
        ),
        (
            Error::NoLeader { subject: partition() },
            Some(ErrorCode::LEADER_NOT_AVAILABLE),
            "retriable, stale",
            "orders-3: no broker leads the partition",
        ),
    ]
}

fn records() -> Vec<Row> {
    let (subject, after) = (partition(), AFTER);
    let (timeout, written) = (Some(ErrorCode::REQUEST_TIMED_OUT), true);
    let last = || Arc::new(refused(ErrorCode::REQUEST_TIMED_OUT, Some("late")));
    let late = |possibly_written, last| Error::DeliveryTimeout {
        subject: partition(),
        after: AFTER,
        possibly_written,
        last,
    };
    vec![
        (
            Error::Batch { subject: subject.clone(), source: BatchError::Magic(1) },
            None,
            "",
            "orders-3: record format version 1 is not supported",
        ),
        (
            Error::Build { subject: subject.clone(), source: BuildError::Empty },
            None,
            "",
            "orders-3: a batch has at least one record",
        ),
        (
            Error::RecordTooLarge { subject: subject.clone(), bytes: 9, max: 8 },
            None,
            "",
            "orders-3: a record of 9 bytes, where 8 are the most",
        ),
        (late(false, None), None, "", "orders-3: not acknowledged within 30s"),
        (
            late(written, Some(last())),
            None,
            "written",
            "orders-3: not acknowledged within 30s; at last: \
             orders-3: REQUEST_TIMED_OUT (Produce at kafka:9092): late",
        ),
        (
            Error::Blocked { subject: name("orders"), after, last: Some(Arc::new(cut(false))) },
            None,
            "",
            "orders: no room or no leader within 30s; at last: \
             the connection to kafka:9092 ended during Produce: reset",
        ),
        (
            Error::Doubtful { last: last() },
            timeout,
            "written",
            "orders-3: REQUEST_TIMED_OUT (Produce at kafka:9092): late; an earlier attempt may have \
             stored the batch",
        ),
        (
            Error::Abandoned { subject },
            None,
            "written",
            "orders-3: given up before it was known whether the broker stored the batch",
        ),
    ]
}

fn transactions() -> Vec<Row> {
    let (subject, after) = (partition(), AFTER);
    let fenced = || Arc::new(refused(ErrorCode::PRODUCER_FENCED, Some("epoch 4")));
    let code = Some(ErrorCode::PRODUCER_FENCED);
    vec![
        (
            Error::MustAbort { source: fenced() },
            code,
            "abort",
            "orders-3: PRODUCER_FENCED (Produce at kafka:9092): epoch 4; the transaction can only \
             be aborted",
        ),
        (
            Error::MustAbort { source: Arc::new(cut(true)) },
            None,
            "abort, written",
            "the connection to kafka:9092 ended during Produce: reset; the transaction can only be \
             aborted",
        ),
        (
            Error::ProducerLost { source: fenced() },
            code,
            "fatal",
            "orders-3: PRODUCER_FENCED (Produce at kafka:9092): epoch 4; the producer cannot go on",
        ),
        (
            Error::Doubtful { last: Arc::new(Error::MustAbort { source: fenced() }) },
            code,
            "abort, written",
            "orders-3: PRODUCER_FENCED (Produce at kafka:9092): epoch 4; the transaction can only \
             be aborted; an earlier attempt may have stored the batch",
        ),
        (
            Error::Aborted { subject },
            None,
            "",
            "orders-3: not sent, for the transaction was aborted",
        ),
        (
            Error::InTransaction { subject: name("copier-1") },
            None,
            "",
            "copier-1: a transaction is open already",
        ),
        (
            Error::Undecided { subject: name("copier-1"), after },
            None,
            "written",
            "copier-1: not known within 30s whether the transaction is committed",
        ),
    ]
}

fn groups() -> Vec<Row> {
    let (subject, after) = (partition(), AFTER);
    vec![
        (
            Error::NotAssigned { subject: subject.clone() },
            None,
            "",
            "orders-3: not assigned to this consumer",
        ),
        (Error::NoOffset { subject: subject.clone() }, None, "", "orders-3: no offset to begin at"),
        (
            Error::Truncated { subject, offset: 9, end: 5 },
            None,
            "",
            "orders-3: the log was cut at 5, and the consumer was at 9",
        ),
        (
            Error::PollInterval { subject: name("billing"), after },
            None,
            "",
            "billing: nothing was asked for within 30s; the partitions went to others",
        ),
        (
            Error::LastCommit { subject: name("billing"), after },
            None,
            "",
            "billing: the last commit did not come through within 30s",
        ),
    ]
}

/// What is said after "PLAIN authentication with kafka:9092 failed: ".
fn refusals() -> Vec<(Sasl, Option<ErrorCode>, &'static str, &'static str)> {
    let (code, hint) = (ErrorCode::SASL_AUTHENTICATION_FAILED, Some("it expired".into()));
    let message = Some(Str::from_static("no"));
    vec![
        (
            Sasl::MechanismNotOffered { offered: vec!["PLAIN".into()] },
            Some(ErrorCode::UNSUPPORTED_SASL_MECHANISM),
            "fatal",
            "it offers PLAIN; set `sasl.mechanism` to what your account has",
        ),
        (
            Sasl::NotAsked,
            Some(ErrorCode::ILLEGAL_SASL_STATE),
            "fatal",
            "this port asks for no authentication; set `security.protocol` to PLAINTEXT, or to SSL \
             where TLS is spoken",
        ),
        (Sasl::Refused { code, message, hint }, Some(code), "fatal", "it says \"no\"; it expired"),
        (
            Sasl::Malformed { message: "first message", reason: "no nonce" },
            None,
            "fatal",
            "its first message makes no sense: no nonce",
        ),
        (
            Sasl::Iterations { given: 1, least: 4_096, most: 9_999 },
            None,
            "fatal",
            "its iteration count 1 is not between 4096 and 9999",
        ),
        (
            Sasl::Impostor,
            None,
            "fatal",
            "it could not prove that it knows the password: it may be an impostor",
        ),
        (
            Sasl::Unsayable("password"),
            None,
            "fatal",
            "the password holds a character that the mechanism cannot say",
        ),
        (
            Sasl::Token { source: Arc::from(Box::from("the issuer is away")) },
            None,
            "retriable",
            "no token: the issuer is away",
        ),
    ]
}

/// What is said after "no TLS with kafka:9092: ".
fn secrets() -> Vec<(TlsError, &'static str)> {
    let reason = || "because".to_owned();
    let (host, presented) = ("kafka".to_owned(), vec!["localhost".to_owned()]);
    vec![
        (
            TlsError::Untrusted,
            "its certificate is signed by nobody whom this client trusts; name the PEM file of its \
             authority in `ssl.truststore.location` (or `ssl.ca.location`)",
        ),
        (
            TlsError::WrongHost { host: host.clone(), presented },
            "its certificate is for localhost, and not for the host kafka; connect by a name that \
             it has, have one made for this name, or set `ssl.endpoint.identification.algorithm` \
             to nothing",
        ),
        (
            TlsError::NotNow { reason: reason() },
            "its certificate is not valid at this time: because; renew it, or mend the clock",
        ),
        (TlsError::BadCertificate { reason: reason() }, "its certificate cannot be used: because"),
        (
            TlsError::CertificateWanted,
            "it wants a certificate from this client; set `ssl.keystore.location`, or \
             `ssl.certificate.location` and `ssl.key.location`",
        ),
        (
            TlsError::Refused { alert: "BadRecordMac".to_owned() },
            "it refused with the alert BadRecordMac; if it asks for certificates, this client \
             shows none, or one that it does not trust: see `ssl.keystore.location`",
        ),
        (
            TlsError::NotTls,
            "it does not speak TLS on this port; set `security.protocol` to PLAINTEXT or \
             SASL_PLAINTEXT, or use the port where it does",
        ),
        (TlsError::BadHost { host }, "\"kafka\" is no host name"),
        (TlsError::Other { reason: reason() }, "because"),
    ]
}

fn settings() -> Vec<(ConfigError, &'static str)> {
    let (value, reason) = ("x".to_owned(), "because");
    let several = vec![ConfigError::NoBootstrap, ConfigError::BadEscape { line: 2 }];
    vec![
        (
            ConfigError::UnknownKey { name: "ack".to_owned(), nearest: Some("acks") },
            "there is no setting `ack`; did you mean `acks`?",
        ),
        (
            ConfigError::BadValue { name: "acks", value: value.clone(), expected: "1 or 0" },
            "`acks` cannot be \"x\": expected 1 or 0",
        ),
        (
            ConfigError::BadEscape { line: 2 },
            "line 2 of the properties: `\\u` is followed by the digits of no character",
        ),
        (
            ConfigError::Unreadable { path: "a.pem".into(), reason: "gone".to_owned() },
            "cannot read a.pem: gone",
        ),
        (ConfigError::Refused { name: "acks".to_owned(), reason }, "`acks` cannot be set: because"),
        (
            ConfigError::Several { errors: several },
            "`bootstrap.servers` names no broker; line 2 of the properties: `\\u` is followed by \
             the digits of no character",
        ),
        (ConfigError::NoBootstrap, "`bootstrap.servers` names no broker"),
        (
            ConfigError::NotBuilt { name: "acks", value: value.clone() },
            "`acks` = \"x\" is not built yet",
        ),
        (
            ConfigError::NotServed { name: "acks", value: value.clone(), reason },
            "the cluster does not serve `acks` = \"x\": because",
        ),
        (
            ConfigError::Missing { name: "group.id", purpose: "subscribe" },
            "`group.id` is needed to subscribe",
        ),
        (ConfigError::Unusable { name: "acks", reason: reason.to_owned() }, "`acks`: because"),
        (
            ConfigError::BadPattern { pattern: value, reason: reason.to_owned() },
            "\"x\" is no pattern: because",
        ),
        (
            ConfigError::Contradiction { name: "subscribe", other: "assign", reason },
            "`subscribe` contradicts `assign`: because",
        ),
    ]
}

/// What holds of an error, in words.
fn meaning(error: &Error) -> String {
    let words = [
        (error.is_retriable(), "retriable"),
        (error.is_fatal(), "fatal"),
        (error.requires_abort(), "abort"),
        (error.possibly_written(), "written"),
        (error.is_stale_metadata(), "stale"),
    ];
    let words = words.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word);
    words.collect::<Vec<_>>().join(", ")
}

fn check(error: &Error, code: Option<ErrorCode>, means: &str, says: &str) {
    assert_eq!(error.to_string(), says);
    assert_eq!((error.code(), meaning(error).as_str()), (code, means), "{error}");
}

fn complete<'a, E: Named + 'a>(errors: impl Iterator<Item = &'a E>) {
    let with_rows: BTreeSet<_> = errors.map(Named::name).collect();
    assert_eq!(with_rows, E::ALL.iter().copied().collect());
}

#[test]
fn every_error_says_what_happened_and_what_that_means() {
    let mut errors = Vec::new();
    for (error, code, means, says) in
        [connections(), brokers(), records(), transactions(), groups()].into_iter().flatten()
    {
        check(&error, code, means, says);
        errors.push(error);
    }
    let (refusals, secrets, settings) = (refusals(), secrets(), settings());
    complete(refusals.iter().map(|(error, ..)| error));
    complete(secrets.iter().map(|(error, _)| error));
    complete(settings.iter().map(|(error, _)| error));
    for (source, code, means, says) in refusals {
        let mechanism = SaslMechanism::Plain;
        let error = Error::Authentication { address: address(), mechanism, source };
        let says = format!("PLAIN authentication with kafka:9092 failed: {says}");
        check(&error, code, means, &says);
        errors.push(error);
    }
    for (source, says) in secrets {
        let error = Error::Tls { address: address(), source };
        check(&error, None, "fatal", &format!("no TLS with kafka:9092: {says}"));
        errors.push(error);
    }
    for (source, says) in settings {
        let error = Error::from(source);
        check(&error, None, "fatal", says);
        errors.push(error);
    }
    complete(errors.iter());
}

#[test]
fn a_refusal_tells_where_it_comes_from() {
    let fenced = Arc::new(refused(ErrorCode::PRODUCER_FENCED, None));
    let told = |error: &Error| error.origin().map(ToString::to_string);
    let expected = Some("Produce at kafka:9092".to_owned());
    assert_eq!(told(&fenced), expected);
    assert_eq!(told(&Error::MustAbort { source: Arc::clone(&fenced) }), expected);
    assert_eq!(told(&Error::ProducerLost { source: Arc::clone(&fenced) }), expected);
    assert_eq!(told(&Error::Doubtful { last: fenced }), expected);
    assert_eq!(told(&Error::Closed), None);
}
