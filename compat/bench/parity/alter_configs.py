"""IncrementalAlterConfigs, AlterConfigs and ListConfigResources, and what is told afterwards."""

import time

from .world import Ask, World

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
SEEN_WITHIN_S = 10
INCREMENTAL, WHOLE = "IncrementalAlterConfigs", "AlterConfigs"

# One change: a key, what is done, and with which value.
Change = tuple[str, int, str | None]


def one(kind: int, name: str, *changes: Change) -> dict:
    configs = [
        {"name": key, "configOperation": operation, "value": value}
        for key, operation, value in changes
    ]
    return {"resourceType": kind, "resourceName": name, "configs": configs}


def change(kind: int, name: str, *changes: Change, validate: bool = False):
    """Changes one resource; a topic is made where its name ends in `*`."""

    def body(w: World, v: int) -> dict:
        chosen = w.topic(name.replace("*", f"v{v}")) if name.endswith("*") else name
        return {"resources": [one(kind, chosen, *changes)], "validateOnly": validate}

    return body


def whole(kind: int, name: str, *configs: tuple[str, str | None], validate: bool = False):
    """Replaces everything that is set on one resource."""
    return change(kind, name, *((key, SET, value) for key, value in configs), validate=validate)


def told(kind: int, name: str, key: str, value: str | None):
    """What is told of a key, once its value is this one: Kafka applies changes a little later."""

    def send(w: World, v: int) -> dict:
        chosen = name.replace("*", "v1")
        resource = {"resourceType": kind, "resourceName": chosen, "configurationKeys": [key]}
        body = {"resources": [resource], "includeSynonyms": True, "includeDocumentation": False}
        deadline = time.monotonic() + SEEN_WITHIN_S
        while True:
            answer = w.request("DescribeConfigs", v, body)
            found = {each["name"]: each["value"] for each in answer["results"][0]["configs"]}
            if found.get(key) == value or time.monotonic() > deadline:
                return answer
            time.sleep(0.02)

    return send


def topic_asks() -> list[Ask]:
    ms, policy = "retention.ms", "cleanup.policy"
    kinds = [
        ("set", change(TOPIC, "alter-*", (ms, SET, "3600000"))),
        ("set a value out of range", change(TOPIC, "alter-*", (ms, SET, "-5"))),
        ("set an unknown key", change(TOPIC, "alter-*", ("no.such.key", SET, "1"))),
        ("set null", change(TOPIC, "alter-*", (ms, SET, None))),
        ("set two nulls", change(TOPIC, "alter-*", (ms, SET, None), ("segment.ms", SET, None))),
        ("set an empty key", change(TOPIC, "alter-*", ("", SET, "1"))),
        ("delete what is not set", change(TOPIC, "alter-*", ("segment.ms", DELETE, None))),
        ("delete with a value", change(TOPIC, "alter-*", ("segment.ms", DELETE, "7"))),
        ("delete an unknown key", change(TOPIC, "alter-*", ("no.such.key", DELETE, None))),
        ("append", change(TOPIC, "alter-*", (policy, APPEND, "compact"))),
        ("append what is there", change(TOPIC, "alter-*", (policy, APPEND, "compact"))),
        ("append with blanks", change(TOPIC, "alter-*", (policy, APPEND, " delete , compact"))),
        ("append nothing", change(TOPIC, "alter-*", (policy, APPEND, ""))),
        ("append null", change(TOPIC, "alter-*", (policy, APPEND, None))),
        ("append a bad choice", change(TOPIC, "alter-*", (policy, APPEND, "burn"))),
        ("append to no list", change(TOPIC, "alter-*", (ms, APPEND, "1"))),
        ("append to an unknown key", change(TOPIC, "alter-*", ("no.such.key", APPEND, "1"))),
        ("subtract", change(TOPIC, "alter-*", (policy, SUBTRACT, "delete"))),
        ("subtract from no list", change(TOPIC, "alter-*", (ms, SUBTRACT, "1"))),
        ("a key twice", change(TOPIC, "alter-*", (ms, SET, "1"), (ms, SET, "2"))),
        ("a key set and deleted", change(TOPIC, "alter-*", (ms, SET, "1"), (ms, DELETE, None))),
        ("an unknown operation", change(TOPIC, "alter-*", (ms, 7, "1"))),
        ("validate only", change(TOPIC, "alter-*", (ms, SET, "77"), validate=True)),
        ("validate a bad value", change(TOPIC, "alter-*", (ms, SET, "-77"), validate=True)),
        ("change nothing", change(TOPIC, "alter-*")),
        ("an unknown topic", change(TOPIC, "nowhere", (ms, SET, "1"))),
        ("nothing of an unknown topic", change(TOPIC, "nowhere")),
        ("an empty topic name", change(TOPIC, "", (ms, SET, "1"))),
        ("a bad topic name", change(TOPIC, "a/b", (ms, SET, "1"))),
        ("an unknown resource type", change(99, "x", (ms, SET, "1"))),
        ("resource type zero", change(0, "x", (ms, SET, "1"))),
        ("no resources", lambda w, v: {"resources": [], "validateOnly": False}),
        ("a resource twice", twice),
        ("good and bad resources", mixed),
    ]
    asks = [Ask("topic: " + title, INCREMENTAL, body) for title, body in kinds]
    asks.append(tell("topic: told", TOPIC, "alter-*", ms, "3600000"))
    asks.append(tell("topic: told of a list", TOPIC, "alter-*", policy, "compact"))
    return asks


