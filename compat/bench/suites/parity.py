"""Raw requests at every version, answered by our broker as Apache Kafka answers them."""

from collections.abc import Iterable

from ..broker import Broker
from ..parity.answers import load, save
from ..parity.ask import GROUPS, ask_group, partial_titles
from ..parity.compare import compare_group
from ..paths import GOLDEN
from ..table import FAIL, OK, Table


def record(broker: Broker, groups: Iterable[str]) -> None:
    """Writes Kafka's answers to the golden files."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for group in groups:
        answers = ask_group(group, broker.schemas, broker.host, broker.port)
        save(GOLDEN / f"{group}.json", answers)
        print(f"recorded {group}: {sum(map(len, answers.values()))} answers", flush=True)


def run(broker: Broker, table: Table, quick: bool, groups: Iterable[str] = tuple(GROUPS)) -> None:
    for group in groups:
        golden = load(GOLDEN / f"{group}.json")
        ours = ask_group(group, broker.schemas, broker.host, broker.port)
        findings = compare_group(group, golden, ours, partial_titles(group))
        for kind in ("differences", "wording", "unshared", "deliberate"):
            for line in sorted(set(getattr(findings, kind))):
                print(f"  [{kind}] {line}")
        status = FAIL if findings.differences else OK
        detail = f"{findings.compared} answers, {len(findings.differences)} differences"
        if findings.wording:
            detail += f", {len(findings.wording)} worded differently"
        table.add("raw requests", f"parity: {group}", status, detail)
