"""librdkafka beside our own producer, on the topic of unsent messages."""

import argparse
import json
import sys
import time
import urllib.parse
import urllib.request

from confluent_kafka import Consumer, Producer, TopicPartition

from .table import Table

TOPIC = "unsent-messages"
CLIENT = "librdkafka"
PATIENCE_S = 30
# Those whose partitions are known from elsewhere, words of other alphabets, and many of one kind.
USERS = ["alice", "bob", "pod-1", "kafka", "giberish123456789", "Zoë", "名前", "🎉"]


class Unsent:
    """The service, and what was said to whom."""

    def __init__(self, broker: str, service: str, users: list[str]):
        self.broker, self.service, self.users = broker, service, users
        self.placed: dict[str, int] = {}

    def ask(self, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.service + path, data)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def post(self) -> str:
        """Writes to everybody through the service."""
        for user in self.users:
            message = {"touser": user, "fromuser": "service", "message": f"for {user}"}
            self.placed[user] = self.ask("/messages", message)["partition"]
        used = len(set(self.placed.values()))
        return f"{len(self.users)} users in {used} partitions"

    def read(self) -> None:
        """Each record is where the service said, under its user's name, in the original's form."""
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "reads-unsent"})
        partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in partitions])
        seen, deadline = {}, time.monotonic() + PATIENCE_S
        while len(seen) < len(self.users):
            assert time.monotonic() < deadline, f"{len(seen)} of {len(self.users)} records"
            record = consumer.poll(1)
            if record is None:
                continue
            assert not record.error(), record.error()
            value = json.loads(record.value())
            assert value["fromuser"] == "service", value
            assert value["message"] == f"for {value['touser']}", value
            assert record.key().decode() == value["touser"], value
            seen[value["touser"]] = record.partition()
        consumer.close()
        assert seen == self.placed, "records are not where the service said"

    def produce(self) -> None:
        """librdkafka writes to the same users, and chooses the same partitions."""
        producer = Producer({"bootstrap.servers": self.broker, "partitioner": "fnv1a_random"})
        differing, refused = [], []

        def delivered(error, record) -> None:
            user = record.key().decode()
            if error is not None:
                refused.append(str(error))
            elif record.partition() != self.placed[user]:
                differing.append(f"{user}: {record.partition()}, not {self.placed[user]}")

        for user in self.users:
            message = {"touser": user, "fromuser": CLIENT, "message": "hi"}
            producer.produce(TOPIC, json.dumps(message), key=user, on_delivery=delivered)
        left = producer.flush(PATIENCE_S)
        assert (left, refused, differing) == (0, [], []), (left, refused, differing)

    def counted(self) -> None:
        """Everybody is told of both."""
        deadline = time.monotonic() + PATIENCE_S
        for user in self.users:
            path = f"/users/{urllib.parse.quote(user, safe='')}/unsent"
            while True:
                waiting = self.ask(path)
                senders = {each["fromuser"]: each["count"] for each in waiting["senders"]}
                if senders == {"service": 1, CLIENT: 1}:
                    break
                assert time.monotonic() < deadline, f"{user}: {waiting}"
                time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(prog="compat/apps/librdkafka", description=__doc__)
    parser.add_argument("--broker", required=True, help="HOST:PORT")
    parser.add_argument("--service", required=True, help="the address of unsent-producer")
    parser.add_argument("--users", type=int, default=1000, help="to how many is written")
    options = parser.parse_args()
    users = [*USERS, *(f"user-{number}" for number in range(options.users))]
    unsent, table = Unsent(options.broker, options.service, users), Table()
    table.check(CLIENT, "the service writes", unsent.post)
    table.check(CLIENT, "reads what the service wrote, where it said", unsent.read)
    table.check(CLIENT, "fnv1a_random chooses the service's partitions", unsent.produce)
    table.check(CLIENT, "what it wrote counts", unsent.counted)
    return table.report()


if __name__ == "__main__":
    sys.exit(main())
