"""Tools that ask about a cluster: who leads, who keeps the metadata, where replicas are."""

import json
import urllib.request
from pathlib import Path

from ..broker import Broker, Klamm
from ..paths import WORK
from ..table import NOT_APPLICABLE, Table
from ..toolshell import ToolShell

TOPIC = "tools-cluster"


def run(table: Table, client: str, shell: ToolShell, broker: Broker) -> None:
    tools = ClusterTools(shell, broker)
    table.check(client, "kafka-leader-election", tools.elect)
    table.check(client, "kafka-reassign-partitions", tools.reassign)
    table.check(client, "kafka-metadata-quorum", tools.quorum)
    table.check(client, "kafka-broker-api-versions", tools.versions)
    table.check(client, "kafka-cluster", tools.cluster)
    table.check(client, "kafka-features", tools.features)
    table.check(client, "kafka-groups", tools.groups)
    table.check(client, "kafka-client-metrics", tools.client_metrics)
    told = "metrics that a producer pushes are told"
    if isinstance(broker, Klamm):
        table.check(client, told, lambda: tools.pushed_metrics(broker))
    else:
        table.add(client, told, NOT_APPLICABLE, "Kafka needs a plug-in")
    table.check(client, "kafka-acls, without an authorizer", tools.acls)
    table.check(client, "kafka-configs, users without credentials", tools.users)


class ClusterTools:
    """The tools against one broker."""

    def __init__(self, shell: ToolShell, broker: Broker):
        self.shell = shell
        self.at = ("--bootstrap-server", broker.address)
        shell.run("kafka-topics", *self.at, "--create", "--if-not-exists", "--topic", TOPIC)

    def text(self, tool: str, *args: str) -> str:
        return self.shell.run(tool, *self.at, *args).text()

    def elect(self) -> None:
        preferred = ("--election-type", "preferred")
        one = self.text("kafka-leader-election", *preferred, "--topic", TOPIC, "--partition", "0")
        expect(f"Valid replica already elected for partitions {TOPIC}-0" in one, one)
        self.text("kafka-leader-election", *preferred, "--all-topic-partitions")
        unknown = ("--topic", "tools-nowhere", "--partition", "0")
        missing = self.shell.attempt("kafka-leader-election", *self.at, *preferred, *unknown)
        expect(missing.code != 0, "an unknown topic is no error")

    def reassign(self) -> None:
        tool = "kafka-reassign-partitions"
        plan = lambda broker: file(
            "plan",
            {
                "version": 1,
                "partitions": [{"topic": TOPIC, "partition": 0, "replicas": [broker]}],
            },
        )
        topics = file("topics", {"version": 1, "topics": [{"topic": TOPIC}]})
        proposed = self.text(
            tool, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1"
        )
        expect('"replicas":[1]' in proposed, proposed)
        there = ("--reassignment-json-file", plan(1))
        self.text(tool, "--execute", *there)
        verified = self.text(tool, "--verify", *there)
        expect(f"Reassignment of partition {TOPIC}-0 is completed" in verified, verified)
        expect("No partition reassignments found" in self.text(tool, "--list"), "moves listed")
        away = ("--execute", "--reassignment-json-file", plan(9))
        expect(self.shell.attempt(tool, *self.at, *away).code != 0, "moved to nowhere")

    def quorum(self) -> None:
        status = self.text("kafka-metadata-quorum", "describe", "--status")
        expect("LeaderId:" in status and "MaxFollowerLag:         0" in status, status)
        replication = self.text("kafka-metadata-quorum", "describe", "--replication")
        expect("Leader" in replication.splitlines()[1], replication)

    def versions(self) -> None:
        listed = self.text("kafka-broker-api-versions")
        expect("(id: 1 rack: null" in listed, listed[:200])
        expect("Produce(0): 0 to 13 [usable: 13]" in listed, listed[:400])

    def cluster(self) -> None:
        # This tool ends the JVM that it runs in.
        told = self.shell.alone("kafka-cluster", "cluster-id", *self.at)
        expect(told.startswith("Cluster ID: "), told)
        endpoints = self.shell.alone("kafka-cluster", "list-endpoints", *self.at)
        expect(self.at[1].rsplit(":", 1)[1] in endpoints, endpoints)

    def features(self) -> None:
        described = self.text("kafka-features", "describe").splitlines()
        levels = [line.split() for line in described if "transaction.version" in line]
        expect(levels and "FinalizedVersionLevel: 2" in " ".join(levels[0]), f"{described}")
        self.text("kafka-features", "upgrade", "--feature", "transaction.version=2")
        for args in (
            ("upgrade", "--feature", "transaction.version=99"),
            ("disable", "--feature", "nothing"),
        ):
            outcome = self.shell.attempt("kafka-features", *self.at, *args)
            expect(outcome.code != 0, f"{args} is no error")
        # These two are known to the tool itself.
        needs = self.text("kafka-features", "feature-dependencies", "--feature", "group.version=1")
        expect("group.version=1" in needs, needs)
        mapped = self.text("kafka-features", "version-mapping", "--release-version", "4.3")
        expect("transaction.version=2" in mapped, mapped)

    def groups(self) -> None:
        listed = self.text("kafka-groups", "--list")
        expect("GROUP" in listed and "PROTOCOL" in listed, listed)

    def client_metrics(self) -> None:
        tool, name = "kafka-client-metrics", ("--name", "tools-metrics")
        self.text(tool, "--alter", *name, "--metrics", "org.apache.kafka.", "--interval", "7000")
        expect("tools-metrics" in self.text(tool, "--list"), "not listed")
        described = self.text(tool, "--describe", *name)
        expect("interval.ms=7000" in described, described)
        self.text(tool, "--delete", *name)
        expect("tools-metrics" not in self.text(tool, "--list"), "listed once deleted")

    def pushed_metrics(self, broker: Klamm) -> None:
        wanted = ("--metrics", "org.apache.kafka.producer.", "--interval", "100")
        self.text("kafka-client-metrics", "--alter", "--name", "tools-pushed", *wanted)
        self.shell.run(
            "kafka-producer-perf-test",
            *("--topic", TOPIC, "--num-records", "1000", "--record-size", "100"),
            *("--throughput", "1000", "--command-property"),
            f"bootstrap.servers={broker.address}",
            "client.id=pushes",
        )
        metrics = f"http://{broker.host}:{broker.http_port}/metrics"
        with urllib.request.urlopen(metrics, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        ours = [line for line in lines if line.startswith("kafka_client_producer_")]
        expect(any('client_id="pushes"' in line for line in ours), f"{len(ours)} lines of metrics")

    def acls(self) -> None:
        listed = self.shell.attempt("kafka-acls", *self.at, "--list")
        said = listed.text() + listed.err.read_text()
        expect("No Authorizer is configured" in said, said)

    def users(self) -> None:
        said = self.text("kafka-configs", "--describe", "--entity-type", "users")
        expect("SCRAM" not in said, said)


def file(name: str, content: dict) -> str:
    path: Path = WORK / "tools" / f"cluster-{name}.json"
    path.write_text(json.dumps(content))
    return str(path)


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
