"""The file of results: one JSON object a line, so that a run that was cut short counts."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

FLOOR = "floor"
# The cell of what concerns all cells of a contestant.
WHOLE = "whole/memory"


@dataclass(frozen=True)
class Result:
    """What one contestant did in one cell of one round: figures, or the reason for none."""

    round: int
    cell: str
    contestant: str
    at: str
    load_average: float
    seconds: float
    figures: dict = field(default_factory=dict)
    reason: str = ""

    @property
    def place(self) -> tuple[int, str, str]:
        return self.round, self.cell, self.contestant


@dataclass(frozen=True)
class Round:
    """When a round began, and how much of the machine others were using."""

    round: int
    at: str
    load_average: float
    busy: float


class ResultFile:
    """Appends; reads what earlier runs appended."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, kind: str, entry: dict) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"kind": kind, **entry}) + "\n")

    def add(self, result: Result) -> None:
        self.append("result", asdict(result))

    def begin(self, began: Round) -> None:
        self.append("round", asdict(began))

    def read(self) -> "Results":
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return Results([json.loads(line) for line in lines])


class Results:
    """What a file holds."""

    def __init__(self, entries: Iterable[dict]):
        entries = list(entries)
        self.runs = of_kind(entries, "run")
        self.rounds = [Round(**entry) for entry in of_kind(entries, "round")]
        # The last word counts: what was measured again replaces what it was before.
        found = [Result(**entry) for entry in of_kind(entries, "result")]
        self.by_place = {result.place: result for result in found}

    def of(self, cell: str, contestant: str) -> list[Result]:
        """One a round, in the order of the rounds."""
        chosen = [
            result
            for (_, of_cell, of_contestant), result in self.by_place.items()
            if (of_cell, of_contestant) == (cell, contestant)
        ]
        return sorted(chosen, key=lambda result: result.round)

    def of_contestant(self, contestant: str) -> list[Result]:
        """All of its cells, in all rounds."""
        return [
            result
            for (_, _, of_contestant), result in self.by_place.items()
            if of_contestant == contestant
        ]


def of_kind(entries: list[dict], kind: str) -> list[dict]:
    return [
        {key: value for key, value in entry.items() if key != "kind"}
        for entry in entries
        if entry["kind"] == kind
    ]
