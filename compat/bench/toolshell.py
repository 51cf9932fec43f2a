"""Kafka's own command line tools, in one JVM that stays."""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .paths import CLASSES, JARS

TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-streams-application-reset": "org.apache.kafka.tools.StreamsResetter",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
}

JAVA = ("java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{CLASSES}:{JARS}/*")


def batches_of(segment: Path) -> bytes:
    """The bytes of a segment without the zeros behind its last batch."""
    content, end = segment.read_bytes(), 0
    while end + 12 <= len(content):
        length = int.from_bytes(content[end + 8 : end + 12])
        if length == 0:
            break
        end += 12 + length
    return content[:end]


@dataclass
class Outcome:
    """How a tool ended; what it printed lies in files, since it may be large."""

    code: int
    out: Path
    err: Path

    def text(self) -> str:
        return self.out.read_text()


class ToolShell:
    """`klamm.compat.tools.ToolShell` behind two pipes."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [*JAVA, "klamm.compat.tools.ToolShell"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def attempt(self, tool: str, *args: str, stdin: Path = Path("/dev/null")) -> Outcome:
        """Runs the tool and returns how it ended, well or not."""
        out, err = self.folder / "stdout", self.folder / "stderr"
        command = [TOOLS[tool], str(stdin), str(out), str(err), *args]
        self.process.stdin.write("\t".join(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the JVM ended in {tool}")
        return Outcome(int(answer), out, err)

    def alone(self, tool: str, *args: str) -> str:
        """Runs a tool in a JVM of its own, which also runs its shutdown hooks."""
        done = subprocess.run(
            [*JAVA, TOOLS[tool], *args], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"{tool} ended with {done.returncode}: {done.stderr[:200]}")
        return done.stdout

    def dump_log(self, segments: Iterable[Path], *args: str) -> str:
        """What the tool says of segments of a running broker: of copies that end with the last
        batch, as those of a stopped one do. It takes the zeros behind it for damage."""
        copies = self.folder / "segments"
        shutil.rmtree(copies, ignore_errors=True)
        names = []
        for number, segment in enumerate(segments):
            if batches := batches_of(segment):
                copy = copies / str(number) / segment.name
                copy.parent.mkdir(parents=True)
                copy.write_bytes(batches)
                names.append(str(copy))
        return self.run("kafka-dump-log", "--files", ",".join(names), *args).text()

    def run(self, tool: str, *args: str, stdin: Path = Path("/dev/null")) -> Outcome:
        """Runs the tool, which must end well."""
        outcome = self.attempt(tool, *args, stdin=stdin)
        if outcome.code != 0:
            said = outcome.err.read_text().strip() or outcome.text().strip()
            raise AssertionError(f"{tool} ended with {outcome.code}: {said[:200]}")
        return outcome
