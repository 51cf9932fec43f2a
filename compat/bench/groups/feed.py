"""A steady stream of records into a topic, so that a group changes under load."""

import threading

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from ..broker import Broker

TIMEOUT_S = 60
EVERY_S = 0.01


def create(broker: Broker, topic: str, partitions: int) -> list[str]:
    """Makes a topic and returns the names of its partitions."""
    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(TIMEOUT_S)
    return [f"{topic}:{number}" for number in range(partitions)]


def produce(broker: Broker, topic: str, partition: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 0, "linger.ms": 1})
    for number in range(count):
        producer.produce(topic, f"value {number}".encode(), partition=partition)
    if producer.flush(TIMEOUT_S):
        raise AssertionError(f"not all records sent within {TIMEOUT_S} s")


class Feed(threading.Thread):
    """Writes a record to every partition again and again until it is ended."""

    def __init__(self, broker: Broker, topic: str, partitions: int):
        super().__init__(name=f"feed-{topic}")
        self.topic = topic
        self.partitions = partitions
        self.rounds = 0
        self.stopping = threading.Event()
        options = {"bootstrap.servers": broker.address, "log_level": 0, "linger.ms": 1}
        self.producer = Producer(options)

    def run(self) -> None:
        while not self.stopping.wait(EVERY_S):
            for partition in range(self.partitions):
                self.producer.produce(self.topic, b"fed", partition=partition)
            self.rounds += 1
            self.producer.poll(0)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

    def end(self) -> int:
        """Ends the stream and returns how many records each partition holds."""
        self.stopping.set()
        self.join()
        if self.producer.flush(TIMEOUT_S):
            raise AssertionError(f"not all records sent within {TIMEOUT_S} s")
        return self.rounds
