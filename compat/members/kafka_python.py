"""A member of a group with kafka-python; see `bench/groups/member.py`."""

import sys

from commands import Commands, name, place, settings, tell
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}


# This client forgets an assignment that comes just when a poll's time is over.
POLL_MS = 1000


class Member(ConsumerRebalanceListener):
    """One consumer, and what it does with what it reads."""

    def __init__(self, address: str, group: str, given: dict[str, str]):
        self.commits = given["commit"] == "batch"
        self.metadata = given.get("metadata", "")
        self.arrived: set[TopicPartition] = set()
        version = given.get("api-version")
        self.consumer = KafkaConsumer(
            bootstrap_servers=address,
            api_version=tuple(map(int, version.split("."))) if version else None,
            group_id=group,
            group_instance_id=given.get("instance"),
            session_timeout_ms=int(given["session-ms"]),
            heartbeat_interval_ms=300,
            partition_assignment_strategy=[ASSIGNORS[given["assignor"]]],
            enable_auto_commit=given["commit"] == "auto",
            auto_commit_interval_ms=100,
            auto_offset_reset="earliest",
            metadata_max_age_ms=500,
        )
        if "pattern" in given:
            self.consumer.subscribe(pattern=given["pattern"], listener=self)
        else:
            self.consumer.subscribe(given["subscribe"].split(","), listener=self)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.arrived |= assigned  # A call that asks the broker fails inside a listener.
        tell("assigned", *map(name, assigned))

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        tell("revoked", *map(name, revoked))

    def turn(self) -> None:
        ends = {}
        polled = self.consumer.poll(timeout_ms=POLL_MS)
        while self.arrived:
            self.look_up(self.arrived.pop())
        for partition, records in polled.items():
            for record in records:
                tell("record", name(partition), record.offset)
            last = records[-1]
            epoch = -1 if last.leader_epoch is None else last.leader_epoch
            ends[partition] = OffsetAndMetadata(last.offset + 1, self.metadata, epoch)
        if ends and self.commits:
            self.consumer.commit(ends)

    def look_up(self, partition: TopicPartition) -> None:
        found = self.consumer.committed(partition, metadata=True)
        offset, metadata = (found.offset, found.metadata) if found else (-1, "")
        tell("found", name(partition), offset, metadata)

    def obey(self, command: list[str]) -> bool:
        """Carries out a command; False when it is the last."""
        match command:
            case ["close"]:
                self.consumer.close()
                return False
            case ["pause", partition]:
                self.consumer.pause(TopicPartition(*place(partition)))
            case ["resume", partition]:
                self.consumer.resume(TopicPartition(*place(partition)))
            case ["seek", partition, offset]:
                self.consumer.seek(TopicPartition(*place(partition)), int(offset))
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
    except KafkaError as error:
        tell("failed", error)
        sys.exit(1)
