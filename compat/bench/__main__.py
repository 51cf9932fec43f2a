"""The bench: starts a broker, runs the suites against it, prints the table."""

import argparse
import importlib
import sys

from .broker import KINDS, Broker, served
from .parity.ask import GROUPS
from .paths import WORK, clients_jar
from .schema import Schemas
from .table import FAIL, Table, first_line

SUITES = (
    "kcat",
    "confluent",
    "java",
    "rdkafka",
    "kafka_python",
    "aiokafka",
    "kafkajs",
    "groups",
    "tools",
    "connect",
    "mirror",
    "streams",
    "copier",
    "security",
    "parity",
)
# So that a killed member is missed soon. Raw requests meet the default.
SETTINGS = (
    "group.min.session.timeout.ms=1000",
    "group.consumer.min.session.timeout.ms=3000",
    "group.consumer.session.timeout.ms=3000",
    "group.consumer.min.heartbeat.interval.ms=300",
    "group.consumer.heartbeat.interval.ms=300",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compat/run", description=__doc__)
    parser.add_argument("--broker", choices=KINDS, default="klamm", help="the broker to test")
    parser.add_argument(
        "--only", choices=SUITES, action="append", help="run this suite (repeatable)"
    )
    parser.add_argument("--quick", action="store_true", help="smaller inputs, for CI")
    parser.add_argument("--record", action="store_true", help="record Kafka's answers for parity")
    parser.add_argument(
        "--group", choices=GROUPS, action="append", help="of parity, this group (repeatable)"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    schemas = Schemas(clients_jar())
    kind = "kafka" if options.record else options.broker
    table = Table()
    if options.record:
        with KINDS[kind](schemas, WORK / f"broker-{kind}") as broker:
            suite("parity").record(broker, options.group or GROUPS)
        return 0
    names = options.only or (("parity",) if options.group else SUITES)
    # Raw requests ask for all topics, and store what no client could read: they get a broker of
    # their own.
    alone = [name for name in names if name == "parity"]
    together = [name for name in names if name != "parity"]
    for group, settings in ((together, SETTINGS), (alone, ())):
        if group:
            brokers = KINDS[kind](schemas, WORK / f"broker-{kind}", settings)
            with served(brokers, table, kind) as broker:
                print(f"{kind} on {broker.address}", flush=True)
                run(group, broker, table, options)
    return table.report()


def run(names: list[str], broker: Broker, table: Table, options: argparse.Namespace) -> None:
    for name in names:
        print(f"== {name}", flush=True)
        only = {"groups": options.group or GROUPS} if name == "parity" else {}
        try:
            suite(name).run(broker, table, options.quick, **only)
        except Exception as error:  # The other suites have something to say even so.
            table.add(name, "the suite runs to its end", FAIL, first_line(error))


def suite(name: str):
    return importlib.import_module(f".suites.{name}", __package__)


if __name__ == "__main__":
    sys.exit(main())
