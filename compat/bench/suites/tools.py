"""Kafka's own tools: topics, console clients, offsets, load, and the reader of log segments."""

import json
import subprocess
from pathlib import Path

from ..broker import Broker, Klamm
from ..paths import WORK
from ..table import NOT_APPLICABLE, Table
from ..toolshell import ToolShell, batches_of
from . import cluster_tools, config_tools, group_tools, transaction_tools

CLIENT = "Kafka tools"
PERF_RECORDS = 20_000


def run(broker: Broker, table: Table, quick: bool) -> None:
    with ToolShell(WORK / "tools") as shell:
        tools = Tools(shell, broker)
        table.check(CLIENT, "kafka-topics", tools.topics)
        table.check(CLIENT, "kafka-console-producer and -consumer", tools.console)
        table.check(CLIENT, "kafka-get-offsets", tools.offsets)
        table.check(CLIENT, "kafka-producer-perf-test", tools.perf)
        table.check(CLIENT, "kafka-consumer-perf-test", tools.consumer_perf)
        table.check(CLIENT, "kafka-verifiable-producer", tools.verifiable)
        table.check(CLIENT, "kafka-verifiable-consumer", tools.verifiable_consumer)
        table.check(CLIENT, "kafka-log-dirs", tools.log_dirs)
        table.check(CLIENT, "kafka-delete-records", tools.delete_records)
        table.check(CLIENT, "kafka-dump-log, data", tools.dump_data)
        table.check(CLIENT, "kafka-dump-log, indexes", tools.dump_indexes)
        agrees = "kafka-dump-log agrees with klamm log dump"
        if isinstance(broker, Klamm):
            table.check(CLIENT, agrees, tools.dump_agrees)
        else:
            table.add(CLIENT, agrees, NOT_APPLICABLE, "needs our binary")
        group_tools.run(table, CLIENT, shell, broker)
        config_tools.run(table, CLIENT, shell, broker)
        cluster_tools.run(table, CLIENT, shell, broker)
        transaction_tools.run(table, CLIENT, shell, broker)


