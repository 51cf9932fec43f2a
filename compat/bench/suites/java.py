"""kafka-clients for Java: the newest, the one of the bench, and the last of the 3.x line."""

from ..broker import Broker
from ..groups import kinds, scenarios
from ..java import java_program
from ..paths import clients_jar
from ..setup import CLIENT_VERSIONS
from ..table import Table
from .reported import run_client

MAIN = "klamm.compat.client.ClientFeatures"


def run(broker: Broker, table: Table, quick: bool) -> None:
    pinned = clients_jar().stem.removeprefix("kafka-clients-")
    for version in (None, *CLIENT_VERSIONS):
        client = f"Java {version or pinned}"
        prefix = f"java-{version or pinned}-"
        run_client(table, client, broker, java_program(version, MAIN), prefix)
        # The mixed groups have members of the pinned one.
        if version or not quick:
            scenarios.run(table, broker, kinds.java(client, version), prefix)
