"""Measures our clients beside librdkafka, both against Klamm, and prints both and their ratio."""

import subprocess
import sys

from bench.broker import klamm_binary

from . import fetch
from .contestants import CONTESTANTS, fresh, remove
from .paths import LOAD, WORK


def main(arguments: list[str]) -> int:
    """Hands the arguments on to the mode `clients` of the load generator."""
    klamm_binary()
    fetch.load_generator()
    # Who waits for a device does not measure clients.
    (contestant,) = (one for one in CONTESTANTS if one.name == "klamm-os-cached")
    folder = WORK / "data"
    folder.mkdir(parents=True, exist_ok=True)
    broker = fresh(contestant, folder)
    broker.start()
    try:
        command = [LOAD, "clients", "--broker", broker.address, *arguments]
        return subprocess.run(command, check=False).returncode
    finally:
        broker.kill()
        remove(broker)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
