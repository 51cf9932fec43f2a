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
LOOK_EVERY_S = 0.1
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
    settled: bool = False

    def add(self, broker: Broker) -> None:
        how = {"session_ms": SESSION_MS, "beat_s": BEAT_S}
        address = (broker.host, broker.port)
        member = Member(broker.schemas, address, self.name, self.topic, **how)
        self.members[asyncio.create_task(member.live())] = member
        self.disturb()

    def kill(self, dice: random.Random) -> None:
        task = dice.choice(list(self.members))
        del self.members[task]
        task.cancel()
        self.disturb()

    def disturb(self) -> None:
        self.disturbed, self.settled = time.monotonic(), False

    def failure(self) -> BaseException | None:
        return next((task.exception() for task in self.members if task.done()), None)


async def churn(groups: list[Group], broker: Broker, seconds: float, dice: random.Random) -> int:
    """Kills a member of a random group and adds another, again and again."""
    ends, deaths = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        await asyncio.sleep(dice.expovariate(len(groups) / BETWEEN_DEATHS_S))
        group = dice.choice(groups)
        group.kill(dice)
        # Before the dead one is missed.
        group.add(broker)
        deaths += 1
    return deaths


async def watch_groups(groups: list[Group], line: Line, took: list[float]) -> None:
    """Notes, for each time that a group is as it should be again, how long after it was disturbed
    last that was. Goes on until it is cancelled."""
    while True:
        if failed := [group for group in groups if group.failure()]:
            raise RuntimeError(f"{failed[0].name}: {failed[0].failure()!r}")
        waiting = [group for group in groups if not group.settled]
        for group in await settled(waiting, line):
            group.settled = True
            took.append(time.monotonic() - group.disturbed)
        await asyncio.sleep(LOOK_EVERY_S)


async def await_all(groups: list[Group], watching: asyncio.Task) -> None:
    """Waits until every group is as it should be, or it is clear that one never will."""
    deadline = time.monotonic() + 4 * SETTLES_WITHIN_S
    while not all(group.settled for group in groups) and time.monotonic() < deadline:
        if watching.done():
            await watching
        await asyncio.sleep(LOOK_EVERY_S)


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


async def prepare(line: Line) -> None:
    wanted = [
        {"name": f"churn-{number}", "numPartitions": 1, "replicationFactor": 1}
        for number in range(TOPICS)
    ]
    await line.ask("CreateTopics", 4, {"topics": wanted, "timeoutMs": 30_000})
    # Makes the topic of the offsets, and waits until it is there.
    while (await line.ask("FindCoordinator", 1, {"key": "churn", "keyType": 0}))["errorCode"]:
        await asyncio.sleep(0.1)


async def run(broker: Broker, options: argparse.Namespace) -> list[str]:
    dice = random.Random(options.seed)
    line = Line(broker.schemas, "churn")
    await line.open(broker.host, broker.port)
    await prepare(line)
    groups = [Group(f"churn-{n}", f"churn-{n % TOPICS}") for n in range(options.groups)]
    for group in groups:
        for _ in range(MEMBERS):
            group.add(broker)
    took: list[float] = []
    watching = asyncio.create_task(watch_groups(groups, line, took))
    await await_all(groups, watching)
    print(f"{len(groups)} groups of {MEMBERS} stand after {max(took):.1f} s", flush=True)
    took.clear()
    deaths = await churn(groups, broker, options.seconds, dice)
    await await_all(groups, watching)
    watching.cancel()
    before, after = await watch(broker.process.pid)
    took.sort()
    print(
        f"{deaths} members died; {len(took)} times a group settled, {took[len(took) // 2]:.2f} s "
        f"after its last disturbance in the median, {took[-1]:.2f} s at most\n"
        f"then, each in {WATCH_S:.0f} s: {before.resident_bytes >> 10} and "
        f"{after.resident_bytes >> 10} KiB, {before.cpu_s:.2f} and {after.cpu_s:.2f} s of CPU",
        flush=True,
    )
    for group in groups:
        for task in group.members:
            task.cancel()
    return complaints(groups, took, before, after)


def complaints(groups: list[Group], took: list[float], before: Usage, after: Usage) -> list[str]:
    found = [f"{each.name} is not stable" for each in groups if not each.settled]
    if late := [seconds for seconds in took if seconds > SETTLES_WITHIN_S]:
        found.append(f"{len(late)} of {len(took)} times it took more than {SETTLES_WITHIN_S:.0f} s")
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
    # Stability, time, memory, processor time.
    failed = min(len(found), 4)
    print(f"{4 - failed} passed, {failed} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
