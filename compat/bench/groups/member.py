"""A member of a group in a process of its own, told over stdin and telling over stdout.

Every client has a program for it (in `compat/members`, `java`, `kafkajs`, `rdkafka`). It takes the
broker's address, the group, and `key=value` settings, of which `session-ms` is for members of the
classic protocol alone: for others the group has it. It prints a line per event, with tabs:

    assigned   topic:0 ...              partitions that came
    revoked    topic:0 ...              partitions that went, by request or by loss
    found      topic:0 offset metadata  what is committed of a partition that came
    record     topic:0 offset           a record was read
    failed     reason                   and the program ends

On stdin it takes `pause topic:0`, `resume topic:0`, `seek topic:0 offset`, each answered with
`done`, and `close`, which ends it well, as the end of stdin does.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

TIMEOUT_S = 60
SESSION_MS = 3000


@dataclass(frozen=True)
class MemberKind:
    """How members of one client are started, and what that client does not have."""

    client: str
    command: tuple[str, ...]
    assignors: tuple[str, ...] = ("range", "roundrobin")
    # Of groups: `classic`, or `consumer` (KIP-848).
    protocol: str = "classic"
    lacks: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class Member:
    """One member, and what it told so far."""

    def __init__(self, kind: MemberKind, address: str, group: str, settings: dict[str, object]):
        self.kind = kind
        given = {"session-ms": SESSION_MS, "commit": "batch", "assignor": "range"}
        given["protocol"] = kind.protocol
        given |= kind.settings | settings
        self.process = subprocess.Popen(
            [*kind.command, address, group, *(f"{key}={value}" for key, value in given.items())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | kind.environment,
        )
        self.changed = threading.Condition()
        self.owned: set[str] = set()
        self.revoked: list[str] = []
        self.assignments = 0
        self.found: dict[str, tuple[int, str]] = {}
        self.records: list[tuple[str, int]] = []
        self.done = 0
        self.failure = ""
        self.complaints: list[str] = []
        self.ended = False
        threading.Thread(target=self.complain, daemon=True).start()
        threading.Thread(target=self.listen, daemon=True).start()

    def complain(self) -> None:
        for line in self.process.stderr:
            self.complaints = [*self.complaints[-20:], line.strip()]

    def listen(self) -> None:
        for line in self.process.stdout:
            with self.changed:
                self.take(line.rstrip("\n").split("\t"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def take(self, event: list[str]) -> None:
        match event:
            case ["assigned", *partitions]:
                self.owned |= set(partitions)
                self.assignments += 1
            case ["revoked", *partitions]:
                self.owned -= set(partitions)
                self.revoked += partitions
            case ["found", partition, offset, metadata]:
                self.found[partition] = (int(offset), metadata)
            case ["record", partition, offset]:
                self.records.append((partition, int(offset)))
            case ["done"]:
                self.done += 1
            case ["failed", reason]:
                self.failure = reason
            case _:
                self.failure = f"the program printed {event}"

    def until(self, condition: Callable[[], bool], wanted: str) -> None:
        """Waits until the condition holds of what the member told."""
        deadline = time.monotonic() + TIMEOUT_S
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    raise AssertionError(f"{self.kind.client}: not {wanted}: {self.state()}")
                self.changed.wait(left)

    def state(self) -> str:
        said = self.failure or " | ".join(self.complaints[-2:])
        how = f"it ended with {self.process.poll()}" if self.ended else "it runs"
        return f"{how}, owns {sorted(self.owned)}, read {len(self.records)} records; {said}"

    def reads(self, partition: str) -> list[int]:
        """The offsets that it read of a partition, in the order in which it read them."""
        with self.changed:
            return [offset for name, offset in self.records if name == partition]

    def tell(self, *command: object) -> None:
        """Gives a command and waits until it is carried out."""
        before = self.done
        self.write(" ".join(str(part) for part in command))
        self.until(lambda: self.done > before, f"done with {command[0]}")

    def write(self, line: str) -> None:
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It ended; who waits for it says why.

    def close(self) -> None:
        """Has it leave and end well."""
        self.write("close")
        try:
            code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.kind.client}: no end: {self.state()}") from None
        with self.changed:
            self.changed.wait_for(lambda: self.ended, TIMEOUT_S)
        if code != 0:
            raise AssertionError(f"{self.kind.client}: not closed well: {self.state()}")
        self.owned = set()

    def kill(self) -> None:
        """Ends it without a word to the broker; what it owned stays to be seen in `owned`."""
        self.process.kill()
        self.process.wait()
        with self.changed:
            self.changed.wait_for(lambda: self.ended, TIMEOUT_S)
