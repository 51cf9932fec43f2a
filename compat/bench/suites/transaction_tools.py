"""kafka-transactions: who writes in transactions, and how one that hangs is ended."""

import json
import time

from confluent_kafka import Producer

from ..broker import Broker
from ..table import Table
from ..toolshell import ToolShell
from .confluent_transactions import Clients

TOPIC = "tools-transactions"
ID = "tools-transactions-id"
TERMINATED = ID + "-terminated"
TIMEOUT_S = 60
# States of transactions, as they are stored.
EMPTY, ONGOING, PREPARE_ABORT, COMPLETE_ABORT = 0, 1, 3, 5


def run(table: Table, client: str, shell: ToolShell, broker: Broker) -> None:
    tools = TransactionTools(shell, broker)
    table.check(client, "kafka-transactions list, describe", tools.described)
    table.check(client, "kafka-transactions describe-producers", tools.producers)
    table.check(client, "kafka-transactions find-hanging", tools.find_hanging)
    table.check(client, "kafka-transactions abort", tools.abort)
    table.check(client, "kafka-transactions forceTerminateTransaction", tools.terminate)
    table.check(client, "kafka-dump-log --transaction-log-decoder", tools.dump)


class TransactionTools:
    """The tool against one broker, with one transaction that is open."""

    def __init__(self, shell: ToolShell, broker: Broker):
        self.shell = shell
        self.data = broker.data
        self.at = ("--bootstrap-server", broker.address)
        self.clients = Clients(broker.address)
        self.clients.create(TOPIC)
        self.producer = self.begin(ID)

    def begin(self, name: str) -> Producer:
        producer = self.clients.producer(name)
        producer.begin_transaction()
        producer.produce(TOPIC, b"open", partition=0)
        producer.flush(TIMEOUT_S)
        return producer

    def rows(self, *args: str) -> list[dict[str, str]]:
        """The table that the tool prints."""
        lines = self.shell.run("kafka-transactions", *self.at, *args).text().splitlines()
        names, *rows = [line.split("\t") for line in lines if "\t" in line]
        names = [name.strip() for name in names]
        return [dict(zip(names, (cell.strip() for cell in row), strict=True)) for row in rows]

    def described(self) -> None:
        [listed] = [row for row in self.rows("list") if row["TransactionalId"] == ID]
        expect(listed["TransactionState"] == "Ongoing", listed)
        [described] = self.rows("describe", "--transactional-id", ID)
        expect(described["TransactionState"] == "Ongoing", described)
        expect(described["TopicPartitions"] == f"{TOPIC}-0", described)

    def producers(self) -> None:
        [row] = self.rows("describe-producers", "--topic", TOPIC, "--partition", "0")
        expect(row["CurrentTransactionStartOffset"] == "0", row)

    def find_hanging(self) -> None:
        found = self.rows("find-hanging", "--topic", TOPIC, "--max-transaction-timeout", "15")
        expect(not found, found)

    def abort(self) -> None:
        where = ("--topic", TOPIC, "--partition", "0", "--start-offset", "0")
        self.shell.run("kafka-transactions", *self.at, "abort", *where)
        [row] = self.rows("describe-producers", "--topic", TOPIC, "--partition", "0")
        expect(row["CurrentTransactionStartOffset"] == "None", row)
        expect(self.clients.committed(TOPIC, 0) == [], "aborted records are shown")

    def terminate(self) -> None:
        self.begin(TERMINATED)
        terminated = ("--transactionalId", TERMINATED)
        self.shell.run("kafka-transactions", *self.at, "forceTerminateTransaction", *terminated)
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            [described] = self.rows("describe", "--transactional-id", TERMINATED)
            if described["TransactionState"] in ("CompleteAbort", "Empty"):
                return
            expect(time.monotonic() < deadline, described)

    def dump(self) -> None:
        """Kafka's reader finds what became of a transaction in the broker's own files."""
        segments = self.data.glob("**/__transaction_state-*/*.log")
        text = self.shell.dump_log(segments, "--transaction-log-decoder")
        told = [line for line in text.splitlines() if f'"transactionalId":"{TERMINATED}"' in line]
        values = [json.loads(line.split(" payload: ", 1)[1])["data"] for line in told]
        states = [value["transactionStatus"] for value in values]
        # The tool takes the id over in the end.
        expect(states == [EMPTY, ONGOING, PREPARE_ABORT, COMPLETE_ABORT, EMPTY], states)
        expect(values[1]["transactionPartitions"] == [{"topic": TOPIC, "partitionIds": [0]}], told[1])
        indexes = [str(path) for path in self.data.glob(f"**/{TOPIC}-0/*.txnindex")]
        aborted = self.shell.run("kafka-dump-log", "--files", ",".join(indexes)).text()
        expect("firstOffset: 0" in aborted, aborted)


def expect(truth: bool, said: object) -> None:
    if not truth:
        raise AssertionError(str(said)[:160])
