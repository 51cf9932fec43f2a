"""ListOffsets and OffsetForLeaderEpoch."""

from ..records import Batch, Record
from .world import Ask, World

START_MS = 1_700_000_000_000


def log(w: World) -> str:
    """Timestamps rise and fall; the greatest belongs to offset 3, in the middle of a batch."""
    first = Batch(records=[Record(timestamp_delta=n) for n in (0, 10, 5)], base_timestamp=START_MS)
    second = Batch(records=[Record(timestamp_delta=n) for n in (50, 20)], base_timestamp=START_MS)
    third = Batch(records=[Record(timestamp_delta=n) for n in (30, 40)], base_timestamp=START_MS)
    return w.filled("o-log", [first, second, third])


def empty(w: World) -> str:
    return w.topic("o-empty")


def lookup(
    topic, timestamp: int, partition: int = 0, isolation: int = 0, replica: int = -1, **fields: int
):
    def body(w: World, v: int) -> dict:
        name = topic(w) if callable(topic) else topic
        entry = {"partitionIndex": partition, "timestamp": timestamp} | fields
        return {
            "replicaId": replica,
            "isolationLevel": isolation,
            "timeoutMs": 1000,
            "topics": [{"name": name, "partitions": [entry]}],
        }

    return body


def twice(w: World, v: int) -> dict:
    body = lookup(log, -1)(w, v)
    body["topics"][0]["partitions"] *= 2
    return body


def special(topic, where: str) -> list[Ask]:
    """Every timestamp with a meaning of its own, and some without one."""
    return [
        Ask(f"timestamp {stamp} {where}", "ListOffsets", lookup(topic, stamp))
        for stamp in (-1, -2, -3, -4, -5, -6, -7, -100)
    ]


def epoch(topic, wanted: int, partition: int = 0, **fields: int):
    def body(w: World, v: int) -> dict:
        name = topic(w) if callable(topic) else topic
        entry = {"partition": partition, "leaderEpoch": wanted} | fields
        return {"replicaId": -1, "topics": [{"topic": name, "partitions": [entry]}]}

    return body


def epoch_asks() -> list[Ask]:
    return [
        Ask("epoch: " + title, "OffsetForLeaderEpoch", body)
        for title, body in [
            ("the current one", epoch(log, 0)),
            ("the current one of an empty log", epoch(empty, 0)),
            ("a later one", epoch(log, 5)),
            ("none", epoch(log, -1)),
            ("minus two", epoch(log, -2)),
            ("an unknown topic", epoch("nowhere", 0)),
            ("an unknown partition", epoch(log, 0, partition=9)),
            ("the right current epoch", epoch(log, 0, currentLeaderEpoch=0)),
            ("a current epoch too new", epoch(log, 0, currentLeaderEpoch=99)),
        ]
    ]


def asks() -> list[Ask]:
    times = [
        ("the first", 0),
        ("between two", 7),
        ("the greatest", 50),
        ("after the greatest", 51),
        ("before all", -99),
    ]
    return (
        special(log, "of a log")
        + special(empty, "of an empty log")
        + [
            Ask(f"time of {title}", "ListOffsets", lookup(log, START_MS + delta))
            for title, delta in times
        ]
        + [
            Ask("time zero", "ListOffsets", lookup(log, 0)),
            Ask(
                "latest, committed only", "ListOffsets", lookup(log, -1, isolation=1), range(2, 12)
            ),
            Ask("an unknown topic", "ListOffsets", lookup("nowhere", -1)),
            Ask("an unknown partition", "ListOffsets", lookup(log, -1, partition=9)),
            Ask("a partition twice", "ListOffsets", twice),
            Ask("as the debugging replica", "ListOffsets", lookup(log, -1, replica=-2)),
            Ask("as replica 5", "ListOffsets", lookup(log, -1, replica=5)),
            Ask(
                "the current epoch",
                "ListOffsets",
                lookup(log, -1, currentLeaderEpoch=0),
                range(4, 12),
            ),
            Ask(
                "an epoch too new",
                "ListOffsets",
                lookup(log, -1, currentLeaderEpoch=99),
                range(4, 12),
            ),
        ]
        + epoch_asks()
    )
