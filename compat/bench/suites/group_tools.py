"""kafka-consumer-groups: groups listed, described, reset in every way, and deleted."""

import time
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from ..broker import Broker
from ..groups import feed, kinds
from ..groups.party import Party
from ..groups.scenarios import same
from ..table import Table
from ..toolshell import ToolShell

TOOL = "kafka-consumer-groups"
GROUP = "tools-group"
HOUR_MS = 3_600_000
# In each of the two partitions: this many records of two hours ago, and some of now.
OLD, ALL = 6, 10


def run(table: Table, client: str, shell: ToolShell, broker: Broker) -> None:
    tools = GroupTools(shell, broker)
    table.check(client, "kafka-console-consumer --group", tools.console)
    table.check(client, f"{TOOL} --list, --describe", tools.describe)
    table.check(client, f"{TOOL} --reset-offsets", tools.reset)
    table.check(client, f"{TOOL} --reset-offsets, files", tools.reset_files)
    table.check(client, f"{TOOL} with members", tools.members)
    table.check(client, f"{TOOL}, consumer protocol", tools.consumers)
    table.check(client, f"{TOOL} --delete, --delete-offsets", tools.delete)
    table.check(client, "kafka-dump-log --offsets-decoder", tools.dump_offsets)


class GroupTools:
    """The tool against one broker; later checks build on the group of earlier ones."""

    def __init__(self, shell: ToolShell, broker: Broker):
        self.shell = shell
        self.broker = broker
        self.at = ("--bootstrap-server", broker.address)

    def text(self, *args: str) -> str:
        return self.shell.run(TOOL, *self.at, *args).text()

    def rows(self, *args: str) -> list[dict[str, str]]:
        return rows(self.text(*args))

    def fails(self, *args: str) -> str:
        """What the tool says; it has errors of groups in its output and may end well."""
        outcome = self.shell.attempt(TOOL, *self.at, *args)
        return outcome.text() + outcome.err.read_text()

    def console(self) -> None:
        """Two runs share the records between them: the second begins where the first stopped."""
        feed.create(self.broker, GROUP, 2)
        producer = Producer({"bootstrap.servers": self.broker.address})
        now = int(time.time() * 1000)
        for number in range(2 * ALL):
            stamp = now - 2 * HOUR_MS if number // 2 < OLD else now
            value = f"value {number}".encode()
            producer.produce(GROUP, value, partition=number % 2, timestamp=stamp)
        same(producer.flush(feed.TIMEOUT_S), 0)
        read = self.console_consumer("--max-messages", "7") + self.console_consumer(
            "--max-messages", str(2 * ALL - 7)
        )
        same(sorted(read), sorted(f"value {number}" for number in range(2 * ALL)))

    def console_consumer(self, *args: str) -> list[str]:
        given = ("--topic", GROUP, "--group", GROUP, "--from-beginning")
        read = self.shell.run("kafka-console-consumer", *self.at, *given, *args)
        return read.text().splitlines()

    def describe(self) -> None:
        same(GROUP in self.text("--list").split(), True)
        states = {row["GROUP"]: row["STATE"] for row in self.rows("--list", "--state")}
        same(states[GROUP], "Empty")
        same(self.text("--list", "--state", "Stable").split().count(GROUP), 0)
        types = {row["GROUP"]: row["TYPE"] for row in self.rows("--list", "--type")}
        same(types[GROUP], "Classic")
        described = self.rows("--describe", "--group", GROUP, "--offsets", "--verbose")
        wanted = ("TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID")
        same(
            sorted(tuple(row[name] for name in wanted) for row in described),
            [(GROUP, str(number), str(ALL), str(ALL), "0", "-") for number in range(2)],
        )
        (state,) = self.rows("--describe", "--group", GROUP, "--state")
        same((state["STATE"], state["#MEMBERS"]), ("Empty", "0"))
        everything = self.rows("--describe", "--all-groups", "--state")
        same(GROUP in [row["GROUP"] for row in everything], True)
        said = self.fails("--describe", "--group", "tools-nobody")
        same("does not exist" in said or "not found" in said, True)

    def planned(self, *how: str) -> list[int]:
        """The offsets that a reset says, by partition."""
        given = ("--reset-offsets", "--group", GROUP, *how)
        found = self.rows(*given)
        return [int(row["NEW-OFFSET"]) for row in sorted(found, key=lambda row: row["PARTITION"])]

    def current(self) -> list[int]:
        found = self.rows("--describe", "--group", GROUP, "--offsets")
        found.sort(key=lambda row: row["PARTITION"])
        return [int(row["CURRENT-OFFSET"]) for row in found]

    def reset(self) -> None:
        hour_ago = datetime.fromtimestamp(time.time() - 3600, UTC).strftime("%Y-%m-%dT%H:%M:%S.000")
        topic = ("--topic", GROUP)
        for how, wanted in (
            (("--to-earliest", *topic), [0, 0]),
            (("--to-latest", *topic), [ALL, ALL]),
            (("--to-offset", "4", "--all-topics"), [4, 4]),
            (("--shift-by", "3", *topic), [7, 7]),
            (("--shift-by", "-20", *topic), [0, 0]),
            (("--to-datetime", hour_ago, *topic), [OLD, OLD]),
            (("--to-earliest", "--topic", f"{GROUP}:1"), [0]),
            (("--by-duration", "PT1H", *topic), [OLD, OLD]),
            (("--by-duration", "PT3H", *topic), [0, 0]),
            (("--to-offset", "99", *topic), [ALL, ALL]),
        ):
            before = self.current()
            same((how, self.planned(*how, "--dry-run")), (how, wanted))
            same((how, self.current()), (how, before))
            same((how, self.planned(*how, "--execute")), (how, wanted))
            same((how, self.current()[-len(wanted) :]), (how, wanted))
        same(self.planned("--to-current", *topic, "--dry-run"), [ALL, ALL])

    def reset_files(self) -> None:
        """A plan exported, changed by hand, and carried out."""
        given = ("--reset-offsets", "--group", GROUP, "--topic", GROUP, "--to-offset", "5")
        lines = sorted(self.text(*given, "--export").split())
        same(lines, [f"{GROUP},0,5", f"{GROUP},1,5"])
        plan = Path(self.shell.folder) / "plan.csv"
        plan.write_text(f"{GROUP},0,2\n{GROUP},1,3\n")
        same(self.planned("--from-file", str(plan), "--dry-run"), [2, 3])
        same(self.planned("--from-file", str(plan), "--execute"), [2, 3])
        same(self.current(), [2, 3])

    def members(self) -> None:
        """A group at work is described, and neither reset nor deleted."""
        with Party(self.broker, GROUP, subscribe=GROUP) as party:
            party.join(kinds.confluent("confluent-kafka"))
            party.settle([f"{GROUP}:0", f"{GROUP}:1"])
            (member,) = self.rows("--describe", "--group", GROUP, "--members", "--verbose")
            same((member["CLIENT-ID"], member["#PARTITIONS"]), ("rdkafka", "2"))
            (state,) = self.rows("--describe", "--group", GROUP, "--state")
            wanted = ("range", "Stable", "1")
            same(
                tuple(state[name] for name in ("ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")), wanted
            )
            owner = {row["CONSUMER-ID"] for row in self.rows("--describe", "--group", GROUP)}
            same(owner, {member["CONSUMER-ID"]})
            reset = ("--reset-offsets", "--group", GROUP, "--topic", GROUP, "--to-earliest")
            same("inactive" in self.fails(*reset, "--execute"), True)
            same("GroupNotEmptyException" in self.fails("--delete", "--group", GROUP), True)
            offsets = ("--delete-offsets", "--group", GROUP, "--topic", GROUP)
            same("GroupSubscribedToTopicException" in self.fails(*offsets), True)
            party.close_all()

    def consumers(self) -> None:
        """A group of the consumer protocol, with a member at work."""
        name = "tools-consumers"
        partitions = feed.create(self.broker, name, 2)
        feed.produce(self.broker, name, 0, 3)
        group = ("--group", name)
        kind = kinds.of_consumer_protocol(kinds.confluent("confluent-kafka"))
        with Party(self.broker, name, subscribe=name) as party:
            member = party.join(kind)
            party.settle(partitions)
            member.until(lambda: len(member.records) == 3, "through")
            party.until_committed(partitions[0], 3)
            types = {row["GROUP"]: row["TYPE"] for row in self.rows("--list", "--type")}
            same((types[name], types[GROUP]), ("Consumer", "Classic"))
            listed = self.rows("--list", "--type", "consumer", "--state", "stable")
            same([row["GROUP"] for row in listed], [name])
            (row,) = self.rows("--describe", *group, "--members", "--verbose")
            told = ("CLIENT-ID", "#PARTITIONS", "CURRENT-EPOCH", "CURRENT-ASSIGNMENT")
            same([row[each] for each in told], ["rdkafka", "2", "2", f"{name}:0,1"])
            same((row["TARGET-EPOCH"], row["TARGET-ASSIGNMENT"]), ("2", f"{name}:0,1"))
            (row,) = self.rows("--describe", *group, "--state", "--verbose")
            told = ("ASSIGNMENT-STRATEGY", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH")
            same([row[each] for each in told], ["range", "Stable", "2", "2"])
            offsets = self.rows("--describe", *group, "--offsets")
            lags = {row["PARTITION"]: (row["CURRENT-OFFSET"], row["LAG"]) for row in offsets}
            same(lags["0"], ("3", "0"))
            kinds_told = self.shell.run("kafka-groups", *self.at, "--list", "--consumer").text()
            same(name in kinds_told.split(), True)
            reset = ("--reset-offsets", *group, "--topic", name, "--to-earliest", "--execute")
            same("inactive" in self.fails(*reset), True)
            same("GroupNotEmptyException" in self.fails("--delete", *group), True)
            party.close_all()
        same([row["NEW-OFFSET"] for row in self.rows(*reset)], ["0", "0"])
        self.text("--delete", *group)
        same(name in self.text("--list").split(), False)

    def delete(self) -> None:
        self.text("--delete-offsets", "--group", GROUP, "--topic", f"{GROUP}:0")
        left = [row["PARTITION"] for row in self.rows("--describe", "--group", GROUP)]
        same(left, ["1"])
        self.text("--delete", "--group", GROUP)
        same(GROUP in self.text("--list").split(), False)
        said = self.fails("--delete", "--group", GROUP)
        same("GroupIdNotFoundException" in said or "does not exist" in said, True)

    def dump_offsets(self) -> str:
        """Kafka's reader finds the group's story in the broker's own files."""
        segments = sorted(self.broker.data.glob("**/__consumer_offsets-*/*.log"))
        text = self.shell.dump_log(segments, "--offsets-decoder")
        lines = [line for line in text.splitlines() if f'"group":"{GROUP}"' in line]
        commits = [line for line in lines if f'"topic":"{GROUP}"' in line]
        same(any('"offset":10' in line for line in commits), True)
        # The last word on the group: its offsets and its metadata are gone.
        same("payload: <DELETE>" in lines[-1], True)
        same(any('"protocolType":"consumer"' in line for line in lines), True)
        # Of the consumer protocol: who was in it, and that it is no more.
        consumers = [line for line in text.splitlines() if '"groupId":"tools-consumers"' in line]
        same(any('"memberEpoch":2' in line for line in consumers), True)
        same("payload: <DELETE>" in consumers[-1], True)
        return f"{len(lines)} records"


def rows(text: str) -> list[dict[str, str]]:
    """The lines of a table, by the names of its header."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    header = next((i for i, line in enumerate(lines) if line[0] == "GROUP"), None)
    if header is None:
        raise AssertionError(f"no table: {text.strip()[:200]}")
    return [dict(zip(lines[header], line, strict=False)) for line in lines[header + 1 :]]
