"""What differs between two brokers' answers, as lines to read."""

from dataclasses import dataclass, field

from .answers import SORT_KEYS, version_range

# What a message says is for people: a difference is shown, but breaks no client.
WORDING = ("errorMessage", "batchIndexErrorMessage")
ABSENT = "(absent)"


@dataclass
class Findings:
    """The outcome for one group: differences count as failures, wording and gaps are notes."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)
    wording: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


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
            for kind, line in differing(answer, answers.get(version, ABSENT), title in partial):
                lines.setdefault((kind, line), []).append(version)
        for (kind, line), versions in lines.items():
            text = f"{group} / {title} v{version_range(versions)}: {line}"
            getattr(findings, kind).append(text)
    return findings


def differing(expected: object, actual: object, partial: bool) -> list[tuple[str, str]]:
    """Pairs of the kind of a difference and its line."""
    theirs, ours = flatten(expected), flatten(actual)
    out = []
    for path in sorted(theirs.keys() | ours.keys()):
        kafka, klamm = theirs.get(path, ABSENT), ours.get(path, ABSENT)
        if kafka == klamm:
            continue
        line = f"{path or 'answer'}: Kafka {kafka!r}, ours {klamm!r}"
        if partial and klamm == ABSENT and "[" in path:
            out.append(("missing", path.rsplit(".", 1)[0]))
        elif (
            path.rsplit(".", 1)[-1] in WORDING and isinstance(kafka, str) and isinstance(klamm, str)
        ):
            out.append(("wording", line))
        else:
            out.append(("differences", line))
    return out
