"""What Klamm is meant to reach. Every row is judged by its median over the rounds."""

from dataclasses import dataclass

from .matrix import FLUSH, KAFKA, LOOK_UP, OS_CACHED, SQLITE, SYNCED, TANSU
from .results import WHOLE
from .series import Measure, floor, least, middle, minus, number, over, scaled, spread, value

NONE = "·"
SPEED, CPU = "mb_per_s", "broker_cpu_s_per_gib"
P50, P99 = "e2e_p50_us", "e2e_p99_us"


@dataclass(frozen=True)
class Criterion:
    """A figure and its limit, `at_least` or `at_most`; without one it is there to judge others by.
    `machine` is what plain programs reach beside it, where the target speaks of the machine. What
    is judged by a floor is not if it lies below: then the floor is none."""

    what: str
    of: Measure
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    on_request: bool = False
    machine: Measure | None = None
    by_floor: bool = False

    def target(self) -> str:
        if self.at_least is not None:
            return f"at least {short(self.at_least)}{self.unit}"
        return NONE if self.at_most is None else f"at most {short(self.at_most)}{self.unit}"

    def row(self, results) -> tuple[str, str, str, str, str]:
        """What, target, measured, what the machine does itself, and whether the target is met."""
        series, machine = self.of(results), self.machine(results) if self.machine else {}
        measured = spread(series) + self.unit if series else "not measured here"
        beside = spread(machine) + self.unit if machine else NONE
        return self.what, self.target(), measured, beside, self.verdict(middle(series))

    def verdict(self, centre: float | None) -> str:
        if self.at_least is None and self.at_most is None:
            return NONE
        if centre is None or (self.by_floor and centre < 1):
            return "unknown"
        met = centre >= self.at_least if self.at_least is not None else centre <= self.at_most
        return "yes" if met else "**no**"


def short(limit: float) -> str:
    told = number(limit)
    return told.rstrip("0").rstrip(".") if "." in told else told


def against(cell: str, other: str, key: str, mine: str = OS_CACHED) -> Measure:
    """How many times the other's figure ours is."""
    return over(value(cell, mine, key), value(cell, other, key))


def faster(
    cell: str, what: str, other: str, times: float | None = None, mine: str = OS_CACHED
) -> Criterion:
    return Criterion(what, against(cell, other, SPEED, mine), " times", at_least=times)


def cheaper(cell: str, what: str, other: str, share: float) -> Criterion:
    return Criterion(what, against(cell, other, CPU), " times", at_most=share)


def latency_rows() -> list[Criterion]:
    return [
        Criterion(
            f"`os-cached` : Kafka, end-to-end {label} at {rate:,} records/s",
            against(f"latency/{rate}", KAFKA, key),
            " times",
            at_most=1,
        )
        for rate in (1000, 20_000)
        for label, key in (("p50", P50), ("p99", P99))
    ]


def sqlite_rows() -> list[Criterion]:
    def row(cell: str, what: str, key: str, **limit: float) -> Criterion:
        ratio = against(cell, SQLITE, key)
        return Criterion(
            f"{OS} : Tansu on SQLite, {what}", ratio, " times", on_request=True, **limit
        )

    throughput = (
        ("librdkafka/produce", "produce, librdkafka"),
        ("librdkafka/consume", "consume, librdkafka"),
        ("produce/base", "batches of 64 KiB in"),
        ("fetch/sealed", "batches of 64 KiB out"),
    )
    return [
        *(row(cell, what, SPEED, at_least=10) for cell, what in throughput),
        *(row(cell, f"CPU a GiB, {what}", CPU, at_most=0.1) for cell, what in throughput),
        *(
            row("latency/1000", f"end-to-end {label} at 1,000 records/s", key, at_most=0.1)
            for label, key in (("p50", P50), ("p99", P99))
        ),
    ]


