"""Where things lie."""

from pathlib import Path

from bench.paths import RDKAFKA

VERSUS = Path(__file__).resolve().parent.parent
ROOT = VERSUS.parent.parent
WORK = VERSUS / ".work"
RESULTS = WORK / "results"
VENV = WORK / "venv"
# Where the bench of the storage leaves its figures.
CRITERION = WORK / "criterion"
SHIM = WORK / "slowsync.so"
TANSU_SQLITE = WORK / "tansu-sqlite"
REPORT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

# The load generator shares its builds with another user of librdkafka, which takes minutes.
LOAD_TARGET = RDKAFKA
LOAD = LOAD_TARGET / "release" / "klamm-load"
