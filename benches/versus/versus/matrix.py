"""The cells: what is measured, with what, and on whom. One row each."""

from dataclasses import dataclass
from typing import Any

from .apart import LookUp, Partitions, SlowDevice, Startup
from .tools import Hold, Load, OurBench, PerfConsumer, PerfProducer, Read

OS_CACHED, SYNCED = "klamm-os-cached", "klamm-synced"
KAFKA, TUNED, FLUSH = "kafka", "kafka-tuned", "kafka-flush"
TANSU, SQLITE = "tansu", "tansu-sqlite"

PEERS = (OS_CACHED, KAFKA, TANSU)
CACHED = (*PEERS, TUNED)
# Kafka's own clients, whose consumer reads nothing from Tansu, and rates that it does not reach.
JVM_PEERS = (OS_CACHED, KAFKA, TUNED)
# With an engine that takes long for everything, where a criterion asks for it.
CRITICAL = (*CACHED, SQLITE)
ALL = (*CRITICAL, SYNCED, FLUSH)
TO_DEVICE = (SYNCED, FLUSH)


LOOK_UP = "lookup/by-time"

# Of a cell's length: so short that a fast broker does not fill what the kernel keeps before it has
# writers wait for the disk, which would be measured then.
SHORT = 0.4

SINGLE = (
    *("--size", "100", "--records", "1", "--partitions", "1", "--conns", "1"),
    *("--inflight", "64", "--acks", "1"),
)


CATCH_UP = (
    *("--size", "1024", "--records", "64", "--acks", "1"),
    *("--fill-mib", "{fill_mib}", "--turns", "1", "--drop-cache", "{folder}"),
)

# Beside what the device itself does right before and after.
BESIDE_DEVICE = ("--device-dir", "{folder}")


@dataclass(frozen=True)
class Cell:
    """One figure of the table, or several taken in one go. `tool` is of `tools` or `apart`."""

    name: str
    what: str
    tool: Any
    on: tuple[str, ...]
    # Not in every round.
    once: bool = False

    @property
    def apart(self) -> bool:
        """Whether the contestant is started for this cell alone."""
        return self.tool.apart


def produce(
    *rest: str, size=1024, records=64, partitions=1, connections=1, inflight=5, acks="all"
) -> Load:
    """Batches made beforehand, on the wire: what it costs is the broker's."""
    shape = (
        *("--size", str(size), "--records", str(records), "--partitions", str(partitions)),
        *("--conns", str(connections), "--inflight", str(inflight), "--acks", acks),
    )
    # Every partition is written to once before the measured time, which makes its files. Few
    # partitions have the same time as many: the two are compared.
    warm_up_s = 2 if partitions > 1 and connections == 1 else 0.3
    return Load("raw-produce", (*shape, *rest), SHORT, warm_up_s)


def latency(rate: int) -> Load:
    shape = ("--rate", str(rate), "--size", "1024", "--linger-ms", "0", "--acks", "all")
    return Load("e2e", shape)


def ping_pong(clients: int, *rest: str) -> Load:
    shape = ("--clients", str(clients), "--partitions", str(clients), "--acks", "all")
    return Load("ping-pong", (*shape, "--turns", "1", *rest))