OS = "`os-cached`"
SERIAL = "acks_per_s"
# A plain program that receives over one connection, checksums and writes.
PLAIN = scaled(floor("produce_floor_gb_per_s"), 1000)
# A plain program that writes as much as the producers have under way, and syncs.
DEVICE = value("produce/to-device", SYNCED, "device_mb_per_s")
CRITERIA = (
    Criterion(
        f"{OS}, batches of 64 KiB in: broker CPU s/GiB",
        value("produce/base", OS_CACHED, CPU),
        at_most=0.36,
        machine=floor("produce_floor_cpu_s_per_gib"),
    ),
    Criterion(
        "the same against the machine's floor (receive, checksum, write)",
        over(value("produce/base", OS_CACHED, CPU), floor("produce_floor_cpu_s_per_gib")),
        " times",
        at_most=2,
        by_floor=True,
    ),
    Criterion(
        f"{OS}, batches of 64 KiB on one connection",
        value("produce/base", OS_CACHED, SPEED),
        " MB/s",
        at_least=2500,
        machine=PLAIN,
    ),
    Criterion(
        "the same against that plain program, which made 5,900 MB/s where the target was set",
        over(value("produce/base", OS_CACHED, SPEED), PLAIN),
        " times",
        at_least=0.42,
    ),
    Criterion(
        f"{OS}, single-record requests, pipelined on one connection",
        value("produce/single", OS_CACHED, "requests_per_s"),
        " a second",
        at_least=100_000,
    ),
    Criterion(
        "fetch of sealed data: broker CPU s/GiB",
        value("fetch/sealed", OS_CACHED, CPU),
        at_most=0.16,
        machine=floor("sendfile_cpu_s_per_gib"),
    ),
    Criterion(
        "the same against the machine's floor (sendfile)",
        over(value("fetch/sealed", OS_CACHED, CPU), floor("sendfile_cpu_s_per_gib")),
        " times",
        at_most=2,
        by_floor=True,
    ),
    Criterion(
        "reading the tail: what it adds to producing, broker CPU s/GiB",
        minus(value("both/tail", OS_CACHED, CPU), value("produce/acks-1", OS_CACHED, CPU)),
        at_most=0.24,
    ),
    Criterion(
        "a producer at half its speed beside a cold reader from the start, of its speed alone",
        value("both/catch-up", OS_CACHED, "beside_per_alone"),
        at_least=0.9,
    ),
    Criterion(
        "the p99 of its acknowledgements beside that reader, against alone",
        over(
            value("both/catch-up", OS_CACHED, "beside_ack_p99_us"),
            value("both/catch-up", OS_CACHED, "alone_ack_p99_us"),
        ),
        " times",
    ),
    Criterion(
        "the same at full speed, where client, reader and broker share two cores",
        value("both/catch-up", OS_CACHED, "full_beside_per_alone"),
    ),
    Criterion(
        "consume through librdkafka at its defaults, 1 KiB",
        value("librdkafka/consume", OS_CACHED, SPEED),
        " MB/s",
        at_least=2000,
    ),
    faster("java/produce", f"{OS} : Kafka, `kafka-producer-perf-test`", KAFKA, 2),
    faster("java/consume", f"{OS} : Kafka, `kafka-consumer-perf-test`", KAFKA, 2),
    faster("produce/base", f"{OS} : Kafka, batches of 64 KiB in", KAFKA, 2),
    faster("fetch/sealed", f"{OS} : Kafka, batches of 64 KiB out", KAFKA, 2),
    cheaper("java/produce", f"{OS} : Kafka, CPU a GiB, `kafka-producer-perf-test`", KAFKA, 1 / 3),
    cheaper("java/consume", f"{OS} : Kafka, CPU a GiB, `kafka-consumer-perf-test`", KAFKA, 1 / 3),
    cheaper("produce/base", f"{OS} : Kafka, CPU a GiB, batches of 64 KiB in", KAFKA, 1 / 3),
    cheaper("fetch/sealed", f"{OS} : Kafka, CPU a GiB, batches of 64 KiB out", KAFKA, 1 / 3),
    Criterion(
        f"{OS} : Kafka, peak memory over all cells",
        against(WHOLE, KAFKA, "broker_peak_rss_mib"),
        " times",
        at_most=0.1,
    ),
    Criterion(
        f"{OS} : Kafka, memory when idle and empty",
        against("start/empty", KAFKA, "rss_mib"),
        " times",
        at_most=0.1,
    ),
    Criterion(
        f"{OS} : Kafka, time to start",
        against("start/empty", KAFKA, "ready_ms"),
        " times",
        at_most=0.05,
    ),
    *latency_rows(),
    faster("java/produce-to-device", "`synced` : Kafka that flushes, perf-test", FLUSH, 5, SYNCED),
    faster("java/produce-to-device", f"what that client itself is good for: {OS} so", FLUSH),
    Criterion(
        "cores that it keeps busy, of two, while `synced` is measured",
        value("java/produce-to-device", SYNCED, "client_busy_cores"),
    ),
    faster(
        "produce/16KiB-batches-to-device",
        "`synced` : Kafka that flushes, such batches of 16 KiB made beforehand",
        FLUSH,
        5,
        SYNCED,
    ),
    faster("produce/base", "`synced` : Kafka that flushes, 64 KiB batches", FLUSH, 5, SYNCED),
    faster("produce/single", "`synced` : Kafka that flushes, single records", FLUSH, 5, SYNCED),
    Criterion(
        "`synced` : Kafka that flushes, 64 clients, sync of 1 ms",
        against("ping/slow-64", FLUSH, SERIAL, SYNCED),
        " times",
        at_least=5,
    ),
    faster("librdkafka/produce", f"{OS} : Tansu in memory, produce, librdkafka", TANSU, 1),
    cheaper("librdkafka/produce", f"{OS} : Tansu in memory, CPU a GiB of that", TANSU, 1),
    faster("produce/base", f"{OS} : Tansu in memory, batches of 64 KiB in", TANSU, 1),
    cheaper("produce/base", f"{OS} : Tansu in memory, CPU a GiB of that", TANSU, 1),
    faster("librdkafka/consume", f"{OS} : Tansu in memory, consume, librdkafka", TANSU, 3),
    Criterion(
        f"{OS} : Tansu in memory, end-to-end p50 at 1,000 records/s",
        against("latency/1000", TANSU, P50),
        " times",
        at_most=0.01,
    ),
    *sqlite_rows(),
    Criterion(
        "`synced`, one record at a time, of the device's own serial sync rate, "
        "less a round trip each",
        value("ping/serial", SYNCED, "acks_per_device_sync"),
        at_least=0.8,
    ),
    Criterion(
        "`synced`, sync of 1 ms: 64 clients against one",
        over(value("ping/slow-64", SYNCED, SERIAL), value("ping/slow-serial", SYNCED, SERIAL)),
        " times",
        at_least=20,
    ),
    Criterion(
        f"`synced` : {OS}, batches of 64 KiB in",
        over(value("produce/base", SYNCED, SPEED), value("produce/base", OS_CACHED, SPEED)),
        " times",
        at_least=0.85,
        machine=over(DEVICE, value("produce/base", OS_CACHED, SPEED)),
    ),
    Criterion(
        f"the same against the device's own synced bandwidth or {OS}, whichever is less",
        over(
            value("produce/to-device", SYNCED, SPEED),
            least(DEVICE, value("produce/base", OS_CACHED, SPEED)),
        ),
        " times",
        at_least=0.85,
    ),
    Criterion(
        "the same with 64 batches under way",
        over(
            value("produce/deep-to-device", SYNCED, SPEED),
            least(
                value("produce/deep-to-device", SYNCED, "device_mb_per_s"),
                value("produce/deep", OS_CACHED, SPEED),
            ),
        ),
        " times",
        at_least=0.85,
    ),
    Criterion(
        f"{OS}, idle end-to-end latency with our client, p50",
        value("latency/idle", OS_CACHED, P50),
        " µs",
        at_most=150,
        machine=floor("relay_p50_us"),
    ),
    Criterion(
        f"{OS}, idle end-to-end latency with our client, p99",
        value("latency/idle", OS_CACHED, P99),
        " µs",
        at_most=500,
        machine=floor("relay_p99_us"),
    ),
    Criterion(
        "that p50 against a raw relay over loopback, one message at a time",
        over(value("latency/idle", OS_CACHED, P50), floor("relay_p50_us")),
        " times",
    ),
    Criterion(
        "CPU a GiB with 1,000 partitions against 12",
        over(
            value("produce/1000-partitions", OS_CACHED, CPU),
            value("produce/12-partitions", OS_CACHED, CPU),
        ),
        " times",
        at_most=1.5,
    ),
    Criterion(
        "memory of an idle partition",
        value("start/10000-partitions", OS_CACHED, "kib_per_partition"),
        " KiB",
        at_most=8,
    ),
    Criterion(
        "memory of an idle connection",
        value("idle/5000-connections", OS_CACHED, "broker_kib_per_connection"),
        " KiB",
        at_most=16,
    ),
    Criterion(
        "start with 10,000 partitions after a clean stop",
        value("start/10000-partitions", OS_CACHED, "ready_ms"),
        " ms",
        at_most=1000,
    ),
    Criterion(
        "look-up by time in a log of 50 GiB, nothing of it in memory",
        value(LOOK_UP, OS_CACHED, "log_cold_ms"),
        " ms",
        at_most=5,
        machine=value(LOOK_UP, OS_CACHED, "floor_cold_ms"),
    ),
)


def rows(results) -> list[tuple[str, str, str, str, str]]:
    """Of those that take a request, the ones that were measured."""
    return [
        criterion.row(results)
        for criterion in CRITERIA
        if not criterion.on_request or criterion.of(results)
    ]
