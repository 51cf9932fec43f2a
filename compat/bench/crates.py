"""The tests of our own clients against other clusters: Apache Kafka of today, of yesterday, the
oldest that they promise to talk to, and three brokers of which one is killed meanwhile.
"""

import argparse
import os
import re
import subprocess
import sys

from .broker import served
from .clusters import KINDS, Cluster
from .paths import ROOT, WORK
from .table import FAIL, OK, Table

# The test files that ask nothing of the broker that only ours does.
CRATES = {
    "klamm-client": ("admin", "administer", "groups"),
    "klamm-producer": ("produce", "transactions", "observe", "cancel"),
    "klamm-consumer": ("consume", "groups", "protocol", "partitions", "cancel", "churn"),
}
WITHIN_S = 900
RESULT = re.compile(r"^test (\w+) \.\.\. (ok|FAILED)$", re.MULTILINE)
SECTION = re.compile(r"^---- (\w+) stdout ----\n(.*?)(?=^---- |^successes:|^failures:|\Z)", re.M | re.S)


def run_tests(package: str, test: str, address: str) -> tuple[str, bool]:
    """What a test file says, and whether it ended well."""
    command = ["cargo", "test", "--quiet", "-p", package, "--test", test]
    options = ["--", "--show-output", "--format=pretty"]
    try:
        done = subprocess.run(
            [*command, *options],
            cwd=ROOT,
            env={**os.environ, "KLAMM_TEST_BOOTSTRAP": address, "RUST_BACKTRACE": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN_S,
        )
        return done.stdout, done.returncode == 0
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace"), False


def record(table: Table, kind: str, file: str, output: str, ended_well: bool) -> None:
    """One row for each test, and one more where that is not all."""
    said, results = dict(SECTION.findall(output)), RESULT.findall(output)
    for name, status in results:
        lines = said.get(name, "").strip().splitlines()
        if status == "ok":
            absent = sorted({line.removeprefix("n.a.: ") for line in lines if "n.a.: " in line})
            table.add(kind, f"{file}: {name}", OK, f"without {', '.join(absent)}" if absent else "")
        else:
            table.add(kind, f"{file}: {name}", FAIL, " ".join(lines)[:600])
    if not ended_well or not results:
        table.add(kind, f"{file}: ends well", FAIL, " ".join(output.split())[-600:])


def suite(table: Table, cluster: Cluster, kind: str, only: str | None) -> None:
    for package, files in CRATES.items():
        for file in files:
            name = f"{package.removeprefix('klamm-')} {file}"
            if only is None or only in name:
                output, ended = run_tests(package, file, cluster.address)
                record(table, kind, name, output, ended)


def main() -> int:
    parser = argparse.ArgumentParser(prog="compat/crates/run", description=__doc__)
    parser.add_argument("--broker", choices=[*KINDS, "all"], default="all")
    parser.add_argument("--only", help="a part of a test file's name, as `consumer groups`")
    arguments = parser.parse_args()
    kinds = list(KINDS) if arguments.broker == "all" else [arguments.broker]
    table = Table()
    for kind in kinds:
        with served(KINDS[kind](WORK / f"crates-{kind}"), table, kind) as cluster:
            suite(table, cluster, kind, arguments.only)
    return table.report()


if __name__ == "__main__":
    sys.exit(main())
