"""The tables of the report: cells down, contestants across."""

from collections.abc import Iterable
from dataclasses import dataclass

from .contestants import CONTESTANTS
from .criteria import NONE
from .matrix import CELLS, OS_CACHED
from .results import WHOLE, Results
from .series import floor, middle, number, over, spread, value


@dataclass(frozen=True)
class Table:
    """One figure over cells that have it. `floor` names the machine's own, where there is one."""

    title: str
    prefixes: tuple[str, ...]
    key: str
    floor: str = ""


TABLES = (
    Table("Producing: MB/s", ("produce/",), "mb_per_s"),
    Table(
        "Producing: broker CPU s/GiB",
        ("produce/",),
        "broker_cpu_s_per_gib",
        "produce_floor_cpu_s_per_gib",
    ),
    Table("Producing: requests a second", ("produce/single",), "requests_per_s"),
    Table("Reading: MB/s", ("fetch/",), "mb_per_s"),
    Table(
        "Reading: broker CPU s/GiB",
        ("fetch/",),
        "broker_cpu_s_per_gib",
        "sendfile_cpu_s_per_gib",
    ),
    Table("Producing and reading together: MB/s of the producer", ("both/",), "mb_per_s"),
    Table("Producing and reading together: broker CPU s/GiB", ("both/",), "broker_cpu_s_per_gib"),
    Table(
        "A producer at half its speed beside a reader from the start: of its speed alone",
        ("both/catch-up",),
        "beside_per_alone",
    ),
    Table(
        "The same: p99 of the acknowledgements alone, µs",
        ("both/catch-up",),
        "alone_ack_p99_us",
    ),
    Table(
        "The same: p99 of the acknowledgements beside that reader, µs",
        ("both/catch-up",),
        "beside_ack_p99_us",
    ),
    Table(
        "The same at full speed, all on the same cores: of its speed alone",
        ("both/catch-up",),
        "full_beside_per_alone",
    ),
    Table("Through clients: MB/s", ("librdkafka/", "java/"), "mb_per_s"),
    Table("Through clients: broker CPU s/GiB", ("librdkafka/", "java/"), "broker_cpu_s_per_gib"),
    Table("Through clients: client CPU s/GiB", ("librdkafka/", "java/"), "client_cpu_s_per_gib"),
    Table("End-to-end latency: p50, µs", ("latency/",), "e2e_p50_us"),
    Table("End-to-end latency: p99, µs", ("latency/",), "e2e_p99_us"),
    Table("One record at a time: acknowledged a second", ("ping/",), "acks_per_s"),
    Table("Start to the first answer: ms", ("start/",), "ready_ms"),
    Table("Memory after the start: MiB", ("start/",), "rss_mib"),
    Table("Look-up by time, nothing of it in memory: ms", ("lookup/",), "log_cold_ms"),
    Table("Memory of an idle partition: KiB", ("start/",), "kib_per_partition"),
    Table("Memory of an idle connection: KiB", ("idle/",), "broker_kib_per_connection"),
    Table("Memory at most, over all cells: MiB", (WHOLE,), "broker_peak_rss_mib"),
)
WHAT = {cell.name: cell.what for cell in CELLS} | {WHOLE: "all of its cells"}


# What plain programs do, by the load generator's names.
MACHINE = (
    ("memory that was free, written to for the first time", "first_touch_gb_per_s", "GB/s"),
    ("one stream over loopback", "stream_gb_per_s", "GB/s"),
    ("receive over one connection, checksum, write", "produce_floor_gb_per_s", "GB/s"),
    ("`sendfile` to one connection", "sendfile_gb_per_s", "GB/s"),
    ("append 4 KiB and sync, again and again", "sync_per_s", "a second"),
    ("append 64 KiB and sync", "sync_64_kib_mb_per_s", "MB/s"),
    ("append 320 KiB and sync", "sync_320_kib_mb_per_s", "MB/s"),
    ("append and sync, with the best of several sizes up to 4 MiB", "sync_best_mb_per_s", "MB/s"),
    ("round trip over loopback, p50", "round_trip_p50_us", "µs"),
    ("relay of 200 messages a second, p50", "relay_p50_us", "µs"),
    ("relay of 200 messages a second, p99", "relay_p99_us", "µs"),
)


def machine(results: Results) -> str:
    measured = [(what, floor(key)(results), unit) for what, key, unit in MACHINE]
    rows = [[what, f"{spread(series)} {unit}"] for what, series, unit in measured if series]
    return markdown(["", "before and after the rounds"], rows)


def cells_of(table: Table) -> list[str]:
    return [name for name in WHAT if name.startswith(table.prefixes)]


def render(table: Table, results: Results) -> str:
    """Markdown; nothing when no cell has the figure."""
    cells = [cell for cell in cells_of(table) if any_figure(cell, table.key, results)]
    if not cells:
        return ""
    seen = [
        contestant.name
        for contestant in CONTESTANTS
        if any(results.of(cell, contestant.name) for cell in cells)
    ]
    floors = [("floor", spread(floor(table.floor)(results)))] if table.floor else []
    rows = [
        [WHAT[cell], *(figure(cell, name, table.key, results) for name in seen),
         *(text for _, text in floors)]
        for cell in cells
    ]  # fmt: skip
    return f"### {table.title}\n\n{markdown(['', *seen, *(name for name, _ in floors)], rows)}\n"


def any_figure(cell: str, key: str, results: Results) -> bool:
    return any(value(cell, contestant.name, key)(results) for contestant in CONTESTANTS)


def figure(cell: str, contestant: str, key: str, results: Results) -> str:
    """Median, spread, and the ratio to Klamm `os-cached`; or why there is none. Rounds in which it
    failed are told."""
    measured = value(cell, contestant, key)(results)
    reasons = [result.reason for result in results.of(cell, contestant) if result.reason]
    if not measured:
        return f"*{escape(reasons[-1])}*" if reasons else NONE
    failed = f", *{len(reasons)} failed*" if reasons else ""
    told = spread(measured) + failed
    ratio = middle(over(value(cell, contestant, key), value(cell, OS_CACHED, key))(results))
    if contestant == OS_CACHED or ratio is None:
        return told
    return f"{told} · {number(ratio)}×"


def escape(said: str) -> str:
    return said.replace("|", "\\|").replace("*", "\\*")


def markdown(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