def tell(title: str, kind: int, name: str, key: str, value: str | None) -> Ask:
    return Ask(title, "DescribeConfigs", send=told(kind, name, key, value))


def twice(w: World, v: int) -> dict:
    name = w.topic(f"alter-v{v}")
    same = [one(TOPIC, name, ("retention.ms", SET, value)) for value in ("5", "6")]
    return {"resources": same, "validateOnly": False}


def mixed(w: World, v: int) -> dict:
    resources = [
        one(TOPIC, w.topic(f"alter-v{v}"), ("segment.bytes", SET, "1")),
        one(TOPIC, w.topic(f"mixed-v{v}"), ("segment.ms", SET, "6000")),
        one(TOPIC, "nowhere", ("segment.ms", SET, "6000")),
        one(BROKER, "", ("log.retention.ms", SET, "x")),
        one(99, "x", ("a", SET, "b")),
        one(GROUP, "mixed", ("consumer.session.timeout.ms", SET, "50000")),
    ]
    return {"resources": resources, "validateOnly": False}


def whole_asks() -> list[Ask]:
    ms, segment = "retention.ms", "segment.ms"
    kinds = [
        ("set two", whole(TOPIC, "whole-*", (ms, "1000000"), (segment, "5000000"))),
        ("set one", whole(TOPIC, "whole-*", (ms, "2000000"))),
        ("null", whole(TOPIC, "whole-*", (ms, None), (segment, "5000000"))),
        ("a bad value", whole(TOPIC, "whole-*", (ms, "-9"))),
        ("an unknown key", whole(TOPIC, "whole-*", ("no.such.key", "1"))),
        ("a key twice", whole(TOPIC, "whole-*", (ms, "1"), (ms, "2"))),
        ("validate only", whole(TOPIC, "whole-*", (ms, "8"), validate=True)),
        ("an unknown topic", whole(TOPIC, "nowhere", (ms, "1"))),
        ("an empty topic name", whole(TOPIC, "", (ms, "1"))),
        ("an unknown resource type", whole(99, "x", (ms, "1"))),
        ("loggers", whole(BROKER_LOGGER, "1", ("root", "INFO"))),
        ("a broker's fixed key", whole(BROKER, "1", ("num.partitions", "4"))),
        ("a broker", whole(BROKER, "1", ("log.cleaner.backoff.ms", "16000"))),
        ("nothing of a broker", whole(BROKER, "1")),
        ("a group", whole(GROUP, "whole", ("consumer.session.timeout.ms", "51000"))),
        ("a group badly", whole(GROUP, "whole", ("consumer.session.timeout.ms", "1"))),
        ("metrics", whole(CLIENT_METRICS, "whole", ("interval.ms", "5000"))),
        ("metrics badly", whole(CLIENT_METRICS, "whole", ("interval.ms", "1"))),
    ]
    asks = [Ask("whole: " + title, WHOLE, body) for title, body in kinds]
    asks.append(tell("whole: told", TOPIC, "whole-*", ms, "2000000"))
    asks.append(tell("whole: told of what is not named", TOPIC, "whole-*", segment, "604800000"))
    return asks


