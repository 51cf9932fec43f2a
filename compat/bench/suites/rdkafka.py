"""The rdkafka crate: librdkafka as Rust programs use it."""

import subprocess

from ..broker import Broker
from ..paths import COMPAT, WORK
from ..table import Table
from .reported import run_client

TARGET = WORK / "rdkafka"


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
            TARGET,
        ],
        check=True,
    )
    program = [str(TARGET / "release" / "klamm-compat-rdkafka")]
    run_client(table, "rdkafka crate", broker, program, "rust-")
