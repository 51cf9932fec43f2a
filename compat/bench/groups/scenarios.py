"""What a group must do, with members of any client."""

from .. import features
from ..broker import Broker
from ..table import NOT_APPLICABLE, Table
from .feed import Feed, create, produce
from .member import MemberKind
from .party import Party

NOTE = "a note ✓"


def run(table: Table, broker: Broker, kind: MemberKind, prefix: str) -> None:
    """Every scenario with one client; topics and groups have names that begin with `prefix`."""
    for feature, scenario in SCENARIOS.items():
        name = f"{prefix}{scenario.__name__.replace('_', '-')}"
        if feature in kind.lacks:
            table.add(kind.client, feature, NOT_APPLICABLE, kind.lacks[feature])
        else:
            table.check(kind.client, feature, lambda: scenario(broker, kind, name))


def resume(broker: Broker, kind: MemberKind, name: str) -> None:
    """A group that comes back goes on where it had committed."""
    (partition,) = create(broker, name, 1)
    produce(broker, name, 0, 50)
    for first, end in ((0, 50), (50, 80)):
        with Party(broker, name, subscribe=name) as party:
            member = party.join(kind)
            if first:
                produce(broker, name, 0, end - first)
            member.until(lambda: len(member.records) == end - first, "through")
            same(member.reads(partition), list(range(first, end)))
            party.close_all()
            party.expect_committed([partition], end)


def metadata(broker: Broker, kind: MemberKind, name: str) -> None:
    """What is committed beside an offset comes back with it."""
    (partition,) = create(broker, name, 1)
    produce(broker, name, 0, 5)
    with Party(broker, name, subscribe=name, metadata=NOTE) as party:
        member = party.join(kind)
        member.until(lambda: len(member.records) == 5, "through")
        party.close_all()
        again = party.join(kind)
        again.until(lambda: partition in again.found, "told what is committed")
        same(again.found[partition], (5, NOTE))
        party.close_all()


def changes(broker: Broker, kind: MemberKind, name: str) -> str:
    return changing(broker, [kind] * 4, name, kind.assignors[0])


def changing(broker: Broker, kinds: list[MemberKind], name: str, assignor: str) -> str:
    """A group grows to three, shrinks, loses a member, and grows again, while records flow.

    Nothing is lost, and nothing read twice but what the killed member had not committed.
    """
    partitions = create(broker, name, 6)
    with (
        Feed(broker, name, len(partitions)) as feed,
        Party(broker, name, subscribe=name, assignor=assignor) as party,
    ):
        first = party.join(kinds[0])
        party.settle(partitions)
        second, third = party.join(kinds[1]), party.join(kinds[2])
        party.settle(partitions)
        party.close(second)
        party.settle(partitions)
        party.kill(third)
        party.settle(partitions)
        party.join(kinds[3])
        party.settle(partitions)
        end = feed.end()
        party.until_read(partitions, end)
        if first.ended:
            raise AssertionError(f"the first member is gone: {first.state()}")
        party.close_all()
        party.expect_read_once(partitions)
        party.expect_committed(partitions, end)
        return f"{end * len(partitions)} records"


def migrating(broker: Broker, classic: MemberKind, consumer: MemberKind, name: str) -> str:
    """A group goes from one protocol to the other, member by member, and back, while records flow.

    Nothing is lost, and nothing read twice.
    """
    partitions = create(broker, name, 6)
    with (
        Feed(broker, name, len(partitions)) as feed,
        Party(broker, name, subscribe=name) as party,
    ):
        for kind in (classic, consumer, classic):
            leaving = list(party.living)
            for _ in range(2):
                party.join(kind)
                party.settle(partitions)
                if leaving:
                    party.close(leaving.pop(0))
                    party.settle(partitions)
            is_consumer = party.probe.describe_consumers(name)["errorCode"] == 0
            same(is_consumer, kind.protocol == "consumer")
        end = feed.end()
        party.until_read(partitions, end)
        party.close_all()
        party.expect_read_once(partitions)
        party.expect_committed(partitions, end)
        return f"{end * len(partitions)} records"


