"""Kafka Connect: distributed workers in processes of their own, told over REST."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from .broker import free_port
from .java import Framework
from .waiting import until

MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"
TIMEOUT_S = 90

# Little of everything, and soon: the defaults are made for clusters that run for months.
PROPERTIES = """\
bootstrap.servers={address}
group.id={group}
listeners=http://127.0.0.1:{port}
config.storage.topic={group}-configs
offset.storage.topic={group}-offsets
status.storage.topic={group}-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=3
status.storage.partitions=2
offset.flush.interval.ms=200
scheduled.rebalance.max.delay.ms=0
session.timeout.ms=3000
heartbeat.interval.ms=500
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
plugin.discovery=service_load
consumer.isolation.level=read_committed
consumer.metadata.max.age.ms=1000
consumer.session.timeout.ms=3000
consumer.heartbeat.interval.ms=500
"""


class Worker(Framework):
    """One worker; workers of the same group share the connectors."""

    def __init__(self, folder: Path, group: str, address: str):
        self.group, self.address = group, address
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.properties = folder / f"{group}-{self.port}.properties"
        super().__init__(self.properties.with_suffix(".log"))

    @property
    def id(self) -> str:
        """As the statuses of connectors and tasks name it."""
        return f"127.0.0.1:{self.port}"

    def begin(self, *settings: str) -> None:
        """Starts the process; `ready` waits for it."""
        text = PROPERTIES.format(address=self.address, group=self.group, port=self.port)
        self.properties.write_text(text + "".join(f"{setting}\n" for setting in settings))
        self.start(MAIN, self.properties)

    def ready(self) -> None:
        """Waits until it has joined its group and has read the three topics."""
        until(lambda: self.ask("GET", "/health")["status"] == "healthy", "a healthy worker")

    def ask(self, method: str, path: str, body: dict | None = None):
        """What it answers; an answer that is an error is raised."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise ConnectError(f"{method} {path}: {error.code} {said}") from None

    def running(self, connector: str) -> set[str]:
        """The workers that run it and its tasks, once all of these run."""
        status = {}

        def runs() -> bool:
            status.update(self.ask("GET", f"/connectors/{connector}/status"))
            parts = [status["connector"], *status["tasks"]]
            return len(parts) > 1 and all(part["state"] == "RUNNING" for part in parts)

        until(runs, f"{connector} running", lambda: str(status))
        return {part["worker_id"] for part in (status["connector"], *status["tasks"])}

    def offsets(self, connector: str) -> list[dict]:
        """Where it is, as it has committed it."""
        listed = self.ask("GET", f"/connectors/{connector}/offsets")["offsets"]
        return [each["offset"] for each in listed]


class ConnectError(OSError):
    """An answer over REST that says no."""
