"""kill -9 of the broker at random moments, under a group of consumers that commit every batch.

After each restart no committed offset is behind what was acknowledged or seen before, the group
is stable again with all its members, and every member goes on; in the end every acknowledged
record has been processed.
"""

import random
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .broker import KINDS, Broker
from .kill9 import BURST, LIFE_S, TIMEOUT_S, Writer, arguments, value
from .paths import WORK, clients_jar
from .rawconn import RawConnection
from .schema import Schemas

TOPIC, GROUP = "kill9", "kill9-group"
MEMBERS, PARTITIONS = 5, 10
# No more at a time, so that there are many commits, and many batches that a kill interrupts.
BATCH = 50
# Between bursts of the writers: five consumers in one process keep up with them.
PAUSE_S = 0.05
COORDINATOR_LOADING = (14, 15, 16)


class Paced(Writer):
    """A writer with which the members can keep up."""

    def send(self, producer: Producer) -> None:
        super().send(producer)
        if self.next % BURST == 0:
            self.stopping.wait(PAUSE_S)


class Member(threading.Thread):
    """One consumer. It notes what it has processed and what it was told is committed."""

    def __init__(self, address: str, number: int, cooperative: bool):
        super().__init__(name=f"member-{number}")
        self.stopping = threading.Event()
        self.processed: list[dict[int, bytes]] = [{} for _ in range(PARTITIONS)]
        self.committed = [0] * PARTITIONS
        self.batches = 0
        self.consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": GROUP,
                "client.id": self.name,
                "partition.assignment.strategy": "cooperative-sticky" if cooperative else "range",
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 10,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        self.consumer.subscribe([TOPIC])
        while not self.stopping.is_set():
            messages = self.consumer.consume(BATCH, timeout=0.05)
            ends: dict[int, int] = {}
            for message in messages:
                if message.error():
                    continue
                partition, offset = message.partition(), message.offset()
                self.processed[partition][offset] = message.value()
                ends[partition] = offset + 1
            if ends:
                self.commit(ends)
        self.consumer.close()

    def commit(self, ends: dict[int, int]) -> None:
        wanted = [TopicPartition(TOPIC, partition, end) for partition, end in ends.items()]
        try:
            done = self.consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException:
            return  # A dead broker, or a rebalance: what was not committed is read again.
        for each in done:
            if each.error is None:
                self.committed[each.partition] = max(self.committed[each.partition], each.offset)
        self.batches += 1


class Watch:
    """What a raw connection tells of the group, between two lives of its members' broker."""

    def __init__(self, broker: Broker):
        self.broker = broker
        self.seen = [0] * PARTITIONS

    def ask(self, api: str, version: int, body: dict) -> dict:
        with RawConnection(self.broker.schemas, self.broker.host, self.broker.port) as connection:
            return connection.request(api, version, body)

    def offsets(self) -> list[int]:
        """The committed offsets, once the coordinator has loaded them."""
        wanted = {"groupId": GROUP, "topics": None}
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            answer = self.ask("OffsetFetch", 7, wanted)
            if answer["errorCode"] == 0:
                found = [0] * PARTITIONS
                for topic in answer["topics"]:
                    for each in topic["partitions"]:
                        found[each["partitionIndex"]] = each["committedOffset"]
                return found
            if answer["errorCode"] not in COORDINATOR_LOADING:
                raise RuntimeError(f"OffsetFetch: error {answer['errorCode']}")
            time.sleep(0.01)
        raise RuntimeError("the coordinator does not load the group's offsets")

    def backwards(self, acknowledged: list[int]) -> list[str]:
        """Where an offset is behind what was acknowledged before the kill, or seen before."""
        found, complaints = self.offsets(), []
        for partition in range(PARTITIONS):
            known = max(acknowledged[partition], self.seen[partition])
            if found[partition] < known:
                complaints.append(
                    f"partition {partition} went back from {known} to {found[partition]}"
                )
        self.seen = [max(pair) for pair in zip(found, self.seen, strict=True)]
        return complaints

    def settled(self) -> bool:
        group = self.ask("DescribeGroups", 4, {"groups": [GROUP]})["groups"][0]
        return group["groupState"] == "Stable" and len(group["members"]) == MEMBERS


