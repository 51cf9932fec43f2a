"""Produce: what is checked before a batch is written, and what is said when it is refused."""

import time
from dataclasses import replace

from ..records import CODECS, CONTROL, LOG_APPEND_TIME, TRANSACTIONAL, Batch, Record
from .world import Ask, World
from .world import produce as to

HOUR_MS = 3_600_000


def sent(base: str, *batches: Batch | bytes, acks: int = -1, partition: int = 0, **configs: str):
    """These batches in one partition of a topic of their own per version."""

    def body(w: World, v: int) -> dict:
        topic = w.fresh(base, v, **configs)
        return to(w, topic, *batches, acks=acks, partition=partition)

    return body


def nowhere(w: World, v: int) -> dict:
    return to(w, "nowhere", Batch())


def one_good_one_bad(w: World, v: int) -> dict:
    """An error in one partition leaves the others alone."""
    body = to(w, w.fresh("p-mixed", v, partitions=2), Batch())
    body["topicData"][0]["partitionData"].append({"index": 1, "records": Batch(crc=1).encode()})
    return body


def same_partition_twice(w: World, v: int) -> dict:
    body = to(w, w.fresh("p-same", v), Batch())
    body["topicData"][0]["partitionData"] *= 2
    return body


def nothing(w: World, v: int) -> dict:
    return {"transactionalId": None, "acks": -1, "timeoutMs": 1000, "topicData": []}


def acks_zero(*batches: Batch):
    """No answer is due; whether the connection lives shows in the request that follows."""

    def send(w: World, v: int) -> dict:
        topic = w.fresh("p-acks0", v)
        with w.connect() as connection:
            connection.post("Produce", v, to(w, topic, *batches, acks=0))
            return connection.request("Metadata", 4, {"topics": []})

    return send


def batch_kinds() -> list[tuple[str, Batch | bytes | None]]:
    """Batches that differ from a good one in one respect."""
    good = Batch()
    three = Batch(
        records=[Record(), Record(b"w", b"l", 5), Record(None, None, 9, [("h", b"x"), ("n", None)])]
    )
    raw = good.encode()
    return [
        ("one record", good),
        ("three records", three),
        ("a base offset that is not zero", replace(good, base_offset=42)),
        ("a leader epoch", replace(good, leader_epoch=9)),
        ("a wrong CRC", replace(good, crc=1)),
        ("magic 1", replace(good, magic=1)),
        ("magic 0", replace(good, magic=0)),
        ("magic 3", replace(good, magic=3)),
        ("no bytes at all", b""),
        ("the last byte missing", raw[:-1]),
        ("one byte too many", raw + b"\x00"),
        ("half a header", raw[:30]),
        ("two batches", raw * 2),
        ("a good batch and half of another", raw + raw[:20]),
        ("a length below the header's", replace(good, length=10)),
        ("a negative length", replace(good, length=-1)),
        ("a length far too great", replace(good, length=0x7FFFFFF0)),
        ("no records", Batch(records=[])),
        ("a count of zero over one record", replace(good, count=0)),
        ("a count of two over one record", replace(good, count=2)),
        (
            "a count of two and a delta of one over one record",
            replace(good, count=2, last_offset_delta=1),
        ),
        ("a negative count", replace(good, count=-1)),
        ("a last offset delta of five", replace(good, last_offset_delta=5)),
        ("a control batch", replace(good, attributes=CONTROL)),
        ("a transactional batch without a producer", replace(good, attributes=TRANSACTIONAL)),
        ("gzip", replace(good, attributes=CODECS["gzip"])),
        ("codec 5", replace(good, attributes=5)),
        ("codec 7", replace(good, attributes=7)),
        ("zstd that is none", replace(good, attributes=CODECS["zstd"])),
        ("gzip that is none", replace(good, attributes=CODECS["gzip"], payload=b"not gzip at all")),
        ("records that are noise", replace(good, payload=b"\xff" * 40)),
        ("bytes after the records", replace(good, payload=Record().encode(0) + b"\x00\x00")),
        ("a record whose offset delta is wrong", replace(good, payload=Record().encode(3))),
        ("an unused attribute bit", replace(good, attributes=0x80)),
        ("a delete horizon", replace(good, attributes=0x40)),
        ("the append time bit", replace(good, attributes=LOG_APPEND_TIME)),
        ("a greatest timestamp that is wrong", replace(good, max_timestamp=5)),
        ("no timestamp", replace(good, base_timestamp=-1)),
        ("a negative timestamp", replace(good, base_timestamp=-5)),
    ]


