"""A member of a group with aiokafka; see `bench/groups/member.py`."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from commands import Commands, name, place, settings, tell

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


class Member(ConsumerRebalanceListener):
    """One consumer, and what it does with what it reads."""

    def __init__(self, address: str, group: str, given: dict[str, str]):
        self.commits = given["commit"] == "batch"
        self.metadata = given.get("metadata", "")
        self.arrived: set[TopicPartition] = set()
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=address,
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
        self.arrived |= assigned
        tell("assigned", *map(name, assigned))

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        tell("revoked", *map(name, revoked))

    async def turn(self) -> None:
        ends = {}
        polled = await self.consumer.getmany(timeout_ms=100)
        while self.arrived:
            await self.look_up(self.arrived.pop())
        for partition, records in polled.items():
            for record in records:
                tell("record", name(partition), record.offset)
            ends[partition] = OffsetAndMetadata(records[-1].offset + 1, self.metadata)
        if ends and self.commits:
            await self.consumer.commit(ends)

    async def look_up(self, partition: TopicPartition) -> None:
        """Only the offset: this client does not show the metadata of a commit."""
        found = await self.consumer.committed(partition)
        tell("found", name(partition), -1 if found is None else found, "")

    async def obey(self, command: list[str]) -> bool:
        """Carries out a command; False when it is the last."""
        match command:
            case ["close"]:
                await self.consumer.stop()
                return False
            case ["pause", partition]:
                self.consumer.pause(TopicPartition(*place(partition)))
            case ["resume", partition]:
                self.consumer.resume(TopicPartition(*place(partition)))
            case ["seek", partition, offset]:
                self.consumer.seek(TopicPartition(*place(partition)), int(offset))
        tell("done")
        return True


async def main() -> None:
    member, commands = Member(*settings(sys.argv[1:])), Commands()
    await member.consumer.start()
    while True:
        command = commands.next()
        if command and not await member.obey(command):
            return
        await member.turn()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KafkaError as error:
        tell("failed", error)
        sys.exit(1)
