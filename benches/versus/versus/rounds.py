"""The order of a run: rounds, in each of them every contestant, and of each every cell."""

import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from . import machine
from .contestants import Contestant, fresh, remove
from .matrix import Cell
from .results import FLOOR, WHOLE, Result, ResultFile, Round
from .session import Refused, Session, floor, memory_mib

# How long each of the machine's own figures takes, of a cell's length, and all, of that.
FLOOR_SHARE = 1 / 6
FLOORS = 22


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    rounds: int
    seconds: float
    cells: tuple[Cell, ...]
    contestants: tuple[Contestant, ...]

    def order(self, number: int) -> list[Contestant]:
        """Who comes when in a round: each round begins with another one."""
        first = number % len(self.contestants)
        return [*self.contestants[first:], *self.contestants[:first]]

    def cells_of(self, contestant: Contestant, number: int) -> list[Cell]:
        """What is measured of it in this round."""
        return [
            cell
            for cell in self.cells
            if contestant.name in cell.on and (number == 0 or not cell.once)
        ]

    def cost_s(self) -> float:
        """How long it will take, roughly."""
        floors = 2 * FLOORS * self.floor_s
        return sum(
            floors + sum(self.cost_of(contestant, number) for contestant in self.contestants)
            for number in range(self.rounds)
        )

    @property
    def floor_s(self) -> float:
        return self.seconds * FLOOR_SHARE

    def cost_of(self, contestant: Contestant, number: int) -> float:
        cells = self.cells_of(contestant, number)
        starts = 1 + sum(2 for cell in cells if cell.apart)
        return sum(cell.tool.cost_s(self.seconds) for cell in cells) + (
            starts * contestant.start_s + contestant.warm_up_s
        )

    def describe(self) -> str:
        lines = [
            f"  {contestant.name:<16} {len(self.cells_of(contestant, 0)):>3} cells, "
            f"about {self.cost_of(contestant, 0):.0f} s in the first round"
            for contestant in self.contestants
        ]
        total = f"{self.rounds} rounds, {self.seconds:g} s a cell: {self.cost_s() / 60:.0f} minutes"
        return "\n".join([*lines, total])


class Run:
    """A plan on its way; what is in the file already is not measured again."""

    def __init__(self, plan: Plan, file: ResultFile, folder: Path):
        self.plan = plan
        self.file = file
        self.folder = folder
        self.done = set(file.read().by_place)
        self.measured = self.failed = 0

    def all(self) -> None:
        for number in range(self.plan.rounds):
            self.round(number)

    def round(self, number: int) -> None:
        began = Round(number, now(), machine.load_average(), machine.busy())
        self.file.begin(began)
        loud = " (not quiet)" if began.busy > machine.NOISE else ""
        print(
            f"== round {number + 1}: load average {began.load_average:.2f}, "
            f"{began.busy:.0%} of the machine used by others{loud}",
            flush=True,
        )
        machine_itself = partial(floor, self.folder, self.plan.floor_s)
        self.measure(number, f"{FLOOR}/before", FLOOR, machine_itself)
        for contestant in self.plan.order(number):
            self.visit(number, contestant)
        self.measure(number, f"{FLOOR}/after", FLOOR, machine_itself)

    def visit(self, number: int, contestant: Contestant) -> None:
        """All cells of one contestant: those in a row on one process, then those apart."""
        cells = [
            cell
            for cell in self.plan.cells_of(contestant, number)
            if (number, cell.name, contestant.name) not in self.done
        ]
        in_a_row = [cell for cell in cells if not cell.apart]
        if in_a_row:
            self.row(number, contestant, in_a_row)
        for cell in cells:
            if cell.apart:
                self.alone(number, contestant, cell)

    def row(self, number: int, contestant: Contestant, cells: list[Cell]) -> None:
        session = self.session(contestant)
        try:
            session.start()
            if contestant.warm_up_s:
                session.warm_up(contestant.warm_up_s)
            for cell in cells:
                self.measure(
                    number, cell.name, contestant.name, lambda cell=cell: within(session, cell)
                )
                if not session.alive:
                    session.revive()
            self.measure(number, WHOLE, contestant.name, lambda: memory(session))
        finally:
            session.broker.stop()
            remove(session.broker)

    def alone(self, number: int, contestant: Contestant, cell: Cell) -> None:
        session = self.session(contestant)
        try:
            tool = partial(cell.tool.measure, session, cell.name)
            self.measure(number, cell.name, contestant.name, tool)
        finally:
            session.broker.stop()
            remove(session.broker)

    def session(self, contestant: Contestant) -> Session:
        return Session(contestant, lambda: fresh(contestant, self.folder), self.plan.seconds)

    def measure(self, number: int, cell: str, contestant: str, tool) -> None:
        """Runs the tool and appends what came of it."""
        if (number, cell, contestant) in self.done:
            return
        load, begun = machine.load_average(), time.monotonic()
        figures, reason = {}, ""
        try:
            figures = tool()
            self.measured += 1
        except (Refused, RuntimeError) as error:
            reason = str(error)
            self.failed += 1
        took = round(time.monotonic() - begun, 2)
        self.file.add(Result(number, cell, contestant, now(), load, took, figures, reason))
        said = reason or brief(figures)
        print(f"  {contestant:<16} {cell:<24} {took:>5.1f} s  {said}", flush=True)


def within(session: Session, cell: Cell) -> dict:
    """One cell of a row: its topic is gone when it is over."""
    before = session.bytes_on_disk()
    try:
        return cell.tool.measure(session, cell.name)
    finally:
        topic = cell.tool.topic(cell.name)
        if topic and session.alive:
            session.delete(topic, before)


def memory(session: Session) -> dict:
    """What the contestant holds after all its cells, and what it held at most since the last that
    began its peak anew."""
    return {
        "broker_rss_mib": memory_mib(session.pid, "VmRSS"),
        "broker_peak_rss_mib": memory_mib(session.pid, "VmHWM"),
    }


BRIEF = (
    *("mb_per_s", "broker_cpu_s_per_gib", "e2e_p50_us", "e2e_p99_us", "acks_per_s", "ready_ms"),
    *("kib_per_partition", "broker_kib_per_connection", "beside_per_alone", "broker_peak_rss_mib"),
)


def brief(figures: dict) -> str:
    return "  ".join(f"{name} {figures[name]:.4g}" for name in BRIEF if name in figures)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
