"""Where our answer differs from Kafka's on purpose, and why."""

import re
from dataclasses import dataclass

ABSENT, LISTED = "(absent)", "(listed)"
TELEMETRY = (71, 72)
INVALID_TOPIC, UNKNOWN_MEMBER, INVALID_REQUEST, INVALID_RECORD = 17, 25, 42, 87
INVALID_UPDATE, UNKNOWN_TOPIC_ID = 95, 100


@dataclass(frozen=True)
class Deliberate:
    """What we answer in the place of Kafka's, by its path, and why.

    In a path, `*` is whatever an element is called. An element that only we list has the fields
    that are said here, of which old versions lack some, and no other. No titles mean all of the
    group. To give no answer, or one that cannot be read, is never meant.
    """

    group: str
    titles: tuple[str, ...]
    ours: dict[str, object]
    why: str

    def covers(self, group: str, title: str, path: str, ours: object) -> bool:
        named = group == self.group and (not self.titles or title in self.titles)
        return named and any(
            leads_to(pattern, path) and agrees(ours, meant) for pattern, meant in self.ours.items()
        )


def leads_to(pattern: str, path: str) -> bool:
    return re.fullmatch("[^]]*".join(map(re.escape, pattern.split("*"))), path) is not None


def agrees(ours: object, meant: object) -> bool:
    if isinstance(ours, dict) and isinstance(meant, dict):
        return all(key in meant and meant[key] == value for key, value in ours.items())
    return ours == meant


OLD_VERSIONS = "clients that are older than Kafka 4 are served too"
SIZED = "the system sizes the buffers of sockets as they are needed"
BOUNDED = "ours are bounded unless the operator says otherwise"
UNREAD = "a batch is judged by its header and checksum; its records are never decoded on the way in"
AT_ONCE = "a topic that is made by asking for it is there in the same answer, not only in the next"
ONCE = "a group that is named twice is told once: no short request has an answer without bounds"
TWICE = "both batches are stored and answered; Kafka drops the first without a word"
RACE = "Kafka's answer depends on how far its deletion has come"
BLANKS = "an element of a list is the same with blanks around it"
OPERATION = "Kafka says UNKNOWN_SERVER_ERROR of an operation that it does not know"
DEFAULTS = "defaults of one broker, where Kafka's are those of three"
EMPTY = "Kafka fails the whole request with UNKNOWN_SERVER_ERROR, which clients retry"
NO_MEMBER = "Kafka says UNKNOWN_SERVER_ERROR where no member is named; ours is unknown"
AGAIN = "a member that has not heard that it has joined may join again; Kafka takes it for another"
ELR = "Kafka's eligible leader replicas keep it as a setting of the whole cluster"
FIXED = "features are at their highest levels, and stay there"
NO_PLUGIN = "clients' metrics are told at /metrics; Kafka takes them only for a plug-in"
NO_EPOCH = "an epoch that cannot be is unknown; Kafka takes it for one below the first"
NO_CODEC = "Kafka says UNKNOWN_SERVER_ERROR of bytes that no codec can read, which clients retry"


def partition(index: int) -> dict[str, object]:
    """A partition of a topic that is there, as it is described."""
    return {
        "errorCode": 0,
        "partitionIndex": index,
        "leaderId": "<node>",
        "leaderEpoch": "<epoch>",
        "replicaNodes[0]": "<node>",
        "isrNodes[0]": "<node>",
        "eligibleLeaderReplicas": [],
        "lastKnownElr": [],
        "offlineReplicas": [],
    }


def batch(**header: object) -> dict[str, object]:
    """A batch as it came, with what its header has of its own."""
    usual = {
        "baseOffset": 0,
        "partitionLeaderEpoch": "<epoch>",
        "magic": 2,
        "crcValid": True,
        "lastOffsetDelta": 0,
        "baseTimestamp": 1_700_000_000_000,
        "maxTimestamp": 1_700_000_000_000,
        "producerId": -1,
        "producerEpoch": -1,
        "baseSequence": -1,
        "count": 1,
    }
    return usual | header


def described_once(group: str, title: str, name: str, fields: dict[str, object]) -> Deliberate:
    """One answer with the group's name, where Kafka lists two that only their places tell apart."""
    told = {"errorCode": 0, "groupId": name, "groupState": "Stable"} | fields
    never_asked = {"authorizedOperations": -(2**31), "errorMessage": None}
    ours = {"groups[0]": ABSENT, "groups[1]": ABSENT, f"groups[{name}]": told | never_asked}
    return Deliberate(group, (title,), ours, ONCE)


def only_member(**fields: object) -> dict[str, object]:
    usual = {"memberId": "<member>", "clientId": "bench", "clientHost": "/127.0.0.1"}
    return {f"members[0].{name}": value for name, value in (usual | fields).items()}


