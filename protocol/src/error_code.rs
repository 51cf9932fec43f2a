//! Kafka's error codes in one table.

use std::fmt;

use crate::wire::{Reader, Result, Shape, Wire, WireError, Writer};

/// What a broker says went wrong. Data, not an exception: answers carry one per item.
///
/// A code that is not in the table travels unharmed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($code:literal $name:ident $retriable:ident $meaning:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($code);
            )*

            /// Every code of the table, in rising order.
            pub const ALL: &'static [Self] = &[$(Self($code)),*];

            fn row(self) -> Option<(&'static str, bool, &'static str)> {
                match self.0 {
                    $($code => Some((stringify!($name), $retriable!(), $meaning)),)*
                    _ => None,
                }
            }
        }
    };
}

macro_rules! retriable {
    () => {
        true
    };
}

macro_rules! fatal {
    () => {
        false
    };
}

impl ErrorCode {
    /// Kafka's name for it, such as `OFFSET_OUT_OF_RANGE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_CODE", |row| row.0)
    }

    /// Whether the same request may succeed later, as Kafka's clients see it.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.1)
    }

    /// What it means, in one sentence without a full stop.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("This code is not known here", |row| row.2)
    }

    /// Whether this is [`NONE`](Self::NONE).
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// `Ok` for [`NONE`](Self::NONE), the code itself otherwise.
    ///
    /// # Errors
    /// Any code but `NONE`.
    pub fn ok(self) -> std::result::Result<(), Self> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.0, self.meaning())
    }
}

impl Wire for ErrorCode {
    const SHAPE: Shape = i16::SHAPE;

