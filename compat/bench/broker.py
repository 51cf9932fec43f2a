"""Starts the broker under test, ours or Apache Kafka's, on free ports, and stops it again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

from .paths import JARS, ROOT
from .rawconn import Closed, RawConnection
from .schema import Schemas
from .table import FAIL, Table

READY_WITHIN_S = 60
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"

KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


# As above: what differs from the defaults for Kafka differs for ours.
KLAMM_SETTINGS = ("group.initial.rebalance.delay.ms=0",)


class Unwell(Exception):
    """A broker of ours that ended otherwise than it was told to, or panicked."""


@contextmanager
def served(brokers: AbstractContextManager, table: Table, name: str) -> Iterator:
    """Starts a broker, or several, and ends them; the table says so if that did not go well."""
    try:
        with brokers as started:
            yield started
    except Unwell as fault:
        table.add(name, "the broker ends well", FAIL, str(fault))


given_ports: set[int] = set()


def free_port() -> int:
    """A port that is free, and that was given to no other: who was may not listen yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in given_ports:
            given_ports.add(port)
            return port


@cache
def klamm_binary() -> Path:
    """`KLAMM_BIN`, or the release binary of this workspace, built when it is not up to date."""
    given = os.environ.get("KLAMM_BIN")
    if given:
        return Path(given)
    subprocess.run(["cargo", "build", "--release", "--bin", "klamm"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "klamm"


class Broker:
    """One broker process over a data folder of its own; it can be killed and started again."""

    def __init__(self, schemas: Schemas, folder: Path):
        self.schemas = schemas
        self.folder = folder
        self.data = folder / "data"
        self.host, self.port = "127.0.0.1", free_port()
        self.process: subprocess.Popen | None = None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> "Broker":
        """Starts the process and returns once it answers a Metadata request."""
        log = (self.folder / "broker.log").open("ab")
        self.process = subprocess.Popen(
            self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        self.wait(self.answers)
        return self

    def wait(self, condition: Callable[[], bool]) -> None:
        """Returns once it is so, while the process runs."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the broker ended with {self.process.returncode}: {self.last_words()}"
                )
            if condition():
                return
            time.sleep(0.02)
        raise RuntimeError(f"no answer within {READY_WITHIN_S} s: {self.last_words()}")

    def answers(self) -> bool:
        return self.knows() > 0

    def knows(self) -> int:
        """Of how many brokers it knows."""
        try:
            with RawConnection(self.schemas, self.host, self.port, timeout_s=5) as connection:
                return len(connection.request("Metadata", 4, {"topics": []})["brokers"])
        except (OSError, Closed):
            return 0

    def accepts(self) -> bool:
        """Whether anybody listens."""
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def log_lines(self) -> list[str]:
        return (self.folder / "broker.log").read_text(errors="replace").splitlines()

    def last_words(self) -> str:
        return " | ".join(self.log_lines()[-5:])

    def stop(self) -> None:
        """Asks the process to end, and waits for it."""
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process without warning."""
        self.end(signal.SIGKILL)

    def end(self, sign: signal.Signals) -> None:
        """Ends the process, if that was not done before."""
        process, self.process = self.process, None
        if process is None:
            return
        by_itself = process.poll() is not None
        process.send_signal(sign)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.judge(sign, process.returncode, by_itself)

    def judge(self, sign: signal.Signals, returned: int, by_itself: bool) -> None:
        """Whether the process ended well; how others' do is not looked at."""

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Klamm(Broker):
    """Our broker."""

    def __init__(self, schemas: Schemas, folder: Path, settings: tuple[str, ...] = ()):
        super().__init__(schemas, folder)
        self.binary = klamm_binary()
        self.http_port = free_port()
        self.settings = settings

    def command(self) -> list[str]:
        settings = (*KLAMM_SETTINGS, *self.settings)
        given = [part for setting in settings for part in ("-X", setting)]
        return [
            str(self.binary),
            "serve",
            "--data-dir",
            str(self.data),
            "--listen",
            self.address,
            "--http-listen",
            f"{self.host}:{self.http_port}",
            "-X",
            "group.initial.rebalance.delay.ms=0",
            *given,
        ]

    def judge(self, sign: signal.Signals, returned: int, by_itself: bool) -> None:
        """It runs until it is told to end, then ends at once or cleanly; and it never panics."""
        panics = [line for line in self.log_lines() if "panicked at" in line]
        if panics:
            raise Unwell(f"the broker panicked: {panics[0]}")
        if by_itself:
            raise Unwell(f"the broker ended by itself, with {returned}: {self.last_words()}")
        if returned != (0 if sign == signal.SIGTERM else -sign):
            raise Unwell(f"the broker ended with {returned} on {sign.name}: {self.last_words()}")


class Kafka(Broker):
    """Apache Kafka, one node that is broker and controller."""

    JAVA = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    heap = "512m"
    jars = JARS

    def __init__(self, schemas: Schemas, folder: Path, settings: tuple[str, ...] = ()):
        super().__init__(schemas, folder)
        self.properties = folder / "server.properties"
        more = self.listeners().items()
        text = KAFKA_PROPERTIES.format(
            port=self.port,
            controller=free_port(),
            data=self.data,
            listeners="".join(f",{name}://localhost:{port}" for name, (_, port) in more),
            protocols="".join(f",{name}:{protocol}" for name, (protocol, _) in more),
        )
        self.properties.write_text(text + "".join(f"{setting}\n" for setting in settings))
        self.format()

    def format(self) -> None:
        """Prepares the data folder."""
        tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.properties)]
        tool += self.format_options()
        subprocess.run([*self.java(), *tool], check=True, capture_output=True)

    def listeners(self) -> dict[str, tuple[str, int]]:
        """More of them: by name, what is spoken there and the port."""
        return {}

    def format_options(self) -> list[str]:
        """What else the data folder begins with."""
        return []

    def java(self) -> list[str]:
        return [*self.JAVA, f"-Xmx{self.heap}", "-cp", f"{self.jars}/*"]

    def command(self) -> list[str]:
        return [*self.java(), "kafka.Kafka", str(self.properties)]


KINDS = {"klamm": Klamm, "kafka": Kafka}
