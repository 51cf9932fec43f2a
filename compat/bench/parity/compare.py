"""What differs between two brokers' answers, as lines to read."""

import re
from dataclasses import dataclass, field

from .answers import SORT_KEYS, version_range
from .deliberate import ABSENT, LISTED, reason

# What a message says is for people: a difference is shown, but breaks no client.
WORDING = ("errorMessage", "batchIndexErrorMessage")
# The path of a difference between an answer and none.
NO_ANSWER = "answer"
# A setting that only one of the two brokers has.
OWN_SETTING = re.compile(r"configs\[[^]]*\]$")


@dataclass
class Findings:
    """The outcome for one group: differences count as failures, the rest are notes."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)
    wording: list[str] = field(default_factory=list)
    unshared: list[str] = field(default_factory=list)
    deliberate: list[str] = field(default_factory=list)


def flatten(value: object, path: str = "") -> dict[str, object]:
    """Every leaf by its path; elements of lists are named by what tells them apart."""
    if isinstance(value, dict):
        items = [(f"{path}.{key}" if path else key, each) for key, each in value.items()]
    elif isinstance(value, list) and value:
        items = [(f"{path}[{label}]", each) for label, each in labelled(value)]
    else:
        return {path: value}
    return {leaf: each for at, child in items for leaf, each in flatten(child, at).items()}


def labelled(values: list) -> list[tuple[object, object]]:
    key = None
    if all(isinstance(each, dict) for each in values):
        key = next((k for k in SORT_KEYS if all(k in each for each in values)), None)
    labels = [each[key] if key else index for index, each in enumerate(values)]
    if len(set(labels)) != len(labels):
        labels = list(range(len(values)))
    return list(zip(labels, values, strict=True))


def compare_group(group: str, golden: dict, ours: dict, partial: set[str]) -> Findings:
    """Compares title by title; the same difference at several versions is one line."""
    findings = Findings()
    for title, expected in golden.items():
        answers = ours.get(title, {})
        lines: dict[tuple[str, str], list[int]] = {}
        for version, answer in expected.items():
            findings.compared += 1
            for path, kafka, klamm in differing(answer, answers.get(version, ABSENT)):
                kind = kind_of(path, kafka, klamm, title in partial)
                line = f"{path}: Kafka {kafka!r}, ours {klamm!r}"
                if klamm == LISTED:
                    klamm = element(path, answers[version])
                if kind == "differences" and (why := reason(group, title, path, klamm)):
                    kind, line = "deliberate", f"{line}: {why}"
                lines.setdefault((kind, line), []).append(version)
        for (kind, line), versions in lines.items():
            text = f"{group} / {title} v{version_range(versions)}: {line}"
            getattr(findings, kind).append(text)
    return findings


def differing(expected: object, actual: object) -> list[tuple[str, object, object]]:
    """The paths at which two answers differ, and both values."""
    if unanswered(expected) != unanswered(actual):
        return [(NO_ANSWER, brief(expected), brief(actual))]
    theirs, ours = flatten(expected), flatten(actual)
    listed_there, listed_here = elements(theirs), elements(ours)
    out = []
    for path in sorted(theirs.keys() | ours.keys()):
        if lacking := first_absent(path, listed_here):
            found = (lacking, LISTED, ABSENT)
        elif surplus := first_absent(path, listed_there):
            found = (surplus, ABSENT, LISTED)
        elif theirs.get(path, ABSENT) != ours.get(path, ABSENT):
            found = (path, theirs.get(path, ABSENT), ours.get(path, ABSENT))
        else:
            continue
        if found not in out:
            out.append(found)
    return out


def element(path: str, answer: object) -> object:
    """The fields of one element of a list, by their paths in it; or the element, if it has none."""
    leaves = flatten(answer)
    fields = {at[len(path) :].lstrip("."): leaves[at] for at in leaves if at.startswith(path)}
    return fields.get("", fields)


def elements(leaves: dict[str, object]) -> set[str]:
    """Every list element that an answer has: `a[x].b[y].c` lies in `a[x]` and `a[x].b[y]`."""
    return {prefix for path in leaves for prefix in element_prefixes(path)}


def first_absent(path: str, listed: set[str]) -> str | None:
    return next((prefix for prefix in element_prefixes(path) if prefix not in listed), None)


def element_prefixes(path: str) -> list[str]:
    return [path[: at + 1] for at, letter in enumerate(path) if letter == "]"]


def unanswered(answer: object) -> bool:
    return answer == ABSENT or not {"closed", "silent", "unusable"}.isdisjoint(answer)


def brief(answer: object) -> str:
    return str(answer)[:120] if unanswered(answer) else "an answer"


def kind_of(path: str, kafka: object, klamm: object, partial: bool) -> str:
    if partial and klamm == ABSENT and path.endswith("]"):
        return "unshared"
    if kafka == ABSENT and klamm == LISTED and OWN_SETTING.search(path):
        return "unshared"
    if path.rsplit(".", 1)[-1] in WORDING and ABSENT not in (kafka, klamm):
        return "wording"
    return "differences"
