"""kcat, the command line over librdkafka."""

import subprocess
import time

from .. import features
from ..broker import Broker
from ..groups import kinds, scenarios
from ..proxy import CuttingProxy
from ..table import NOT_APPLICABLE, Table

CLIENT = "kcat"
LINES = 500
TIMEOUT_S = 60


class Kcat:
    """kcat against one address."""

    def __init__(self, address: str):
        self.address = address

    def run(self, *args: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run(
            ["kcat", "-b", self.address, *args],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kcat {' '.join(args)}: {done.stderr.strip()}")
        return done

    def produce(self, topic: str, lines: list[str], *args: str) -> None:
        self.run("-P", "-t", topic, "-p", "0", *args, stdin="\n".join(lines) + "\n")

    def consume(self, topic: str, *args: str, start: str = "beginning") -> list[str]:
        given = ("-C", "-t", topic, "-p", "0", "-o", start, "-e", "-q")
        return self.run(*given, *args).stdout.splitlines()


def same(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"{str(actual)[:120]} instead of {str(expected)[:120]}")


def run(broker: Broker, table: Table, quick: bool) -> None:
    kcat = Kcat(broker.address)
    table.add(CLIENT, features.TOPICS, NOT_APPLICABLE, "kcat makes no topics")
    table.check(CLIENT, features.AUTO_CREATE, lambda: auto_create(kcat))
    table.check(CLIENT, features.UNKNOWN_TOPIC, lambda: unknown_topic(kcat))
    for codec in features.CODECS:
        table.check(CLIENT, features.compression(codec), lambda: compression(kcat, codec))
    table.check(CLIENT, features.RECORD_FIELDS, lambda: record_fields(kcat))
    table.check(CLIENT, features.SEEK_OFFSET, lambda: seek_offset(kcat))
    table.check(CLIENT, features.SEEK_TIME, lambda: seek_time(kcat))
    table.check(CLIENT, features.EARLIEST_LATEST, lambda: earliest_latest(kcat))
    table.check(CLIENT, features.BIG, lambda: big(kcat))
    table.check(CLIENT, features.TOO_LARGE, lambda: too_large(kcat))
    table.check(CLIENT, features.CUT, lambda: through_cuts(kcat, broker))
    scenarios.run(table, broker, kinds.kcat(CLIENT), "kcat-")


def numbered(count: int = LINES) -> list[str]:
    return [f"line {n} with some words that compress well well well" for n in range(count)]


def auto_create(kcat: Kcat) -> None:
    kcat.produce("kcat-auto", ["first"])
    same(kcat.consume("kcat-auto"), ["first"])
    listed = kcat.run("-L", "-t", "kcat-auto").stdout
    if 'topic "kcat-auto" with 1 partitions' not in listed:
        raise AssertionError(listed)


def unknown_topic(kcat: Kcat) -> None:
    listed = kcat.run("-L", "-t", "kcat-nowhere", "-X", "allow.auto.create.topics=false").stdout
    if "Unknown topic or partition" not in listed:
        raise AssertionError(listed)


def compression(kcat: Kcat, codec: str) -> None:
    topic = f"kcat-{codec}"
    kcat.produce(topic, numbered(), "-z", codec)
    same(kcat.consume(topic), numbered())


def record_fields(kcat: Kcat) -> None:
    before = int(time.time() * 1000)
    kcat.produce(
        "kcat-fields", ["k1:v1", ":v2", "k3:"], "-K", ":", "-Z", "-H", "a=1", "-H", "b=zwei"
    )
    got = kcat.consume("kcat-fields", "-Z", "-f", "%k|%s|%h|%o|%T\n")
    fields = [line.rsplit("|", 1)[0] for line in got]
    same(fields, ["k1|v1|a=1,b=zwei|0", "NULL|v2|a=1,b=zwei|1", "k3|NULL|a=1,b=zwei|2"])
    stamps = [int(line.rsplit("|", 1)[1]) for line in got]
    if not all(before <= stamp <= before + TIMEOUT_S * 1000 for stamp in stamps):
        raise AssertionError(f"timestamps {stamps} are not of now, {before}")


def seek_offset(kcat: Kcat) -> None:
    kcat.produce("kcat-seek", numbered())
    same(kcat.consume("kcat-seek", start="321"), numbered()[321:])
    same(kcat.consume("kcat-seek", "-c", "2", start="7"), numbered()[7:9])


def seek_time(kcat: Kcat) -> None:
    """A record's own timestamp leads back to it, and one millisecond later to the next."""
    kcat.produce("kcat-time", ["early"])
    first = int(kcat.consume("kcat-time", "-f", "%T\n")[0])
    while int(time.time() * 1000) <= first:
        pass  # The next record must have a later timestamp.
    kcat.produce("kcat-time", ["late"])
    same(kcat.consume("kcat-time", start=f"s@{first}"), ["early", "late"])
    same(kcat.consume("kcat-time", start=f"s@{first + 1}"), ["late"])


def earliest_latest(kcat: Kcat) -> None:
    kcat.produce("kcat-ends", numbered(10))
    same(kcat.consume("kcat-ends"), numbered(10))
    same(kcat.consume("kcat-ends", start="end"), [])
    same(kcat.consume("kcat-ends", start="-3"), numbered(10)[-3:])


def big(kcat: Kcat) -> None:
    line = "x" * 1_000_000
    kcat.produce("kcat-big", [line], "-X", "message.max.bytes=2000000")
    same(kcat.consume("kcat-big"), [line])


def too_large(kcat: Kcat) -> None:
    done = kcat.run(
        "-P",
        "-t",
        "kcat-large",
        "-p",
        "0",
        "-X",
        "message.max.bytes=4000000",
        stdin="x" * 2_000_000,
        check=False,
    )
    if "Message size too large" not in done.stderr:
        raise AssertionError(f"no error about the size: {done.stderr.strip()}")


def through_cuts(kcat: Kcat, broker: Broker) -> str:
    lines = numbered(2000)
    with CuttingProxy(broker.schemas, broker.host, broker.port) as proxy:
        options = (
            "enable.idempotence=true",
            "linger.ms=1",
            "batch.num.messages=50",
            "reconnect.backoff.ms=1",
            "retry.backoff.ms=1",
        )
        given = [part for option in options for part in ("-X", option)]
        Kcat(proxy.address).produce(
            "kcat-cut", lines, "-E", *given
        )  # A lost broker is not the end.
        same(kcat.consume("kcat-cut"), lines)
        return proxy.tally()
