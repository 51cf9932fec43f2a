"""MirrorMaker 2 between Apache Kafka and the broker under test, both ways at once."""

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
)

from ..broker import Broker, Kafka
from ..java import Framework
from ..paths import WORK
from ..table import Table
from ..waiting import until
from .confluent import Clients, same, until_end

CLIENT = "MirrorMaker 2"
MAIN = "org.apache.kafka.connect.mirror.MirrorMaker"
PARTITIONS, RECORDS = 3, 900
TIMEOUT_S = 60
START_MS = 1_795_000_000_000

PROPERTIES = """\
clusters=kafka,tested
kafka.bootstrap.servers={kafka}
tested.bootstrap.servers={tested}
kafka->tested.enabled=true
tested->kafka.enabled=true
topics=mirror-.*
groups=mirror-.*
replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
offset-syncs.topic.replication.factor=1
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=2
status.storage.partitions=2
offset.flush.interval.ms=500
scheduled.rebalance.max.delay.ms=0
offset.lag.max=0
refresh.topics.interval.seconds=1
refresh.groups.interval.seconds=1
sync.topic.configs.interval.seconds=1
emit.checkpoints.interval.seconds=1
sync.group.offsets.enabled=true
sync.group.offsets.interval.seconds=1
plugin.discovery=service_load
"""


def run(broker: Broker, table: Table, quick: bool) -> None:
    folder = WORK / "mirror"
    folder.mkdir(exist_ok=True)
    with Kafka(broker.schemas, WORK / "broker-mirrored") as kafka:
        there = Direction("kafka", kafka, broker)
        back = Direction("tested", broker, kafka)
        there.fill()
        back.fill()
        properties = folder / "mm2.properties"
        properties.write_text(PROPERTIES.format(kafka=kafka.address, tested=broker.address))
        with Framework(folder / "mm2.log") as mirror:
            mirror.start(MAIN, properties)
            for direction, way in ((there, "from Apache Kafka"), (back, "to Apache Kafka")):
                table.check(CLIENT, f"records, {way}", direction.copied)
                table.check(CLIENT, f"settings and new partitions, {way}", direction.followed)
                table.check(CLIENT, f"a group goes on after its move, {way}", direction.moved)


class Direction:
    """A topic in one cluster, and its copy in the other."""

    def __init__(self, alias: str, source: Broker, target: Broker):
        self.source, self.target = Clients(source.address), Clients(target.address)
        self.topic = f"mirror-of-{alias}"
        self.copy = f"{alias}.{self.topic}"
        self.group = f"mirror-readers-of-{alias}"

    def fill(self) -> None:
        """Records of all shapes, and a group that has read them all."""
        self.source.create(self.topic, PARTITIONS, **{"retention.ms": "-1"})
        self.produce(0, RECORDS)
        reader = member(self.source, self.group)
        reader.assign([TopicPartition(self.topic, number, 0) for number in range(PARTITIONS)])
        ends = [TopicPartition(self.topic, number, RECORDS) for number in range(PARTITIONS)]
        reader.commit(offsets=ends, asynchronous=False)
        reader.close()

    def produce(self, start: int, count: int) -> None:
        """So many records in each partition."""
        producer = Producer(self.source.common | {"linger.ms": 5, "compression.type": "zstd"})
        for number in range(start, start + count):
            for partition in range(PARTITIONS):
                producer.produce(
                    self.topic,
                    key=None if number % 7 == 0 else f"key {number}",
                    value=None if number % 11 == 10 else f"value {number} in {partition}",
                    headers=[("n", str(number)), ("empty", None)] if number % 3 == 0 else None,
                    partition=partition,
                    timestamp=START_MS + number,
                )
                producer.poll(0)
        same(producer.flush(TIMEOUT_S), 0)

    def copied(self) -> str:
        """Each partition holds the same records in the same order."""
        until(lambda: self.ends() == [RECORDS] * PARTITIONS, "all is copied", self.known)
        for partition in range(PARTITIONS):
            wanted = contents(self.source, self.topic, partition)
            same(contents(self.target, self.copy, partition), wanted)
        return f"{RECORDS * PARTITIONS} records"

    def known(self) -> str:
        return f"ends {self.ends()}"

    def ends(self) -> list[int]:
        """Where the copy's partitions end; none while it is not there."""
        consumer = self.target.consumer()
        try:
            known = consumer.list_topics(timeout=TIMEOUT_S).topics
            partitions = known[self.copy].partitions if self.copy in known else ()
            return [
                consumer.get_watermark_offsets(TopicPartition(self.copy, number), TIMEOUT_S)[1]
                for number in sorted(partitions)
            ]
        finally:
            consumer.close()

    def followed(self) -> None:
        """The copy has the topic's settings, and is given new ones and more partitions."""
        same(self.setting("retention.ms"), "-1")
        entry = ConfigEntry(
            "max.message.bytes", "65536", incremental_operation=AlterConfigOpType.SET
        )
        resource = ConfigResource(
            ConfigResource.Type.TOPIC, self.topic, incremental_configs=[entry]
        )
        self.source.admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)
        grown = self.source.admin.create_partitions([NewPartitions(self.topic, PARTITIONS + 1)])
        grown[self.topic].result(TIMEOUT_S)
        until(lambda: self.setting("max.message.bytes") == "65536", "the setting")
        until(lambda: len(self.ends()) == PARTITIONS + 1, "the new partition", self.known)

    def setting(self, name: str) -> str:
        resource = ConfigResource(ConfigResource.Type.TOPIC, self.copy)
        (described,) = self.target.admin.describe_configs([resource]).values()
        return described.result(TIMEOUT_S)[name].value

    def moved(self) -> None:
        """The group that has read all of the topic reads from its copy what is new."""
        until(lambda: self.committed() == [RECORDS] * PARTITIONS, "the group", self.progress)
        self.produce(RECORDS, 10)
        reader = member(self.target, self.group)
        reader.subscribe([self.copy])
        numbers: list[int] = []

        def read() -> bool:
            for message in reader.consume(100, 0.5):
                same(message.error(), None)
                numbers.append(message.offset())
            return len(numbers) >= 10 * PARTITIONS

        try:
            until(read, "the new records", lambda: str(numbers))
        finally:
            reader.close()
        same(sorted(numbers), sorted([*range(RECORDS, RECORDS + 10)] * PARTITIONS))

    def progress(self) -> str:
        return f"committed {self.committed()}"

    def committed(self) -> list[int]:
        """Where the group is said to be in the copy."""
        reader = member(self.target, self.group)
        try:
            places = [TopicPartition(self.copy, number) for number in range(PARTITIONS)]
            return [place.offset for place in reader.committed(places, TIMEOUT_S)]
        finally:
            reader.close()


def member(clients: Clients, group: str) -> Consumer:
    settings = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    return Consumer(clients.common | settings)


def contents(clients: Clients, topic: str, partition: int) -> list[tuple]:
    consumer = clients.consumer()
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        return [
            (each.offset(), each.key(), each.value(), each.headers(), each.timestamp())
            for each in until_end(consumer)
        ]
    finally:
        consumer.close()
