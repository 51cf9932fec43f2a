"""Where our answer differs from Kafka's on purpose, and why."""

from dataclasses import dataclass

CORRUPT_MESSAGE, INVALID_RECORD = 2, 87


@dataclass(frozen=True)
class Deliberate:
    """One field in the answers to some asks of a group, and the values we may give it."""

    group: str
    titles: tuple[str, ...]
    field: str
    ours: tuple[object, ...]
    why: str

    def covers(self, group: str, title: str, path: str, ours: object) -> bool:
        named = group == self.group and title in self.titles
        return named and path.rsplit(".", 1)[-1] == self.field and ours in self.ours


DELIBERATE = (
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
