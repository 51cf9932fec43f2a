"""Our own consumer in groups, members of the consumer protocol, and groups whose members are
different clients."""

import subprocess
from dataclasses import replace

from .. import features
from ..broker import Broker
from ..groups import kinds, scenarios
from ..paths import COMPAT, KLAMM_MEMBER
from ..table import Table

CLIENT = "klamm-consumer"
MIXED = "mixed group"


def run(broker: Broker, table: Table, quick: bool) -> None:
    manifest = COMPAT / "member" / "Cargo.toml"
    options = ("--quiet", "--locked", "--manifest-path", manifest, "--target-dir", KLAMM_MEMBER)
    subprocess.run(["cargo", "build", *options], check=True)
    ours = kinds.klamm(CLIENT)
    scenarios.run(table, broker, ours, "klamm-")
    java, librdkafka = kinds.java("Java", None), kinds.confluent("confluent-kafka")
    for kind in (java, librdkafka):
        client = f"{kind.client}, consumer protocol"
        consumer = kinds.of_consumer_protocol(replace(kind, client=client))
        prefix = f"consumer-{kind.client.lower()}-"
        scenarios.run(table, broker, consumer, prefix)
        table.check(
            client,
            features.MIGRATION,
            lambda: scenarios.migrating(broker, kind, consumer, f"{prefix}migration"),
        )
    # Each client leads once, and the member that leaves and the one that is killed change, too.
    for assignor, members in (
        ("range", [java, librdkafka, ours, java]),
        ("roundrobin", [librdkafka, ours, java, librdkafka]),
        ("cooperative-sticky", [ours, java, librdkafka, ours]),
    ):
        table.check(
            MIXED,
            features.mixed(assignor),
            lambda: scenarios.changing(broker, members, f"mixed-{assignor}", assignor),
        )
