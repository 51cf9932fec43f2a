"""Tools that start a contestant apart from the cells it runs in a row."""

import subprocess
import time
from dataclasses import dataclass

from .session import Refused, Session, bytes_on_disk, load_generator, memory_mib
from .tools import Load

TOPICS = 10
STOP_WITHIN_S = 120
MIB = 1 << 20


def stop(session: Session) -> None:
    """A clean stop, however long it takes."""
    session.broker.process.terminate()
    try:
        session.broker.process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise Refused(f"no clean stop within {STOP_WITHIN_S} s") from None


@dataclass(frozen=True)
class Startup:
    """From the start of the process to the first good answer, over a folder used before."""

    apart = True

    def cost_s(self, seconds: float) -> float:
        return 1

    def measure(self, session: Session, cell: str) -> dict:
        session.start()
        session.broker.stop()
        how = ("startup", "--brokers", session.broker.address, "--")
        return load_generator(*how, *session.broker.command())


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
        stop(session)
        # Not by the load generator, which also waits for a stop: Kafka takes minutes for that.
        begun = time.monotonic()
        session.start()
        return {
            "partitions": self.count,
            "kib_per_partition": (after - before) * 1024 / self.count,
            "disk_mib": bytes_on_disk(session.broker.folder) / MIB,
            "ready_ms": (time.monotonic() - begun) * 1000,
            "rss_mib": memory_mib(session.pid, "VmRSS"),
        }


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
