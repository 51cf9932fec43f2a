"""Kafka Connect, distributed: file connectors under kill -9 of workers and broker."""

import contextlib
import shutil
import threading
from pathlib import Path

from confluent_kafka.admin import ConfigResource

from ..broker import Broker
from ..connect import Worker
from ..follower import Follower
from ..paths import WORK
from ..table import Table
from ..waiting import until
from .confluent import Clients, same

CLIENT = "Kafka Connect"
GROUP = "connect"
LINES = 2000
FILE_CONNECTORS = "org.apache.kafka.connect.file."
EXACTLY_ONCE = "exactly.once.source.support=enabled"
# While lines are written without end: so many, so often.
BURST, EVERY_S = 20, 0.02


def run(broker: Broker, table: Table, quick: bool) -> None:
    folder = WORK / "connect"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lines = Lines(broker, folder, "connect-lines")
    with Worker(folder, GROUP, broker.address) as worker:
        plain = Plain(broker, worker, lines)
        table.check(CLIENT, "three topics of its own, compacted", plain.topics)
        table.check(CLIENT, "file source and file sink", plain.copy)
        table.check(CLIENT, "goes on when its worker was killed", plain.worker_killed)
        table.check(CLIENT, "goes on when the broker was killed", plain.broker_killed)
        table.check(CLIENT, "offsets told and reset", plain.reset)
    workers = [Worker(folder, GROUP, broker.address) for _ in range(2)]
    with workers[0], workers[1]:
        pair = Pair(broker, workers, Lines(broker, folder, "connect-exactly"))
        table.check(CLIENT, "two workers share what is to be done", pair.share)
        table.check(CLIENT, "exactly-once source, worker and broker killed", pair.exactly_once)


class Lines:
    """A file of numbered lines, the topic that it is read into, and the file written from that."""

    def __init__(self, broker: Broker, folder: Path, topic: str):
        self.broker, self.clients = broker, Clients(broker.address)
        self.topic = topic
        self.source, self.sink = folder / f"{topic}.in", folder / f"{topic}.out"
        self.source.touch()
        self.count = 0

    def write(self, count: int) -> None:
        with self.source.open("a") as file:
            file.writelines(f"line {self.count + n}\n" for n in range(count))
        self.count += count

    @contextlib.contextmanager
    def flowing(self):
        """Lines are written as long as this lasts."""
        stopping = threading.Event()

        def flow() -> None:
            while not stopping.wait(EVERY_S):
                self.write(BURST)

        writer = threading.Thread(target=flow, name=f"flow-{self.topic}")
        writer.start()
        try:
            yield
        finally:
            stopping.set()
            writer.join()

    def arrived(self) -> None:
        """Every line comes out at the other end, once and in order."""
        wanted = self.source.read_text()
        until(
            lambda: self.sink.exists() and self.sink.stat().st_size >= len(wanted),
            f"{self.count} lines in {self.sink}",
        )
        same(self.sink.read_text().splitlines(), wanted.splitlines())

    def settled(self, worker: Worker) -> None:
        """Both connectors have committed the end; a restart repeats nothing."""
        wanted = [{"position": self.source.stat().st_size}], [{"kafka_offset": self.count}]
        found = []

        def ended() -> bool:
            found[:] = worker.offsets("source"), worker.offsets("sink")
            return tuple(found) == wanted

        until(ended, f"committed {wanted}", lambda: str(found))

    def follow(self) -> Follower:
        return Follower(self.broker.address, self.topic, 1)

    def stored(self) -> list[str]:
        """What the topic holds for those who read committed records only, as librdkafka does."""
        return [value.decode() for value in self.clients.values(self.topic)]

    def connect(self, worker: Worker, **source: str) -> None:
        """Makes both connectors."""
        common = {"tasks.max": "1"}
        reads = {"connector.class": f"{FILE_CONNECTORS}FileStreamSourceConnector"}
        reads |= {"file": str(self.source), "topic": self.topic}
        writes = {"connector.class": f"{FILE_CONNECTORS}FileStreamSinkConnector"}
        writes |= {"file": str(self.sink), "topics": self.topic}
        worker.ask("PUT", "/connectors/source/config", common | reads | source)
        worker.ask("PUT", "/connectors/sink/config", common | writes)


