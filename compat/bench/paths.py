"""Where things lie."""

from pathlib import Path

COMPAT = Path(__file__).resolve().parent.parent
ROOT = COMPAT.parent
WORK = COMPAT / ".work"
JARS = WORK / "jars"
OTHER_CLIENTS = WORK / "clients"
CLASSES = WORK / "classes"
VENV_PYTHON = WORK / "venv" / "bin" / "python"
NODE_MODULES = WORK / "kafkajs" / "node_modules"
RDKAFKA = WORK / "rdkafka"
KLAMM_MEMBER = WORK / "member"
GOLDEN = COMPAT / "parity" / "golden"


def clients_jar() -> Path:
    """The kafka-clients jar, whose schemas the raw codec follows."""
    return next(JARS.glob("kafka-clients-*.jar"))
