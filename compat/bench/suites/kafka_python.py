"""kafka-python: with the versions that the broker offers, and with those of an old broker.

Given `api_version`, the client asks nobody and follows a table of its own.
"""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from .. import features
from ..broker import Broker
from ..groups import kinds, scenarios
from ..groups.party import Party
from ..groups.scenarios import same
from ..proxy import CuttingProxy
from ..table import NOT_APPLICABLE, Table

OLD = "2.0"
COUNT = 500
START_MS = 1_795_000_000_000
TIMEOUT_S = 60


def run(broker: Broker, table: Table, quick: bool) -> None:
    client = "kafka-python"
    features_of(Clients(broker.address), broker, table, client, "kp-")
    scenarios.run(table, broker, kinds.kafka_python(client), "kp-")
    client = f"{client} as to {OLD}"
    features_of(Clients(broker.address, OLD), broker, table, client, "kp-old-")
    scenarios.run(table, broker, kinds.kafka_python_as_if(client, OLD), "kp-old-")


def features_of(clients: "Clients", broker: Broker, table: Table, client: str, prefix: str) -> None:
    checks = Checks(clients, prefix)
    table.check(client, features.TOPICS, checks.topics)
    table.check(client, features.AUTO_CREATE, checks.auto_create)
    table.check(client, features.UNKNOWN_TOPIC, checks.unknown_topic)
    for codec in features.CODECS:
        if codec == "zstd" and clients.api_version:
            table.add(client, features.compression(codec), NOT_APPLICABLE, "came with 2.1")
        else:
            table.check(client, features.compression(codec), lambda: checks.compression(codec))
    table.check(client, features.RECORD_FIELDS, checks.record_fields)
    table.check(client, features.SEEK_OFFSET, checks.seek_offset)
    table.check(client, features.SEEK_TIME, checks.seek_time)
    table.check(client, features.EARLIEST_LATEST, checks.earliest_latest)
    table.check(client, features.BIG, checks.big)
    table.check(client, features.TOO_LARGE, checks.too_large)
    table.check(client, features.CUT, lambda: checks.through_cuts(broker))
    table.check(client, features.GROUP_ADMIN, lambda: checks.groups(broker))
    if clients.api_version:
        table.add(client, features.GROUP_OFFSETS, NOT_APPLICABLE, "came with 2.4")
    else:
        table.check(client, features.GROUP_OFFSETS, checks.offsets)
    table.check(client, features.DELETE_RECORDS, checks.delete_records)


class Clients:
    """The three clients against one address."""

    def __init__(self, address: str, api_version: str = ""):
        self.api_version = api_version
        self.common = {"bootstrap_servers": address}
        if api_version:
            self.common["api_version"] = tuple(map(int, api_version.split(".")))
        self.admin = KafkaAdminClient(**self.common)

    def create(self, topic: str, partitions: int = 1, **configs: str) -> str:
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
        self.admin.create_topics({topic: wanted})
        self.admin.wait_for_topics([topic])
        return topic

    def produce(self, topic: str, records: list[dict], **options: object) -> None:
        """Sends to partition 0 and raises the first error that comes back."""
        producer = KafkaProducer(**self.common | {"linger_ms": 5} | options)
        try:
            sent = [producer.send(topic, partition=0, **record) for record in records]
            for each in sent:
                each.get(TIMEOUT_S)
        finally:
            producer.close()

    def consumer(self) -> KafkaConsumer:
        return KafkaConsumer(**self.common, auto_offset_reset="earliest")

    def consume(self, topic: str, start: int = 0) -> list:
        """Everything from `start` to the end of partition 0."""
        consumer, at, got = self.consumer(), TopicPartition(topic, 0), []
        try:
            consumer.assign([at])
            consumer.seek(at, start)
            end = consumer.end_offsets([at])[at]
            deadline = time.monotonic() + TIMEOUT_S
            while consumer.position(at) < end:
                if time.monotonic() > deadline:
                    raise AssertionError(f"at {consumer.position(at)} of {end}")
                got += consumer.poll(timeout_ms=500).get(at, [])
            return got
        finally:
            consumer.close()

    def values(self, topic: str, start: int = 0) -> list[bytes]:
        return [record.value for record in self.consume(topic, start)]


def numbered(count: int = COUNT) -> list[dict]:
    return [{"value": f"value {n} and words that compress well".encode()} for n in range(count)]


def plain(records: list[dict]) -> list[bytes]:
    return [record["value"] for record in records]


def fails(wanted: type[Exception], action) -> None:
    try:
        action()
    except wanted:
        return
    raise AssertionError(f"no {wanted.__name__}")


