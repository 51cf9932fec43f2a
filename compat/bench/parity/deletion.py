"""DeleteRecords: where a log may be cut, and what is left for readers."""

from ..records import Batch, Record
from .fetch import fetch
from .offsets import lookup
from .world import Ask, World, produce

API = "DeleteRecords"


def log(w: World, v: int, base: str, **configs: str) -> str:
    """Three batches of three records, in a topic of its own."""
    name = f"{base}-v{v}"
    if name not in w.ids:
        w.topic(name, retention_ms="-1", **configs)
        for _ in range(3):
            batch = Batch(records=[Record(timestamp_delta=n) for n in range(3)])
            w.request("Produce", 9, produce(w, name, batch))
    return name


def body(*cuts: tuple[str, int, int]) -> dict:
    """Each cut in an entry of its own: topic, partition, offset."""
    topics = [
        {"name": name, "partitions": [{"partitionIndex": index, "offset": offset}]}
        for name, index, offset in cuts
    ]
    return {"topics": topics, "timeoutMs": 10_000}


def before(offset: int, base: str, partition: int = 0, **configs: str):
    return lambda w, v: body((log(w, v, base, **configs), partition, offset))


def left(w: World, v: int, name: str) -> dict:
    """What readers see after a deletion."""
    ask = lambda api, version, make: w.request(api, version, make(w, version))
    return {
        "earliest": ask("ListOffsets", 5, lookup(name, -2))["topics"][0]["partitions"][0],
        "latest": ask("ListOffsets", 5, lookup(name, -1))["topics"][0]["partitions"][0],
        "first time": ask("ListOffsets", 5, lookup(name, 0))["topics"][0]["partitions"][0],
        "from 0": ask("Fetch", 11, fetch(name, 0))["responses"][0]["partitions"][0],
        "from 4": ask("Fetch", 11, fetch(name, 4))["responses"][0]["partitions"][0],
    }


def then(*offsets: int):
    """Deletes before each offset in turn, and looks at what is left."""

    def send(w: World, v: int) -> dict:
        name = log(w, v, "d-" + "-".join(map(str, offsets)))
        said = [w.request(API, v, body((name, 0, offset)))["topics"] for offset in offsets]
        return {"said": said, "left": left(w, v, name)}

    return send


def twice(w: World, v: int) -> dict:
    name = log(w, v, "d-twice")
    return body((name, 0, 3), (name, 0, 6), (name, 5, 1))


def internal(w: World, v: int) -> dict:
    """A topic that belongs to the broker; Kafka makes it when the first coordinator is sought."""
    w.request("FindCoordinator", 3, {"key": "d-group", "keyType": 0})
    w.settle("__consumer_offsets", 50)
    return body(("__consumer_offsets", 0, 0))


def asks() -> list[Ask]:
    kinds = [
        ("past the end", before(10, "d-log")),
        ("before the start", before(0, "d-log")),
        ("before -2", before(-2, "d-log")),
        ("an unknown partition", before(1, "d-log", partition=9)),
        ("a negative partition", before(1, "d-log", partition=-1)),
        ("an unknown topic", lambda w, v: body(("nowhere", 0, 1))),
        ("an empty name", lambda w, v: body(("", 0, 1))),
        ("a bad name", lambda w, v: body(("a/b", 0, 1))),
        ("no topics", lambda w, v: body()),
        ("of a compacted topic", before(3, "d-compact", cleanup_policy="compact")),
        ("of a topic of both kinds", before(3, "d-both", cleanup_policy="compact,delete")),
        ("a partition twice", twice),
        ("of an internal topic", internal),
    ]
    conversations = [
        ("in the middle of a batch", then(4)),
        ("between two batches", then(3)),
        ("all", then(9)),
        ("to the high watermark", then(-1)),
        ("forward and back", then(6, 3)),
        ("twice to the end", then(-1, -1)),
    ]
    return [Ask(title, API, make) for title, make in kinds] + [
        Ask(title, API, send=send) for title, send in conversations
    ]
