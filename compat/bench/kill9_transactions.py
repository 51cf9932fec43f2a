"""kill -9 of the broker and of its clients at random moments, while they write transactions.

Writers put the number of each transaction into several partitions, copiers move records from one
topic to another and commit how far they are, and all abort at random. In the end every reader of
committed records has seen the same: of each transaction all or nothing, nothing of one that was not
committed, no committed one lost or doubled, and every record copied once.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from . import transactional_writer as writer
from .broker import KINDS, Broker
from .kill9 import WITH_PROGRESS, arguments, verify_log
from .paths import ROOT, WORK, clients_jar
from .schema import Schemas
from .suites.confluent_transactions import Clients
from .toolshell import JAVA

TIMEOUT_S = writer.TIMEOUT_S
WRITERS, READERS = 3, 2
# Writers use librdkafka, with transactions of the first generation; copiers are Kafka's own, with
# the second.
SOURCE, TARGET = "txn-source", "txn-target"
COPIERS, COPIED_PER_ROUND = 2, 200
COPIED_AT_ONCE = 20
LIFE_S = (0.1, 1.5)
BROKER_KILLED = 0.4


class Client:
    """A process that is started again when it ends, but for a good end."""

    def __init__(self, name: str, errors: int):
        self.name = name
        self.errors = errors
        self.lives = 0
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.lives += 1
        self.process = subprocess.Popen(
            self.command(),
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT / "compat",
        )
        self.follower = threading.Thread(target=self.follow, args=(self.process.stdout,))
        self.follower.start()

    def follow(self, lines) -> None:
        for line in lines:
            self.hear(line.strip())

    def hear(self, line: str) -> None:
        pass

    def keep_alive(self) -> None:
        """Has it run, unless it has come to its end."""
        if self.process is None or self.process.poll() not in (None, 0):
            if self.process is not None:
                self.follower.join()
            self.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self) -> None:
        """Waits for a good end, however often it takes another process."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.process.poll() != 0:
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} does not come to an end")
            self.keep_alive()
            time.sleep(0.05)
        self.follower.join()


