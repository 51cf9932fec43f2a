"""Kafka Streams: a word count and a windowed join, at least once and exactly once."""

import contextlib
import itertools
import random
import shutil
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from confluent_kafka import Producer

from ..broker import Broker
from ..follower import Follower
from ..groups.probe import Probe
from ..java import Framework
from ..paths import WORK
from ..table import Table
from ..toolshell import ToolShell
from ..waiting import until
from .confluent import Clients, same

CLIENT = "Kafka Streams"
MAIN = "klamm.compat.streams.Application"
ID = "streams-app"
INPUT = "streams-in-"
PARTITIONS = 3
SOURCES = ("lines", "left", "right")
WORDS = [f"word{n}" for n in range(20)]
KEYS = [f"key{n}" for n in range(5)]
# Between two records of one side; the program joins what lies this near.
STEP_MS, WINDOW_MS = 100, 500
EVERY_S = 0.02
ROUNDS = 300
TIMEOUT_S = 60


def run(broker: Broker, table: Table, quick: bool) -> None:
    folder = WORK / "streams"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    streams = Streams(broker, folder)
    table.check(CLIENT, "word count and windowed join, at least once", streams.at_least_once)
    table.check(CLIENT, "kafka-streams-application-reset", streams.reset)
    killed = "exactly_once_v2, applications and broker killed"
    table.check(CLIENT, killed, streams.exactly_once)


class Application(Framework):
    """One instance; those with the same id share the work."""

    def __init__(self, broker: Broker, folder: Path, name: str):
        super().__init__(folder / f"{name}.log")
        self.address, self.state = broker.address, folder / name

    def begin(self, guarantee: str, output: str) -> None:
        self.start(MAIN, self.address, ID, guarantee, self.state, INPUT, output)

    def ready(self) -> None:
        """Waits until it processes. A log may hold the states of earlier lives: see `begin`."""
        until(lambda: "RUNNING" in self.states()[-1:], "running", lambda: str(self.states()[-3:]))

    def states(self) -> list[str]:
        return self.log.read_text().splitlines()


class Feed(threading.Thread):
    """Writes lines, and records to be joined, until it is ended or has written so many rounds."""

    def __init__(self, broker: Broker, rounds: int | None, dice: random.Random):
        super().__init__(name="streams-feed")
        self.rounds, self.dice = rounds, dice
        self.stopping = threading.Event()
        common = {"bootstrap.servers": broker.address, "log_level": 0, "linger.ms": 5}
        self.producer = Producer(common | {"enable.idempotence": True})

    def run(self) -> None:
        start_ms = int(time.time() * 1000)
        rounds = itertools.count() if self.rounds is None else range(self.rounds)
        for number in rounds:
            if self.stopping.wait(EVERY_S if self.rounds is None else 0):
                break
            line = " ".join(self.dice.choices(WORDS, k=5))
            self.producer.produce(f"{INPUT}lines", line)
            for side in ("left", "right"):
                at = start_ms + number * STEP_MS
                key = self.dice.choice(KEYS)
                self.producer.produce(f"{INPUT}{side}", f"{at} {side}", key, timestamp=at)
            self.producer.poll(0)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.rounds is None:
            self.stopping.set()
        self.join()
        same(self.producer.flush(TIMEOUT_S), 0)


