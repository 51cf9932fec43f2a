"""What a scenario may rely on: one broker, topics made on demand, ids learned from its answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..rawconn import Closed, RawConnection
from ..records import Batch
from ..schema import Schemas
from ..wire import ZERO_UUID

READY_WITHIN_S = 20
# Kafka says so until its controller has handed it a block of producer ids.
COORDINATOR_LOAD_IN_PROGRESS = 14
UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAZg"


@dataclass
class Ask:
    """One request that is sent at every version in `versions` (all that exist by default).

    `body` makes the request from the world and the version; `send` replaces it for requests that
    no schema describes. Of a `partial` answer the broker under test may list fewer elements than
    Kafka does. The asks of a group run in order, each with all its versions.
    """

    title: str
    api: str
    body: Callable[["World", int], dict] | None = None
    versions: range | None = None
    partial: bool = False
    send: Callable[["World", int], dict] | None = None


class World:
    """One broker under test and what has been made on it so far."""

    def __init__(self, schemas: Schemas, host: str, port: int):
        self.schemas = schemas
        self.host, self.port = host, port
        self.ids: dict[str, str] = {}
        self.producers: dict[str, int] = {}
        self.members: dict[str, dict] = {}
        self.connection: RawConnection | None = None

    def connect(self) -> RawConnection:
        return RawConnection(self.schemas, self.host, self.port)

    def request(self, api: str, version: int, body: dict) -> dict:
        """Sends on a shared connection, which is replaced once the broker has closed it."""
        if self.connection is None:
            self.connection = self.connect()
        try:
            return self.connection.request(api, version, body)
        except (Closed, TimeoutError, ValueError):
            self.connection.close()
            self.connection = None
            raise

    def fresh(self, base: str, version: int, partitions: int = 1, **configs: str) -> str:
        """A topic of its own for this version, which keeps records of any age."""
        return self.topic(f"{base}-v{version}", partitions, retention_ms="-1", **configs)

    def topic(self, name: str, partitions: int = 1, **configs: str) -> str:
        """A topic that has leaders and whose id is known; `_` stands for `.` in configs."""
        if name not in self.ids:
            given = [
                {"name": key.replace("_", "."), "value": value} for key, value in configs.items()
            ]
            topic = {
                "name": name,
                "numPartitions": partitions,
                "replicationFactor": 1,
                "configs": given,
            }
            answer = self.request("CreateTopics", 7, {"topics": [topic], "timeoutMs": 10_000})
            if answer["topics"][0]["errorCode"] not in (0, 36):
                raise RuntimeError(f"cannot make {name}: {answer}")
            self.ids[name] = self.settle(name, partitions)
        return name

    def settle(self, name: str, partitions: int = 1) -> str:
        """Waits until every partition of the topic has a leader that answers; returns its id."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            answer = self.request(
                "Metadata",
                12,
                {
                    "topics": [{"name": name, "topicId": ZERO_UUID}],
                    "allowAutoTopicCreation": False,
                },
            )
            topic = answer["topics"][0]
            if (
                topic["errorCode"] == 0
                and len(topic["partitions"]) >= partitions
                and self.led(topic)
            ):
                return topic["topicId"]
            time.sleep(0.01)
        raise RuntimeError(f"{name} did not appear within {READY_WITHIN_S} s")

    def led(self, topic: dict) -> bool:
        """Whether the leaders have taken over, which Metadata may announce a little early."""
        wanted = [
            {"partitionIndex": p["partitionIndex"], "timestamp": -1} for p in topic["partitions"]
        ]
        answer = self.request(
            "ListOffsets",
            5,
            {
                "replicaId": -1,
                "topics": [{"name": topic["name"], "partitions": wanted}],
            },
        )
        return all(p["errorCode"] == 0 for p in answer["topics"][0]["partitions"])

    def id(self, name: str) -> str:
        return self.ids.get(name, UNKNOWN_ID)

    def filled(self, name: str, batches: list[Batch], **configs: str) -> str:
        """A topic that holds these batches, one Produce each."""
        if name not in self.ids:
            self.topic(name, retention_ms="-1", **configs)
            for batch in batches:
                answer = self.request("Produce", 9, produce(self, name, batch))
                code = answer["responses"][0]["partitionResponses"][0]["errorCode"]
                if code != 0:
                    raise RuntimeError(f"cannot fill {name}: error {code}")
        return name

    def producer(self, name: str) -> int:
        """An id handed out by the broker, the same for the same name."""
        deadline = time.monotonic() + READY_WITHIN_S
        while name not in self.producers and time.monotonic() < deadline:
            body = {"transactionalId": None, "transactionTimeoutMs": 60_000}
            answer = self.request("InitProducerId", 4, body)
            if answer["errorCode"] == 0:
                self.producers[name] = answer["producerId"]
            elif answer["errorCode"] != COORDINATOR_LOAD_IN_PROGRESS:
                break
        return self.producers[name]


def produce(
    w: World, topic: str, *batches: Batch | bytes, acks: int = -1, partition: int = 0
) -> dict:
    """The body of a Produce request with these batches in one partition."""
    raw = b"".join(b.encode() if isinstance(b, Batch) else b for b in batches)
    data = {"index": partition, "records": raw}
    return {
        "transactionalId": None,
        "acks": acks,
        "timeoutMs": 5_000,
        "topicData": [{"name": topic, "topicId": w.id(topic), "partitionData": [data]}],
    }