class Tools:
    """The tools against one broker; later checks build on the topics of earlier ones."""

    def __init__(self, shell: ToolShell, broker: Broker):
        self.shell = shell
        self.broker = broker
        self.at = ("--bootstrap-server", broker.address)

    def topics(self) -> None:
        topics = lambda *args: self.shell.run("kafka-topics", *self.at, *args).text()
        topics(
            "--create",
            "--topic",
            "tools-topics",
            "--partitions",
            "2",
            "--replication-factor",
            "1",
            "--config",
            "retention.ms=3600000",
        )
        expect("tools-topics" in topics("--list").split(), "not listed")
        described = topics("--describe", "--topic", "tools-topics")
        expect("PartitionCount: 2" in described and "retention.ms=3600000" in described, described)
        topics("--alter", "--topic", "tools-topics", "--partitions", "4")
        described = topics("--describe", "--topic", "tools-topics")
        expect("PartitionCount: 4" in described, described)
        topics("--delete", "--topic", "tools-topics")
        expect("tools-topics" not in topics("--list").split(), "listed after its deletion")
        missing = self.shell.attempt(
            "kafka-topics", *self.at, "--describe", "--topic", "tools-nowhere"
        )
        expect(missing.code == 1, f"an unknown topic ends with {missing.code}")

    def create(self, topic: str, *configs: str) -> None:
        given = [part for config in configs for part in ("--config", config)]
        self.shell.run(
            "kafka-topics",
            *self.at,
            "--create",
            "--topic",
            topic,
            "--partitions",
            "1",
            "--replication-factor",
            "1",
            *given,
        )

    def console(self) -> None:
        self.create("tools-console")
        lines = "".join(f"k{n}\twert {n} mit Ümläuten ✓\n" for n in range(1000))
        source = WORK / "tools" / "lines"
        source.write_text(lines)
        self.shell.run(
            "kafka-console-producer",
            *self.at,
            "--topic",
            "tools-console",
            "--compression-codec",
            "zstd",
            "--reader-property",
            "parse.key=true",
            stdin=source,
        )
        got = self.shell.run(
            "kafka-console-consumer",
            *self.at,
            "--topic",
            "tools-console",
            "--partition",
            "0",
            "--offset",
            "earliest",
            "--max-messages",
            "1000",
            "--formatter-property",
            "print.key=true",
        )
        expect(got.text() == lines, f"{len(got.text())} bytes instead of {len(lines)}")
        tail = self.shell.run(
            "kafka-console-consumer",
            *self.at,
            "--topic",
            "tools-console",
            "--partition",
            "0",
            "--offset",
            "998",
            "--timeout-ms",
            "3000",
        )
        expect(tail.text().count("\n") == 2, f"from 998 on: {tail.text()!r}")

    def offsets(self) -> None:
        for time, wanted in (
            ("-1", 1000),
            ("-2", 0),
            ("1000", 0),
            ("latest", 1000),
            ("max-timestamp", None),
        ):
            got = (
                self.shell.run(
                    "kafka-get-offsets",
                    *self.at,
                    "--topic-partitions",
                    "tools-console:0",
                    "--time",
                    time,
                )
                .text()
                .strip()
            )
            if wanted is not None:
                expect(got == f"tools-console:0:{wanted}", f"--time {time}: {got}")

    def perf(self) -> str:
        self.create("tools-perf", "segment.bytes=1048576", "index.interval.bytes=1024")
        out = self.shell.run(
            "kafka-producer-perf-test",
            *self.at,
            "--topic",
            "tools-perf",
            "--record-size",
            "200",
            "--num-records",
            str(PERF_RECORDS),
            "--throughput",
            "-1",
        ).text()
        expect(f"{PERF_RECORDS} records sent" in out, out)
        return out.strip().splitlines()[-1].split(",")[1].strip()

    def consumer_perf(self) -> str:
        given = ("--topic", "tools-perf", "--num-records", str(PERF_RECORDS))
        given += ("--timeout", "60000", "--hide-header")
        out = self.shell.run("kafka-consumer-perf-test", *self.at, *given).text()
        columns = out.strip().splitlines()[-1].split(", ")
        expect(columns[4] == str(PERF_RECORDS), out)
        return f"{columns[3]} MB/s"

    def verifiable(self) -> None:
        out = self.shell.alone(
            "kafka-verifiable-producer",
            *self.at,
            "--topic",
            "tools-verifiable",
            "--max-messages",
            "500",
        )
        events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        acked = [event for event in events if event["name"] == "producer_send_success"]
        expect(len(acked) == 500, f"{len(acked)} of 500 acknowledged")

    def verifiable_consumer(self) -> None:
        """Reads what the verifiable producer wrote, in a group, and tells of each commit."""
        given = ("--topic", "tools-verifiable", "--group-id", "tools-verifiable")
        most = ("--max-messages", "500", "--reset-policy", "earliest")
        out = self.shell.alone("kafka-verifiable-consumer", *self.at, *given, *most)
        events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        read = sum(each["count"] for each in events if each["name"] == "records_consumed")
        expect(read == 500, f"{read} of 500 read")
        commits = [event for event in events if event["name"] == "offsets_committed"]
        expect(commits and all(event["success"] for event in commits), f"commits: {commits}")
        ends = sum(offset["offset"] for offset in commits[-1]["offsets"])
        expect(ends == 500, f"committed up to {ends}")
        names = [event["name"] for event in events]
        expect({"partitions_assigned", "shutdown_complete"} <= set(names), names)

    def log_dirs(self) -> str:
        out = self.shell.run(
            "kafka-log-dirs", *self.at, "--describe", "--topic-list", "tools-perf"
        ).text()
        answer = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
        (folder,) = answer["brokers"][0]["logDirs"]
        expect(folder["error"] is None, folder)
        (partition,) = folder["partitions"]
        size = sum(len(batches_of(path)) for path in self.files("tools-perf", "log"))
        expect(partition["partition"] == "tools-perf-0", partition)
        expect(partition["size"] == size, f"{partition['size']} bytes, the files have {size}")
        return f"{size} bytes"

    def delete_records(self) -> None:
        plan = self.shell.folder / "records.json"
        wanted = {"topic": "tools-console", "partition": 0, "offset": 400}
        plan.write_text(json.dumps({"version": 1, "partitions": [wanted]}))
        given = ("--offset-json-file", str(plan))
        out = self.shell.run("kafka-delete-records", *self.at, *given).text()
        expect("low_watermark: 400" in out, out)
        for moment, offset in (("-2", 400), ("-1", 1000)):
            got = self.shell.run(
                "kafka-get-offsets", *self.at, "--topic", "tools-console", "--time", moment
            ).text()
            expect(got.strip() == f"tools-console:0:{offset}", got)

    def files(self, topic: str, suffix: str) -> list[Path]:
        found = sorted(self.broker.data.glob(f"**/{topic}-0/*.{suffix}"))
        expect(found, f"no .{suffix} of {topic} under {self.broker.data}")
        return found

    def dump(self, segments: list[Path], *args: str) -> str:
        return sound(self.shell.dump_log(segments, *args))

    def dump_index(self, indexes: list[Path], *args: str) -> str:
        names = ",".join(str(path) for path in indexes)
        return sound(self.shell.run("kafka-dump-log", "--files", names, *args).text())

    def dump_data(self) -> str:
        segments = self.files("tools-perf", "log")
        expect(len(segments) > 1, "the log never rolled")
        text = self.dump(segments, "--deep-iteration", "--print-data-log")
        records = text.count("| offset: ")
        expect(records == PERF_RECORDS, f"{records} records instead of {PERF_RECORDS}")
        return f"{len(segments)} segments"

    def dump_indexes(self) -> str:
        # The active segment's indexes have room for more entries, which the tool takes for damage.
        indexes = (
            self.files("tools-perf", "index")[:-1] + self.files("tools-perf", "timeindex")[:-1]
        )
        self.dump_index(indexes)
        self.dump_index(indexes, "--verify-index-only")
        self.dump_index(indexes, "--index-sanity-check")
        return f"{len(indexes)} files"

    def dump_agrees(self) -> str:
        """Both tools say the same of every batch, word for word."""
        batches = 0
        for segment in self.files("tools-perf", "log"):
            theirs = batch_lines(self.dump([segment], "--deep-iteration"))
            command = [self.broker.binary, "log", "dump", segment]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            ours = batch_lines(done.stdout)
            expect(done.returncode == 0, f"klamm log dump ended with {done.returncode}")
            expect(len(ours) == len(theirs), f"{len(ours)} batches, Kafka sees {len(theirs)}")
            for their, our in zip(theirs, ours, strict=True):
                expect(their == our, f"Kafka: {their}; ours: {our}")
            batches += len(ours)
        return f"{batches} batches"


def sound(text: str) -> str:
    """What kafka-dump-log says, if it has nothing to complain of."""
    for complaint in (
        "isvalid: false",
        "Mismatches",
        "Non-consecutive",
        "out of order",
        "not found",
        "Found timestamp mismatch",
        "Found out of order",
        "corrupt",
    ):
        expect(complaint not in text, f"kafka-dump-log says: {complaint}")
    return text


def batch_lines(dump: str) -> list[str]:
    return [line.strip() for line in dump.splitlines() if line.startswith("baseOffset:")]


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)
