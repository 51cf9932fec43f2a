"""Tools that start a contestant apart from the cells it runs in a row."""

import json
from dataclasses import dataclass

from .fetch import LOOK_UP_BENCH
from .paths import CRITERION, ROOT
from .session import Refused, Session, bytes_on_disk, load_generator, memory_mib, output
from .tools import Load

TOPICS = 10
MIB = 1 << 20
# Of criterion, which else takes a minute for what varies little.
BRIEFLY = ("--noplot", "--warm-up-time=0.5", "--measurement-time=1", "--sample-size=10")


def timed_start(session: Session) -> dict:
    """Starts the contestant over what its folder holds, and stops it: time and memory."""
    how = ("startup", "--brokers", session.broker.address, "--")
    return load_generator(*how, *session.broker.command())


@dataclass(frozen=True)
class Startup:
    """From the start of the process to the first good answer, over a folder used before."""

    apart = True

    def cost_s(self, seconds: float) -> float:
        return 1

    def measure(self, session: Session, cell: str) -> dict:
        session.start()
        session.broker.stop()
        return timed_start(session)


@dataclass(frozen=True)
class Partitions:
    """Idle partitions: the memory that each takes, and a start after a clean stop."""

    count: int
    apart = True

    def cost_s(self, seconds: float) -> float:
        return 5

    def measure(self, session: Session, cell: str) -> dict:
        session.start()
        before = memory_mib(session.pid, "VmRSS")
        each = str(self.count // TOPICS)
        for topic in range(TOPICS):
            session.klamm("topic", "create", f"idle-{topic}", "--partitions", each)
        after = memory_mib(session.pid, "VmRSS")
        session.broker.stop()
        return {
            "partitions": self.count,
            "kib_per_partition": (after - before) * 1024 / self.count,
            "disk_mib": bytes_on_disk(session.broker.folder) / MIB,
            **timed_start(session),
        }


@dataclass(frozen=True)
class LookUp:
    """The bench of the storage, without a broker: what is looked up, and how long it took."""

    group = "lookup by time in 50 GiB"
    apart = True

    def cost_s(self, seconds: float) -> float:
        return 60

    def measure(self, session: Session, cell: str) -> dict:
        there = ("env", f"CRITERION_HOME={CRITERION}")
        output([*there, *LOOK_UP_BENCH, "--", *BRIEFLY, self.group], within_s=300, cwd=ROOT)
        return {
            f"{name}_{state}_ms": self.median_ms(name, state)
            for name in ("log", "floor")
            for state in ("warm", "cold")
        }

    def median_ms(self, name: str, state: str) -> float:
        path = CRITERION / self.group / name / state / "new" / "estimates.json"
        try:
            told = json.loads(path.read_text())
        except OSError as error:
            raise Refused(f"the bench left no figure: {error}") from None
        return told["median"]["point_estimate"] / 1e6


@dataclass(frozen=True)
class SlowDevice:
    """A mode of the load generator, while every sync of the device takes a millisecond longer."""

    load: Load
    apart = True

    def cost_s(self, seconds: float) -> float:
        return self.load.cost_s(seconds)

    def measure(self, session: Session, cell: str) -> dict:
        command = session.broker.slowed(session.broker.command())
        session.broker.command = lambda: command
        session.start()
        try:
            return self.load.measure(session, cell)
        finally:
            session.broker.stop()
