"""Metadata and DescribeCluster: which topics are shown, how they are named, when they are made."""

from ..wire import ZERO_UUID
from .world import UNKNOWN_ID, Ask, World


def by_name(name: str | None, create: bool = False):
    def body(w: World, v: int) -> dict:
        text = name.replace("*", f"v{v}") if name else name
        topics = [{"name": text, "topicId": ZERO_UUID}]
        return {"topics": topics, "allowAutoTopicCreation": create}

    return body


def by_id(topic: str | None):
    def body(w: World, v: int) -> dict:
        chosen = w.id(w.topic(topic)) if topic else UNKNOWN_ID
        return {"topics": [{"name": None, "topicId": chosen}], "allowAutoTopicCreation": True}

    return body


def created(w: World, v: int) -> dict:
    """The second ask for a topic that the first one made."""
    w.settle(f"auto-v{v}")
    return by_name("auto-*", create=True)(w, v)


def existing(w: World, v: int) -> dict:
    return by_name(w.topic("meta-known", partitions=3))(w, v)


def asks() -> list[Ask]:
    api = "Metadata"
    operations = {
        "topics": [],
        "includeTopicAuthorizedOperations": True,
        "includeClusterAuthorizedOperations": True,
    }
    known = lambda w: {"name": w.topic("meta-known", partitions=3), "topicId": ZERO_UUID}
    return [
        Ask("all topics", api, lambda w, v: {"topics": None if v else []}),
        Ask("an empty list", api, lambda w, v: {"topics": []}, range(1, 14)),
        Ask("a known topic", api, existing),
        Ask("a known topic twice", api, lambda w, v: {"topics": [known(w), known(w)]}),
        Ask(
            "authorised operations",
            api,
            lambda w, v: operations | {"topics": [known(w)]},
            range(8, 14),
        ),
        Ask("an unknown topic", api, by_name("nowhere"), range(4, 14)),
        Ask("auto-creation, first answer", api, by_name("auto-*", create=True)),
        Ask("auto-creation, once made", api, created),
        Ask("auto-creation of an empty name", api, by_name("", create=True)),
        Ask("auto-creation of a dot", api, by_name(".", create=True)),
        Ask("auto-creation of a bad name", api, by_name("a topic!", create=True)),
        Ask("auto-creation of a name of 250 letters", api, by_name("n" * 250, create=True)),
        Ask(
            "auto-creation of an internal topic",
            api,
            by_name("__share_group_state", create=False),
            range(4, 14),
        ),
        Ask("a bad name, no creation", api, by_name("a topic!"), range(4, 14)),
        Ask("a null name without an id", api, by_name(None), range(10, 14)),
        Ask("by id", api, by_id("meta-by-id"), range(10, 14)),
        Ask("by unknown id", api, by_id(None), range(10, 14)),
        Ask(
            "by id and name",
            api,
            lambda w, v: {
                "topics": [
                    {"name": w.topic("meta-known", partitions=3), "topicId": w.id("meta-known")},
                ]
            },
            range(10, 14),
        ),
        Ask(
            "one by id, one by name",
            api,
            lambda w, v: {
                "topics": [
                    {"name": w.topic("meta-by-id"), "topicId": ZERO_UUID},
                    {"name": None, "topicId": w.id(w.topic("meta-known", partitions=3))},
                ]
            },
            range(12, 14),
        ),
        Ask("the cluster", "DescribeCluster", lambda w, v: {}),
        Ask(
            "the cluster with operations",
            "DescribeCluster",
            lambda w, v: {"includeClusterAuthorizedOperations": True},
        ),
        Ask(
            "the controllers, asked of a broker",
            "DescribeCluster",
            lambda w, v: {"endpointType": 2},
            range(1, 3),
        ),
        Ask(
            "an unknown endpoint type",
            "DescribeCluster",
            lambda w, v: {"endpointType": 9},
            range(1, 3),
        ),
        Ask(
            "topic partitions",
            "DescribeTopicPartitions",
            lambda w, v: {
                "topics": [{"name": w.topic("meta-known", partitions=3)}, {"name": "nowhere"}],
                "responsePartitionLimit": 2000,
                "cursor": None,
            },
        ),
        Ask(
            "topic partitions, one at a time",
            "DescribeTopicPartitions",
            lambda w, v: {
                "topics": [{"name": w.topic("meta-known", partitions=3)}],
                "responsePartitionLimit": 1,
                "cursor": None,
            },
        ),
    ]
