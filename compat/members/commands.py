"""What the bench says to a member on stdin, and how a member tells what happened."""

import queue
import sys
import threading


def settings(arguments: list[str]) -> tuple[str, str, dict[str, str]]:
    """The address, the group, and the settings behind them."""
    return arguments[0], arguments[1], dict(part.split("=", 1) for part in arguments[2:])


def tell(*event: object) -> None:
    print("\t".join(map(str, event)), flush=True)


class Commands:
    """The lines from stdin, ready to be taken between two polls. The end of stdin closes, too."""

    def __init__(self):
        self.waiting: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in sys.stdin:
            self.waiting.put(line.split())
        self.waiting.put(["close"])

    def next(self) -> list[str] | None:
        try:
            return self.waiting.get_nowait()
        except queue.Empty:
            return None


def place(partition: str) -> tuple[str, int]:
    """The topic and the number in `topic:0`."""
    topic, number = partition.rsplit(":", 1)
    return topic, int(number)


def name(partition) -> str:
    """How the bench calls a partition, whichever client's object it is."""
    return f"{partition.topic}:{partition.partition}"