def broker_asks() -> list[Ask]:
    ms, fixed, listed = "log.retention.ms", "num.partitions", "log.cleanup.policy"
    asks = []
    for title, name in (("all brokers", ""), ("this broker", "1")):
        kinds = [
            ("set", (ms, SET, "7200000")),
            ("set the wrong type", (ms, SET, "x")),
            ("set out of range", ("log.cleaner.threads", SET, "-1")),
            ("set zero", (ms, SET, "0")),
            ("set a fixed key", (fixed, SET, "4")),
            ("delete a fixed key", (fixed, DELETE, None)),
            ("set a secret", ("ssl.key.password", SET, "x")),
            ("set an unknown key", ("no.such.key", SET, "x")),
            ("delete an unknown key", ("no.such.key", DELETE, None)),
            ("set null", (ms, SET, None)),
            ("append to no list", (ms, APPEND, "1")),
            ("subtract from no list", (ms, SUBTRACT, "1")),
            ("append to an unknown key", ("no.such.key", APPEND, "1")),
            ("append", (listed, APPEND, "compact")),
            ("append a bad choice", (listed, APPEND, "burn")),
            ("delete a list", (listed, DELETE, None)),
            ("an unknown operation", (ms, 7, "1")),
            ("bad exceptions", ("max.connections.per.ip.overrides", SET, "nonsense")),
            ("beyond bounds", ("group.consumer.assignment.interval.ms", SET, "99999")),
        ]
        for what, how in kinds:
            asks.append(Ask(f"{title}: {what}", INCREMENTAL, change(BROKER, name, how)))
        asks.append(
            Ask(
                f"{title}: a key twice",
                INCREMENTAL,
                change(BROKER, name, (ms, SET, "1"), (ms, SET, "2")),
            )
        )
    for name in ("77", "one", " 1"):
        asks.append(
            Ask(f"broker {name!r}", INCREMENTAL, change(BROKER, name, (ms, SET, "7200000")))
        )
    asks.append(
        Ask(
            "all brokers: a key of one",
            INCREMENTAL,
            change(BROKER, "", ("cordoned.log.dirs", SET, "x")),
        )
    )
    asks.append(tell("all brokers: told", BROKER, "", ms, "7200000"))
    asks.append(tell("this broker: told", BROKER, "1", ms, "7200000"))
    title = "topic: told of what brokers set"
    asks.append(tell(title, TOPIC, "mixed-v1", "retention.ms", "7200000"))
    for name in ("1", ""):
        body = change(BROKER, name, (ms, DELETE, None))
        asks.append(Ask(f"delete from {name!r}", INCREMENTAL, body))
    asks.append(tell("this broker: told after deletion", BROKER, "1", ms, None))
    return asks


