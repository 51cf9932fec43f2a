"""aiokafka: its producer, and members of groups. It speaks only versions without compact fields."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from .. import features
from ..broker import Broker
from ..groups import feed, kinds, scenarios
from ..groups.scenarios import same
from ..table import Table

CLIENT = "aiokafka"
COUNT = 500
START_MS = 1_795_000_000_000


def run(broker: Broker, table: Table, quick: bool) -> None:
    for codec in features.CODECS:
        table.check(
            CLIENT,
            features.compression(codec),
            lambda: asyncio.run(compression(broker, codec)),
        )
    table.check(CLIENT, features.SEEK_TIME, lambda: asyncio.run(seek_time(broker)))
    scenarios.run(table, broker, kinds.aiokafka(CLIENT), "aio-")


async def compression(broker: Broker, codec: str) -> None:
    """An idempotent producer, and everything read back from an offset."""
    topic = f"aio-{codec}"
    values = [f"value {n} and words that compress well".encode() for n in range(COUNT)]
    await produce(broker, topic, values, None if codec == "none" else codec)
    async with AIOKafkaConsumer(bootstrap_servers=broker.address) as consumer:
        at, got = TopicPartition(topic, 0), []
        consumer.assign([at])
        consumer.seek(at, 7)
        while len(got) < COUNT - 7:
            fetched = await asyncio.wait_for(consumer.getone(at), feed.TIMEOUT_S)
            got.append(fetched.value)
        same(got, values[7:])


async def produce(broker: Broker, topic: str, values: list[bytes], codec: str | None) -> None:
    feed.create(broker, topic, 1)
    options = {"enable_idempotence": True, "compression_type": codec, "linger_ms": 5}
    async with AIOKafkaProducer(bootstrap_servers=broker.address, **options) as producer:
        for number, value in enumerate(values):
            stamp = START_MS + 10 * number
            await producer.send(topic, value, partition=0, timestamp_ms=stamp)


async def seek_time(broker: Broker) -> None:
    await produce(broker, "aio-time", [b"v"] * 10, None)
    async with AIOKafkaConsumer(bootstrap_servers=broker.address) as consumer:
        at = TopicPartition("aio-time", 0)
        for stamp, offset in ((START_MS, 0), (START_MS + 11, 2)):
            same((await consumer.offsets_for_times({at: stamp}))[at].offset, offset)
        same((await consumer.offsets_for_times({at: START_MS + 10**6}))[at], None)