    fn read(r: &mut Reader) -> Result<Self> {
        i16::read(r).map(Self)
    }

    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }

    fn read_nullable(_: &mut Reader) -> Result<Option<Self>> {
        Err(WireError::UnexpectedNull)
    }

    fn write_null(w: &mut Writer) {
        w.fail(WireError::UnexpectedNull);
    }
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR fatal "To be described";
    0 NONE fatal "To be described";
    1 OFFSET_OUT_OF_RANGE fatal "To be described";
    2 CORRUPT_MESSAGE retriable "To be described";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable "To be described";
    4 INVALID_FETCH_SIZE fatal "To be described";
    5 LEADER_NOT_AVAILABLE retriable "To be described";
    6 NOT_LEADER_OR_FOLLOWER retriable "To be described";
    7 REQUEST_TIMED_OUT retriable "To be described";
    8 BROKER_NOT_AVAILABLE fatal "To be described";
    9 REPLICA_NOT_AVAILABLE retriable "To be described";
    10 MESSAGE_TOO_LARGE fatal "To be described";
    11 STALE_CONTROLLER_EPOCH fatal "To be described";
    12 OFFSET_METADATA_TOO_LARGE fatal "To be described";
    13 NETWORK_EXCEPTION retriable "To be described";
    14 COORDINATOR_LOAD_IN_PROGRESS retriable "To be described";
    15 COORDINATOR_NOT_AVAILABLE retriable "To be described";
    16 NOT_COORDINATOR retriable "To be described";
    17 INVALID_TOPIC_EXCEPTION fatal "To be described";
    18 RECORD_LIST_TOO_LARGE fatal "To be described";
    19 NOT_ENOUGH_REPLICAS retriable "To be described";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable "To be described";
    21 INVALID_REQUIRED_ACKS fatal "To be described";
    22 ILLEGAL_GENERATION fatal "To be described";
    23 INCONSISTENT_GROUP_PROTOCOL fatal "To be described";
    24 INVALID_GROUP_ID fatal "To be described";
    25 UNKNOWN_MEMBER_ID fatal "To be described";
    26 INVALID_SESSION_TIMEOUT fatal "To be described";
    27 REBALANCE_IN_PROGRESS fatal "To be described";
    28 INVALID_COMMIT_OFFSET_SIZE fatal "To be described";
    29 TOPIC_AUTHORIZATION_FAILED fatal "To be described";
    30 GROUP_AUTHORIZATION_FAILED fatal "To be described";
    31 CLUSTER_AUTHORIZATION_FAILED fatal "To be described";
    32 INVALID_TIMESTAMP fatal "To be described";
    33 UNSUPPORTED_SASL_MECHANISM fatal "To be described";
    34 ILLEGAL_SASL_STATE fatal "To be described";
    35 UNSUPPORTED_VERSION fatal "To be described";
    36 TOPIC_ALREADY_EXISTS fatal "To be described";
    37 INVALID_PARTITIONS fatal "To be described";
    38 INVALID_REPLICATION_FACTOR fatal "To be described";
    39 INVALID_REPLICA_ASSIGNMENT fatal "To be described";
    40 INVALID_CONFIG fatal "To be described";
    41 NOT_CONTROLLER retriable "To be described";
    42 INVALID_REQUEST fatal "To be described";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT fatal "To be described";
    44 POLICY_VIOLATION fatal "To be described";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER fatal "To be described";
    46 DUPLICATE_SEQUENCE_NUMBER fatal "To be described";
    47 INVALID_PRODUCER_EPOCH fatal "To be described";
    48 INVALID_TXN_STATE fatal "To be described";
    49 INVALID_PRODUCER_ID_MAPPING fatal "To be described";
    50 INVALID_TRANSACTION_TIMEOUT fatal "To be described";
    51 CONCURRENT_TRANSACTIONS retriable "To be described";
    52 TRANSACTION_COORDINATOR_FENCED fatal "To be described";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED fatal "To be described";
    54 SECURITY_DISABLED fatal "To be described";
    55 OPERATION_NOT_ATTEMPTED fatal "To be described";
    56 KAFKA_STORAGE_ERROR retriable "To be described";
    57 LOG_DIR_NOT_FOUND fatal "To be described";
    58 SASL_AUTHENTICATION_FAILED fatal "To be described";
    59 UNKNOWN_PRODUCER_ID fatal "To be described";
    60 REASSIGNMENT_IN_PROGRESS fatal "To be described";
    61 DELEGATION_TOKEN_AUTH_DISABLED fatal "To be described";
    62 DELEGATION_TOKEN_NOT_FOUND fatal "To be described";
    63 DELEGATION_TOKEN_OWNER_MISMATCH fatal "To be described";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED fatal "To be described";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED fatal "To be described";
    66 DELEGATION_TOKEN_EXPIRED fatal "To be described";
    67 INVALID_PRINCIPAL_TYPE fatal "To be described";
    68 NON_EMPTY_GROUP fatal "To be described";
    69 GROUP_ID_NOT_FOUND fatal "To be described";
    70 FETCH_SESSION_ID_NOT_FOUND retriable "To be described";
    71 INVALID_FETCH_SESSION_EPOCH retriable "To be described";
    72 LISTENER_NOT_FOUND retriable "To be described";
    73 TOPIC_DELETION_DISABLED fatal "To be described";
    74 FENCED_LEADER_EPOCH retriable "To be described";
    75 UNKNOWN_LEADER_EPOCH retriable "To be described";
    76 UNSUPPORTED_COMPRESSION_TYPE fatal "To be described";
    77 STALE_BROKER_EPOCH fatal "To be described";
    78 OFFSET_NOT_AVAILABLE retriable "To be described";
    79 MEMBER_ID_REQUIRED fatal "To be described";
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable "To be described";
    81 GROUP_MAX_SIZE_REACHED fatal "To be described";
    82 FENCED_INSTANCE_ID fatal "To be described";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable "To be described";
    84 ELECTION_NOT_NEEDED retriable "To be described";
    85 NO_REASSIGNMENT_IN_PROGRESS fatal "To be described";
    86 GROUP_SUBSCRIBED_TO_TOPIC fatal "To be described";
    87 INVALID_RECORD fatal "To be described";
    88 UNSTABLE_OFFSET_COMMIT retriable "To be described";
    89 THROTTLING_QUOTA_EXCEEDED retriable "To be described";
    90 PRODUCER_FENCED fatal "To be described";
    91 RESOURCE_NOT_FOUND fatal "To be described";
    92 DUPLICATE_RESOURCE fatal "To be described";
    93 UNACCEPTABLE_CREDENTIAL fatal "To be described";
    94 INCONSISTENT_VOTER_SET fatal "To be described";
    95 INVALID_UPDATE_VERSION fatal "To be described";
    96 FEATURE_UPDATE_FAILED fatal "To be described";
    97 PRINCIPAL_DESERIALIZATION_FAILURE fatal "To be described";
    98 SNAPSHOT_NOT_FOUND fatal "To be described";
    99 POSITION_OUT_OF_RANGE fatal "To be described";
    100 UNKNOWN_TOPIC_ID retriable "To be described";
    101 DUPLICATE_BROKER_REGISTRATION fatal "To be described";
    102 BROKER_ID_NOT_REGISTERED fatal "To be described";
    103 INCONSISTENT_TOPIC_ID retriable "To be described";
    104 INCONSISTENT_CLUSTER_ID fatal "To be described";
    105 TRANSACTIONAL_ID_NOT_FOUND fatal "To be described";
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable "To be described";
    107 INELIGIBLE_REPLICA fatal "To be described";
    108 NEW_LEADER_ELECTED fatal "To be described";
    109 OFFSET_MOVED_TO_TIERED_STORAGE fatal "To be described";
    110 FENCED_MEMBER_EPOCH fatal "To be described";
    111 UNRELEASED_INSTANCE_ID fatal "To be described";
    112 UNSUPPORTED_ASSIGNOR fatal "To be described";
    113 STALE_MEMBER_EPOCH fatal "To be described";
    114 MISMATCHED_ENDPOINT_TYPE fatal "To be described";
    115 UNSUPPORTED_ENDPOINT_TYPE fatal "To be described";
    116 UNKNOWN_CONTROLLER_ID fatal "To be described";
    117 UNKNOWN_SUBSCRIPTION_ID fatal "To be described";
    118 TELEMETRY_TOO_LARGE fatal "To be described";
    119 INVALID_REGISTRATION fatal "To be described";
    120 TRANSACTION_ABORTABLE fatal "To be described";
    121 INVALID_RECORD_STATE fatal "To be described";
    122 SHARE_SESSION_NOT_FOUND retriable "To be described";
    123 INVALID_SHARE_SESSION_EPOCH retriable "To be described";
    124 FENCED_STATE_EPOCH fatal "To be described";
    125 INVALID_VOTER_KEY fatal "To be described";
    126 DUPLICATE_VOTER fatal "To be described";
    127 VOTER_NOT_FOUND fatal "To be described";
    128 INVALID_REGULAR_EXPRESSION fatal "To be described";
    129 REBOOTSTRAP_REQUIRED fatal "To be described";
    130 STREAMS_INVALID_TOPOLOGY fatal "To be described";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH fatal "To be described";
    132 STREAMS_TOPOLOGY_FENCED fatal "To be described";
    133 SHARE_SESSION_LIMIT_REACHED retriable "To be described";
}
