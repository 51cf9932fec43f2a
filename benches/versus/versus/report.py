"""Writes what was measured into the report, between two marks, and draws its plots."""

import argparse
import re
import sys
from pathlib import Path
from statistics import median

from . import criteria, machine, tables
from .charts import charts
from .contestants import CONTESTANTS
from .matrix import SHORT
from .paths import PLOTS, REPORT, RESULTS
from .results import ResultFile, Results
from .series import number

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/versus/report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", help="a file of results (the newest)")
    return parser.parse_args()


def newest() -> Path:
    return max(RESULTS.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)


def measured(results: Results) -> str:
    """All that stands between the marks."""
    met = criteria.rows(results)
    verdicts = [verdict for *_, verdict in met if verdict != criteria.NONE]
    return "\n".join([
        "## On what, and when\n",
        surroundings(results),
        "## Who\n",
        contestants(results),
        "## What was meant to be reached\n",
        f"{verdicts.count('yes')} of {len(verdicts)} are met. The figure is the median, in "
        "brackets the least and the most of the rounds. Beside it stands what plain programs "
        "without a broker do in the same round, where the target speaks of the machine.\n",
        tables.markdown(["", "target", "measured", "the machine itself", "met"], met),
        "## The machine itself\n",
        tables.machine(results),
        "## Plots\n",
        "\n".join(picture(name) for name in charts(results)),
        "\n## Figures\n",
        "Median (least..most) of the rounds, and how many times the figure of `klamm-os-cached` "
        f"that is within a round, again the median. {tables.NONE} is not measured.\n",
        *filter(None, (tables.render(table, results) for table in tables.TABLES)),
    ])  # fmt: skip


def surroundings(results: Results) -> str:
    run = results.runs[-1]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    rounds = sorted({result.round for result in results.by_place.values()})
    began = {entry.round: entry for entry in results.rounds}
    loads = [entry.load_average for entry in began.values()]
    busy = [entry.busy for entry in began.values()]
    rows = [
        ["machine", f"{run['cores']} cores of {run['cpu']}, {run['memory_gib']} GiB"],
        ["kernel, file system", f"Linux {run['kernel']}, {run['file_system']}"],
        ["date", results.runs[0]["at"][:10]],
        ["versions", versions],
        [
            "rounds, seconds a cell",
            f"{len(rounds)}, {run['seconds']:g}; {run['seconds'] * SHORT:g} where batches made "
            "beforehand are produced",
        ],
        ["load average before a round", f"{number(min(loads))} to {number(max(loads))}"],
        [
            "used by others just before a round",
            f"median {median(busy):.0%}, at most {max(busy):.0%} of the machine",
        ],
    ]
    loud = [entry for entry in began.values() if entry.busy > machine.NOISE]
    said = tables.markdown(["", ""], rows).replace("--:", "---")
    if loud:
        said += (
            f"\n**The machine was not quiet before {len(loud)} of {len(began)} rounds:** "
            "take the ratios for what they are, and the absolute figures for less.\n"
        )
    return said


def contestants(results: Results) -> str:
    seen = {contestant for _, _, contestant in results.by_place}
    return "".join(f"- `{one.name}`: {one.what}\n" for one in CONTESTANTS if one.name in seen)


def picture(name: str) -> str:
    return f'<img src="performance/{name}.svg" width="700" alt="{name}">\n'


def between_marks(page: str, text: str) -> str:
    """The page with `text` where its marks are."""
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"{REPORT} has no {BEGIN} and {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n{END}", page)


def main() -> int:
    path = arguments().results or newest()
    results = ResultFile(path).read()
    if not results.by_place:
        print(f"{path} holds no results", file=sys.stderr)
        return 1
    REPORT.write_text(between_marks(REPORT.read_text(), measured(results)))
    PLOTS.mkdir(exist_ok=True)
    for name, chart in charts(results).items():
        (PLOTS / f"{name}.svg").write_text(chart.svg())
    print(f"{REPORT} says what {path} holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