def await_settled(watch: Watch, members: list[Member]) -> float:
    """How long it takes until the group is stable and each member has committed a batch more."""
    start = time.monotonic()
    before = [member.batches for member in members]
    while time.monotonic() - start < TIMEOUT_S:
        goes_on = all(m.batches > known for m, known in zip(members, before, strict=True))
        if goes_on and watch.settled():
            return time.monotonic() - start
        time.sleep(0.01)
    raise RuntimeError(f"the group has not settled within {TIMEOUT_S} s of a restart")


def acknowledged(members: list[Member]) -> list[int]:
    return [max(member.committed[p] for member in members) for p in range(PARTITIONS)]


def crash(
    broker: Broker, rounds: int, dice: random.Random, watch: Watch, members: list[Member]
) -> list[str]:
    complaints, longest = [], 0.0
    await_settled(watch, members)
    for number in range(rounds):
        life = dice.uniform(*LIFE_S)
        time.sleep(life)  # The moment of the kill is what is random; nothing waits on it.
        # What members are told while the broker dies was committed before: the order is safe.
        known = acknowledged(members)
        broker.kill()
        broker.start()
        complaints += [f"round {number + 1}: {text}" for text in watch.backwards(known)]
        took = await_settled(watch, members)
        longest = max(longest, took)
        total = sum(acknowledged(members))
        print(
            f"round {number + 1}: killed after {life:.2f} s, settled after {took:.2f} s, "
            f"{total} committed",
            flush=True,
        )
    print(f"the group took {longest:.2f} s at most to settle")
    return complaints


def await_caught_up(watch: Watch, writers: list[Writer]) -> None:
    """Waits until all that was acknowledged to the writers is committed by the members."""
    ends = [max(writer.acked.values(), default=-1) + 1 for writer in writers]
    deadline = time.monotonic() + TIMEOUT_S
    while any(found < end for found, end in zip(watch.offsets(), ends, strict=True)):
        if time.monotonic() > deadline:
            raise RuntimeError("the members have not caught up")
        time.sleep(0.1)


def unprocessed(writer: Writer, members: list[Member]) -> list[str]:
    """The acknowledged records that no member has processed as they were written."""
    seen: dict[int, bytes] = {}
    for member in members:
        seen |= member.processed[writer.partition]
    missing = [
        number
        for number, offset in writer.acked.items()
        if seen.get(offset) != value(writer.partition, number)
    ]
    if not missing:
        return []
    return [f"partition {writer.partition}: {len(missing)} not processed, as {missing[:5]}"]


def doubled(members: list[Member]) -> int:
    """How many records more than one member has processed."""
    total = sum(len(each) for member in members for each in member.processed)
    return total - sum(
        len(set().union(*(member.processed[p] for member in members))) for p in range(PARTITIONS)
    )


def create(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(TIMEOUT_S)


def main() -> int:
    options = arguments("compat/kill9-groups", __doc__)
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    broker = KINDS[options.broker](Schemas(clients_jar()), WORK / f"kill9-groups-{options.broker}")
    with broker:
        create(broker)
        writers = [Paced(broker.address, partition) for partition in range(PARTITIONS)]
        cooperative = dice.random() < 0.5
        print("cooperative-sticky" if cooperative else "range", flush=True)
        members = [Member(broker.address, number, cooperative) for number in range(MEMBERS)]
        for thread in (*writers, *members):
            thread.start()
        watch = Watch(broker)
        try:
            complaints = crash(broker, options.rounds, dice, watch, members)
            finish(writers)
            await_caught_up(watch, writers)
        finally:
            finish(writers)
            finish(members)
        complaints += [text for writer in writers for text in unprocessed(writer, members)]
    return report(writers, members, complaints)


def finish(threads: list[Writer] | list[Member]) -> None:
    for thread in threads:
        thread.stopping.set()
    for thread in threads:
        thread.join()


def report(writers: list[Writer], members: list[Member], complaints: list[str]) -> int:
    written = sum(len(writer.acked) for writer in writers)
    print(f"{written} records acknowledged, {doubled(members)} processed by more than one member")
    for text in complaints:
        print("FAIL " + text)
    backwards = any(text.startswith("round") for text in complaints)
    missing = any(text.startswith("partition") for text in complaints)
    failed = backwards + missing
    # Offsets, records, and that the group settled, without which there is no report.
    print(f"{3 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
