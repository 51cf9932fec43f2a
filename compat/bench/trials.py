"""The programs of `compat/crates`, built when they are not up to date."""

import os
import subprocess
from functools import cache
from pathlib import Path

from .paths import ROOT


@cache
def trial(name: str) -> Path:
    """A program; `KLAMM_TRIALS` names a folder that has them already."""
    given = os.environ.get("KLAMM_TRIALS")
    if given:
        return Path(given) / name
    command = ["cargo", "build", "--release", "-p", "klamm-trials", "--bins"]
    subprocess.run(command, cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / name
