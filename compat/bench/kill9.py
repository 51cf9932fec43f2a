"""kill -9 of the broker at random moments, while idempotent producers write with acks=all.

After the last restart every acknowledged record must lie at its acknowledged offset, once, in
order, and nothing may be in the log that nobody sent.
"""

import argparse
import random
import subprocess
import sys
import threading
import time

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from .broker import KINDS, Broker, Klamm
from .paths import WORK, clients_jar
from .schema import Schemas
from .suites.confluent import Clients

TOPIC = "kill9"
PARTITIONS = 3
TIMEOUT_S = 120
LIFE_S = (0.0, 1.0)
# The share of lives that count from the first acknowledgement; the others may end in recovery.
WITH_PROGRESS = 0.8
# A pause after so many records keeps a long run within what a check can hold in memory.
BURST, PAUSE_S = 20, 0.005


class Writer(threading.Thread):
    """One idempotent producer that writes rising numbers to a partition of its own.

    Deliveries are noted by offset. A producer that ends in a fatal error is replaced, and the
    numbers that it had in flight are never sent again: they may be in the log, at most once.
    """

    def __init__(self, address: str, partition: int):
        super().__init__(name=f"writer-{partition}")
        self.address = address
        self.partition = partition
        self.stopping = threading.Event()
        self.next = 0
        self.acked: dict[int, int] = {}
        self.doubtful: set[int] = set()
        self.fatal: str | None = None
        self.replaced = 0

    def run(self) -> None:
        producer = self.producer()
        while not self.stopping.is_set():
            if self.fatal:
                self.replaced += 1
                self.fatal = None
                producer = self.producer()
            self.send(producer)
        producer.flush(TIMEOUT_S)

    def producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.address,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 1,
                "queue.buffering.max.messages": 2000,
                "message.timeout.ms": TIMEOUT_S * 1000,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 10,
                "log_level": 0,
                "compression.type": ("none", "lz4", "zstd")[self.partition % 3],
                "error_cb": self.failed,
            }
        )

    def failed(self, error) -> None:
        if error.fatal():
            self.fatal = str(error)

    def send(self, producer: Producer) -> None:
        number = self.next
        try:
            producer.produce(
                TOPIC,
                value=value(self.partition, number),
                partition=self.partition,
                on_delivery=lambda error, message: self.delivered(number, error, message),
            )
            self.next += 1
            producer.poll(PAUSE_S if self.next % BURST == 0 else 0)
        except BufferError:
            producer.poll(0.05)
        except KafkaException as error:
            self.fatal = str(error)

    def delivered(self, number: int, error, message) -> None:
        if error:
            self.doubtful.add(number)
        else:
            self.acked[number] = message.offset()


def value(partition: int, number: int) -> bytes:
    return f"{partition}/{number} {'.' * (number % 300)}".encode()


def check(broker: Broker, writer: Writer) -> list[str]:
    """What is wrong with the writer's partition; nothing, if all is well."""
    consumer = Clients(broker.address)
    stored = {
        message.offset(): message.value()
        for message in consumer.consume(TOPIC, 0, partition=writer.partition)
    }
    complaints = []
    if writer.replaced:
        complaints.append(f"{writer.replaced} producers were told that their sequence is lost")
    if list(stored) != list(range(len(stored))):
        complaints.append("offsets are not consecutive")
    for number, offset in writer.acked.items():
        if stored.get(offset) != value(writer.partition, number):
            complaints.append(
                f"{number}, acknowledged at {offset}, is not there: {stored.get(offset)}"
            )
    numbers = [int(raw.split(b" ")[0].split(b"/")[1]) for raw in stored.values()]
    if numbers != sorted(set(numbers)):
        complaints.append("a record is there twice or out of order")
    strangers = set(numbers) - set(writer.acked) - writer.doubtful
    if strangers:
        complaints.append(f"nobody was told of {sorted(strangers)[:5]}")
    return [f"partition {writer.partition}: {text}" for text in complaints[:5]]


def create(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    config = {"segment.bytes": "1048576"}  # Kills should also meet a log that is about to roll.
    made = admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, config=config)])
    made[TOPIC].result(TIMEOUT_S)


def crash(broker: Broker, rounds: int, dice: random.Random, writers: list[Writer]) -> None:
    for number in range(rounds):
        if dice.random() < WITH_PROGRESS:
            await_progress(writers)
        life = dice.uniform(*LIFE_S)
        time.sleep(life)  # The moment of the kill is what is random; nothing waits on it.
        broker.kill()
        broker.start()
        acked = sum(len(writer.acked) for writer in writers)
        print(f"round {number + 1}: killed after {life:.2f} s, {acked} acknowledged", flush=True)


def await_progress(writers: list[Writer]) -> None:
    """Waits for one more acknowledgement per writer: producers back off from a dead broker."""
    before = [len(writer.acked) for writer in writers]
    deadline = time.monotonic() + TIMEOUT_S
    while any(len(writer.acked) == known for writer, known in zip(writers, before, strict=True)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no acknowledgement within {TIMEOUT_S} s of a restart")
        time.sleep(0.005)


def verify_log(broker: Broker) -> list[str]:
    """`klamm log verify` over the stopped broker's folder."""
    if not isinstance(broker, Klamm):
        return []
    done = subprocess.run(
        [broker.binary, "log", "verify", broker.data],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return []
    said = (done.stdout + done.stderr).strip().splitlines()
    return [f"klamm log verify ended with {done.returncode}: {' | '.join(said[-3:])}"]


def arguments(prog: str, doc: str) -> argparse.Namespace:
    """What may be said to a program that kills its broker."""
    parser = argparse.ArgumentParser(prog=prog, description=doc.splitlines()[0])
    parser.add_argument("--broker", choices=KINDS, default="klamm")
    parser.add_argument("--rounds", type=int, default=100, help="how often the broker is killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args()


def main() -> int:
    options = arguments("compat/kill9", __doc__)
    print(f"seed {options.seed}", flush=True)
    broker = KINDS[options.broker](Schemas(clients_jar()), WORK / f"kill9-{options.broker}")
    with broker:
        create(broker)
        writers = [Writer(broker.address, partition) for partition in range(PARTITIONS)]
        for writer in writers:
            writer.start()
        try:
            crash(broker, options.rounds, random.Random(options.seed), writers)
        finally:
            # Whoever waits for them to end would wait for ever.
            for writer in writers:
                writer.stopping.set()
        for writer in writers:
            writer.join()
        complaints = [text for writer in writers for text in check(broker, writer)]
    complaints += verify_log(broker)
    return report(writers, complaints)


def report(writers: list[Writer], complaints: list[str]) -> int:
    for writer in writers:
        print(
            f"partition {writer.partition}: {len(writer.acked)} acknowledged, "
            f"{len(writer.doubtful)} without an answer"
        )
    for text in complaints:
        print("FAIL " + text)
    failed = len({text.split(":")[0] for text in complaints})
    print(f"{len(writers) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
