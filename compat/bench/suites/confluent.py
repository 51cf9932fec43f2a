"""confluent-kafka for Python: librdkafka of today, with its admin client."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from .. import features
from ..broker import Broker
from ..groups import kinds, scenarios
from ..proxy import CuttingProxy
from ..table import Table
from . import confluent_admin, confluent_transactions

CLIENT = "confluent-kafka"
COUNT = 500
TIMEOUT_S = 60


class Clients:
    """The three clients against one address."""

    def __init__(self, address: str):
        self.common = {"bootstrap.servers": address, "log_level": 2}
        self.admin = AdminClient(self.common)

    def create(self, topic: str, partitions: int = 1, **config: str) -> str:
        made = self.admin.create_topics([NewTopic(topic, partitions, 1, config=config)])
        made[topic].result(TIMEOUT_S)
        return topic

    def produce(self, topic: str, records: list[dict], **options: object) -> None:
        """Sends to partition 0 and raises the first error that comes back."""
        errors = []
        producer = Producer(self.common | {"linger.ms": 5} | options)
        for record in records:
            while True:
                try:
                    producer.produce(
                        topic,
                        partition=0,
                        on_delivery=lambda error, _: error and errors.append(error),
                        **record,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        left = producer.flush(TIMEOUT_S)
        if errors:
            raise KafkaException(errors[0])
        if left:
            raise AssertionError(f"{left} records not sent within {TIMEOUT_S} s")

    def consumer(self) -> Consumer:
        return Consumer(
            self.common
            | {
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
            }
        )

    def consume(self, topic: str, start: int = OFFSET_BEGINNING, partition: int = 0) -> list:
        """Everything from `start` to the end of the partition."""
        consumer = self.consumer()
        try:
            consumer.assign([TopicPartition(topic, partition, start)])
            return list(until_end(consumer))
        finally:
            consumer.close()

    def values(self, topic: str, start: int = OFFSET_BEGINNING) -> list[bytes]:
        return [message.value() for message in self.consume(topic, start)]


def until_end(consumer: Consumer):
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            yield message
        elif message.error().name() == "_PARTITION_EOF":
            return
        else:
            raise KafkaException(message.error())
    raise AssertionError(f"no end of the partition within {TIMEOUT_S} s")


def same(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"{str(actual)[:120]} instead of {str(expected)[:120]}")


def numbered(count: int = COUNT) -> list[dict]:
    return [
        {"value": f"value {n} and words that compress well well".encode()} for n in range(count)
    ]


def plain(records: list[dict]) -> list[bytes]:
    return [record["value"] for record in records]


def run(broker: Broker, table: Table, quick: bool) -> None:
    clients = Clients(broker.address)
    table.check(CLIENT, features.TOPICS, lambda: topics(clients))
    table.check(CLIENT, features.AUTO_CREATE, lambda: auto_create(clients))
    table.check(CLIENT, features.UNKNOWN_TOPIC, lambda: unknown_topic(clients))
    for codec in features.CODECS:
        table.check(CLIENT, features.compression(codec), lambda: compression(clients, codec))
    table.check(CLIENT, features.RECORD_FIELDS, lambda: record_fields(clients))
    table.check(CLIENT, features.SEEK_OFFSET, lambda: seek_offset(clients))
    table.check(CLIENT, features.SEEK_TIME, lambda: seek_time(clients))
    table.check(CLIENT, features.EARLIEST_LATEST, lambda: earliest_latest(clients))
    table.check(CLIENT, features.BIG, lambda: big(clients))
    table.check(CLIENT, features.TOO_LARGE, lambda: too_large(clients))
    table.check(CLIENT, features.CUT, lambda: through_cuts(clients, broker))
    confluent_admin.run(broker, table, CLIENT)
    confluent_transactions.run(broker, table, CLIENT)
    scenarios.run(table, broker, kinds.confluent(CLIENT), "cf-")


def topics(clients: Clients) -> None:
    topic = clients.create("cf-topics", 3, **{"retention.ms": "3600000"})
    error = failure(lambda: clients.create(topic))
    same(error, "TOPIC_ALREADY_EXISTS")
    clients.admin.create_partitions([NewPartitions(topic, 5)])[topic].result(TIMEOUT_S)
    await_partitions(clients, topic, 5)
    clients.admin.delete_topics([topic])[topic].result(TIMEOUT_S)
    await_partitions(clients, topic, 0)


def await_partitions(clients: Clients, topic: str, count: int) -> None:
    """Metadata may lag behind the answer to the change."""
    deadline = time.monotonic() + TIMEOUT_S
    found = -1
    while time.monotonic() < deadline:
        listed = clients.admin.list_topics(timeout=TIMEOUT_S).topics.get(topic)
        found = len(listed.partitions) if listed else 0
        if found == count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{topic} has {found} partitions, not {count}")


def failure(action) -> str:
    """The name of the error that `action` must end with."""
    try:
        action()
    except KafkaException as error:
        return error.args[0].name()
    raise AssertionError("no error")


def auto_create(clients: Clients) -> None:
    clients.produce("cf-auto", [{"value": b"first"}])
    same(clients.values("cf-auto"), [b"first"])


def unknown_topic(clients: Clients) -> None:
    deleted = clients.admin.delete_topics(["cf-nowhere"])["cf-nowhere"]
    same(failure(lambda: deleted.result(TIMEOUT_S)), "UNKNOWN_TOPIC_OR_PART")
    consumer = clients.consumer()
    listed = consumer.list_topics("cf-nowhere", timeout=TIMEOUT_S).topics["cf-nowhere"]
    consumer.close()
    same(listed.error.name(), "UNKNOWN_TOPIC_OR_PART")


def compression(clients: Clients, codec: str) -> None:
    topic = clients.create(f"cf-{codec}")
    clients.produce(topic, numbered(), **{"compression.type": codec})
    same(clients.values(topic), plain(numbered()))


def record_fields(clients: Clients) -> None:
    topic = clients.create("cf-fields")
    records = [
        {
            "key": b"k",
            "value": b"v",
            "timestamp": 1_795_000_000_123,
            "headers": [("h", b"1"), ("h", None)],
        },
        {"key": None, "value": b"v2", "timestamp": 1_795_000_000_120, "headers": []},
        {"key": b"\x00\xff", "value": None, "timestamp": 1_795_000_000_125, "headers": [("", b"")]},
    ]
    clients.produce(topic, records, **{"compression.type": "lz4"})
    got = [
        {
            "key": m.key(),
            "value": m.value(),
            "timestamp": m.timestamp()[1],
            "headers": m.headers() or [],
        }
        for m in clients.consume(topic)
    ]
    same(got, records)


def seek_offset(clients: Clients) -> None:
    topic = clients.create("cf-seek")
    clients.produce(topic, numbered(), **{"compression.type": "zstd"})
    same(clients.values(topic, 321), plain(numbered())[321:])
    same(failure(lambda: clients.values(topic, COUNT + 5)), "_AUTO_OFFSET_RESET")


def seek_time(clients: Clients) -> None:
    topic = clients.create("cf-time")
    start = int(time.time() * 1000) - 10_000
    clients.produce(
        topic, [record | {"timestamp": start + 10 * n} for n, record in enumerate(numbered())]
    )
    consumer = clients.consumer()
    try:
        wanted = [
            (start, 0),
            (start + 11, 2),
            (start + 10 * (COUNT - 1), COUNT - 1),
            (start + 10**7, OFFSET_END),
        ]
        for stamp, offset in wanted:
            found = consumer.offsets_for_times([TopicPartition(topic, 0, stamp)], timeout=TIMEOUT_S)
            same((stamp, found[0].offset), (stamp, offset))
    finally:
        consumer.close()


def earliest_latest(clients: Clients) -> None:
    topic = clients.create("cf-ends")
    clients.produce(topic, numbered(10))
    same(clients.values(topic, OFFSET_BEGINNING), plain(numbered(10)))
    same(clients.values(topic, OFFSET_END), [])
    consumer = clients.consumer()
    same(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT_S), (0, 10))
    consumer.close()


def big(clients: Clients) -> None:
    topic = clients.create("cf-big")
    value = b"x" * 1_000_000
    clients.produce(topic, [{"value": value}], **{"message.max.bytes": 2_000_000})
    same(clients.values(topic), [value])


def too_large(clients: Clients) -> None:
    topic = clients.create("cf-large", **{"max.message.bytes": "10000"})
    same(failure(lambda: clients.produce(topic, [{"value": b"x" * 20_000}])), "MSG_SIZE_TOO_LARGE")
    clients.produce(topic, [{"value": b"small"}])
    same(clients.values(topic), [b"small"])


def through_cuts(clients: Clients, broker: Broker) -> str:
    topic = clients.create("cf-cut")
    records = numbered(2000)
    with CuttingProxy(broker.schemas, broker.host, broker.port) as proxy:
        Clients(proxy.address).produce(
            topic,
            records,
            **{
                "enable.idempotence": True,
                "batch.num.messages": 50,
                "linger.ms": 1,
                "reconnect.backoff.ms": 1,
                "retry.backoff.ms": 1,
            },
        )
        same(clients.values(topic), plain(records))
        return proxy.tally()
