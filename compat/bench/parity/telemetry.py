"""What clients tell of themselves (KIP-714): asking for subscriptions, pushing metrics, in time."""

import time

from .world import UNKNOWN_ID, Ask, World

NONE = "A" * 22
GET, PUSH = "GetTelemetrySubscriptions", "PushTelemetry"
CLIENT_METRICS = 16
# Both brokers compare times in milliseconds.
STEP_S = 0.02


class Talk:
    """A client, by the id that it was given; what a broker chooses freely is masked."""

    def __init__(self, w: World, v: int):
        self.w, self.v = w, v
        self.id, self.subscription = NONE, 0
        self.said: list = []

    def get(self, id: str | None = None) -> "Talk":
        asked = self.id if id is None else id
        answer = self.w.request(GET, self.v, {"clientInstanceId": asked})
        given = answer["clientInstanceId"]
        if given not in (NONE, asked):
            self.id = given
        if answer["subscriptionId"]:
            self.subscription = answer["subscriptionId"]
        kinds = {NONE: "none", asked: "the same"}
        answer["clientInstanceId"] = kinds.get(given, "a new one")
        answer["subscriptionId"] = "an id" if answer["subscriptionId"] else "none"
        answer["requestedMetrics"].sort()
        self.said.append(answer)
        return self

    def push(self, **other) -> "Talk":
        body = {
            "clientInstanceId": self.id,
            "subscriptionId": self.subscription,
            "terminating": False,
            "compressionType": 0,
            "metrics": b"",
        }
        self.said.append(self.w.request(PUSH, self.v, body | other))
        return self

    def subscribe(self, name: str, **settings: str) -> "Talk":
        """Sets a subscription; without settings, takes it back."""
        keys = ("metrics", "interval.ms", "match")
        values = {key.replace("_", "."): value for key, value in settings.items()}
        operations = [
            {"name": key, "configOperation": 0 if key in values else 1, "value": values.get(key)}
            for key in keys
        ]
        resource = {"resourceType": CLIENT_METRICS, "resourceName": name, "configs": operations}
        body = {"resources": [resource], "validateOnly": False}
        self.w.request("IncrementalAlterConfigs", 1, body)
        return self


def talk(*steps):
    """A conversation of a client whom nobody has asked for anything yet."""

    def send(w: World, v: int) -> dict:
        client = Talk(w, v)
        known = w.request("ListConfigResources", 1, {"resourceTypes": [CLIENT_METRICS]})
        for resource in known["configResources"]:
            client.subscribe(resource["resourceName"])
        for step in steps:
            step(client)
            time.sleep(STEP_S)
        return {"said": client.said}

    return send


def get(id: str | None = None):
    return lambda client: client.get(id)


def push(**other):
    return lambda client: client.push(**other)


def subscribe(name: str, **settings: str):
    return lambda client: client.subscribe(name, **settings)


def wait(_: Talk) -> None:
    """Until an interval of 100 ms is surely over."""
    time.sleep(0.12)


ONE = {"metrics": "org.apache.kafka.producer.,a.", "interval_ms": "100000"}


def asks() -> list[Ask]:
    kinds = [
        ("a new client", GET, [get(NONE)]),
        ("a client that is not known", GET, [get(UNKNOWN_ID)]),
        ("twice in a row", GET, [get(NONE), get()]),
        ("a subscription", GET, [subscribe("o-one", **ONE), get(NONE)]),
        (
            "two subscriptions",
            GET,
            [subscribe("o-one", **ONE), subscribe("o-two", metrics="a.,b."), get(NONE)],
        ),
        ("all metrics", GET, [subscribe("o-one", metrics="*"), get(NONE)]),
        (
            "all metrics and some",
            GET,
            [subscribe("o-one", metrics="*"), subscribe("o-two", metrics="b."), get(NONE)],
        ),
        (
            "one for this client",
            GET,
            [subscribe("o-one", **ONE, match="client_id=be.*"), get(NONE)],
        ),
        (
            "one for another client",
            GET,
            [subscribe("o-one", **ONE, match="client_id=be"), get(NONE)],
        ),
        (
            "one of two patterns matches",
            GET,
            [subscribe("o-one", **ONE, match="client_id=bench,client_software_name=x"), get(NONE)],
        ),
        ("an interval without metrics", GET, [subscribe("o-one", interval_ms="100"), get(NONE)]),
        (
            "subscribed in between",
            GET,
            [get(NONE), subscribe("o-one", **ONE), get(), get()],
        ),
        ("a push", PUSH, [get(NONE), push()]),
        ("a push of what is subscribed", PUSH, [subscribe("o-one", **ONE), get(NONE), push()]),
        ("two pushes in a row", PUSH, [get(NONE), push(), push()]),
        ("the last push", PUSH, [get(NONE), push(), push(terminating=True)]),
        (
            "a push behind the last",
            PUSH,
            [get(NONE), push(terminating=True), push(terminating=True), push()],
        ),
        ("a push without an id", PUSH, [push(clientInstanceId=NONE)]),
        ("a push of a stranger", PUSH, [push(clientInstanceId=UNKNOWN_ID)]),
        ("another subscription", PUSH, [get(NONE), push(subscriptionId=7), push(), get()]),
        ("an unknown compression", PUSH, [get(NONE), push(compressionType=9)]),
        ("noise", PUSH, [get(NONE), push(metrics=b"noise")]),
        ("noise, compressed", PUSH, [get(NONE), push(metrics=b"noise", compressionType=4)]),
        ("too much", PUSH, [get(NONE), push(metrics=bytes(1 << 20 | 1))]),
        ("as much as may be", PUSH, [get(NONE), push(metrics=bytes(1 << 20))]),
        ("asked anew after a push", PUSH, [get(NONE), push(), get(), push()]),
        (
            "asked anew after a push that was wrong",
            PUSH,
            [get(NONE), push(subscriptionId=7), get(), push(), get()],
        ),
        (
            "asked anew after an unknown compression",
            PUSH,
            [get(NONE), push(compressionType=9), get(), push(), get()],
        ),
        ("asked anew after too much", PUSH, [get(NONE), push(metrics=bytes(1 << 20 | 1)), get()]),
        (
            "an interval is over",
            PUSH,
            [subscribe("o-one", interval_ms="100"), get(NONE), push(), wait, push(), get()],
        ),
        (
            "asked when an interval is over",
            PUSH,
            [subscribe("o-one", interval_ms="100"), get(NONE), push(), wait, get(), push(), push()],
        ),
        (
            "subscribed between two pushes",
            PUSH,
            [get(NONE), push(), subscribe("o-one", **ONE), push(), get(), push()],
        ),
    ]
    return [Ask(title, api, send=talk(*steps)) for title, api, steps in kinds]
