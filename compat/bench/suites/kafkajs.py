"""kafkajs: the requests of 2019, before compact fields."""

from ..broker import Broker
from ..groups import kinds, scenarios
from ..paths import COMPAT, NODE_MODULES
from ..table import Table
from .reported import run_client

CLIENT = "kafkajs"


def run(broker: Broker, table: Table, quick: bool) -> None:
    program = ("env", f"NODE_PATH={NODE_MODULES}", "node", str(COMPAT / "kafkajs" / "features.js"))
    run_client(table, CLIENT, broker, program, "kafkajs-")
    scenarios.run(table, broker, kinds.kafkajs(CLIENT), "kafkajs-")
