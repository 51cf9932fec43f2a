"""Clients in other languages: programs that print `feature TAB ok|FAIL|n.a. TAB detail`."""

import subprocess
from collections.abc import Sequence

from .. import features
from ..broker import Broker
from ..proxy import CuttingProxy
from ..table import FAIL, NOT_APPLICABLE, OK, Table

TIMEOUT_S = 300


def run_client(
    table: Table, client: str, broker: Broker, program: Sequence[str], prefix: str
) -> None:
    """Runs a program that takes the broker's address, the proxy's, and a prefix for its topics."""
    with CuttingProxy(broker.schemas, broker.host, broker.port) as proxy:
        run_program(table, client, [*program, broker.address, proxy.address, prefix])
        try:
            proxy.tally()
        except AssertionError as uncut:
            table.add(client, features.CUT, FAIL, str(uncut))


def run_program(table: Table, client: str, command: list[str]) -> None:
    """Adds the results that the program prints; a program that dies fails as a whole."""
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = program.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        program.kill()
        out, err = program.communicate()
        err = f"no end within {TIMEOUT_S} s; {err}"
    for line in out.splitlines():
        feature, status, detail = line.split("\t")
        table.add(client, feature, status if status in (OK, NOT_APPLICABLE) else FAIL, detail)
    if program.returncode != 0:
        table.add(client, "the program ends well", FAIL, err.strip()[-300:])
