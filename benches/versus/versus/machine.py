"""What the figures were taken on, and whether anybody else was using it."""

import os
import platform
import subprocess
import time
from pathlib import Path

# More than this of the machine used by others, and figures are not worth quoting.
NOISE = 0.15


def description(folder: Path) -> dict:
    return {
        "cores": os.cpu_count(),
        "cpu": field(Path("/proc/cpuinfo"), "model name"),
        "memory_gib": round(int(field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 2**20),
        "kernel": platform.release(),
        "file_system": file_system(folder),
    }


def field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def file_system(folder: Path) -> str:
    said = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(folder)], capture_output=True, text=True
    )
    # The kernel has one number for three of them.
    return {"ext2/ext3": "ext4"}.get(said.stdout.strip(), said.stdout.strip() or "unknown")


def load_average() -> float:
    return os.getloadavg()[0]


def busy(during_s: float = 1.0) -> float:
    """The share of the machine in use, of which none should be ours."""
    used, total = ticks()
    time.sleep(during_s)
    used_now, total_now = ticks()
    return (used_now - used) / max(total_now - total, 1)


def ticks() -> tuple[int, int]:
    numbers = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = numbers[3] + numbers[4]
    return sum(numbers) - idle, sum(numbers)
