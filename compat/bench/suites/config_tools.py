"""kafka-configs: settings of every kind changed, described and taken back."""

from ..broker import Broker
from ..table import Table
from ..toolshell import ToolShell

TOOL = "kafka-configs"

# What has settings: the entity, a key, and a value for it.
ENTITIES = {
    "topics": (("--entity-type", "topics", "--entity-name", "tools-configs"), "segment.ms", "7000"),
    "brokers": (("--entity-type", "brokers", "--entity-name", "1"), "log.retention.ms", "7200000"),
    "broker-defaults": (
        ("--entity-type", "brokers", "--entity-default"),
        "message.max.bytes",
        "2000000",
    ),
    "groups": (
        ("--entity-type", "groups", "--entity-name", "tools-configs"),
        "consumer.session.timeout.ms",
        "50000",
    ),
    "client-metrics": (
        ("--entity-type", "client-metrics", "--entity-name", "tools-configs"),
        "interval.ms",
        "5000",
    ),
}


def run(table: Table, client: str, shell: ToolShell, broker: Broker) -> None:
    tools = ConfigTools(shell, broker)
    for kind in ENTITIES:
        table.check(client, f"{TOOL}, {kind}", lambda kind=kind: tools.change(kind))
    table.check(client, f"{TOOL} --describe --all", tools.describe_all)
    table.check(client, f"{TOOL}, what cannot be changed", tools.refusals)


class ConfigTools:
    """The tool against one broker."""

    def __init__(self, shell: ToolShell, broker: Broker):
        self.shell = shell
        self.at = ("--bootstrap-server", broker.address)
        shell.run(
            "kafka-topics", *self.at, "--create", "--if-not-exists", "--topic", "tools-configs"
        )

    def text(self, *args: str) -> str:
        return self.shell.run(TOOL, *self.at, *args).text()

    def change(self, kind: str) -> None:
        entity, key, value = ENTITIES[kind]
        self.text("--alter", *entity, "--add-config", f"{key}={value}")
        described = self.text("--describe", *entity)
        if f"{key}={value}" not in described:
            raise AssertionError(f"not described once set: {described}")
        self.text("--alter", *entity, "--delete-config", key)
        described = self.text("--describe", *entity)
        if f"{key}={value}" in described:
            raise AssertionError(f"described once deleted: {described}")

    def describe_all(self) -> str:
        counts = []
        for kind, least in (("topics", 30), ("brokers", 200), ("groups", 15)):
            entity, *_ = ENTITIES[kind]
            lines = self.text("--describe", "--all", *entity).count(" sensitive=")
            if lines < least:
                raise AssertionError(f"{lines} settings of {kind}")
            counts.append(f"{lines} of {kind}")
        return ", ".join(counts)

    def refusals(self) -> None:
        for kind, config, reason in (
            ("brokers", "num.partitions=4", "Cannot update these configs dynamically"),
            ("topics", "retention.ms=-5", "Value must be at least -1"),
            ("groups", "consumer.session.timeout.ms=1", "must be greater than or equal to"),
            ("client-metrics", "interval.ms=1", "interval must be between 100 and 3600000"),
        ):
            entity, *_ = ENTITIES[kind]
            outcome = self.shell.attempt(TOOL, *self.at, "--alter", *entity, "--add-config", config)
            said = outcome.text() + outcome.err.read_text()
            if outcome.code == 0 or reason not in said:
                raise AssertionError(f"{config} of {kind}: {outcome.code}, {said}")
