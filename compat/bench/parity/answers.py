"""Answers made comparable: what may differ between two brokers is masked, the rest stays."""

import json
import re
from pathlib import Path

from ..records import LOG_APPEND_TIME, describe
from ..wire import ZERO_UUID

# Fields whose value is each broker's own business; only whether they are set is compared.
MASKS = {
    "clusterId": "cluster",
    "host": "host",
    "port": "port",
    "topicId": "id",
    "producerId": "producer",
    "nodeId": "node",
    "brokerId": "node",
    "leaderId": "node",
    "controllerId": "node",
    "replicaNodes": "node",
    "isrNodes": "node",
    "leaderEpoch": "epoch",
    "currentLeaderEpoch": "epoch",
    "partitionLeaderEpoch": "epoch",
    "logAppendTimeMs": "time",
    "resourceName": "name",
    "memberId": "member",
    "leader": "member",
}
# Times of day in messages, also those that Kafka has let overflow.
CLOCK_READING = re.compile(r"\b1[789]\d{11}\b|-92233702\d{11}\b")
# Broker settings that say where and how the bench runs it.
SITE = {
    "advertised.listeners",
    "broker.id",
    "controller.listener.names",
    "controller.quorum.voters",
    "early.start.listeners",
    "group.initial.rebalance.delay.ms",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "offsets.topic.replication.factor",
    "process.roles",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
}
# Scenarios with fixed timestamps keep below this one; what is above was read from the clock.
SCENARIO_TIMES_END = 1_700_100_000_000
# Lists whose order means nothing, by the field that tells their elements apart.
SORT_KEYS = ("name", "groupId", "topicId", "partitionIndex", "index", "key", "apiKey")
# Features belong to Kafka's own cluster management; a broker may refuse to open a fetch session.
DROPPED = {
    "supportedFeatures",
    "finalizedFeatures",
    "zkMigrationReady",
    "finalizedFeaturesEpoch",
    "unknownTags",
    "sessionId",
}


def mask(name: str, value: object) -> object:
    """`<kind>` for a value that is set, the value itself when it says "none"."""
    if isinstance(value, list):
        return [mask(name, each) for each in value]
    unset = value in (None, "", ZERO_UUID) or (isinstance(value, int) and value <= 0)
    if name in (
        "nodeId",
        "brokerId",
        "leaderId",
        "controllerId",
        "leaderEpoch",
        "producerId",
        "currentLeaderEpoch",
        "partitionLeaderEpoch",
        "replicaNodes",
        "isrNodes",
    ):
        unset = isinstance(value, int) and value < 0
    return value if unset else f"<{MASKS[name]}>"


def comparable(value: object, name: str = "") -> object:
    """The answer with its masks on and its lists in order."""
    if name == "records":
        return comparable(batches(value))
    if isinstance(value, dict):
        return {key: comparable(each, key) for key, each in value.items() if key not in DROPPED}
    if name in MASKS:
        return mask(name, value)
    if isinstance(value, list):
        return ordered([comparable(each) for each in value if not of_the_site(each)])
    if isinstance(value, str):
        return CLOCK_READING.sub("<time>", value)
    return value.hex() if isinstance(value, bytes) else value


def of_the_site(element: object) -> bool:
    return isinstance(element, dict) and "configSource" in element and element["name"] in SITE


def batches(raw: bytes | None) -> list[dict] | None:
    described = describe(raw)
    for batch in described or []:
        if batch["attributes"] & LOG_APPEND_TIME:
            batch["maxTimestamp"] = "<time>"
        for name in ("baseTimestamp", "maxTimestamp"):
            if isinstance(batch[name], int) and batch[name] > SCENARIO_TIMES_END:
                batch[name] = "<time>"
        if batch["attributes"] & 7:
            batch["length"] = "<compressed>"
    return described


def ordered(values: list) -> list:
    if values and all(isinstance(each, dict) for each in values):
        key = next((key for key in SORT_KEYS if key in values[0]), None)
        if key:
            return sorted(values, key=lambda each: json.dumps(each[key]))
    return values


def version_range(versions: list[int]) -> str:
    """`[3, 4, 5, 7]` as `3-5,7`."""
    parts: list[list[int]] = []
    for version in versions:
        if parts and parts[-1][-1] == version - 1:
            parts[-1].append(version)
        else:
            parts.append([version])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def versions_of(text: str) -> list[int]:
    """The inverse of `version_range`."""
    out = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        out += range(int(low), int(high or low) + 1)
    return out


def fold(answers: dict[int, object]) -> dict[str, object]:
    """Versions with the same answer share one entry."""
    groups: dict[str, list[int]] = {}
    for version, answer in answers.items():
        groups.setdefault(json.dumps(answer, sort_keys=True), []).append(version)
    return {version_range(versions): json.loads(text) for text, versions in groups.items()}


def unfold(folded: dict[str, object]) -> dict[int, object]:
    return {v: answer for text, answer in folded.items() for v in versions_of(text)}


def save(path: Path, recorded: dict[str, dict[int, object]]) -> None:
    """Writes the answers one per line, so that a change to one shows as one changed line."""
    lines = []
    for title, answers in recorded.items():
        entries = [f"  {json.dumps(v)}: {json.dumps(a)}" for v, a in fold(answers).items()]
        lines.append(f"{json.dumps(title)}: {{\n" + ",\n".join(entries) + "\n}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def load(path: Path) -> dict[str, dict[int, object]]:
    return {title: unfold(folded) for title, folded in json.loads(path.read_text()).items()}