class Plain:
    """One worker; what it had not committed when it was killed it does again."""

    def __init__(self, broker: Broker, worker: Worker, lines: Lines):
        self.broker, self.worker, self.lines = broker, worker, lines

    def topics(self) -> None:
        self.worker.begin()
        self.worker.ready()
        admin = self.lines.clients.admin
        known = admin.list_topics(timeout=30).topics
        partitions = {"configs": 1, "offsets": 3, "status": 2}
        for name, count in partitions.items():
            same(len(known[f"{GROUP}-{name}"].partitions), count)
            resource = ConfigResource(ConfigResource.Type.TOPIC, f"{GROUP}-{name}")
            (described,) = admin.describe_configs([resource]).values()
            same(described.result(30)["cleanup.policy"].value, "compact")

    def copy(self) -> None:
        self.lines.write(LINES)
        self.lines.connect(self.worker)
        self.lines.arrived()
        self.lines.settled(self.worker)

    def worker_killed(self) -> None:
        self.worker.kill()
        self.lines.write(LINES)
        self.worker.begin()
        self.lines.arrived()
        self.lines.settled(self.worker)

    def broker_killed(self) -> None:
        with self.lines.flowing():
            before = self.lines.count
            until(lambda: self.lines.count > before + 5 * BURST, "lines that flow")
            self.broker.kill()
            self.broker.start()
        self.lines.arrived()
        self.lines.settled(self.worker)

    def reset(self) -> None:
        """A sink that is reset writes all of its topic again."""
        self.worker.ask("PUT", "/connectors/sink/stop")
        until(lambda: self.state("sink") == "STOPPED", "the sink stopped")
        same(self.worker.offsets("sink"), [{"kafka_offset": self.lines.count}])
        until(self.forgotten, "offsets reset")
        same(self.worker.offsets("sink"), [])
        self.lines.sink.unlink()
        self.worker.ask("PUT", "/connectors/sink/resume")
        self.lines.arrived()
        for name in ("source", "sink"):
            self.worker.ask("DELETE", f"/connectors/{name}")
        same(self.worker.ask("GET", "/connectors"), [])

    def state(self, connector: str) -> str:
        return self.worker.ask("GET", f"/connectors/{connector}/status")["connector"]["state"]

    def forgotten(self) -> bool:
        return bool(self.worker.ask("DELETE", "/connectors/sink/offsets"))


class Pair:
    """Two workers that read their sources exactly once."""

    def __init__(self, broker: Broker, workers: list[Worker], lines: Lines):
        self.broker, self.workers, self.lines = broker, workers, lines

    def share(self) -> None:
        for worker in self.workers:
            worker.begin(EXACTLY_ONCE)
        for worker in self.workers:
            worker.ready()
        self.lines.write(LINES)
        # A transaction is open nearly all the time.
        boundary = {"transaction.boundary": "interval", "transaction.boundary.interval.ms": "300"}
        self.lines.connect(self.workers[0], **{"exactly.once.support": "required"}, **boundary)
        everyone = {worker.id for worker in self.workers}
        until(lambda: self.busy("source") | self.busy("sink") == everyone, "both at work")
        self.lines.arrived()

    def busy(self, connector: str) -> set[str]:
        return self.workers[0].running(connector)

    def exactly_once(self) -> str:
        with self.lines.flowing(), self.lines.follow() as topic:
            topic.progress()
            survivor = self.kill_reader()
            topic.progress()
            self.broker.kill()
            self.broker.start()
            topic.progress()
        until(lambda: len(self.lines.stored()) >= self.lines.count, f"{self.lines.count} lines")
        same(self.lines.stored(), self.lines.source.read_text().splitlines())
        same(survivor.running("source"), {survivor.id})
        return f"{self.lines.count} lines"

    def kill_reader(self) -> Worker:
        """Kills the worker whose task reads the file, and returns the other."""
        status = self.workers[0].ask("GET", "/connectors/source/status")
        reader = status["tasks"][0]["worker_id"]
        survivor = next(worker for worker in self.workers if worker.id != reader)
        next(worker for worker in self.workers if worker.id == reader).kill()
        return survivor