def holding(name: str) -> dict[str, object]:
    """The partitions of the topic that a member of the consumer protocol has or is to have."""
    topic = f"members[0].{name}.topicPartitions[<id>]"
    partitions = {f"{topic}.partitions[{index}]": index for index in range(3)}
    return partitions | {f"{topic}.topicId": "<id>", f"{topic}.topicName": "gc-log"}


# What a batch is that Kafka refuses for its records, and how it comes to lie in our log.
UNDECODED = {
    "a count of two and a delta of one over one record": batch(
        length=58, attributes=0, lastOffsetDelta=1, count=2
    ),
    "bytes after the records": batch(length=60, attributes=0),
    "gzip that is none": batch(length="<compressed>", attributes=1),
    "records that are noise": batch(length=89, attributes=0),
    "zstd that is none": batch(length="<compressed>", attributes=4),
}
PRODUCED = "responses[*].partitionResponses[0]"
STORED = "responses[0].partitions[0]"


def undecoded(what: str) -> tuple[Deliberate, Deliberate]:
    """The answer to such a batch, and what can be read then."""
    lies = UNDECODED[what]
    answered = {f"{PRODUCED}.errorCode": 0, f"{PRODUCED}.baseOffset": 0}
    read = {
        f"{STORED}.highWatermark": lies["count"],
        f"{STORED}.lastStableOffset": lies["count"],
        # Kafka's list is empty.
        f"{STORED}.records": ABSENT,
        f"{STORED}.records[0]": lies,
    }
    return (
        Deliberate("produce", (f"batch: {what}",), answered, UNREAD),
        Deliberate("produce", (f"stored: {what}",), read, UNREAD),
    )