def cooperative(broker: Broker, kind: MemberKind, name: str) -> None:
    """Only partitions that move are revoked."""
    partitions = create(broker, name, 6)
    assignor = "uniform" if kind.protocol == "consumer" else "cooperative-sticky"
    with Party(broker, name, subscribe=name, assignor=assignor) as party:
        first = party.join(kind)
        party.settle(partitions)
        second = party.join(kind)
        party.settle(partitions)
        same(sorted(first.revoked), sorted(second.owned))
        party.close(second)
        party.settle(partitions)
        same(sorted(first.revoked), sorted(set(first.revoked)))
        party.close_all()


def static(broker: Broker, kind: MemberKind, name: str) -> None:
    """A static member that comes back finds what it had; nobody notices. In the consumer protocol
    it has to say that it will be back; in the classic one it may be killed."""
    partitions = create(broker, name, 4)
    with Party(broker, name, subscribe=name, **{"session-ms": 30_000}) as party:
        first = party.join(kind, instance="one")
        party.settle(partitions)
        second = party.join(kind, instance="two")
        party.settle(partitions)
        generation, had = party.probe.generation(name), set(second.owned)
        rebalances = first.assignments
        if kind.protocol == "consumer":
            party.close(second)
        else:
            party.kill(second)
        again = party.join(kind, instance="two")
        again.until(lambda: again.owned, "given anything")
        same(again.owned, had)
        same(party.probe.generation(name), generation)
        same(first.assignments, rebalances)


def pattern(broker: Broker, kind: MemberKind, name: str) -> None:
    """All topics whose names fit, those that come later too."""
    partitions = create(broker, f"{name}-a", 1) + create(broker, f"{name}-b", 2)
    create(broker, f"not-{name}", 1)
    with Party(broker, name, pattern=f"^{name}-.*") as party:
        member = party.join(kind)
        party.settle(partitions)
        if features.GROUP_PATTERN_GROWS not in kind.lacks:
            partitions += create(broker, f"{name}-c", 1)
            party.settle(partitions)
        produce(broker, f"{name}-b", 1, 3)
        member.until(lambda: member.reads(f"{name}-b:1") == [0, 1, 2], "through")
        party.close_all()


def pause(broker: Broker, kind: MemberKind, name: str) -> None:
    """A paused partition gives nothing until it is resumed, and seek goes back."""
    quiet, lively = create(broker, name, 2)
    with Party(broker, name, subscribe=name) as party:
        member = party.join(kind)
        party.settle([quiet, lively])
        produce(broker, name, 0, 5)
        member.until(lambda: member.reads(quiet) == list(range(5)), "through")
        member.tell("pause", quiet)
        produce(broker, name, 0, 5)
        produce(broker, name, 1, 5)
        member.until(lambda: member.reads(lively) == list(range(5)), "through")
        same(member.reads(quiet), list(range(5)))
        member.tell("resume", quiet)
        member.until(lambda: member.reads(quiet) == list(range(10)), "through after the pause")
        member.tell("seek", quiet, 3)
        member.until(lambda: member.reads(quiet)[10:] == list(range(3, 10)), "through again")
        party.close_all()


def auto_commit(broker: Broker, kind: MemberKind, name: str) -> None:
    """Offsets are committed as time goes by, without a word from the program."""
    (partition,) = create(broker, name, 1)
    produce(broker, name, 0, 20)
    with Party(broker, name, subscribe=name, commit="auto") as party:
        member = party.join(kind)
        member.until(lambda: len(member.records) == 20, "through")
        party.until_committed(partition, 20)
        party.kill(member)
        again = party.join(kind)
        again.until(lambda: again.owned, "given anything")
        produce(broker, name, 0, 1)
        again.until(lambda: again.reads(partition), "through")
        same(again.reads(partition), [20])
        party.close_all()


def same(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"{str(actual)[:120]} instead of {str(expected)[:120]}")


SCENARIOS = {
    features.GROUP_RESUME: resume,
    features.GROUP_METADATA: metadata,
    features.GROUP_CHANGES: changes,
    features.GROUP_COOPERATIVE: cooperative,
    features.GROUP_STATIC: static,
    features.GROUP_PATTERN: pattern,
    features.GROUP_PAUSE: pause,
    features.GROUP_AUTO_COMMIT: auto_commit,
}
