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


def partitions(assignment: dict) -> list[int]:
    return sorted(index for topic in assignment["topicPartitions"] for index in topic["partitions"])


@dataclass
class Group:
    """All members that there have been, and those that live."""

    line: Line
    living: dict[asyncio.Task, Member] = field(default_factory=dict)
    everyone: list[Member] = field(default_factory=list)
    # What a member that died had read and, as far as it knew, not committed: it is read again.
    doubtful: set[tuple[int, int]] = field(default_factory=set)

    def add(self, broker: Broker, topic: tuple[str, str]) -> None:
        member = Member(broker.schemas, (broker.host, broker.port), GROUP, topic)
        self.living[asyncio.create_task(member.live())] = member
        self.everyone.append(member)

    def kill(self, count: int, dice: random.Random) -> None:
        for task in dice.sample(list(self.living), count):
            member = self.living.pop(task)
            task.cancel()
            for index, position in member.owned.items():
                behind = range(member.committed.get(index, 0), position)
                self.doubtful.update((index, offset) for offset in behind)

    async def settle(self) -> float:
        """Waits until the group stands, with each partition at one of the living; says how long
        that took."""
        since = time.monotonic()
        while not await self.stands():
            if time.monotonic() > since + TIMEOUT_S:
                raise RuntimeError("the group did not settle")
            await asyncio.sleep(LOOK_EVERY_S)
        return time.monotonic() - since

    async def stands(self) -> bool:
        """Whether the broker and the members say the same of who has what, and all have as much
        as the others."""
        told = await self.line.ask("ConsumerGroupDescribe", DESCRIBE, {"groupIds": [GROUP]})
        self.fail_with_members()
        (group,) = told["groups"]
        shares = {each["memberId"]: partitions(each["assignment"]) for each in group["members"]}
        owned = {member.id: sorted(member.owned) for member in self.living.values()}
        sizes = [len(share) for share in owned.values()]
        return (
            group["groupState"] == "Stable"
            and shares == owned
            and sorted(sum(owned.values(), [])) == list(range(PARTITIONS))
            and max(sizes) - min(sizes) <= 1
        )

    def fail_with_members(self) -> None:
        if failed := [task for task in self.living if task.done()]:
            raise RuntimeError("a member ended") from failed[0].exception()

    async def read_through(self, end: int) -> None:
        """Waits until all is read; what is missing after a while is told by the complaints."""
        deadline = time.monotonic() + TIMEOUT_S
        while await self.lags_behind(end) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)

    async def lags_behind(self, end: int) -> bool:
        if not await self.stands():
            return True
        owned = [member.owned for member in self.living.values()]
        return any(position < end for each in owned for position in each.values())

    def complaints(self, end: int) -> list[str]:
        times: Counter = Counter()
        for member in self.everyone:
            for index, first, behind in member.reads:
                times.update((index, offset) for offset in range(first, behind))
        wanted = {(index, offset) for index in range(PARTITIONS) for offset in range(end)}
        lost = wanted - set(times)
        twice = [at for at, count in times.items() if count > 1]
        wrong = set(twice) - self.doubtful
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