DELIBERATE = (
    Deliberate(
        "connection",
        (),
        {f"apiKeys[{key}]": {"apiKey": key, "minVersion": 0, "maxVersion": 0} for key in TELEMETRY},
        NO_PLUGIN,
    ),
    Deliberate(
        "connection",
        (),
        {
            "apiKeys[19].minVersion": 0,
            "apiKeys[20].minVersion": 0,
            "apiKeys[32].minVersion": 0,
        },
        OLD_VERSIONS,
    ),
    Deliberate(
        "configs",
        ("this broker",),
        {
            "results[0].configs[max.connections].value": "10000",
            "results[0].configs[max.connections.per.ip].value": "1000",
            "results[0].configs[queued.max.request.bytes].value": "268435456",
        },
        BOUNDED,
    ),
    Deliberate(
        "configs",
        ("this broker",),
        {
            "results[0].configs[socket.receive.buffer.bytes].value": "-1",
            "results[0].configs[socket.send.buffer.bytes].value": "-1",
        },
        SIZED,
    ),
    Deliberate(
        "configs",
        ("this broker",),
        {
            "results[0].configs[share.coordinator.state.topic.min.isr].value": "1",
            "results[0].configs[share.coordinator.state.topic.replication.factor].value": "1",
        },
        DEFAULTS,
    ),
    Deliberate("configs", (), {"results[0].configs[min.insync.replicas].configSource": 5}, ELR),
    Deliberate("topics", (), {"topics[*].configs[min.insync.replicas].configSource": 5}, ELR),
    Deliberate(
        "configs",
        ("a topic with settings, synonyms too",),
        {
            "results[0].configs[min.insync.replicas].synonyms[0]": ABSENT,
            "results[0].configs[min.insync.replicas].synonyms[1]": ABSENT,
            "results[0].configs[min.insync.replicas].synonyms[min.insync.replicas]": {
                "name": "min.insync.replicas",
                "value": "1",
                "source": 5,
            },
        },
        ELR,
    ),
    Deliberate(
        "configs",
        ("all brokers",),
        {"results[0].configs": [], "results[0].configs[min.insync.replicas]": ABSENT},
        ELR,
    ),
    Deliberate(
        "topic_pages",
        ("an empty name",),
        {
            "pages[0].answer.topics[].errorCode": INVALID_TOPIC,
            "pages[0].answer.topics[].topicAuthorizedOperations": 3576,
            "pages[0].answer.topics[zzz-a].errorCode": 0,
            "pages[0].answer.topics[zzz-a].topicAuthorizedOperations": 3576,
            "pages[0].answer.topics[zzz-a].topicId": "<id>",
            # Kafka's list is empty.
            "pages[0].answer.topics[zzz-a].partitions": ABSENT,
            "pages[0].answer.topics[zzz-a].partitions[0]": partition(0),
            "pages[0].answer.topics[zzz-a].partitions[1]": partition(1),
            "pages[0].answer.topics[zzz-a].partitions[2]": partition(2),
        },
        EMPTY,
    ),
    Deliberate(
        "alter_configs",
        ("topic: an unknown operation",),
        {"responses[0].errorCode": INVALID_REQUEST},
        OPERATION,
    ),
    Deliberate(
        "alter_configs",
        ("topic: told of a list",),
        {
            "results[0].configs[cleanup.policy].value": "compact",
            "results[0].configs[cleanup.policy].synonyms[cleanup.policy].value": "compact",
        },
        BLANKS,
    ),
    Deliberate(
        "metadata",
        ("auto-creation, first answer",),
        {
            "topics[*].errorCode": 0,
            "topics[*].topicId": "<id>",
            # Kafka's list is empty.
            "topics[*].partitions": ABSENT,
            "topics[*].partitions[0]": partition(0),
        },
        AT_ONCE,
    ),
    Deliberate(
        "produce",
        ("one partition twice",),
        {
            "responses[*].partitionResponses[1]": {
                "index": 0,
                "errorCode": 0,
                "baseOffset": 1,
                "logAppendTimeMs": -1,
                "logStartOffset": 0,
                "recordErrors": [],
                "errorMessage": None,
            },
        },
        TWICE,
    ),
    described_once(
        "groups",
        "describe: one twice",
        "g-d-one",
        only_member(
            groupInstanceId=None, memberAssignment="796f757273", memberMetadata="72616e6765"
        )
        | {"protocolData": "range", "protocolType": "consumer"},
    ),
    described_once(
        "consumer_groups",
        "describe: one group twice",
        "gc-tell-v*",
        {"assignmentEpoch": 2, "groupEpoch": 2, "assignorName": "uniform"}
        | only_member(
            instanceId=None,
            rackId=None,
            memberEpoch=2,
            memberType=1,
            subscribedTopicRegex="",
            **{"subscribedTopicNames[0]": "gc-log"},
        )
        | holding("assignment")
        | holding("targetAssignment"),
    ),
    *(row for what in UNDECODED for row in undecoded(what)),
    Deliberate(
        "produce",
        ("stored: a greatest timestamp that is wrong",),
        {f"{STORED}.records[0].maxTimestamp": 5},
        UNREAD,
    ),
    Deliberate(
        "produce",
        ("stored: a negative timestamp",),
        {f"{STORED}.records[0].maxTimestamp": -5},
        UNREAD,
    ),
    Deliberate(
        "produce",
        ("batch: codec 5", "batch: codec 7"),
        {f"{PRODUCED}.errorCode": INVALID_RECORD, f"{PRODUCED}.logStartOffset": 0},
        NO_CODEC,
    ),
    Deliberate(
        "consumer_groups",
        ("fetch: no member with an epoch",),
        {"groups[*].errorCode": UNKNOWN_MEMBER},
        NO_MEMBER,
    ),
    Deliberate(
        "consumer_groups",
        ("join: again, static",),
        {
            "errorCode": 0,
            "heartbeatIntervalMs": 5000,
            "memberEpoch": 2,
            "memberId": "<member>",
            "assignment": ABSENT,
            "assignment.topicPartitions[<id>]": {"topicId": "<id>"}
            | {f"partitions[{index}]": index for index in range(3)},
        },
        AGAIN,
    ),
    Deliberate(
        "fetch",
        ("the id of a deleted topic",),
        {
            "responses[*].partitions[0].errorCode": UNKNOWN_TOPIC_ID,
            "responses[*].partitions[0].highWatermark": -1,
            "responses[*].partitions[0].lastStableOffset": -1,
            "responses[*].partitions[0].logStartOffset": -1,
            "responses[*].partitions[0].abortedTransactions": [],
        },
        RACE,
    ),
    Deliberate(
        "offsets",
        ("epoch: minus two",),
        {
            "topics[0].partitions[0].endOffset": -1,
            "topics[0].partitions[0].leaderEpoch": -1,
        },
        NO_EPOCH,
    ),
    Deliberate(
        "features",
        ("feature: a level below", "feature: a level below, with losses"),
        {"errorCode": INVALID_UPDATE, "results": [], "results[0]": ABSENT},
        FIXED,
    ),
    Deliberate(
        "features",
        ("feature: a feature twice",),
        {"errorCode": INVALID_UPDATE, "results": [], "results[0]": ABSENT, "results[1]": ABSENT},
        FIXED,
    ),
)


def reason(group: str, title: str, path: str, ours: object) -> str | None:
    """Why this difference is meant, if it is: a value, or the fields of an element only we list."""
    return next((d.why for d in DELIBERATE if d.covers(group, title, path, ours)), None)
