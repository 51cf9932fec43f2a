"""A member of a group with kcat, whose words are put into those of `bench/groups/member.py`.

kcat commits by itself, every moment and when it leaves.
"""

import ctypes
import re
import signal
import subprocess
import sys
import threading

from commands import Commands, settings, tell

PR_SET_PDEATHSIG = 1
REBALANCED = re.compile(r"% Group .* rebalanced .*: (assigned|revoked): ?(.*)")
PARTITION = re.compile(r"(\S+) \[(\d+)\]")


def command(address: str, group: str, given: dict[str, str]) -> list[str]:
    options = {
        "session.timeout.ms": given["session-ms"],
        "heartbeat.interval.ms": "300",
        "partition.assignment.strategy": given["assignor"],
        "auto.commit.interval.ms": "100",
        "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": "500",
    }
    if "instance" in given:
        options["group.instance.id"] = given["instance"]
    chosen = [part for key, value in options.items() for part in ("-X", f"{key}={value}")]
    topic = given.get("pattern") or given["subscribe"]
    return ["kcat", "-b", address, *chosen, "-u", "-f", "%t:%p\t%o\n", "-G", group, topic]


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def follow(kcat: subprocess.Popen) -> None:
    """Tells of rebalances; what else kcat says is for people."""
    for line in kcat.stderr:
        change = REBALANCED.match(line)
        if change:
            partitions = PARTITION.findall(change[2])
            tell(change[1], *(f"{topic}:{number}" for topic, number in partitions))
        else:
            print(line, end="", file=sys.stderr)


def obey(kcat: subprocess.Popen) -> None:
    commands = Commands()
    while commands.waiting.get() != ["close"]:
        tell("failed", "kcat takes no commands")
    kcat.send_signal(signal.SIGTERM)


def main() -> int:
    kcat = subprocess.Popen(
        command(*settings(sys.argv[1:])),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    follower = threading.Thread(target=follow, args=(kcat,))
    follower.start()
    threading.Thread(target=obey, args=(kcat,), daemon=True).start()
    for line in kcat.stdout:
        tell("record", *line.rstrip("\n").split("\t"))
    follower.join()
    return kcat.wait()


if __name__ == "__main__":
    sys.exit(main())
