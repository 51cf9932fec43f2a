"""Measures Klamm beside its peers: the same cells, the same disk, the same minutes."""

import sys
from pathlib import Path

# How Apache Kafka is fetched and started is known to the compatibility bench.
sys.path.append(str(Path(__file__).resolve().parents[3] / "compat"))
