"""A member of a group with confluent-kafka; see `bench/groups/member.py`."""

import sys

from commands import Commands, name, place, settings, tell
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

# What a commit meets while the group changes under a cooperative member, which reads on meanwhile.
LATER = (
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.STALE_MEMBER_EPOCH,
)


class Member:
    """One consumer, and what it does with what it reads."""

    def __init__(self, address: str, group: str, given: dict[str, str]):
        self.commit = given["commit"]
        self.metadata = given.get("metadata", "")
        # What was read and is not committed yet.
        self.ends: dict[tuple[str, int], int] = {}
        self.consumer = Consumer(self.config(address, group, given))
        wanted = [given["pattern"]] if "pattern" in given else given["subscribe"].split(",")
        self.consumer.subscribe(
            wanted, on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost
        )

    def config(self, address: str, group: str, given: dict[str, str]) -> dict:
        config = {
            "bootstrap.servers": address,
            "group.id": group,
            "enable.auto.commit": self.commit == "auto",
            "auto.commit.interval.ms": 100,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 500,
            "log_level": 3,
        }
        if given["protocol"] == "consumer":
            config |= {"group.protocol": "consumer", "group.remote.assignor": given["assignor"]}
        else:
            config |= {
                "session.timeout.ms": int(given["session-ms"]),
                "heartbeat.interval.ms": 300,
                "partition.assignment.strategy": given["assignor"],
            }
        return config | ({"group.instance.id": given["instance"]} if "instance" in given else {})

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for each in consumer.committed(partitions, timeout=30):
            tell("found", name(each), max(each.offset, -1), each.metadata or "")
        tell("assigned", *map(name, partitions))

    def revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.commit_ends(partitions)
        self.lost(consumer, partitions)

    def lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            self.ends.pop((each.topic, each.partition), None)
        tell("revoked", *map(name, partitions))

    def turn(self) -> None:
        for message in self.consumer.consume(100, 0.1):
            if message.error():
                raise KafkaException(message.error())
            tell("record", f"{message.topic()}:{message.partition()}", message.offset())
            self.ends[message.topic(), message.partition()] = message.offset() + 1
        try:
            self.commit_ends()
        except KafkaException as error:
            if error.args[0].code() not in LATER:
                raise

    def commit_ends(self, only: list[TopicPartition] | None = None) -> None:
        chosen = [(each.topic, each.partition) for each in only or []] or list(self.ends)
        offsets = [
            TopicPartition(*at, self.ends[at], self.metadata) for at in chosen if at in self.ends
        ]
        if not offsets or self.commit != "batch":
            return
        for each in self.consumer.commit(offsets=offsets, asynchronous=False):
            if each.error:
                raise KafkaException(each.error)
        for each in offsets:
            del self.ends[each.topic, each.partition]

    def obey(self, command: list[str]) -> bool:
        """Carries out a command; False when it is the last."""
        match command:
            case ["close"]:
                self.consumer.close()
                return False
            case ["pause", partition]:
                self.consumer.pause([TopicPartition(*place(partition))])
            case ["resume", partition]:
                self.consumer.resume([TopicPartition(*place(partition))])
            case ["seek", partition, offset]:
                self.consumer.seek(TopicPartition(*place(partition), int(offset)))
        tell("done")
        return True


def main() -> None:
    member, commands = Member(*settings(sys.argv[1:])), Commands()
    while True:
        command = commands.next()
        if command and not member.obey(command):
            return
        member.turn()


if __name__ == "__main__":
    try:
        main()
    except KafkaException as error:
        tell("failed", error)
        sys.exit(1)
