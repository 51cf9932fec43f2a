"""A large real file goes in through one client and comes back, byte for byte, through another."""

import argparse
import filecmp
import gzip
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from . import features
from .broker import KINDS, Broker, Klamm, served
from .paths import WORK, clients_jar
from .schema import Schemas
from .suites.confluent import Clients, until_end
from .table import NOT_APPLICABLE, Table
from .toolshell import ToolShell

LINES, QUICK_LINES = 1_000_000, 200_000
QUICK_CODECS = ("none", "zstd")
# Where a Debian machine keeps texts: licences, change logs, manual pages, package lists, sources.
SOURCES = (
    "/usr/share/common-licenses",
    "/usr/share/doc",
    "/usr/share/man",
    "/var/lib/dpkg",
    "/usr/share/perl",
    "/usr/lib/python3",
    "/usr/share/i18n",
    "/usr/include",
)
LINE_BYTES_MAX = 100_000


def texts() -> Iterator[Path]:
    for source in SOURCES:
        yield from (path for path in sorted(Path(source).rglob("*")) if path.is_file())


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a text that are not empty; none of a file that is no UTF-8 text."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        raw.decode()
    except (OSError, UnicodeDecodeError):
        return
    if b"\0" in raw:
        return
    for line in raw.replace(b"\r", b"").split(b"\n"):
        if 0 < len(line) <= LINE_BYTES_MAX:
            yield line


def build(target: Path, count: int) -> Path:
    """Writes `count` lines from the machine's texts, beginning anew if they do not suffice."""
    if not target.exists():
        all_lines = itertools.chain.from_iterable(map(lines_of, itertools.cycle(list(texts()))))
        part = target.with_suffix(".part")
        with part.open("wb") as out:
            out.writelines(line + b"\n" for line in itertools.islice(all_lines, count))
        part.rename(target)
    return target


class Corpus:
    """The file, and the ways through one broker."""

    def __init__(self, broker: Broker, source: Path, count: int):
        self.broker, self.source, self.count = broker, source, count
        self.clients = Clients(broker.address)
        self.returned = WORK / "corpus.returned"

    def kcat_to_console(self, codec: str) -> str:
        topic, start = self.clients.create(f"corpus-kcat-{codec}"), time.monotonic()
        subprocess.run(
            [
                "kcat",
                "-P",
                "-b",
                self.broker.address,
                "-t",
                topic,
                "-p",
                "0",
                "-z",
                codec,
                "-l",
                self.source,
            ],
            check=True,
            capture_output=True,
        )
        with ToolShell(WORK / "tools") as shell:
            got = shell.run(
                "kafka-console-consumer",
                "--bootstrap-server",
                self.broker.address,
                "--topic",
                topic,
                "--partition",
                "0",
                "--offset",
                "earliest",
                "--max-messages",
                str(self.count),
                "--timeout-ms",
                "60000",
            )
        return self.same(got.out, start)

    def klamm_to_confluent(self, codec: str) -> str:
        topic, start = self.clients.create(f"corpus-klamm-{codec}"), time.monotonic()
        with self.source.open("rb") as lines:
            subprocess.run(klamm_produce(self.broker, topic, codec), stdin=lines, check=True)
        consumer = self.clients.consumer()
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        with self.returned.open("wb") as out:
            out.writelines(message.value() + b"\n" for message in until_end(consumer))
        consumer.close()
        return self.same(self.returned, start)

    def same(self, returned: Path, start: float) -> str:
        if not filecmp.cmp(self.source, returned, shallow=False):
            sizes = f"{returned.stat().st_size} bytes instead of {self.source.stat().st_size}"
            raise AssertionError(f"what came back differs: {sizes}")
        return f"{self.count} lines in {time.monotonic() - start:.0f} s"


def klamm_produce(broker: Broker, topic: str, codec: str) -> list[str]:
    """Our own producer, reading lines from its standard input."""
    binary = str(broker.binary)
    return [binary, "produce", topic, "-b", broker.address, "--compression", codec]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compat/corpus", description=__doc__)
    parser.add_argument("--broker", choices=KINDS, default="klamm")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_LINES} lines, two codecs")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    count = QUICK_LINES if options.quick else LINES
    source = build(WORK / f"corpus-{count}.txt", count)
    table = Table()
    broker = KINDS[options.broker](Schemas(clients_jar()), WORK / f"corpus-{options.broker}")
    with served(broker, table, options.broker):
        corpus = Corpus(broker, source, count)
        for codec in QUICK_CODECS if options.quick else features.CODECS:
            table.check("kcat to Java", codec, lambda: corpus.kcat_to_console(codec))
            if isinstance(broker, Klamm):
                table.check("klamm to confluent", codec, lambda: corpus.klamm_to_confluent(codec))
            else:
                table.add("klamm to confluent", codec, NOT_APPLICABLE, "needs our binary")
    return table.report()


if __name__ == "__main__":
    sys.exit(main())
