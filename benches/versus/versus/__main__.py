"""Measures Klamm beside Apache Kafka and Tansu, several interleaved rounds of the same cells."""

import argparse
import fcntl
import signal
import sys
from fnmatch import fnmatch
from pathlib import Path

from bench.broker import klamm_binary

from . import fetch, machine, versions
from .contestants import CONTESTANTS, ON_REQUEST
from .matrix import CELLS, LOOK_UP, SMOKE, SMOKE_CELLS
from .paths import RESULTS, WORK
from .results import ResultFile
from .rounds import Plan, Run, clear, now

SMOKE_SECONDS = 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/versus/run", description=__doc__)
    names = [contestant.name for contestant in CONTESTANTS]
    parser.add_argument("--rounds", type=int, default=5, help="how many (5)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a cell (3)")
    parser.add_argument("--cells", default="*", metavar="GLOB", help="these alone")
    parser.add_argument("--contestants", nargs="+", choices=names, help="these alone")
    flag = {"action": "store_true"}
    parser.add_argument("--sqlite", **flag, help="Tansu on SQLite, too: half an hour to build")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="go on with these results")
    parser.add_argument("--smoke", **flag, help="Klamm alone, briefly; fails if a cell does")
    parser.add_argument("--plan", **flag, help="print the plan, and measure nothing")
    return parser.parse_args()


def plan(options: argparse.Namespace) -> Plan:
    wanted = options.contestants or [
        contestant.name
        for contestant in CONTESTANTS
        if options.sqlite or contestant.name not in ON_REQUEST
    ]
    cells = CELLS
    if options.smoke:
        cells = SMOKE_CELLS
        wanted, options.rounds, options.seconds = SMOKE, 1, SMOKE_SECONDS
    return Plan(
        rounds=options.rounds,
        seconds=options.seconds,
        cells=tuple(cell for cell in cells if fnmatch(cell.name, options.cells)),
        contestants=tuple(one for one in CONTESTANTS if one.name in wanted),
    )


def prepare(chosen: Plan) -> None:
    """Builds and fetches before anything is measured."""
    klamm_binary()
    fetch.load_generator()
    fetch.slow_sync()
    for contestant in chosen.contestants:
        contestant.fetch()
        if any(cell.name == LOOK_UP for cell in chosen.cells_of(contestant, 0)):
            fetch.look_up_bench()


def main() -> int:
    options = arguments()
    chosen = plan(options)
    print(chosen.describe(), flush=True)
    if options.plan:
        return 0
    # So that a run that is ended also ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run is under way: they would measure each other", file=sys.stderr)
            return 1
        return measure(chosen, options)


def measure(chosen: Plan, options: argparse.Namespace) -> int:
    """Builds, runs the plan, and says how many cells came to an end."""
    prepare(chosen)
    file = ResultFile(options.resume or RESULTS / f"{now().replace(':', '')}.jsonl")
    folder = WORK / "data"
    clear(folder)
    described = {"at": now(), "seconds": chosen.seconds, **machine.description(folder)}
    file.append("run", {**described, "versions": versions.of(chosen.contestants)})
    print(f"results go to {file.path}", flush=True)
    run = Run(chosen, file, folder)
    run.all()
    clear(folder)
    print(f"{run.measured} passed, {run.failed} failed")
    return 1 if options.smoke and run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