class WriterClient(Client):
    """A writer, and what it has told of its transactions."""

    def __init__(self, name: str, errors: int, address: str, seed: int):
        super().__init__(name, errors)
        self.address, self.seed = address, seed
        self.partitions: list[set[int]] = []
        self.steps: list[str] = []

    def command(self) -> list[str]:
        first = str(len(self.steps))
        module = "bench.transactional_writer"
        return [sys.executable, "-m", module, self.address, self.name, first, str(self.seed)]

    def hear(self, line: str) -> None:
        step, number, *partitions = line.split()
        if step == "begun":
            self.partitions.append({int(each) for each in partitions[0].split(",")})
            self.steps.append(step)
        else:
            self.steps[int(number)] = step

    def ended(self) -> int:
        """How many of its transactions have come to an end."""
        return self.steps.count("committed") + self.steps.count("aborted")

    def finish(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill()
        self.follower.join()


class CopierClient(Client):
    """Kafka's own TransactionalMessageCopier, for one partition."""

    def __init__(self, name: str, errors: int, address: str, partition: int, count: int):
        super().__init__(name, errors)
        self.address, self.partition, self.count = address, partition, count

    def command(self) -> list[str]:
        options = {
            "--broker-list": self.address,
            "--input-topic": SOURCE,
            "--input-partition": str(self.partition),
            "--output-topic": TARGET,
            "--transactional-id": self.name,
            "--consumer-group": self.name,
            "--transaction-size": str(COPIED_AT_ONCE),
        }
        given = [part for option in options.items() for part in option]
        tool = "org.apache.kafka.tools.TransactionalMessageCopier"
        return [*JAVA, tool, *given, "--enable-random-aborts"]


class Reader(threading.Thread):
    """Reads what is committed of the written topic, for as long as the broker lives and dies."""

    def __init__(self, address: str, number: int):
        super().__init__(name=f"reader-{number}", daemon=True)
        self.stopping = threading.Event()
        self.seen: list[list[bytes]] = [[] for _ in range(writer.PARTITIONS)]
        self.consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "unused",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        topics = range(writer.PARTITIONS)
        self.consumer.assign([TopicPartition(writer.TOPIC, it, OFFSET_BEGINNING) for it in topics])
        while not self.stopping.is_set():
            for message in self.consumer.consume(500, timeout=0.1):
                if message.error() is None:
                    self.seen[message.partition()].append(message.value())
        self.consumer.close()

    def catch_up(self, stored: list[list[bytes]]) -> None:
        """Goes on until it has seen as much as there is."""
        deadline = time.monotonic() + TIMEOUT_S
        while any(len(seen) < len(all_) for seen, all_ in zip(self.seen, stored, strict=True)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.stopping.set()
        self.join()


def prepare(broker: Broker, count: int) -> None:
    """The topics, and the records that are to be copied."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    small = {"segment.bytes": "1048576"}
    topics = [
        NewTopic(writer.TOPIC, writer.PARTITIONS, 1, config=small),
        NewTopic(SOURCE, COPIERS, 1),
        NewTopic(TARGET, COPIERS, 1, config=small),
    ]
    for made in admin.create_topics(topics).values():
        made.result(TIMEOUT_S)
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5, "log_level": 0})
    for number in range(count):
        for partition in range(COPIERS):
            producer.produce(SOURCE, str(number).encode(), partition=partition)
        producer.poll(0)
    if producer.flush(TIMEOUT_S):
        raise RuntimeError("what is to be copied was not written")


def crash(broker: Broker, rounds: int, dice: random.Random, clients: list[Client]) -> None:
    for number in range(rounds):
        for client in clients:
            client.keep_alive()
        if dice.random() < WITH_PROGRESS:
            await_progress(clients)
        life = dice.uniform(*LIFE_S)
        time.sleep(life)  # The moment of the kill is what is random; nothing waits on it.
        victim = "the broker"
        if dice.random() < BROKER_KILLED:
            broker.kill()
            broker.start()
        else:
            client = dice.choice(clients)
            client.kill()
            victim = client.name
        print(f"round {number + 1}: {victim} was killed after {life:.2f} s", flush=True)


def await_progress(clients: list[Client]) -> None:
    """Waits until every writer has ended one more transaction: a client takes a while to start."""
    writers = [client for client in clients if isinstance(client, WriterClient)]
    before = [each.ended() for each in writers]
    deadline = time.monotonic() + TIMEOUT_S
    while any(each.ended() == known for each, known in zip(writers, before, strict=True)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no transaction has ended within {TIMEOUT_S} s")
        for client in clients:
            client.keep_alive()
        time.sleep(0.01)


def check_written(stored: list[list[bytes]], writers: list[WriterClient]) -> list[str]:
    """What is wrong with what the writers wrote; nothing, if all is well."""
    complaints = []
    where: dict[bytes, list[int]] = {}
    for partition, values in enumerate(stored):
        last: dict[bytes, int] = {}
        for value in values:
            where.setdefault(value, []).append(partition)
            name, number = value.split(b"/")
            if int(number) <= last.get(name, -1):
                complaints.append(f"{value} comes after {last[name]} in partition {partition}")
            last[name] = int(number)
    for each in writers:
        for number, (step, wanted) in enumerate(zip(each.steps, each.partitions, strict=True)):
            found = where.pop(f"{each.name}/{number}".encode(), [])
            if found and (sorted(found) != sorted(wanted)):
                complaints.append(f"{each.name}/{number} is torn: in {found} of {sorted(wanted)}")
            if step == "committed" and not found:
                complaints.append(f"{each.name}/{number} was committed and is lost")
            if step not in ("committed", "committing") and found:
                complaints.append(f"{each.name}/{number} is there, and it was only {step}")
    complaints += [f"nobody has written {value}" for value in where]
    return [f"written: {text}" for text in complaints]


def check_copied(clients: Clients, copiers: list[CopierClient]) -> list[str]:
    """What is wrong with the copies, and with what was committed of them."""
    complaints = []
    for each in copiers:
        wanted = [str(number).encode() for number in range(each.count)]
        found = clients.committed(TARGET, each.partition)
        if found != wanted:
            twice = len(found) - len(set(found))
            lost = len(set(wanted) - set(found))
            complaints.append(f"{each.name}: {lost} records are lost, {twice} are there twice")
        consumer = clients.consumer(each.name)
        place = TopicPartition(SOURCE, each.partition)
        [committed] = consumer.committed([place], timeout=TIMEOUT_S)
        consumer.close()
        if committed.offset != each.count:
            complaints.append(f"{each.name}: committed {committed.offset} of {each.count}")
    return [f"copied: {text}" for text in complaints]


def run(broker: Broker, options, errors: int) -> tuple[list[str], str]:
    dice = random.Random(options.seed)
    count = COPIED_PER_ROUND * options.rounds
    prepare(broker, count)
    at = broker.address
    writers = [WriterClient(f"writer-{it}", errors, at, options.seed) for it in range(WRITERS)]
    copiers = [CopierClient(f"copier-{it}", errors, at, it, count) for it in range(COPIERS)]
    readers = [Reader(at, number) for number in range(READERS)]
    for reader in readers:
        reader.start()
    clients = [*writers, *copiers]
    try:
        crash(broker, options.rounds, dice, clients)
        for client in clients:
            client.finish()
    finally:
        for client in clients:
            if client.process is not None:
                client.kill()
    for each in writers:  # Whoever comes next under an id has ended what was left open.
        writer.Session(at, each.name)
    fresh = Clients(at)
    stored = [fresh.committed(writer.TOPIC, it) for it in range(writer.PARTITIONS)]
    complaints = check_written(stored, writers) + check_copied(fresh, copiers)
    for reader in readers:
        reader.catch_up(stored)
        if reader.seen != stored:
            complaints.append(f"readers: {reader.name} has seen something else than is there")
    steps = [step for each in writers for step in each.steps]
    ends = {step: steps.count(step) for step in sorted(set(steps))}
    lives = sum(client.lives for client in clients)
    return complaints, f"{len(steps)} transactions in {lives} lives of clients: {ends}"


def main() -> int:
    options = arguments("compat/kill9-transactions", __doc__)
    print(f"seed {options.seed}", flush=True)
    folder = WORK / f"kill9-transactions-{options.broker}"
    broker = KINDS[options.broker](Schemas(clients_jar()), folder)
    errors = os.open(folder / "clients.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    with broker:
        complaints, told = run(broker, options, errors)
    complaints += verify_log(broker)
    print(told)
    for text in complaints[:20]:
        print("FAIL " + text)
    failed = len({text.split(":")[0] for text in complaints})
    print(f"{4 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
