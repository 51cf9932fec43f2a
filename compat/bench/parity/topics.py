"""CreateTopics, DeleteTopics and CreatePartitions, with every mistake that can be made in them."""

from ..wire import ZERO_UUID
from .world import UNKNOWN_ID, Ask, World


def create(name: str, validate: bool = False, **fields: object):
    """One topic; `*` in its name stands for the version."""

    def body(w: World, v: int) -> dict:
        topic = {"numPartitions": 1, "replicationFactor": 1} | fields
        topic["name"] = name.replace("*", f"v{v}")
        return {"topics": [topic], "timeoutMs": 10_000, "validateOnly": validate}

    return body


def config(**values: str | None) -> list[dict]:
    return [{"name": key.replace("_", "."), "value": value} for key, value in values.items()]


def assigned(*replicas: tuple[int, list[int]]) -> list[dict]:
    return [{"partitionIndex": index, "brokerIds": ids} for index, ids in replicas]


def create_asks() -> list[Ask]:
    auto = {"numPartitions": -1, "replicationFactor": -1}
    kinds = [
        ("a topic", create("made-*")),
        ("the same again", create("made-*")),
        ("validate only", create("checked-*", validate=True, numPartitions=3)),
        ("validate only an existing one", create("made-*", validate=True)),
        ("broker defaults", create("defaults-*", **auto)),
        (
            "with configs",
            create(
                "tuned-*",
                configs=config(
                    cleanup_policy="compact", segment_bytes="1048576", retention_ms="-1"
                ),
            ),
        ),
        ("an empty name", create("")),
        ("two dots", create("..")),
        ("a slash", create("a/b")),
        ("a name too long", create("n" * 250)),
        ("an internal name", create("__cluster_metadata")),
        ("zero partitions", create("zero-*", numPartitions=0)),
        ("minus two partitions", create("minus-*", numPartitions=-2)),
        ("replication factor 3", create("three-*", replicationFactor=3)),
        ("replication factor 0", create("none-*", replicationFactor=0)),
        ("replication factor -2", create("less-*", replicationFactor=-2)),
        ("an unknown config", create("odd-*", configs=config(no_such_key="1"))),
        ("a config out of range", create("odd-*", configs=config(retention_ms="-2"))),
        ("a config of the wrong type", create("odd-*", configs=config(segment_bytes="many"))),
        ("a config with a bad choice", create("odd-*", configs=config(cleanup_policy="burn"))),
        ("a config without a value", create("odd-*", configs=config(retention_ms=None))),
        (
            "min.insync.replicas above the replicas",
            create("isr-*", configs=config(min_insync_replicas="2")),
        ),
        ("two configs of one name", create("odd-*", configs=config(retention_ms="1") * 2)),
        (
            "assignment to an unknown broker",
            create(
                "where-*", numPartitions=-1, replicationFactor=-1, assignments=assigned((0, [77]))
            ),
        ),
        ("assignment and a partition count", create("both-*", assignments=assigned((0, [1])))),
        (
            "assignment with a gap",
            create("gap-*", numPartitions=-1, replicationFactor=-1, assignments=assigned((1, [1]))),
        ),
        (
            "assignment without replicas",
            create("bare-*", numPartitions=-1, replicationFactor=-1, assignments=assigned((0, []))),
        ),
        (
            "assignment with a replica twice",
            create(
                "dup-*", numPartitions=-1, replicationFactor=-1, assignments=assigned((0, [1, 1]))
            ),
        ),
        (
            "assignment to this broker",
            create(
                "here-*",
                numPartitions=-1,
                replicationFactor=-1,
                assignments=assigned((0, [1]), (1, [1])),
            ),
        ),
    ]
    asks = [Ask("create " + title, "CreateTopics", body) for title, body in kinds]
    asks.append(Ask("create a topic twice in one request", "CreateTopics", twice))
    asks.append(
        Ask("create nothing", "CreateTopics", lambda w, v: {"topics": [], "timeoutMs": 1000})
    )
    asks.append(Ask("create names that collide", "CreateTopics", collide))
    return asks


