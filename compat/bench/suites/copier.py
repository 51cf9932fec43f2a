"""Kafka's TransactionalMessageCopier: transactions of which some are aborted, and killed ones."""

import shutil
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from ..broker import Broker
from ..follower import Follower
from ..java import Framework
from ..paths import WORK
from ..table import Table
from ..waiting import until
from .confluent import Clients, same, until_end

CLIENT = "Transactional copier"
MAIN = "org.apache.kafka.tools.TransactionalMessageCopier"
PARTITIONS = 2
TIMEOUT_S = 60


def run(broker: Broker, table: Table, quick: bool) -> None:
    records = 4_000 if quick else 20_000
    copying = Copying(broker, records)
    table.check(CLIENT, "random aborts, copiers and broker killed", copying.by_partition)
    table.check(CLIENT, "random aborts in a group, a member killed", copying.in_group)


class Copier(Framework):
    """Reads, writes, commits its place with what it wrote; some transactions it aborts."""

    def __init__(self, folder: Path, name: str, *given: str):
        super().__init__(folder / f"{name}.log")
        self.given = (*given, "--transactional-id", name)

    def begin(self) -> None:
        self.start(MAIN, *self.given)

    def ended(self) -> bool:
        """Whether all was copied: it ends by itself then."""
        if self.process.poll() not in (None, 0):
            raise AssertionError(f"ended with {self.process.returncode}: {self.said()[-1]}")
        return self.process.poll() == 0

    def said(self) -> list[str]:
        return self.log.read_text().splitlines() or [""]


class Copying:
    """A topic that is copied again and again, each time into another."""

    def __init__(self, broker: Broker, records: int):
        self.broker, self.records = broker, records
        self.clients = Clients(broker.address)
        self.folder = WORK / "copier"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.source = self.clients.create("copier-source", PARTITIONS)
        producer = Producer(self.clients.common | {"linger.ms": 5})
        for number in range(records):
            for partition in range(PARTITIONS):
                producer.produce(self.source, f"record {number}", f"{number}", partition)
                producer.poll(0)
        same(producer.flush(TIMEOUT_S), 0)

    def copiers(self, target: str, *more: str) -> list[Copier]:
        """One for each partition, or each for any of them."""
        common = ("--broker-list", self.broker.address, "--enable-random-aborts")
        topics = ("--input-topic", self.source, "--output-topic", target)
        size = ("--transaction-size", "50", "--transaction-timeout", "5000")
        given = (*common, *topics, *size, "--consumer-group", target, *more)
        return [
            Copier(self.folder, f"{target}-{n}", *given, "--input-partition", str(n))
            for n in range(PARTITIONS)
        ]

    def by_partition(self) -> str:
        """A copier that starts again ends what it had begun before it was killed."""
        target = self.clients.create("copier-by-partition", PARTITIONS)
        one, two = self.copiers(target)
        with one, two, Follower(self.broker.address, target, PARTITIONS) as copied:
            one.begin()
            two.begin()
            copied.progress()
            one.kill()
            self.broker.kill()
            self.broker.start()
            one.begin()
            copied.progress()
            two.kill()
            two.begin()
            until(lambda: one.ended() and two.ended(), "all copied")
        return self.exact(target)

    def in_group(self) -> str:
        """Partitions come to who is there; who was taken for dead can commit no more."""
        target = self.clients.create("copier-in-group", PARTITIONS)
        one, two = self.copiers(target, "--group-mode", "--use-group-metadata")
        with one, two, Follower(self.broker.address, target, PARTITIONS) as copied:
            one.begin()
            two.begin()
            copied.progress()
            one.kill()
            one.begin()
            until(lambda: one.ended() and two.ended(), "both at an end")
            # A copier that is given no partition ends, and what the dead one had may be left.
            one.begin()
            until(one.ended, "all copied")
        return self.exact(target)

    def exact(self, target: str) -> str:
        """Each record is there once and in order; what was aborted is in the log and not seen."""
        written = 0
        for partition in range(PARTITIONS):
            wanted, found = (
                [(each.key(), each.value()) for each in self.clients.consume(topic, 0, partition)]
                for topic in (self.source, target)
            )
            same(len(found), self.records)
            same(found, wanted)
            written += self.written(target, partition)
        aborted = written - PARTITIONS * self.records
        if aborted == 0:
            raise AssertionError("nothing was aborted")
        return f"{PARTITIONS * self.records} records, and {aborted} aborted"

    def written(self, topic: str, partition: int) -> int:
        """How many records there are with those that were aborted."""
        everything = {"isolation.level": "read_uncommitted", "enable.partition.eof": True}
        consumer = Consumer(self.clients.common | everything | {"group.id": "unused"})
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            return sum(1 for _ in until_end(consumer))
        finally:
            consumer.close()
