"""The rdkafka crate: librdkafka as Rust programs use it."""

import subprocess

from ..broker import Broker
from ..groups import kinds, scenarios
from ..paths import COMPAT, RDKAFKA
from ..table import Table
from .reported import run_client

CLIENT = "rdkafka crate"


def run(broker: Broker, table: Table, quick: bool) -> None:
    manifest = COMPAT / "rdkafka" / "Cargo.toml"
    subprocess.run(
        [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
            manifest,
            "--target-dir",
            RDKAFKA,
        ],
        check=True,
    )
    program = [str(RDKAFKA / "release" / "klamm-compat-rdkafka")]
    run_client(table, CLIENT, broker, program, "rust-")
    scenarios.run(table, broker, kinds.rdkafka(CLIENT), "rust-")
