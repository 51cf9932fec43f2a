"""DescribeConfigs: every key of a topic, the broker's keys that we know, and bad resources."""

from .world import Ask, World

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32


def resource(kind: int, name, keys: list[str] | None = None, **options: bool):
    """One resource; `name` may be made from the world."""

    def body(w: World, v: int) -> dict:
        chosen = name(w) if callable(name) else name
        entry = {"resourceType": kind, "resourceName": chosen, "configurationKeys": keys}
        return {"resources": [entry]} | options

    return body


def plain(w: World) -> str:
    return w.topic("conf-plain")


def tuned(w: World) -> str:
    return w.topic(
        "conf-tuned",
        cleanup_policy="compact,delete",
        retention_ms="3600000",
        compression_type="lz4",
        max_message_bytes="2000000",
    )


def asks() -> list[Ask]:
    api = "DescribeConfigs"
    full = {"includeSynonyms": True, "includeDocumentation": False}
    return [
        Ask("a topic with nothing set", api, resource(TOPIC, plain)),
        Ask("a topic with settings, synonyms too", api, resource(TOPIC, tuned, **full)),
        Ask("two keys of a topic", api, resource(TOPIC, tuned, ["retention.ms", "cleanup.policy"])),
        Ask("no keys of a topic", api, resource(TOPIC, tuned, [])),
        Ask("an unknown key of a topic", api, resource(TOPIC, tuned, ["no.such.key"])),
        Ask("an unknown topic", api, resource(TOPIC, "nowhere")),
        Ask("a bad topic name", api, resource(TOPIC, "a/b")),
        Ask("an empty topic name", api, resource(TOPIC, "")),
        Ask("this broker", api, resource(BROKER, "1"), range(4, 5), partial=True),
        Ask(
            "this broker, one key with synonyms",
            api,
            resource(BROKER, "1", ["num.partitions"], **full),
        ),
        Ask("all brokers", api, resource(BROKER, "")),
        Ask("another broker", api, resource(BROKER, "77")),
        Ask("a broker that is no number", api, resource(BROKER, "one")),
        Ask("an unknown resource type", api, resource(99, "x")),
        Ask("resource type zero", api, resource(0, "x")),
        Ask("client metrics of nobody", api, resource(CLIENT_METRICS, "nobody")),
        Ask("a group", api, resource(GROUP, "nobody")),
    ]