def group_asks() -> list[Ask]:
    session, reset = "consumer.session.timeout.ms", "share.auto.offset.reset"
    kinds = [
        ("set", (session, SET, "50000")),
        ("set too low", (session, SET, "1000")),
        ("set too high", (session, SET, "100000")),
        ("set the wrong type", ("consumer.heartbeat.interval.ms", SET, "x")),
        ("set out of range", ("share.record.lock.duration.ms", SET, "100")),
        ("set a bad choice", ("share.isolation.level", SET, "x")),
        ("set a bad reset", (reset, SET, "none")),
        ("set a duration", (reset, SET, "by_duration:PT1H")),
        ("too many standbys", ("streams.num.standby.replicas", SET, "100")),
        ("set an unknown key", ("no.such.key", SET, "x")),
        ("delete an unknown key", ("no.such.key", DELETE, None)),
        ("set null", (session, SET, None)),
        ("append", (session, APPEND, "1")),
    ]
    asks = [Ask("group: " + what, INCREMENTAL, change(GROUP, "g", how)) for what, how in kinds]
    asks.append(Ask("group: no name", INCREMENTAL, change(GROUP, "", kinds[0][1])))
    asks.append(tell("group: told", GROUP, "g", session, "50000"))
    asks.append(tell("group: told of a reset", GROUP, "g", reset, "by_duration:PT1H"))
    return asks


def metrics_asks() -> list[Ask]:
    kinds = [
        ("set", ("interval.ms", SET, "5000")),
        ("set the metrics", ("metrics", SET, "org.apache.kafka.,x")),
        ("set whom", ("match", SET, "client_id=a,client_software_name=apache.*")),
        ("set too low", ("interval.ms", SET, "1")),
        ("set the wrong type", ("interval.ms", SET, "x")),
        ("match by nothing known", ("match", SET, "foo=bar")),
        ("match without a value", ("match", SET, "client_id")),
        ("match with a gap", ("match", SET, "client_id=a, ")),
        ("append", ("metrics", APPEND, "a.b")),
        ("set an unknown key", ("no.such.key", SET, "x")),
        ("set null", ("interval.ms", SET, None)),
    ]
    asks = [
        Ask("metrics: " + what, INCREMENTAL, change(CLIENT_METRICS, "m", how))
        for what, how in kinds
    ]
    asks.append(Ask("metrics: no name", INCREMENTAL, change(CLIENT_METRICS, "", kinds[0][1])))
    asks.append(tell("metrics: told", CLIENT_METRICS, "m", "interval.ms", "5000"))
    return asks


def logger_asks() -> list[Ask]:
    kinds = [
        ("an unknown logger", "1", ("nope", SET, "DEBUG")),
        ("append", "1", ("root", APPEND, "DEBUG")),
        ("subtract", "1", ("root", SUBTRACT, "DEBUG")),
        ("delete the root", "1", ("root", DELETE, None)),
        ("no name", "", ("root", SET, "INFO")),
        ("another broker", "77", ("root", SET, "INFO")),
        ("no number", "one", ("root", SET, "INFO")),
    ]
    return [
        Ask("logger: " + what, INCREMENTAL, change(BROKER_LOGGER, name, how))
        for what, name, how in kinds
    ]


OWN_TOPICS = ("alter-", "mixed-", "whole-")


def list_asks() -> list[Ask]:
    api = "ListConfigResources"
    asks = [
        Ask(f"list {kinds}", api, lambda w, v, kinds=kinds: {"resourceTypes": kinds}, range(1, 2))
        for kinds in (
            [GROUP],
            [CLIENT_METRICS],
            [BROKER_LOGGER],
            [BROKER],
            [CLIENT_METRICS, BROKER],
            [BROKER, BROKER],
            [0],
            [CLIENT_METRICS, 99],
        )
    ]
    asks.append(Ask("list", api, send=list_own))
    return asks


def list_own(world: World, version: int) -> dict:
    """All resources, but for the topics that other groups of requests have made."""
    answer = world.request("ListConfigResources", version, {"resourceTypes": []})
    answer["configResources"] = [
        resource
        for resource in answer["configResources"]
        if resource.get("resourceType") != TOPIC or resource["resourceName"].startswith(OWN_TOPICS)
    ]
    return answer


def asks() -> list[Ask]:
    return [
        *topic_asks(),
        *whole_asks(),
        *broker_asks(),
        *group_asks(),
        *metrics_asks(),
        *logger_asks(),
        *list_asks(),
    ]
