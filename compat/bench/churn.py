"""Groups whose members die without leaving while others join, for a minute.

Once that ends every group must be stable with exactly the members that live, within the session
timeout and two seconds; and while they only beat and commit from then on, the broker's memory and
its processor time must not grow.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from .broker import KINDS, Broker
from .groupmember import DESCRIBE, Line, Member
from .paths import WORK, clients_jar
from .schema import Schemas

GROUPS, MEMBERS, TOPICS = 200, 5, 20
SESSION_MS, BEAT_S = 6000, 1.0
SETTLES_WITHIN_S = SESSION_MS / 1000 + 2
# How often one of its members dies and another comes, in one group.
BETWEEN_DEATHS_S = 8.0
WATCH_S = 10.0
# What a broker that stands still may differ by, between two looks at it.
MEMORY_SLACK_BYTES = 2 << 20
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Group:
    """One group of members, each a task."""

    name: str
    topic: str
    members: dict[asyncio.Task, Member] = field(default_factory=dict)
    disturbed: float = 0.0

    def add(self, broker: Broker) -> None:
        how = {"session_ms": SESSION_MS, "beat_s": BEAT_S}
        address = (broker.host, broker.port)
        member = Member(broker.schemas, address, self.name, self.topic, **how)
        self.members[asyncio.create_task(member.live())] = member
        self.disturbed = time.monotonic()

    def kill(self, dice: random.Random) -> None:
        task = dice.choice(list(self.members))
        del self.members[task]
        task.cancel()
        self.disturbed = time.monotonic()

    def failure(self) -> BaseException | None:
        return next((task.exception() for task in self.members if task.done()), None)


async def churn(groups: list[Group], broker: Broker, seconds: float, dice: random.Random) -> int:
    """Kills a member of a random group and adds another, again and again."""
    ends, deaths = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        await asyncio.sleep(dice.expovariate(len(groups) / BETWEEN_DEATHS_S))
        group = dice.choice(groups)
        group.kill(dice)
        # Not always at once, and sometimes before the dead one is missed.
        group.add(broker)
        deaths += 1
    return deaths


async def settle(groups: list[Group], line: Line) -> dict[str, float]:
    """For each group, how long after it was disturbed last it was seen as it should be."""
    took: dict[str, float] = {}
    waiting = {group.name: group for group in groups}
    deadline = time.monotonic() + 4 * SETTLES_WITHIN_S
    while waiting and time.monotonic() < deadline:
        if failed := [group for group in groups if group.failure()]:
            raise RuntimeError(f"{failed[0].name}: {failed[0].failure()!r}")
        for group in await settled(list(waiting.values()), line):
            took[group.name] = time.monotonic() - group.disturbed
            del waiting[group.name]
        await asyncio.sleep(0.05)
    return took


async def settled(groups: list[Group], line: Line) -> list[Group]:
    """The groups that are stable with exactly the members that live, each with its share."""
    names = [group.name for group in groups]
    answer = await line.ask("DescribeGroups", DESCRIBE, {"groups": names})
    told = {each["groupId"]: each for each in answer["groups"]}
    return [group for group in groups if is_settled(group, told[group.name])]


def is_settled(group: Group, told: dict) -> bool:
    shares = {each["memberId"]: each["memberAssignment"] for each in told["members"]}
    mine = {member.id: member.assigned for member in group.members.values()}
    distinct = len(set(shares.values())) == len(shares)
    return told["groupState"] == "Stable" and shares == mine and distinct


@dataclass
class Usage:
    """What the broker's process has used."""

    resident_bytes: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        ticks = int(stat[11]) + int(stat[12])
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), ticks / TICKS_PER_S)


async def watch(pid: int) -> tuple[Usage, Usage]:
    """What the broker uses in two spans of time, one after the other."""
    first = Usage.of(pid)
    await asyncio.sleep(WATCH_S)
    second = Usage.of(pid)
    await asyncio.sleep(WATCH_S)
    third = Usage.of(pid)
    return (
        Usage(second.resident_bytes, second.cpu_s - first.cpu_s),
        Usage(third.resident_bytes, third.cpu_s - second.cpu_s),
    )


async def prepare(broker: Broker, line: Line, topics: int) -> None:
    wanted = [
        {"name": f"churn-{number}", "numPartitions": 1, "replicationFactor": 1}
        for number in range(topics)
    ]
    await line.ask("CreateTopics", 4, {"topics": wanted, "timeoutMs": 30_000})
    # Makes the topic of the offsets, and waits until it is there.
    while (await line.ask("FindCoordinator", 1, {"key": "churn", "keyType": 0}))["errorCode"]:
        await asyncio.sleep(0.1)


async def run(broker: Broker, options: argparse.Namespace) -> list[str]:
    dice = random.Random(options.seed)
    line = Line(broker.schemas, "churn")
    await line.open(broker.host, broker.port)
    await prepare(broker, line, TOPICS)
    groups = [Group(f"churn-{n}", f"churn-{n % TOPICS}") for n in range(options.groups)]
    for group in groups:
        for _ in range(MEMBERS):
            group.add(broker)
    first = await settle(groups, line)
    print(f"{len(first)} groups of {MEMBERS} stand after {max(first.values()):.1f} s", flush=True)
    deaths = await churn(groups, broker, options.seconds, dice)
    took = await settle(groups, line)
    before, after = await watch(broker.process.pid)
    print(
        f"{deaths} members died; the last group was stable {max(took.values(), default=0):.2f} s "
        f"after its last disturbance, half of them after {median(took):.2f} s\n"
        f"then, each in {WATCH_S:.0f} s: {before.resident_bytes >> 10} and "
        f"{after.resident_bytes >> 10} KiB, {before.cpu_s:.2f} and {after.cpu_s:.2f} s of CPU",
        flush=True,
    )
    for group in groups:
        for task in group.members:
            task.cancel()
    return complaints(groups, took, before, after)


def median(took: dict[str, float]) -> float:
    return sorted(took.values())[len(took) // 2] if took else 0


def complaints(
    groups: list[Group], took: dict[str, float], before: Usage, after: Usage
) -> list[str]:
    found = [f"{each.name} is not stable" for each in groups if each.name not in took]
    found += [
        f"{name} took {seconds:.1f} s to settle"
        for name, seconds in took.items()
        if seconds > SETTLES_WITHIN_S
    ]
    if after.resident_bytes > before.resident_bytes + MEMORY_SLACK_BYTES:
        found.append("memory grows while nothing changes")
    # A tenth more, and what a busy machine adds.
    if after.cpu_s > before.cpu_s * 1.1 + 0.1 * WATCH_S:
        found.append("processor time grows while nothing changes")
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compat/churn", description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=KINDS, default="klamm")
    parser.add_argument("--groups", type=int, default=GROUPS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args()


def main() -> int:
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    kind = KINDS[options.broker]
    with kind(Schemas(clients_jar()), WORK / f"churn-{options.broker}") as broker:
        found = asyncio.run(run(broker, options))
    for text in found[:10]:
        print("FAIL " + text)
    failed = len(found)
    print(f"{max(options.groups + 2 - failed, 0)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
