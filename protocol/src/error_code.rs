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
    -1 UNKNOWN_SERVER_ERROR fatal
        "The broker failed in a way that has no code of its own; its log says more";
    0 NONE fatal "No error";
    1 OFFSET_OUT_OF_RANGE fatal
        "The offset is outside the log of the partition; start from its beginning or its end";
    2 CORRUPT_MESSAGE retriable
        "The bytes of a batch do not match their checksum, or are no batch at all";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable
        "This broker does not host the topic or partition; it may be new, deleted or misspelt";
    4 INVALID_FETCH_SIZE fatal "The number of bytes asked for makes no sense";
    5 LEADER_NOT_AVAILABLE retriable
        "The partition has no leader at the moment; one is being elected";
    6 NOT_LEADER_OR_FOLLOWER retriable
        "This broker does not lead the partition, or holds no replica of it; ask for new metadata";
    7 REQUEST_TIMED_OUT retriable
        "The work was not done before the timeout; it may still be done later";
    8 BROKER_NOT_AVAILABLE fatal "The broker is not available";
    9 REPLICA_NOT_AVAILABLE retriable
        "The replica cannot be used at the moment, for instance because it is moving";
    10 MESSAGE_TOO_LARGE fatal "A batch is larger than the topic allows; see `max.message.bytes`";
    11 STALE_CONTROLLER_EPOCH fatal "The request comes from a controller that has been replaced";
    12 OFFSET_METADATA_TOO_LARGE fatal
        "The text stored beside an offset is longer than the broker allows";
    13 NETWORK_EXCEPTION retriable "The connection broke before the answer came";
    14 COORDINATOR_LOAD_IN_PROGRESS retriable
        "The coordinator is still reading its state from disk; try again shortly";
    15 COORDINATOR_NOT_AVAILABLE retriable
        "There is no coordinator at the moment; try again shortly";
    16 NOT_COORDINATOR retriable
        "This broker does not coordinate the group or transaction; look for the coordinator again";
    17 INVALID_TOPIC_EXCEPTION fatal
        "The name of the topic is not allowed, or nothing may be written to it";
    18 RECORD_LIST_TOO_LARGE fatal "The batches are larger than a segment of the log may be";
    19 NOT_ENOUGH_REPLICAS retriable
        "Fewer replicas are in sync than `min.insync.replicas` demands; nothing was written";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable
        "The records are written, but to fewer replicas than `min.insync.replicas` demands";
    21 INVALID_REQUIRED_ACKS fatal "The number of acknowledgements must be 0, 1 or -1";
    22 ILLEGAL_GENERATION fatal "The generation of the group is over; the member must join again";
    23 INCONSISTENT_GROUP_PROTOCOL fatal
        "The member's protocols have none in common with those of the group, or it named none";
    24 INVALID_GROUP_ID fatal "The id of the group is not allowed";
    25 UNKNOWN_MEMBER_ID fatal
        "The coordinator does not know the member; it must join again as a new one";
    26 INVALID_SESSION_TIMEOUT fatal
        "The session timeout is outside the limits that the broker sets";
    27 REBALANCE_IN_PROGRESS fatal "The group is being rebalanced; the member must join again";
    28 INVALID_COMMIT_OFFSET_SIZE fatal
        "The offsets committed at once are larger than the broker can store";
    29 TOPIC_AUTHORIZATION_FAILED fatal "The client may not do this with the topic";
    30 GROUP_AUTHORIZATION_FAILED fatal "The client may not do this with the group";
    31 CLUSTER_AUTHORIZATION_FAILED fatal "The client may not do this with the cluster";
    32 INVALID_TIMESTAMP fatal "The timestamp of a record is too far from the time of the broker";
    33 UNSUPPORTED_SASL_MECHANISM fatal
        "The broker does not offer this way of proving who the client is";
    34 ILLEGAL_SASL_STATE fatal "The request does not fit where the authentication stands";
    35 UNSUPPORTED_VERSION fatal "The broker does not speak this version of the request";
    36 TOPIC_ALREADY_EXISTS fatal "There is a topic of this name already";
    37 INVALID_PARTITIONS fatal "The number of partitions is not allowed; it can only grow";
    38 INVALID_REPLICATION_FACTOR fatal
        "The number of replicas is below one, or above the number of brokers";
    39 INVALID_REPLICA_ASSIGNMENT fatal
        "The brokers named for the replicas do not exist, or are named twice";
    40 INVALID_CONFIG fatal "A setting does not exist, or its value is not allowed";
    41 NOT_CONTROLLER retriable "This node is not the controller; ask for new metadata";
    42 INVALID_REQUEST fatal
        "The request contradicts itself or breaks a rule; its message or the broker's log tells";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT fatal "The format of the stored records does not allow this";
    44 POLICY_VIOLATION fatal "A policy of the cluster forbids the change";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER fatal "A batch from this producer is missing before this one";
    46 DUPLICATE_SEQUENCE_NUMBER fatal
        "The batch was written before; it is stored once, and nothing is lost";
    47 INVALID_PRODUCER_EPOCH fatal
        "A newer producer has taken the place of this one, or its epoch was raised";
    48 INVALID_TXN_STATE fatal "The transaction is in a state in which this cannot be done";
    49 INVALID_PRODUCER_ID_MAPPING fatal "The producer id does not belong to this transactional id";
    50 INVALID_TRANSACTION_TIMEOUT fatal "The transaction timeout is longer than the broker allows";
    51 CONCURRENT_TRANSACTIONS retriable
        "The transaction before this one is still being finished; try again shortly";
    52 TRANSACTION_COORDINATOR_FENCED fatal
        "The request comes from a transaction coordinator that has been replaced";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED fatal "The client may not use the transactional id";
    54 SECURITY_DISABLED fatal
        "The broker has no security configured, so there is nothing to look at or change";
    55 OPERATION_NOT_ATTEMPTED fatal
        "This part of the request was not tried, because another part failed";
    56 KAFKA_STORAGE_ERROR retriable
        "The broker cannot read or write its disk; another replica may take over";
    57 LOG_DIR_NOT_FOUND fatal "The broker has no such log directory";
    58 SASL_AUTHENTICATION_FAILED fatal "The client did not prove who it is; check its credentials";
    59 UNKNOWN_PRODUCER_ID fatal
        "The broker has forgotten the producer, for instance since its records have expired";
    60 REASSIGNMENT_IN_PROGRESS fatal
        "The partition is moving to other brokers; wait until that is done";
    61 DELEGATION_TOKEN_AUTH_DISABLED fatal "Delegation tokens are not enabled";
    62 DELEGATION_TOKEN_NOT_FOUND fatal "There is no such delegation token";
    63 DELEGATION_TOKEN_OWNER_MISMATCH fatal
        "The client is neither owner nor renewer of the delegation token";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED fatal
        "Delegation tokens cannot be handled over this kind of connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED fatal
        "The client may not do this with delegation tokens";
    66 DELEGATION_TOKEN_EXPIRED fatal "The delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE fatal "The broker does not know this type of principal";
    68 NON_EMPTY_GROUP fatal "The group still has members";
    69 GROUP_ID_NOT_FOUND fatal "There is no such group";
    70 FETCH_SESSION_ID_NOT_FOUND retriable
        "The broker has dropped the fetch session; open another one";
    71 INVALID_FETCH_SESSION_EPOCH retriable
        "The request is out of order in its fetch session; open another one";
    72 LISTENER_NOT_FOUND retriable
        "The leader has no listener of the name that this connection came in by";
    73 TOPIC_DELETION_DISABLED fatal "The cluster does not allow topics to be deleted";
    74 FENCED_LEADER_EPOCH retriable
        "The client knows an older leader of the partition; ask for new metadata";
    75 UNKNOWN_LEADER_EPOCH retriable
        "The client knows a newer leader of the partition than this broker does; try again shortly";
    76 UNSUPPORTED_COMPRESSION_TYPE fatal
        "A batch is compressed in a way that this version of the request does not know";
    77 STALE_BROKER_EPOCH fatal "The request comes from a broker that has registered anew since";
    78 OFFSET_NOT_AVAILABLE retriable
        "A new leader does not know yet how far the log is committed; try again shortly";
    79 MEMBER_ID_REQUIRED fatal
        "The group wants a member to join with an id; try again with the one in the answer";
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable
        "The preferred leader cannot take over, as it is not alive or not in sync";
    81 GROUP_MAX_SIZE_REACHED fatal "The group has as many members as the broker allows";
    82 FENCED_INSTANCE_ID fatal
        "Another client has joined with the same instance id and taken the place of this one";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable "No replica that may lead the partition is alive";
    84 ELECTION_NOT_NEEDED retriable "The partition has the leader that the election would choose";
    85 NO_REASSIGNMENT_IN_PROGRESS fatal "The partition is not moving, so there is nothing to stop";
    86 GROUP_SUBSCRIBED_TO_TOPIC fatal "The group is subscribed to the topic";
    87 INVALID_RECORD fatal "The broker refuses a record; the answer says which one and why";
    88 UNSTABLE_OFFSET_COMMIT retriable
        "A transaction may still change the offset; try again when it is over";
    89 THROTTLING_QUOTA_EXCEEDED retriable
        "The client changes too much in too short a time; wait for the throttle time and try again";
    90 PRODUCER_FENCED fatal
        "A newer producer with the same transactional id has taken the place of this one";
    91 RESOURCE_NOT_FOUND fatal "What the request names does not exist";
    92 DUPLICATE_RESOURCE fatal "The request names the same thing twice";
    93 UNACCEPTABLE_CREDENTIAL fatal
        "The credential is not acceptable, for instance as it has too few iterations";
    94 INCONSISTENT_VOTER_SET fatal "The voters named are not those that this controller knows";
    95 INVALID_UPDATE_VERSION fatal "The feature level asked for is not allowed";
    96 FEATURE_UPDATE_FAILED fatal "The controller could not change the features";
    97 PRINCIPAL_DESERIALIZATION_FAILURE fatal
        "The controller could not read the principal that a broker passed on";
    98 SNAPSHOT_NOT_FOUND fatal "There is no such snapshot of the metadata log";
    99 POSITION_OUT_OF_RANGE fatal "The position asked for is outside the snapshot";
    100 UNKNOWN_TOPIC_ID retriable
        "This broker does not host a topic with this id; it may be new or deleted";
    101 DUPLICATE_BROKER_REGISTRATION fatal "Another broker with this id is registered and alive";
    102 BROKER_ID_NOT_REGISTERED fatal "The broker is not registered";
    103 INCONSISTENT_TOPIC_ID retriable "The id of the topic in the log is not that in the request";
    104 INCONSISTENT_CLUSTER_ID fatal "The request is meant for another cluster";
    105 TRANSACTIONAL_ID_NOT_FOUND fatal "There is no such transactional id";
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable
        "The fetch session mixes topics by id and by name; open another one";
    107 INELIGIBLE_REPLICA fatal
        "A broker that is not in order cannot be among the replicas in sync";
    108 NEW_LEADER_ELECTED fatal
        "The change has made another broker the leader, which is no failure";
    109 OFFSET_MOVED_TO_TIERED_STORAGE fatal
        "The offset has moved to tiered storage; a replica must start from there";
    110 FENCED_MEMBER_EPOCH fatal
        "The coordinator has thrown the member out; it must give all up and join anew";
    111 UNRELEASED_INSTANCE_ID fatal
        "Another member still holds the instance id; it must leave first";
    112 UNSUPPORTED_ASSIGNOR fatal
        "The coordinator does not know the assignor, or the members have none in common";
    113 STALE_MEMBER_EPOCH fatal
        "The member has not heard of its latest epoch; try again after the next heartbeat";
    114 MISMATCHED_ENDPOINT_TYPE fatal
        "The request is for brokers and came to a controller, or the other way round";
    115 UNSUPPORTED_ENDPOINT_TYPE fatal "This kind of endpoint is not known";
    116 UNKNOWN_CONTROLLER_ID fatal "There is no controller with this id";
    117 UNKNOWN_SUBSCRIPTION_ID fatal
        "The metrics wanted have changed; ask for the subscription again";
    118 TELEMETRY_TOO_LARGE fatal "The metrics pushed are larger than the broker accepts";
    119 INVALID_REGISTRATION fatal
        "The registration of a node contradicts the state of the cluster";
    120 TRANSACTION_ABORTABLE fatal
        "Something went wrong in the transaction, but the producer may abort it and go on";
    121 INVALID_RECORD_STATE fatal
        "The record is not in a state that allows this, as its lock may have timed out";
    122 SHARE_SESSION_NOT_FOUND retriable
        "The broker has dropped the share session; open another one";
    123 INVALID_SHARE_SESSION_EPOCH retriable
        "The request is out of order in its share session; open another one";
    124 FENCED_STATE_EPOCH fatal
        "The request comes with an older epoch of a share partition's state than the one stored";
    125 INVALID_VOTER_KEY fatal "The directory id of the voter is not the one expected";
    126 DUPLICATE_VOTER fatal "The controller is a voter already";
    127 VOTER_NOT_FOUND fatal "The controller is not a voter";
    128 INVALID_REGULAR_EXPRESSION fatal "The regular expression cannot be understood";
    129 REBOOTSTRAP_REQUIRED fatal
        "The client knows the cluster too poorly; it must start from its bootstrap servers again";
    130 STREAMS_INVALID_TOPOLOGY fatal "The topology of the streams application contradicts itself";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH fatal
        "The epoch of the streams topology is not one that the group can take";
    132 STREAMS_TOPOLOGY_FENCED fatal
        "Another epoch of the streams topology is in force in the group";
    133 SHARE_SESSION_LIMIT_REACHED retriable
        "The broker keeps as many share sessions as it may; try again later";
}