def topic_kinds() -> list[tuple[str, str, Batch, dict]]:
    """Batches that are good or bad because of what the topic says."""
    stamped = {"message_timestamp_type": "LogAppendTime"}
    far = lambda hours: Batch(base_timestamp=int(time.time() * 1000) + hours * HOUR_MS)
    keyless = Batch(records=[Record(), Record(key=None)])
    compact = {"cleanup_policy": "compact"}
    big = Batch(records=[Record(b"x" * 3000)])
    after = {"message_timestamp_after_max_ms": str(HOUR_MS)}
    before = {"message_timestamp_before_max_ms": str(HOUR_MS)}
    return [
        ("p-stamp", "append time", Batch(), stamped),
        ("p-stampz", "append time, gzip", Batch(attributes=CODECS["gzip"]), stamped),
        ("p-early", "too early for the topic", far(-3), before),
        ("p-late", "too late for the topic", far(3), after),
        ("p-ahead", "two hours ahead by default", far(2), {}),
        ("p-back", "a year back by default", far(-8760), {}),
        ("p-within", "within the topic's window", far(0), before | after),
        ("p-keyless", "keyless on a compacted topic", keyless, compact),
        ("p-keyed", "with keys on a compacted topic", Batch(), compact),
        ("p-large", "above max.message.bytes", big, {"max_message_bytes": "2000"}),
        ("p-small", "below max.message.bytes", Batch(), {"max_message_bytes": "2000"}),
        ("p-recode", "recompressed by the topic", Batch(), {"compression_type": "gzip"}),
    ]


def stored(base: str):
    """What the topic holds after the Produce of version 9."""

    def body(w: World, v: int) -> dict:
        partition = {"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1_000_000}
        topic = {"topic": f"{base}-v9", "partitions": [partition]}
        return {"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1_000_000, "topics": [topic]}

    return body


def asks() -> list[Ask]:
    out = []
    for i, (title, batch) in enumerate(batch_kinds()):
        out.append(Ask("batch: " + title, "Produce", sent(f"p-{i}", batch)))
        out.append(Ask("stored: " + title, "Fetch", stored(f"p-{i}"), range(12, 13)))
    for base, title, batch, configs in topic_kinds():
        out.append(Ask("topic: " + title, "Produce", sent(base, batch, **configs)))
        out.append(Ask("stored: " + title, "Fetch", stored(base), range(12, 13)))
    out += [
        Ask("an unknown topic", "Produce", nowhere),
        Ask("an unknown partition", "Produce", sent("p-part", Batch(), partition=9)),
        Ask("a negative partition", "Produce", sent("p-neg", Batch(), partition=-1)),
        Ask("acks 1", "Produce", sent("p-acks1", Batch(), acks=1)),
        Ask("acks 2", "Produce", sent("p-acks2", Batch(), acks=2)),
        Ask("acks -2", "Produce", sent("p-acks-2", Batch(), acks=-2)),
        Ask("acks 0 and a good batch", "Metadata", versions=range(3, 14), send=acks_zero(Batch())),
        Ask(
            "acks 0 and a bad batch",
            "Metadata",
            versions=range(3, 14),
            send=acks_zero(Batch(crc=1)),
        ),
        Ask("one partition good, one bad", "Produce", one_good_one_bad),
        Ask("one partition twice", "Produce", same_partition_twice),
        Ask("no topics", "Produce", nothing),
    ]
    return out
