"""Where things lie."""

import os
from pathlib import Path

VERSUS = Path(__file__).resolve().parent.parent
ROOT = VERSUS.parent.parent
WORK = VERSUS / ".work"
RESULTS = WORK / "results"
VENV = WORK / "venv"
SHIM = WORK / "slowsync.so"
TANSU_SQLITE = WORK / "tansu-sqlite"
REPORT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

# The load generator is a workspace of its own, so its builds have a folder of their own.
LOAD_TARGET = Path(os.environ.get("VERSUS_LOAD_TARGET", VERSUS / "load" / "target"))
LOAD = LOAD_TARGET / "release" / "klamm-load"
