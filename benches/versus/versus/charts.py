"""Which charts are drawn of the results."""

from .contestants import CONTESTANTS
from .plot import COLOURS, Bar, Chart
from .results import WHOLE, Results
from .series import middle, value

THROUGHPUT = (
    ("produce/base", "batches of 64 KiB in, acks=all"),
    ("fetch/sealed", "batches of 64 KiB out"),
    ("librdkafka/produce", "librdkafka, produce"),
    ("librdkafka/consume", "librdkafka, consume"),
    ("java/produce", "kafka-producer-perf-test"),
    ("java/consume", "kafka-consumer-perf-test"),
)
LATENCY = (
    ("latency/1000", "e2e_p50_us", "1,000 records/s, p50"),
    ("latency/1000", "e2e_p99_us", "1,000 records/s, p99"),
    ("latency/20000", "e2e_p50_us", "20,000 records/s, p50"),
    ("latency/20000", "e2e_p99_us", "20,000 records/s, p99"),
)
FOOTPRINT = (
    ("start/empty", "ready_ms", "start to the first answer, ms"),
    ("start/empty", "rss_mib", "memory when idle and empty, MiB"),
    (WHOLE, "broker_peak_rss_mib", "memory at most, over all cells, MiB"),
)


def group(results: Results, cell: str, key: str) -> list[Bar]:
    """A bar for each contestant that has the figure."""
    bars = []
    for contestant in CONTESTANTS:
        series = value(cell, contestant.name, key)(results)
        centre = middle(series)
        if centre is not None:
            span = (min(series.values()), max(series.values()))
            bars.append(Bar(contestant.name, centre, *span, COLOURS[contestant.name]))
    return bars


def charts(results: Results) -> dict[str, Chart]:
    """By the name of the file."""
    records = "records of 1 KiB · lines: least to most"
    return {
        "throughput": Chart(
            "Throughput, MB/s (more is better)",
            records,
            [(label, group(results, cell, "mb_per_s")) for cell, label in THROUGHPUT],
        ),
        "cpu": Chart(
            "CPU seconds of the broker a GiB (less is better)",
            records,
            [(label, group(results, cell, "broker_cpu_s_per_gib")) for cell, label in THROUGHPUT],
            logarithmic=True,
        ),
        "latency": Chart(
            "End-to-end latency, µs (less is better)",
            "librdkafka, linger 0, acks=all",
            [(label, group(results, cell, key)) for cell, key, label in LATENCY],
            logarithmic=True,
        ),
        "footprint": Chart(
            "Start and memory (less is better)",
            "medians",
            [(label, group(results, cell, key)) for cell, key, label in FOOTPRINT],
            logarithmic=True,
        ),
    }
