"""The features of the table, by the names that every client's suite uses."""

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

TOPICS = "topics made, described, deleted"
AUTO_CREATE = "a topic made by asking for it"
UNKNOWN_TOPIC = "an unknown topic is an error"
RECORD_FIELDS = "keys, headers, nulls, timestamps"
SEEK_OFFSET = "seek by offset"
SEEK_TIME = "seek by time"
EARLIEST_LATEST = "earliest and latest"
BIG = "a message near the limit"
TOO_LARGE = "a message over the limit"
CUT = "idempotent retry through cuts"

GROUP_RESUME = "a group commits and goes on"
GROUP_METADATA = "metadata of a commit"
GROUP_CHANGES = "a group grows, shrinks, loses a member"
GROUP_COOPERATIVE = "cooperative rebalance"
GROUP_STATIC = "a static member restarts"
GROUP_PATTERN = "subscription by pattern"
GROUP_PATTERN_GROWS = "subscription by pattern, new topics"
GROUP_PAUSE = "pause, resume, seek in a group"
GROUP_AUTO_COMMIT = "auto commit"
GROUP_ADMIN = "groups listed, described, deleted"
GROUP_OFFSETS = "offsets listed, altered, deleted"
DELETE_RECORDS = "records deleted"
CONFIGS = "configs described, altered"
CLUSTER = "cluster described"

TRANSACTIONS = "transactions committed, aborted"
TRANSACTIONS_CUT = "transactions through cuts"
TRANSACTIONS_FENCED = "a transactional producer is fenced"
TRANSACTION_OFFSETS = "offsets in transactions"
TRANSACTIONS_DESCRIBED = "transactions listed, described"


def compression(codec: str) -> str:
    return f"produce and consume, {codec}"


MIGRATION = "a group changes its protocol and goes back"


def mixed(assignor: str) -> str:
    return f"Java, librdkafka and ours, {assignor}"
