"""A large group of the consumer protocol that loses a third of its members, while records flow.

It must come to stand again, with each partition at one of those that live; how long that takes is
printed. No record may be lost, and none read twice but what a member that died had not committed.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from confluent_kafka import Producer

from .broker import KINDS, Broker
from .consumermember import Member
from .groupmember import Line
from .paths import WORK, clients_jar
from .schema import Schemas

GROUP, TOPIC = "settle", "settle"
MEMBERS, KILLED, PARTITIONS, ROUNDS = 50, 17, 500, 3
SESSION_MS, BEAT_MS = 1000, 200
SETTINGS = (
    f"group.consumer.min.session.timeout.ms={SESSION_MS}",
    f"group.consumer.session.timeout.ms={SESSION_MS}",
    f"group.consumer.min.heartbeat.interval.ms={BEAT_MS}",
    f"group.consumer.heartbeat.interval.ms={BEAT_MS}",
)
DESCRIBE = 1
LOOK_EVERY_S, FEED_EVERY_S, TIMEOUT_S = 0.05, 0.5, 60


@dataclass
class Group:
    """All members that there have been, and those that live."""

    line: Line
    living: dict[asyncio.Task, Member] = field(default_factory=dict)
    everyone: list[Member] = field(default_factory=list)
    # Where a member that died had committed the partitions that it owned.
    doubtful: list[tuple[int, int]] = field(default_factory=list)

    def add(self, broker: Broker, topic: tuple[str, str]) -> None:
        member = Member(broker.schemas, (broker.host, broker.port), GROUP, topic)
        self.living[asyncio.create_task(member.live())] = member
        self.everyone.append(member)

    def kill(self, count: int, dice: random.Random) -> None:
        for task in dice.sample(list(self.living), count):
            member = self.living.pop(task)
            task.cancel()
            for index in member.owned:
                self.doubtful.append((index, member.committed.get(index, 0)))

    async def settle(self) -> float:
        """Waits until the group stands, with each partition at one of the living; says how long
        that took."""
        since = time.monotonic()
        while not await self.stands():
            if failed := [task for task in self.living if task.done()]:
                raise failed[0].exception()
            if time.monotonic() > since + TIMEOUT_S:
                raise RuntimeError("the group did not settle")
            await asyncio.sleep(LOOK_EVERY_S)
        return time.monotonic() - since

    async def stands(self) -> bool:
        owners = Counter(index for member in self.living.values() for index in member.owned)
        if owners != Counter(range(PARTITIONS)):
            return False
        told = await self.line.ask("ConsumerGroupDescribe", DESCRIBE, {"groupIds": [GROUP]})
        (group,) = told["groups"]
        return group["groupState"] == "Stable" and len(group["members"]) == len(self.living)

    async def read_through(self, end: int) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while any(
            position < end for member in self.living.values() for position in member.owned.values()
        ):
            if time.monotonic() > deadline:
                return  # What is missing is told below.
            await asyncio.sleep(LOOK_EVERY_S)

    def complaints(self, end: int) -> list[str]:
        times: Counter = Counter()
        for member in self.everyone:
            for index, first, behind in member.reads:
                times.update((index, offset) for offset in range(first, behind))
        wanted = {(index, offset) for index in range(PARTITIONS) for offset in range(end)}
        doubtful = dict.fromkeys(range(PARTITIONS), end)
        for index, committed in self.doubtful:
            doubtful[index] = min(doubtful[index], committed)
        lost = wanted - set(times)
        twice = [at for at, count in times.items() if count > 1]
        wrong = [(index, offset) for index, offset in twice if offset < doubtful[index]]
        print(f"{len(wanted)} records: {len(lost)} lost, {len(twice)} read again", flush=True)
        found = [f"lost: {sorted(lost)[:5]}"] if lost else []
        return found + ([f"read twice though committed: {sorted(wrong)[:5]}"] if wrong else [])


class Feed:
    """Writes a record to every partition again and again until it is ended."""

    def __init__(self, broker: Broker):
        self.producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
        self.rounds = 0
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        while True:
            for index in range(PARTITIONS):
                self.producer.produce(TOPIC, b"fed", partition=index)
            self.rounds += 1
            self.producer.poll(0)
            await asyncio.sleep(FEED_EVERY_S)

    def end(self) -> int:
        """How many records each partition holds."""
        self.task.cancel()
        if self.producer.flush(TIMEOUT_S):
            raise RuntimeError(f"not all records sent within {TIMEOUT_S} s")
        return self.rounds


async def prepare(line: Line) -> tuple[str, str]:
    """Makes the topic, gives its name and id; and has the coordinator come up."""
    wanted = {"name": TOPIC, "numPartitions": PARTITIONS, "replicationFactor": 1}
    made = await line.ask("CreateTopics", 7, {"topics": [wanted], "timeoutMs": 30_000})
    while (await line.ask("FindCoordinator", 1, {"key": GROUP, "keyType": 0}))["errorCode"]:
        await asyncio.sleep(LOOK_EVERY_S)
    asked = {"groups": [{"groupId": GROUP, "topics": None}]}
    while (await line.ask("OffsetFetch", 8, asked))["groups"][0]["errorCode"]:
        await asyncio.sleep(LOOK_EVERY_S)
    return TOPIC, made["topics"][0]["topicId"]


async def run(broker: Broker, options: argparse.Namespace) -> list[str]:
    dice = random.Random(options.seed)
    line = Line(broker.schemas, "settle")
    await line.open(broker.host, broker.port)
    topic = await prepare(line)
    group, feed = Group(line), Feed(broker)
    took = []
    for number in range(options.rounds):
        while len(group.living) < MEMBERS:
            group.add(broker, topic)
        stands = await group.settle()
        await asyncio.sleep(dice.uniform(1, 2))
        group.kill(KILLED, dice)
        took.append(await group.settle())
        print(
            f"round {number + 1}: {MEMBERS} members stand after {stands:.2f} s; "
            f"{KILLED} killed, the others stand after {took[-1]:.2f} s",
            flush=True,
        )
    took.sort()
    print(
        f"{MEMBERS} members, {PARTITIONS} partitions, sessions of {SESSION_MS / 1000:.0f} s: "
        f"settled {took[len(took) // 2]:.2f} s after a third was killed in the median, "
        f"{took[-1]:.2f} s at most",
        flush=True,
    )
    end = feed.end()
    await group.read_through(end)
    for task in group.living:
        task.cancel()
    return group.complaints(end)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compat/settle", description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=KINDS, default="klamm")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args()


def main() -> int:
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    kind = KINDS[options.broker]
    with kind(Schemas(clients_jar()), WORK / f"settle-{options.broker}", SETTINGS) as broker:
        found = asyncio.run(run(broker, options))
    for text in found:
        print("FAIL " + text)
    # Loss, and reading twice.
    print(f"{2 - len(found)} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