# Unless its row says otherwise, a produce cell sends 1 KiB records in uncompressed batches of
# 64 KiB to one partition over one connection, with acks=all.
CELLS = (
    Cell("produce/base", "1 KiB records, 64 KiB batches", produce(), ALL),
    Cell("produce/100B", "100 B records", produce(size=100, records=640), PEERS),
    Cell("produce/16KiB", "16 KiB records", produce(size=16384, records=4), PEERS),
    Cell("produce/12-partitions", "12 partitions", produce(partitions=12), PEERS),
    Cell("produce/1000-partitions", "1,000 partitions", produce(partitions=1000), PEERS),
    Cell("produce/acks-1", "acks=1", produce(acks="1"), PEERS),
    Cell("produce/lz4", "lz4", produce("--compression", "lz4"), PEERS),
    Cell("produce/zstd", "zstd", produce("--compression", "zstd"), PEERS),
    Cell("produce/16-connections", "16 connections", produce(partitions=16, connections=16), PEERS),
    Cell("produce/idempotent", "idempotent", produce("--idempotent"), PEERS),
    Cell(
        "produce/to-device",
        "1 KiB records, 64 KiB batches, beside the device",
        produce(*BESIDE_DEVICE),
        TO_DEVICE,
    ),
    Cell(
        "produce/16KiB-batches-to-device",
        "1 KiB records, 16 KiB batches, beside the device",
        produce(*BESIDE_DEVICE, records=15),
        TO_DEVICE,
    ),
    Cell("produce/deep", "64 batches under way", produce(inflight=64), (OS_CACHED,)),
    Cell(
        "produce/deep-to-device",
        "64 batches under way, beside the device",
        produce(*BESIDE_DEVICE, inflight=64),
        TO_DEVICE,
    ),
    Cell(
        "produce/single",
        "100 B, one record a request, 64 in flight",
        Load("raw-produce", SINGLE),
        (*PEERS, SYNCED, FLUSH),
    ),
    Cell(
        "fetch/sealed",
        "what is there already, again and again, up to 4 MiB a request",
        Read("raw-fetch", ("--max-bytes", "4194304", "--repeat")),
        CRITICAL,
    ),
    Cell(
        "both/tail",
        "one producer at full speed, one consumer at its heels",
        Load("both", ("--size", "1024", "--records", "64", "--acks", "1"), SHORT),
        PEERS,
    ),
    Cell(
        "librdkafka/produce",
        "1 KiB records through librdkafka",
        Load("produce", ("--size", "1024", "--acks", "all"), scale=0.6),
        CRITICAL,
    ),
    Cell(
        "librdkafka/consume",
        "1 KiB records through librdkafka at its defaults",
        Read("consume", warmed=False, scale=5),
        CRITICAL,
    ),
    Cell(
        "java/produce",
        "`kafka-producer-perf-test`, 1 KiB records",
        PerfProducer(),
        JVM_PEERS,
    ),
    Cell(
        "java/produce-to-device",
        "`kafka-producer-perf-test`, 1 KiB records, to the device",
        PerfProducer(share=0.2),
        # With one that waits for no device it is the client that is measured.
        (*TO_DEVICE, OS_CACHED),
    ),
    Cell(
        "java/consume",
        "`kafka-consumer-perf-test`, 1 KiB records",
        PerfConsumer(),
        JVM_PEERS,
    ),
    Cell("latency/1000", "end to end, 1,000 records/s", latency(1000), ALL),
    Cell(
        "latency/20000",
        "end to end, 20,000 records/s",
        latency(20_000),
        (*JVM_PEERS, *TO_DEVICE),
    ),
    Cell(
        "latency/idle",
        "end to end, our own client, acks=1, 200 records/s",
        OurBench("e2e", ("--rate", "200", "--size", "100", "--acks", "1")),
        (OS_CACHED, SYNCED, KAFKA),
    ),
    # It empties the page cache, and comes behind all that read what is in there.
    Cell(
        "both/catch-up",
        "a producer beside a reader that starts at the beginning",
        Load("catch-up", CATCH_UP, SHORT),
        (OS_CACHED, KAFKA),
    ),
    Cell(
        "idle/5000-connections",
        "5,000 connections that do nothing",
        Hold("idle", ("--connections", "5000")),
        PEERS,
    ),
    Cell(
        "ping/serial",
        "one client, one record at a time",
        ping_pong(1, *BESIDE_DEVICE),
        (*TO_DEVICE, OS_CACHED),
    ),
    Cell(
        "ping/slow-serial",
        "the same, with a sync of 1 ms",
        SlowDevice(ping_pong(1)),
        TO_DEVICE,
    ),
    Cell(
        "ping/slow-64",
        "64 clients over 64 partitions, one record at a time each, with a sync of 1 ms",
        SlowDevice(ping_pong(64)),
        TO_DEVICE,
    ),
    Cell("start/empty", "start to the first answer, empty", Startup(), CRITICAL),
    Cell(
        "start/10000-partitions",
        "10,000 idle partitions, start after a clean stop",
        Partitions(10_000),
        # Kafka takes minutes to make, close and delete them.
        (OS_CACHED,),
    ),
    Cell(LOOK_UP, "look-up by time in a log of 50 GiB", LookUp(), (OS_CACHED,), once=True),
)

# What the continuous integration measures, to see that all of it works; it need not have Java, nor
# build the benches.
SMOKE = (OS_CACHED, SYNCED)
SMOKE_CELLS = tuple(
    cell for cell in CELLS if not cell.name.startswith("java/") and cell.name != LOOK_UP
)
