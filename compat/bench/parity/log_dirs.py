"""DescribeLogDirs: the folders of a broker and what lies in them."""

from ..records import Batch, Record
from .world import Ask, World, produce

API = "DescribeLogDirs"
OWN = "l-"


def log(w: World) -> str:
    """Two partitions, of which the first holds two batches."""
    name = OWN + "log"
    if name not in w.ids:
        w.topic(name, partitions=2, retention_ms="-1")
        for _ in range(2):
            w.request("Produce", 9, produce(w, name, Batch(records=[Record(b"x" * 100)])))
    return name


def describe(make):
    """Asks, and masks what belongs to the machine; of all topics, ours count."""

    def send(w: World, v: int) -> dict:
        log(w)
        w.topic(OWN + "empty")
        answer = w.request(API, v, {"topics": make})
        for each in answer["results"]:
            each["logDir"] = "an absolute path" if each["logDir"].startswith("/") else "another"
            each["topics"] = [t for t in each["topics"] if t["name"].startswith(OWN)]
            for topic in each["topics"]:
                topic["partitions"].sort(key=lambda part: part["partitionIndex"])
            for space in ("totalBytes", "usableBytes"):
                if space in each:
                    each[space] = "known" if each[space] > 0 else each[space]
        return answer

    return send


def one(name: str, *partitions: int) -> dict:
    return {"topic": name, "partitions": list(partitions)}


def asks() -> list[Ask]:
    kinds = [
        ("all topics", None),
        ("no topics", []),
        ("two partitions", [one(OWN + "log", 1, 0)]),
        ("one of two partitions", [one(OWN + "log", 0)]),
        ("a topic without partitions", [one(OWN + "log")]),
        ("an unknown partition", [one(OWN + "log", 0, 9, -1)]),
        ("only an unknown partition", [one(OWN + "log", 9)]),
        ("an unknown topic", [one("nowhere", 0)]),
        ("two topics", [one(OWN + "log", 0), one(OWN + "empty", 0)]),
        ("a topic twice", [one(OWN + "log", 0), one(OWN + "log", 0, 1)]),
        ("the metadata log", [one("__cluster_metadata", 0)]),
    ]
    return [Ask(title, API, send=describe(make)) for title, make in kinds]