def twice(w: World, v: int) -> dict:
    topic = {"name": f"twice-v{v}", "numPartitions": 1, "replicationFactor": 1}
    return {"topics": [topic, topic], "timeoutMs": 10_000}


def collide(w: World, v: int) -> dict:
    """Kafka refuses `a.b` beside `a_b`, whose metrics would have one name."""
    w.topic("col.lide")
    return create("col_lide")(w, v)


def delete(name: str, make: bool):
    def body(w: World, v: int) -> dict:
        topic = w.fresh(name, v) if make else name
        return {
            "topicNames": [topic],
            "topics": [{"name": topic, "topicId": ZERO_UUID}],
            "timeoutMs": 10_000,
        }

    return body


def delete_by(make_topic):
    return lambda w, v: {"topics": [make_topic(w, v)], "timeoutMs": 10_000}


def delete_asks() -> list[Ask]:
    api, by_id = "DeleteTopics", range(6, 7)
    known = lambda w, v: w.id(w.fresh("gone-id", v))
    both = lambda w, v: {"name": w.fresh("gone-both", v), "topicId": w.id(f"gone-both-v{v}")}
    return [
        Ask("delete a topic", api, delete("gone", make=True)),
        Ask("delete an unknown topic", api, delete("nowhere", make=False)),
        Ask("delete an empty name", api, delete("", make=False)),
        Ask("delete a bad name", api, delete("a/b", make=False)),
        Ask(
            "delete by id",
            api,
            delete_by(lambda w, v: {"name": None, "topicId": known(w, v)}),
            by_id,
        ),
        Ask(
            "delete by unknown id",
            api,
            delete_by(lambda w, v: {"name": None, "topicId": UNKNOWN_ID}),
            by_id,
        ),
        Ask("delete by id and name", api, delete_by(both), by_id),
        Ask(
            "delete by neither",
            api,
            delete_by(lambda w, v: {"name": None, "topicId": ZERO_UUID}),
            by_id,
        ),
        Ask(
            "delete one twice",
            api,
            lambda w, v: {
                "topicNames": [w.fresh("gone-two", v)] * 2,
                "timeoutMs": 10_000,
                "topics": [{"name": f"gone-two-v{v}", "topicId": ZERO_UUID}] * 2,
            },
        ),
        Ask(
            "delete nothing", api, lambda w, v: {"topicNames": [], "topics": [], "timeoutMs": 1000}
        ),
    ]


def grow(count: int, make: bool = True, validate: bool = False, assignments=None):
    def body(w: World, v: int) -> dict:
        name = w.fresh("grow", v, partitions=2) if make else "nowhere"
        topic = {"name": name, "count": count, "assignments": assignments}
        return {"topics": [topic], "timeoutMs": 10_000, "validateOnly": validate}

    return body


def grow_asks() -> list[Ask]:
    to = lambda *ids: [{"brokerIds": list(each)} for each in ids]
    kinds = [
        ("to four, validate only", grow(4, validate=True)),
        ("to the same count", grow(2)),
        ("to fewer", grow(1)),
        ("to zero", grow(0)),
        ("to minus one", grow(-1)),
        ("of an unknown topic", grow(4, make=False)),
        ("with too few assignments", grow(4, assignments=to([1]))),
        ("with an unknown broker", grow(3, assignments=to([77]))),
        ("with an empty assignment", grow(3, assignments=to([]))),
        ("with two replicas", grow(3, assignments=to([1, 77]))),
        ("to four", grow(4)),
        ("to five, assigned", grow(5, assignments=to([1]))),
    ]
    return [Ask("partitions " + title, "CreatePartitions", body) for title, body in kinds]


def asks() -> list[Ask]:
    return create_asks() + delete_asks() + grow_asks()
