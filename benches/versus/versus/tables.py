"""The tables of the report: cells down, contestants across."""

from dataclasses import dataclass

from .contestants import CONTESTANTS
from .matrix import CELLS, OS_CACHED
from .results import Results
from .rounds import WHOLE
from .series import floor, middle, number, over, spread, value

NONE = "·"


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
        "Producers beside a reader from the start, of their speed alone",
        ("both/catch-up",),
        "beside_per_alone",
    ),
    Table("Through clients: MB/s", ("librdkafka/", "java/"), "mb_per_s"),
    Table("Through clients: broker CPU s/GiB", ("librdkafka/", "java/"), "broker_cpu_s_per_gib"),
    Table("Through clients: client CPU s/GiB", ("librdkafka/", "java/"), "client_cpu_s_per_gib"),
    Table("End-to-end latency: p50, µs", ("latency/",), "e2e_p50_us"),
    Table("End-to-end latency: p99, µs", ("latency/",), "e2e_p99_us"),
    Table("One record at a time: acknowledged a second", ("ping/",), "acks_per_s"),
    Table("Start to the first answer: ms", ("start/",), "ready_ms"),
    Table("Memory after the start: MiB", ("start/",), "rss_mib"),
    Table("Memory of an idle partition: KiB", ("start/",), "kib_per_partition"),
    Table("Memory of an idle connection: KiB", ("idle/",), "broker_kib_per_connection"),
    Table("Memory at most, over all cells: MiB", (WHOLE,), "broker_peak_rss_mib"),
)
WHAT = {cell.name: cell.what for cell in CELLS} | {WHOLE: "all of its cells"}


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
    """Median, spread, and the ratio to Klamm `os-cached`; or why there is none."""
    measured = value(cell, contestant, key)(results)
    if not measured:
        reasons = [result.reason for result in results.of(cell, contestant) if result.reason]
        return f"*{escape(reasons[-1])}*" if reasons else NONE
    told = spread(measured)
    ratio = middle(over(value(cell, contestant, key), value(cell, OS_CACHED, key))(results))
    if contestant == OS_CACHED or ratio is None:
        return told
    return f"{told} · {number(ratio)}×"


def escape(said: str) -> str:
    return said.replace("|", "\\|").replace("*", "\\*")


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
