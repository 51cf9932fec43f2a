"""A contestant that runs, and what can be asked of it in one cell."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.broker import Broker, klamm_binary

from .contestants import Contestant
from .paths import LOAD

FILLED, WARM_UP = "filled", "warm-up"
# A GiB of 1 KiB records when a cell lasts three seconds.
FILL_PER_SECOND = 350_000
FILL_WITHIN_S = 60
COORDINATOR_TRIES = 10
DELETED_WITHIN_S = 8
# What a broker keeps beside the records: indexes, its metadata, topics of its own.
REST_BYTES = 64 << 20
TICKS = os.sysconf("SC_CLK_TCK")


class Refused(Exception):
    """A contestant did not do what a cell asks; the text says why."""


class Session:
    """One contestant over one folder, from its start to its end."""

    def __init__(self, of: Contestant, make: Callable[[], Broker], seconds: float):
        self.of = of
        self.make = make
        self.seconds = seconds
        self.broker = make()
        self.filled = False

    def start(self) -> None:
        self.broker.start()

    def revive(self) -> None:
        """Starts over after a cell that the contestant did not survive."""
        self.broker.kill()
        self.broker = self.make()
        self.filled = False
        self.start()

    @property
    def records(self) -> int:
        """How many records a tool handles that counts records instead of seconds."""
        return int(FILL_PER_SECOND * self.seconds)

    @property
    def fill_mib(self) -> int:
        """The same, in MiB of records of 1 KiB."""
        return self.records // 1024

    @property
    def pid(self) -> int:
        return self.broker.process.pid

    @property
    def alive(self) -> bool:
        return self.broker.process.poll() is None

    def klamm(self, *args: str) -> str:
        """One command of our own command line, which talks to any of them."""
        return output([str(klamm_binary()), *args, "--bootstrap", self.broker.address])

    def load(self, mode: str, topic: str | None, *args: str) -> dict:
        """One run of the load generator: what its line of JSON says."""
        named = ("--topic", topic) if topic else ()
        target = ("--brokers", self.broker.address, "--broker-pid", str(self.pid), *named)
        for _ in range(COORDINATOR_TRIES):
            try:
                return load_generator(mode, *target, *args)
            except Refused as refused:
                # Kafka says so to whoever asks first for a producer id.
                if "COORDINATOR_LOAD_IN_PROGRESS" not in str(refused):
                    raise
                time.sleep(0.5)
        raise Refused(f"no coordinator after {COORDINATOR_TRIES} tries")

    def warm_up(self, seconds: float) -> None:
        """Has it produce and fetch, half of the time each."""
        span = ("--seconds", f"{seconds / 2:g}", "--warmup", "0")
        self.load("raw-produce", WARM_UP, "--acks", "all", *span)
        self.load("raw-fetch", WARM_UP, "--repeat", *span)
        self.delete(WARM_UP, 0)

    def topic_to_read(self) -> str:
        """A topic that all cells that read share; it holds `records` or a share of as many."""
        if not self.filled:
            shape = ("--size", "1024", "--records", "64", "--partitions", "1", "--acks", "1")
            missing = self.records * self.of.filled
            deadline = time.monotonic() + FILL_WITHIN_S
            while missing > 0:
                if time.monotonic() > deadline:
                    raise Refused(f"not filled within {FILL_WITHIN_S} s")
                span = ("--seconds", "0.5", "--warmup", "0")
                missing -= self.load("raw-produce", FILLED, *shape, *span)["records"]
            self.filled = True
        return FILLED

    def delete(self, topic: str, bytes_before: int) -> None:
        """Deletes the topic and waits for its files to go: no cell pays for another."""
        if not self.of.deletes:
            return
        try:
            self.klamm("topic", "delete", "--yes", topic)
        except Refused:
            return
        deadline = time.monotonic() + DELETED_WITHIN_S
        while self.bytes_on_disk() > bytes_before + REST_BYTES and time.monotonic() < deadline:
            time.sleep(0.05)

    def bytes_on_disk(self) -> int:
        return bytes_on_disk(self.broker.folder)


def bytes_on_disk(folder: Path) -> int:
    """What the files take, not how long they claim to be."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def load_generator(*args: str, within_s: float = 60) -> dict:
    """Runs it; `Refused` also when it could measure, but met errors."""
    try:
        return json.loads(output([str(LOAD), *args], within_s).splitlines()[-1])
    except ValueError as error:
        raise Refused(f"the load generator printed no JSON: {error}") from None


def output(command: list[str], within_s: float = 60, cwd: Path | None = None) -> str:
    """What the command prints; `Refused` with its last words when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, cwd=cwd)
    except subprocess.TimeoutExpired:
        raise Refused(f"no end within {within_s:g} s") from None
    if done.returncode != 0:
        raise Refused(last_words(done))
    return done.stdout


def last_words(done: subprocess.CompletedProcess) -> str:
    """Why a program failed: what it says of its errors, or its last line."""
    lines = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
    words = next((line for line in lines if line.startswith("error")), lines[-1]).strip()
    if words.startswith("{"):
        told = json.loads(words)
        words = f"{told.get('errors')} errors, the first: {told.get('first_error')}"
    return f"{words[:200]} (exit code {done.returncode})"


def floor(folder: Path, seconds: float) -> dict:
    """What the machine itself does at this minute; each of its figures takes as long."""
    return load_generator("floor", "--dir", str(folder), "--seconds", f"{seconds:g}")


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int, field: str) -> float:
    """`VmRSS`, or `VmHWM` for the peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)
