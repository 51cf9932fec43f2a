"""Fetch: which batches come back, where reading may start, and what each mistake is answered."""

from ..records import LOG_APPEND_TIME, Batch, Record
from .world import UNKNOWN_ID, Ask, World

ALL = 50_000_000
BY_ID = range(13, 19)


def log(w: World) -> str:
    """Three batches of three records: offsets 0-2, 3-5 and 6-8."""
    batch = Batch(records=[Record(b"x" * 100, b"k", n) for n in range(3)])
    return w.filled("f-log", [batch] * 3)


def stamped(w: World) -> str:
    return w.filled("f-stamped", [Batch()], message_timestamp_type="LogAppendTime")


def old(w: World) -> str:
    """A topic whose batch claims an append time that the topic does not ask for."""
    return w.filled("f-claims", [Batch(attributes=LOG_APPEND_TIME * 0)])


def fetch(
    topic,
    offset: int,
    max_bytes: int = ALL,
    partition_bytes: int = ALL,
    partition: int = 0,
    isolation: int = 0,
    min_bytes: int = 0,
    **fields: int,
):
    """One partition of one topic, without a session."""

    def body(w: World, v: int) -> dict:
        name = topic(w) if callable(topic) else topic
        entry = {
            "partition": partition,
            "fetchOffset": offset,
            "partitionMaxBytes": partition_bytes,
        }
        return {
            "maxWaitMs": 300,
            "minBytes": min_bytes,
            "maxBytes": max_bytes,
            "isolationLevel": isolation,
            "topics": [{"topic": name, "topicId": w.id(name), "partitions": [entry | fields]}],
        }

    return body


def two_partitions(limit: int):
    """Both partitions hold a batch; the limit decides how much of the second comes."""

    def body(w: World, v: int) -> dict:
        base = fetch(log, 0, max_bytes=limit)(w, v)
        other = fetch(stamped, 0)(w, v)
        base["topics"] += other["topics"]
        return base

    return body


def session(session_id: int, epoch: int, topic=log):
    return lambda w, v: fetch(topic, 0)(w, v) | {"sessionId": session_id, "sessionEpoch": epoch}


def nothing(w: World, v: int) -> dict:
    return {"maxWaitMs": 100, "minBytes": 1, "maxBytes": ALL, "topics": []}


def unknown_beside_known(w: World, v: int) -> dict:
    """The known topic has nothing to give, so that only the answer about the other one counts."""
    body = fetch(log, 9, min_bytes=1)(w, v)
    stranger = {"topic": "nowhere", "topicId": UNKNOWN_ID}
    body["topics"].append(stranger | {"partitions": body["topics"][0]["partitions"]})
    return body


def deleted_id(w: World, v: int) -> dict:
    """The id of a topic that is no more."""
    name = w.fresh("f-deleted", v)
    body = fetch(lambda _: name, 0)(w, v)
    w.request("DeleteTopics", 5, {"topicNames": [name], "timeoutMs": 10_000})
    return body


def asks() -> list[Ask]:
    kinds = [
        ("from the start", fetch(log, 0)),
        ("from the middle of a batch", fetch(log, 4)),
        ("from the last record", fetch(log, 8)),
        ("from the end", fetch(log, 9)),
        ("from the end, waiting", fetch(log, 9, min_bytes=1)),
        ("past the end", fetch(log, 10)),
        ("from -1", fetch(log, -1)),
        ("a byte in all", fetch(log, 0, max_bytes=1)),
        ("a byte per partition", fetch(log, 0, partition_bytes=1)),
        ("no byte in all", fetch(log, 0, max_bytes=0)),
        ("no byte per partition", fetch(log, 0, partition_bytes=0)),
        ("negative limits", fetch(log, 0, max_bytes=-1, partition_bytes=-1)),
        ("one batch and a half", fetch(log, 0, partition_bytes=600)),
        ("one batch and a half in all", fetch(log, 0, max_bytes=600)),
        ("two partitions, room for one", two_partitions(1)),
        ("two partitions, room for both", two_partitions(ALL)),
        ("committed records only", fetch(log, 0, isolation=1)),
        ("an unknown isolation level", fetch(log, 0, isolation=7)),
        ("append time", fetch(stamped, 0)),
        ("an unknown topic", fetch("nowhere", 0)),
        ("an unknown partition", fetch(log, 0, partition=5)),
        ("a negative partition", fetch(log, 0, partition=-1)),
        ("no topics", nothing),
        ("an unknown topic beside a known one", unknown_beside_known),
    ]
    epochs = [
        ("the current epoch", fetch(log, 0, currentLeaderEpoch=0)),
        ("an epoch too new", fetch(log, 0, currentLeaderEpoch=99)),
        ("an epoch of -2", fetch(log, 0, currentLeaderEpoch=-2)),
    ]
    diverging = [
        ("last fetched epoch too new", fetch(log, 3, lastFetchedEpoch=99)),
        ("last fetched epoch current", fetch(log, 3, lastFetchedEpoch=0)),
    ]
    sessions = [
        ("a new session", session(0, 0)),
        ("no session", session(0, -1)),
        ("an unknown session", session(4242, 1)),
        ("closing an unknown session", session(4242, -1)),
        ("a session without an id", session(0, 5)),
    ]
    return (
        [Ask(title, "Fetch", body) for title, body in kinds]
        + [Ask(title, "Fetch", body, range(9, 19)) for title, body in epochs]
        + [Ask(title, "Fetch", body, range(12, 19)) for title, body in diverging]
        + [Ask(title, "Fetch", body, range(7, 19)) for title, body in sessions]
        + [Ask("the id of a deleted topic", "Fetch", deleted_id, BY_ID)]
    )
