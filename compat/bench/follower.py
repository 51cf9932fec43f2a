"""Reads along while others write: a topic that never rests has no end to read to."""

from confluent_kafka import Consumer, TopicPartition

from .waiting import TIMEOUT_S, until

AT_ONCE = 1000
PATIENCE_S = 0.2


class Follower:
    """Sees what is committed to a topic."""

    def __init__(self, address: str, topic: str, partitions: int):
        settings = {"bootstrap.servers": address, "group.id": "unused", "log_level": 0}
        self.consumer = Consumer(settings | {"enable.auto.commit": False})
        self.topic = topic
        self.places = [TopicPartition(topic, number, 0) for number in range(partitions)]
        self.consumer.assign(self.places)

    def progress(self) -> None:
        """Waits until a record is committed whose place is beyond today's end."""
        ends: dict[int, int] = {}

        def known() -> bool:
            for place in self.places:
                ends[place.partition] = self.consumer.get_watermark_offsets(place, TIMEOUT_S)[1]
            return True

        until(known, f"the ends of {self.topic}")
        until(lambda: self.passes(ends), f"more in {self.topic}", lambda: str(ends))

    def passes(self, ends: dict[int, int]) -> bool:
        came = self.consumer.consume(AT_ONCE, PATIENCE_S)
        good = [message for message in came if message.error() is None]
        return any(message.offset() >= ends[message.partition()] for message in good)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()