class Streams:
    """The application against one broker."""

    def __init__(self, broker: Broker, folder: Path):
        self.broker, self.folder = broker, folder
        self.clients = Clients(broker.address)
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"  seed {seed}", flush=True)
        self.dice = random.Random(seed)

    def at_least_once(self) -> str:
        """Nothing fails here, so that the results are exact as well."""
        for topic in SOURCES:
            self.clients.create(INPUT + topic, PARTITIONS)
        output = self.outputs("once-")
        with Feed(self.broker, ROUNDS, self.dice):
            pass
        with Application(self.broker, self.folder, "first") as application:
            application.begin("at_least_once", output)
            application.ready()
            told = self.exact(output)
            application.stop()
        same(application.process.returncode, 143)
        return told

    def outputs(self, prefix: str) -> str:
        """Makes the topics of results and returns what their names begin with."""
        for topic in ("counts", "pairs"):
            self.clients.create(f"streams-{prefix}{topic}", PARTITIONS)
        return f"streams-{prefix}"

    def reset(self) -> None:
        """The tool sets the application back to the beginning and removes what it made."""
        made = self.internal_topics()
        same(len(made), 4)
        given = ("--application-id", ID, "--input-topics", ",".join(INPUT + s for s in SOURCES))
        with ToolShell(WORK / "tools") as shell:
            tool, at = (
                "kafka-streams-application-reset",
                ("--bootstrap-server", self.broker.address),
            )
            shell.run(tool, *at, *given, "--force")
        until(lambda: not self.internal_topics(), "no topics of the application")
        committed = Probe(self.broker).committed(ID)
        same({committed[f"{INPUT}{s}:{n}"] for s in SOURCES for n in range(PARTITIONS)}, {0})

    def internal_topics(self) -> list[str]:
        known = self.clients.admin.list_topics(timeout=TIMEOUT_S).topics
        return [name for name in known if name.startswith(f"{ID}-")]

    def exactly_once(self) -> str:
        """Two instances share the work; each is killed, and the broker too, while records flow."""
        output = self.outputs("exactly-")
        one, two = (Application(self.broker, self.folder, name) for name in ("one", "two"))
        with one, two:
            for application in (one, two):
                application.begin("exactly_once_v2", output)
            with Feed(self.broker, None, self.dice), self.follow(output) as progress:
                progress()
                one.kill()
                progress()
                one.begin("exactly_once_v2", output)
                self.broker.kill()
                self.broker.start()
                progress()
                two.kill()
                self.broker.kill()
                self.broker.start()
                two.begin("exactly_once_v2", output)
                progress()
            return self.exact(output)

    @contextlib.contextmanager
    def follow(self, output: str):
        """Gives what waits until results of both kinds are committed that are not there yet."""
        with contextlib.ExitStack() as stack:
            followers = [
                stack.enter_context(Follower(self.broker.address, output + topic, PARTITIONS))
                for topic in ("counts", "pairs")
            ]

            def progress() -> None:
                for follower in followers:
                    follower.progress()

            yield progress

    def exact(self, output: str) -> str:
        """Each word is counted up one by one, and each pair is there once."""
        words = Counter(word for _, line, _ in self.read(INPUT + "lines") for word in line.split())
        pairs = self.expected_pairs()
        counts = lambda: self.read(f"{output}counts")
        found = lambda: self.read(f"{output}pairs")
        until(lambda: len(counts()) >= words.total(), "all words", lambda: f"{len(counts())}")
        until(lambda: len(found()) >= len(pairs), "all pairs", lambda: f"{len(found())}")
        counted = defaultdict(list)
        for word, count, _ in counts():
            counted[word].append(int(count))
        same(counted, {word: [*range(1, count + 1)] for word, count in words.items()})
        same(sorted((key, value) for key, value, _ in found()), sorted(pairs))
        return f"{words.total()} words, {len(pairs)} pairs"

    def expected_pairs(self) -> list[tuple[str, str]]:
        others = defaultdict(list)
        for key, value, at in self.read(INPUT + "right"):
            others[key].append((value, at))
        return [
            (key, f"{value}+{other}")
            for key, value, at in self.read(INPUT + "left")
            for other, then in others[key]
            if abs(at - then) <= WINDOW_MS
        ]

    def read(self, topic: str) -> list[tuple[str | None, str, int]]:
        """Keys, values and times of what is committed, partition by partition."""
        return [
            (each.key() and each.key().decode(), each.value().decode(), each.timestamp()[1])
            for partition in range(PARTITIONS)
            for each in self.clients.consume(topic, partition=partition)
        ]
