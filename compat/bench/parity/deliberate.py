"""Where our answer differs from Kafka's on purpose, and why."""

from dataclasses import dataclass

CORRUPT_MESSAGE, INVALID_RECORD = 2, 87


@dataclass(frozen=True)
class Deliberate:
    """Fields whose path ends in `field`, where our value may be one of `ours`, and why."""

    group: str
    titles: tuple[str, ...]
    field: str
    ours: tuple[object, ...]
    why: str

    def covers(self, group: str, title: str, path: str, ours: object) -> bool:
        named = group == self.group and (not self.titles or title in self.titles)
        return named and path.endswith(self.field) and ours in self.ours


OLD_VERSIONS = "clients that are older than Kafka 4 are served too"
BOUNDED = "ours are bounded unless the operator says otherwise"
ELR = "Kafka's eligible leader replicas keep it as a setting of the whole cluster"

DELIBERATE = (
    Deliberate("connection", (), "apiKeys[19].minVersion", (0,), OLD_VERSIONS),
    Deliberate("connection", (), "apiKeys[20].minVersion", (0,), OLD_VERSIONS),
    Deliberate("connection", (), "apiKeys[32].minVersion", (0,), OLD_VERSIONS),
    Deliberate("configs", (), "configs[max.connections].value", ("10000",), BOUNDED),
    Deliberate("configs", (), "configs[max.connections.per.ip].value", ("1000",), BOUNDED),
    Deliberate("configs", (), "configs[queued.max.request.bytes].value", ("268435456",), BOUNDED),
    Deliberate("configs", (), "configs[min.insync.replicas].configSource", (5,), ELR),
    Deliberate("topics", (), "configs[min.insync.replicas].configSource", (5,), ELR),
    Deliberate(
        "produce",
        (
            "batch: codec 5",
            "batch: codec 7",
            "batch: zstd that is none",
            "batch: gzip that is none",
            "batch: records that are noise",
        ),
        "errorCode",
        (CORRUPT_MESSAGE, INVALID_RECORD),
        "Kafka says UNKNOWN_SERVER_ERROR of bytes that no codec can read, which clients retry",
    ),
)


def reason(group: str, title: str, path: str, ours: object) -> str | None:
    """Why this difference is meant, if it is."""
    return next((d.why for d in DELIBERATE if d.covers(group, title, path, ours)), None)
