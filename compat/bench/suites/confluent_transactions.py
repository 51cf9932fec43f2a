"""Transactions with confluent-kafka: librdkafka, which follows the rules of the first generation."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .. import features
from ..broker import Broker
from ..proxy import CuttingProxy
from ..table import Table

COUNT = 40
PARTITIONS = 3
TIMEOUT_S = 60


class Clients:
    """A producer and a reader of committed records against one address."""

    def __init__(self, address: str):
        self.common = {"bootstrap.servers": address, "log_level": 2}

    def create(self, topic: str) -> str:
        admin = AdminClient(self.common)
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(TIMEOUT_S)
        return topic

    def producer(self, name: str, **options: object) -> Producer:
        producer = Producer(self.common | {"transactional.id": name} | options)
        producer.init_transactions(TIMEOUT_S)
        return producer

    def consumer(self, group: str) -> Consumer:
        return Consumer(
            self.common
            | {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )

    def committed(self, topic: str, partition: int) -> list[bytes]:
        """Everything in the partition that is committed."""
        consumer = self.consumer("unused")
        try:
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            return list(until_end(consumer))
        finally:
            consumer.close()


def until_end(consumer: Consumer):
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            yield message.value()
        elif message.error().name() == "_PARTITION_EOF":
            return
        else:
            raise KafkaException(message.error())
    raise AssertionError(f"no end of the partition within {TIMEOUT_S} s")


def same(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"{str(actual)[:120]} instead of {str(expected)[:120]}")


def run(broker: Broker, table: Table, client: str) -> None:
    clients = Clients(broker.address)
    table.check(client, features.TRANSACTIONS, lambda: commits_and_aborts(clients))
    table.check(client, features.TRANSACTIONS_CUT, lambda: through_cuts(clients, broker))
    table.check(client, features.TRANSACTIONS_FENCED, lambda: fencing(clients))
    table.check(client, features.TRANSACTION_OFFSETS, lambda: offsets(clients))


def is_aborted(number: int) -> bool:
    return number % 3 == 2


def write(producer: Producer, topic: str) -> None:
    """Every third transaction is aborted; each has a record in every partition."""
    for number in range(COUNT):
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(topic, str(number).encode(), partition=partition)
        if is_aborted(number):
            producer.flush(TIMEOUT_S)
            producer.abort_transaction(TIMEOUT_S)
        else:
            producer.commit_transaction(TIMEOUT_S)


def check(clients: Clients, topic: str) -> None:
    wanted = [str(number).encode() for number in range(COUNT) if not is_aborted(number)]
    for partition in range(PARTITIONS):
        same(clients.committed(topic, partition), wanted)


def commits_and_aborts(clients: Clients) -> None:
    topic = clients.create("cf-committed")
    write(clients.producer("cf-committed"), topic)
    check(clients, topic)


def through_cuts(clients: Clients, broker: Broker) -> str:
    topic = clients.create("cf-committed-cut")
    with CuttingProxy(broker.schemas, broker.host, broker.port) as proxy:
        options = {"reconnect.backoff.ms": 1, "retry.backoff.ms": 1}
        write(Clients(proxy.address).producer("cf-committed-cut", **options), topic)
        check(clients, topic)
        return proxy.tally()


def fencing(clients: Clients) -> None:
    topic = clients.create("cf-fenced")
    old = clients.producer("cf-fenced")
    old.begin_transaction()
    old.produce(topic, b"lost", partition=0)
    old.flush(TIMEOUT_S)
    new = clients.producer("cf-fenced")
    try:
        old.commit_transaction(TIMEOUT_S)
    except KafkaException as error:
        same(error.args[0].name(), "_FENCED")
    else:
        raise AssertionError("the old producer was not fenced")
    new.begin_transaction()
    new.produce(topic, b"kept", partition=0)
    new.commit_transaction(TIMEOUT_S)
    same(clients.committed(topic, 0), [b"kept"])


def offsets(clients: Clients) -> None:
    topic = clients.create("cf-offsets-in")
    producer = clients.producer("cf-offsets-in")
    consumer = clients.consumer("cf-offsets-in")
    try:
        for offset, is_kept in ((5, True), (7, False)):
            producer.begin_transaction()
            place = TopicPartition(topic, 0, offset)
            producer.send_offsets_to_transaction(
                [place], consumer.consumer_group_metadata(), TIMEOUT_S
            )
            if is_kept:
                producer.commit_transaction(TIMEOUT_S)
            else:
                producer.abort_transaction(TIMEOUT_S)
        found = consumer.committed([TopicPartition(topic, 0)], timeout=TIMEOUT_S)
        same(found[0].offset, 5)
    finally:
        consumer.close()
