"""Our own clients in foul weather: a proxy that breaks connections at random in front of one
broker; or three brokers of which one after the other is killed, so that leaders move.
"""

import argparse
import random
import subprocess
import sys
import threading

from .broker import Broker, free_port
from .clusters import SETTINGS, Cluster, Kafka, Klamm, Three
from .paths import WORK, clients_jar
from .schema import Schemas
from .trials import trial

KINDS = {"klamm": Klamm, "kafka-4": Kafka}
# How long a broker is gone.
GONE_S = (2, 6)


class Behind(Cluster):
    """One broker that sends its clients to a proxy."""

    def __init__(self, folder, kind: type[Broker]):
        self.proxy = f"127.0.0.1:{free_port()}"
        advertised = f"advertised.listeners=PLAINTEXT://{self.proxy}"
        self.nodes = [kind(Schemas(clients_jar()), folder, (*SETTINGS, advertised))]

    def arguments(self) -> list[str]:
        return ["--bootstrap", self.proxy, "--proxy", f"{self.proxy}={self.address}"]


class Turmoil(threading.Thread):
    """Kills one broker after the other, and starts it again."""

    def __init__(self, cluster: Three, every_s: float, dice: random.Random):
        super().__init__(name="turmoil", daemon=True)
        self.cluster = cluster
        self.every_s = every_s
        self.dice = dice
        self.over = threading.Event()
        self.kills = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(self.every_s):
                self.kill_one()
        except Exception as failure:  # Nobody looks at what a thread raises.
            self.failure = failure

    def kill_one(self) -> None:
        broker = self.cluster.brokers[self.kills % len(self.cluster.brokers)]
        broker.kill()
        self.kills += 1
        self.over.wait(self.dice.uniform(*GONE_S))
        broker.start()
        self.cluster.wait_for_all()

    def end(self) -> None:
        self.over.set()
        self.join()
        if self.failure:
            raise self.failure
        if self.kills == 0:
            raise RuntimeError("no broker was killed: the storm was over before")


def with_proxy(kind: str, size: list[str]) -> int:
    with Behind(WORK / f"storm-{kind}", KINDS[kind]) as cluster:
        return subprocess.run([trial("storm"), *cluster.arguments(), *size]).returncode


def with_kills(seconds: int, size: list[str], dice: random.Random) -> int:
    with Three(WORK / "storm-cluster") as cluster:
        turmoil = Turmoil(cluster, max(seconds / 8, 6), dice)
        storm = subprocess.Popen([trial("storm"), "--bootstrap", cluster.address, *size])
        turmoil.start()
        # Leaders move until all is produced; the rest may go on meanwhile.
        try:
            returned = storm.wait()
        finally:
            turmoil.end()
        print(f"{turmoil.kills} brokers were killed")
        return returned


def main() -> int:
    parser = argparse.ArgumentParser(prog="compat/crates/storm", description=__doc__)
    parser.add_argument("--broker", choices=[*KINDS, "cluster"], default="klamm")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    size = ["--seconds", str(arguments.seconds), "--records", str(arguments.records)]
    # It is printed by the program.
    size += ["--seed", str(arguments.seed)]
    if arguments.broker == "cluster":
        return with_kills(arguments.seconds, size, random.Random(arguments.seed))
    return with_proxy(arguments.broker, size)


if __name__ == "__main__":
    sys.exit(main())