def eventually(condition) -> None:
    """Metadata may lag behind the answer to a change."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {TIMEOUT_S} s")


class Checks:
    """One method per feature."""

    def __init__(self, clients: Clients, prefix: str):
        self.clients = clients
        self.admin = clients.admin
        self.prefix = prefix

    def topics(self) -> None:
        topic = self.clients.create(f"{self.prefix}topics", 3, **{"retention.ms": "3600000"})
        fails(TopicAlreadyExistsError, lambda: self.clients.create(topic))
        self.admin.create_partitions({topic: 5})
        eventually(lambda: len(self.described(topic)["partitions"]) == 5)
        self.admin.delete_topics([topic])
        eventually(lambda: topic not in self.admin.list_topics())

    def described(self, topic: str) -> dict:
        (found,) = self.admin.describe_topics([topic])
        return found

    def auto_create(self) -> None:
        topic = f"{self.prefix}auto"
        self.clients.produce(topic, numbered(1))
        same(self.clients.values(topic), plain(numbered(1)))

    def unknown_topic(self) -> None:
        nowhere = f"{self.prefix}nowhere"
        fails(UnknownTopicOrPartitionError, lambda: self.admin.delete_topics([nowhere]))
        same(nowhere in self.admin.list_topics(), False)

    def compression(self, codec: str) -> None:
        topic = self.clients.create(f"{self.prefix}{codec}")
        kind = None if codec == "none" else codec
        self.clients.produce(topic, numbered(), compression_type=kind)
        same(self.clients.values(topic), plain(numbered()))

    def record_fields(self) -> None:
        topic = self.clients.create(f"{self.prefix}fields")
        sent = [
            (b"k", b"v", START_MS + 3, [("h", b"1"), ("h", b"2")]),
            (None, b"v2", START_MS, []),
            (b"\x00\xff", None, START_MS + 5, [("", b"")]),
        ]
        names = ("key", "value", "timestamp_ms", "headers")
        self.clients.produce(topic, [dict(zip(names, each, strict=True)) for each in sent])
        got = [(r.key, r.value, r.timestamp, list(r.headers)) for r in self.clients.consume(topic)]
        same(got, sent)

    def seek_offset(self) -> None:
        topic = self.clients.create(f"{self.prefix}seek")
        self.clients.produce(topic, numbered(), compression_type="lz4")
        same(self.clients.values(topic, 321), plain(numbered())[321:])

    def seek_time(self) -> None:
        topic = self.clients.create(f"{self.prefix}time")
        records = [
            record | {"timestamp_ms": START_MS + 10 * n} for n, record in enumerate(numbered())
        ]
        self.clients.produce(topic, records)
        consumer, at = self.clients.consumer(), TopicPartition(topic, 0)
        wanted = {START_MS: 0, START_MS + 11: 2, START_MS + 10 * (COUNT - 1): COUNT - 1}
        for stamp, offset in wanted.items():
            same(consumer.offsets_for_times({at: stamp})[at].offset, offset)
        same(consumer.offsets_for_times({at: START_MS + 10**7})[at], None)
        consumer.close()

    def earliest_latest(self) -> None:
        topic = self.clients.create(f"{self.prefix}ends")
        self.clients.produce(topic, numbered(10))
        consumer, at = self.clients.consumer(), TopicPartition(topic, 0)
        same(consumer.beginning_offsets([at]), {at: 0})
        same(consumer.end_offsets([at]), {at: 10})
        consumer.close()

    def big(self) -> None:
        topic = self.clients.create(f"{self.prefix}big")
        value = b"x" * 1_000_000
        self.clients.produce(topic, [{"value": value}])
        same(self.clients.values(topic), [value])

    def too_large(self) -> None:
        topic = self.clients.create(f"{self.prefix}large", **{"max.message.bytes": "10000"})
        large = [{"value": b"x" * 20_000}]
        fails(MessageSizeTooLargeError, lambda: self.clients.produce(topic, large))
        self.clients.produce(topic, [{"value": b"small"}])
        same(self.clients.values(topic), [b"small"])

    def through_cuts(self, broker: Broker) -> str:
        topic = self.clients.create(f"{self.prefix}cut")
        records = numbered(1000)
        options = {"batch_size": 2000, "reconnect_backoff_ms": 1, "retry_backoff_ms": 1}
        with CuttingProxy(broker.schemas, broker.host, broker.port) as proxy:
            Clients(proxy.address, self.clients.api_version).produce(topic, records, **options)
            same(self.clients.values(topic), plain(records))
            return proxy.tally()

    def groups(self, broker: Broker) -> None:
        group = self.clients.create(f"{self.prefix}groups", 2)
        partitions = [f"{group}:0", f"{group}:1"]
        with Party(broker, group, subscribe=group) as party:
            party.join(kinds.kafka_python("kafka-python"))
            party.settle(partitions)
            described = self.admin.describe_groups([group])[group]
            same(described["group_state"], "Stable")
            same(len(described["members"]), 1)
            same(self.deleted(group), "NonEmptyGroupError")
            party.close_all()
        same(self.admin.describe_groups([group])[group]["group_state"], "Empty")
        same(group in self.listed(), True)
        same(self.deleted(group), "OK")
        same(group in self.listed(), False)
        same(self.deleted(group), "GroupIdNotFoundError")

    def listed(self) -> list[str]:
        return [each["group_id"] for each in self.admin.list_groups()]

    def deleted(self, group: str) -> str:
        """How the deletion went, in the client's words."""
        return self.admin.delete_groups([group])[group]

    def offsets(self) -> None:
        group = self.clients.create(f"{self.prefix}offsets", 2)
        first, second = TopicPartition(group, 0), TopicPartition(group, 1)
        wanted = {
            first: OffsetAndMetadata(3, "a note ✓", -1),
            second: OffsetAndMetadata(4, "", -1),
        }
        self.admin.alter_group_offsets(group, wanted)
        same(self.admin.list_group_offsets(group)[group], wanted)
        self.admin.delete_group_offsets(group, [first])
        same(self.admin.list_group_offsets(group)[group], {second: wanted[second]})

    def delete_records(self) -> None:
        topic = self.clients.create(f"{self.prefix}trim")
        self.clients.produce(topic, numbered(10))
        at = TopicPartition(topic, 0)
        self.admin.delete_records({at: 4})
        consumer = self.clients.consumer()
        same(consumer.beginning_offsets([at]), {at: 4})
        consumer.close()
