"""A thousand producers and a thousand consumers of ours in one process, against one broker; and as
many producers whose broker stands still.
"""

import argparse
import resource
import subprocess
import sys

from .clusters import KINDS
from .paths import WORK
from .trials import trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="compat/crates/crowd", description=__doc__)
    parser.add_argument("--broker", choices=["klamm", "kafka-4"], default="klamm")
    parser.add_argument("--each", type=int, default=1_000)
    arguments = parser.parse_args()
    # Each has a client of its own, and with it a connection or two.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    failed = False
    with KINDS[arguments.broker](WORK / f"crowd-{arguments.broker}") as cluster:
        crowd = [trial("crowd"), "--bootstrap", cluster.address, "--each", str(arguments.each)]
        stall = ("--stall", str(cluster.nodes[0].process.pid))
        for what, options in (
            ("each with a client of its own", ()),
            ("all with one client", ("--shared",)),
            ("with a broker that stands still", stall),
        ):
            print(f"{arguments.each} producers and consumers, {what}:", flush=True)
            failed |= subprocess.run([*crowd, *options]).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
