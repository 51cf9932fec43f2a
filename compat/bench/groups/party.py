"""The members of one group together: who owns what, and what was read how often."""

import itertools
import time
from collections import Counter

from ..broker import Broker
from .member import TIMEOUT_S, Member, MemberKind
from .probe import Probe


class Party:
    """All members that a group has had. Leaving the `with` block ends those still there."""

    def __init__(self, broker: Broker, group: str, **settings: object):
        self.broker = broker
        self.group = group
        self.settings = settings
        self.probe = Probe(broker)
        self.everyone: list[Member] = []
        self.living: list[Member] = []
        # Per partition, where a member that was killed had committed: from there on, what it had
        # read may be read once more.
        self.doubtful: dict[str, int] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.living:
            member.kill()

    def join(self, kind: MemberKind, **settings: object) -> Member:
        settings = self.settings | settings
        if kind.protocol == "consumer" and "session-ms" in settings:
            self.probe.set_session(self.group, settings["session-ms"])
        member = Member(kind, self.broker.address, self.group, settings)
        self.everyone.append(member)
        self.living.append(member)
        return member

    def close(self, member: Member) -> None:
        self.living.remove(member)
        member.close()

    def close_all(self) -> None:
        for member in list(self.living):
            self.close(member)

    def kill(self, member: Member) -> None:
        self.living.remove(member)
        member.kill()
        committed = self.probe.committed(self.group)
        for partition in member.owned:
            self.doubtful[partition] = max(committed.get(partition, 0), 0)

    def settle(self, partitions: list[str]) -> None:
        """Waits until every member owns something and every partition has one owner."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            owned = [set(member.owned) for member in self.living]
            together = Counter(itertools.chain(*owned))
            if all(owned) and together == Counter(partitions):
                return
            if time.monotonic() > deadline or any(member.ended for member in self.living):
                states = "; ".join(member.state() for member in self.living)
                raise AssertionError(f"the group did not settle: {states}")
            self.await_change()

    def await_change(self) -> None:
        """Until any member tells something, or a moment has passed."""
        member = self.living[0]
        with member.changed:
            member.changed.wait(0.05)

    def reads(self, partition: str) -> Counter:
        return Counter(itertools.chain(*(member.reads(partition) for member in self.everyone)))

    def until_read(self, partitions: list[str], end: int) -> None:
        """Waits until all records of the partitions are read."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            missing = {p: sorted(set(range(end)) - set(self.reads(p))) for p in partitions}
            missing = {p: offsets for p, offsets in missing.items() if offsets}
            if not missing:
                return
            if time.monotonic() > deadline or any(member.ended for member in self.living):
                partition, offsets = next(iter(missing.items()))
                lost = f"{len(offsets)} of {end} from {offsets[0]} on"
                states = "; ".join(member.state() for member in self.living)
                raise AssertionError(f"{partition} not read: {lost}: {states}")
            self.await_change()

    def expect_read_once(self, partitions: list[str]) -> None:
        """No record was read twice, but for what a killed member had not committed."""
        for partition in partitions:
            twice = [offset for offset, times in self.reads(partition).items() if times > 1]
            first = self.doubtful.get(partition)
            wrong = sorted(offset for offset in twice if first is None or offset < first)
            if wrong:
                raise AssertionError(
                    f"{partition}: {len(wrong)} records read twice from {wrong[0]} on, "
                    f"committed when its owner was killed: {first}"
                )

    def until_committed(self, partition: str, end: int) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while self.probe.committed(self.group).get(partition) != end:
            if time.monotonic() > deadline:
                raise AssertionError(f"{partition}: {end} was never committed")
            self.await_change()

    def expect_committed(self, partitions: list[str], end: int) -> None:
        committed = self.probe.committed(self.group)
        if committed != dict.fromkeys(partitions, end):
            raise AssertionError(f"committed {committed}, not {end} each")
