"""A client that writes transactions over several partitions until it is killed, or told to stop.

    python -m bench.transactional_writer ADDRESS NAME FIRST SEED

Each transaction has a number, and a record with it in some partitions. Every step is told in a line
before and after it is taken: `begun 7 0,2`, `committing 7`, `committed 7`, `aborting 7`,
`aborted 7`.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaException, Producer

TOPIC = "txn-written"
PARTITIONS = 4
TIMEOUT_S = 120
PAUSE_S = 0.03
ABORTED = 0.35


class Ended(Exception):
    """The producer is of no use any more; another has to take its place."""


class Session:
    """One producer under a transactional id."""

    def __init__(self, address: str, name: str):
        self.producer = Producer(
            {
                "bootstrap.servers": address,
                "transactional.id": name,
                "linger.ms": 1,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 10,
                "log_level": 0,
            }
        )
        patiently(lambda: self.producer.init_transactions(TIMEOUT_S))

    def transaction(
        self,
        fill: Callable[[Producer], None],
        aborted: bool,
        dice: random.Random,
        say: Callable[[str], None] = lambda step: None,
    ) -> bool:
        """Fills a transaction and ends it; one that cannot be committed is aborted.

        Whether it is committed.
        """
        try:
            self.producer.begin_transaction()
            fill(self.producer)
            pause(dice)
            if not aborted:
                say("committing")
                patiently(lambda: self.producer.commit_transaction(TIMEOUT_S))
                say("committed")
                return True
            # Where it overtakes the adding of a partition, librdkafka ends an empty transaction.
            self.producer.flush(TIMEOUT_S)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise Ended(error.args[0]) from error
        say("aborting")
        try:
            patiently(lambda: self.producer.abort_transaction(TIMEOUT_S))
        except KafkaException as error:
            raise Ended(error.args[0]) from error
        say("aborted")
        return False


def patiently(step: Callable[[], None]) -> None:
    """Takes a step again as long as the client says that this helps."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return step()
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise


def pause(dice: random.Random) -> None:
    """Now and then a while in which a transaction is open, and others go on."""
    if dice.random() < 0.5:
        time.sleep(dice.uniform(0, PAUSE_S))


def write(address: str, name: str, first: int, seed: str, stopping: threading.Event) -> None:
    dice = random.Random(f"{seed}/{name}/{first}")
    session, number = Session(address, name), first
    while not stopping.is_set():
        partitions = sorted(dice.sample(range(PARTITIONS), dice.randint(1, PARTITIONS)))
        print(f"begun {number} {','.join(map(str, partitions))}", flush=True)

        def fill(producer: Producer) -> None:
            for partition in partitions:
                producer.produce(TOPIC, f"{name}/{number}".encode(), partition=partition)

        aborted = dice.random() < ABORTED
        session.transaction(fill, aborted, dice, lambda step: print(f"{step} {number}", flush=True))
        number += 1


def main() -> int:
    address, name, first, seed = sys.argv[1:]
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        write(address, name, int(first), seed, stopping)
    except Ended as error:
        print(f"ended: {error}", file=sys.stderr, flush=True)
        return 3
    return 0


if __name__ == "__main__":
    # Not by way of the client's own end, which may wait for a handle to a broker that is gone.
    os._exit(main())
