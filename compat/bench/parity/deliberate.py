"""Where our answer differs from Kafka's on purpose, and why."""

from dataclasses import dataclass

# The path of a difference between an answer and none.
NO_ANSWER = "answer"
CORRUPT_MESSAGE, INVALID_RECORD = 2, 87


@dataclass(frozen=True)
class Deliberate:
    """Fields whose path ends in `field`, where our value may be one of `ours`, and why.

    No titles mean all of the group, an empty field means any, no values mean any. To give no
    answer, or one that cannot be read, is never meant.
    """

    group: str
    titles: tuple[str, ...]
    field: str
    ours: tuple[object, ...]
    why: str

    def covers(self, group: str, title: str, path: str, ours: object) -> bool:
        named = group == self.group and (not self.titles or title in self.titles)
        return (
            named
            and path != NO_ANSWER
            and path.endswith(self.field)
            and (not self.ours or ours in self.ours)
        )


OLD_VERSIONS = "clients that are older than Kafka 4 are served too"
SIZED = "the system sizes the buffers of sockets as they are needed"
BOUNDED = "ours are bounded unless the operator says otherwise"
UNREAD = "a batch is judged by its header and checksum; its records are never decoded on the way in"
AT_ONCE = "a topic that is made by asking for it is there in the same answer, not only in the next"
TWICE = "both batches are stored and answered; Kafka drops the first without a word"
RACE = "Kafka's answer depends on how far its deletion has come"
BLANKS = "an element of a list is the same with blanks around it"
OPERATION = "Kafka says UNKNOWN_SERVER_ERROR of an operation that it does not know"
DEFAULTS = "defaults of one broker, where Kafka's are those of three"
EMPTY = "Kafka fails the whole request with UNKNOWN_SERVER_ERROR, which clients retry"
NO_MEMBER = "Kafka says UNKNOWN_SERVER_ERROR where no member is named; ours is unknown"
ELR = "Kafka's eligible leader replicas keep it as a setting of the whole cluster"
FIXED = "features are at their highest levels, and stay there"

NO_PLUGIN = "clients' metrics are told at /metrics; Kafka takes them only for a plug-in"

DELIBERATE = (
    Deliberate("connection", (), "apiKeys[71]", ("(listed)",), NO_PLUGIN),
    Deliberate("connection", (), "apiKeys[72]", ("(listed)",), NO_PLUGIN),
    Deliberate("connection", (), "apiKeys[19].minVersion", (0,), OLD_VERSIONS),
    Deliberate("connection", (), "apiKeys[20].minVersion", (0,), OLD_VERSIONS),
    Deliberate("connection", (), "apiKeys[32].minVersion", (0,), OLD_VERSIONS),
    Deliberate("configs", (), "configs[max.connections].value", ("10000",), BOUNDED),
    Deliberate("configs", (), "configs[max.connections.per.ip].value", ("1000",), BOUNDED),
    Deliberate("configs", (), "configs[queued.max.request.bytes].value", ("268435456",), BOUNDED),
    Deliberate("configs", (), "configs[socket.receive.buffer.bytes].value", ("-1",), SIZED),
    Deliberate("configs", (), "configs[socket.send.buffer.bytes].value", ("-1",), SIZED),
    Deliberate("configs", (), "configs[min.insync.replicas].configSource", (5,), ELR),
    Deliberate("topics", (), "configs[min.insync.replicas].configSource", (5,), ELR),
    Deliberate("configs", ("a topic with settings, synonyms too",), "", (), ELR),
    Deliberate("configs", ("all brokers",), "", (), ELR),
    Deliberate("configs", ("this broker",), "state.topic.min.isr].value", ("1",), DEFAULTS),
    Deliberate(
        "configs", ("this broker",), "state.topic.replication.factor].value", ("1",), DEFAULTS
    ),
    Deliberate("topic_pages", ("an empty name",), "", (), EMPTY),
    Deliberate("alter_configs", ("topic: an unknown operation",), "", (), OPERATION),
    Deliberate("alter_configs", ("topic: told of a list",), "", (), BLANKS),
    Deliberate("metadata", ("auto-creation, first answer",), "", (), AT_ONCE),
    Deliberate("produce", ("one partition twice",), "", (), TWICE),
    Deliberate(
        "produce",
        tuple(
            f"{when}: {what}"
            for when in ("batch", "stored")
            for what in (
                "a count of two and a delta of one over one record",
                "a greatest timestamp that is wrong",
                "a negative timestamp",
                "bytes after the records",
                "gzip that is none",
                "records that are noise",
                "zstd that is none",
            )
        ),
        "",
        (),
        UNREAD,
    ),
    Deliberate("produce", ("batch: codec 5", "batch: codec 7"), "logStartOffset", (0,), UNREAD),
    Deliberate("consumer_groups", ("fetch: no member with an epoch",), "", (), NO_MEMBER),
    Deliberate("fetch", ("the id of a deleted topic",), "", (), RACE),
    Deliberate(
        "offsets",
        ("epoch: minus two",),
        "",
        (),
        "an epoch that cannot be is unknown; Kafka takes it for one below the first",
    ),
    Deliberate(
        "produce",
        (
            "batch: codec 5",
            "batch: codec 7",
        ),
        "errorCode",
        (CORRUPT_MESSAGE, INVALID_RECORD),
        "Kafka says UNKNOWN_SERVER_ERROR of bytes that no codec can read, which clients retry",
    ),
    Deliberate("features", ("feature: a level below",), "", (), FIXED),
    Deliberate("features", ("feature: a level below, with losses",), "", (), FIXED),
    Deliberate("features", ("feature: a feature twice",), "", (), FIXED),
)


def reason(group: str, title: str, path: str, ours: object) -> str | None:
    """Why this difference is meant, if it is."""
    return next((d.why for d in DELIBERATE if d.covers(group, title, path, ours)), None)
