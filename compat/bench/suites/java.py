"""kafka-clients for Java: the newest, the one of the bench, and the last of the 3.x line."""

from ..broker import Broker
from ..paths import CLASSES, JARS, OTHER_CLIENTS, clients_jar
from ..setup import CLIENT_VERSIONS
from ..table import Table
from .reported import run_client

MAIN = "klamm.compat.client.ClientFeatures"
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def class_path(version: str | None) -> str:
    """Our programs, the wanted kafka-clients, and the libraries that it needs."""
    chosen = OTHER_CLIENTS / f"kafka-clients-{version}.jar" if version else clients_jar()
    libraries = [jar for jar in JARS.glob("*.jar") if not jar.name.startswith("kafka")]
    return ":".join(str(path) for path in (CLASSES, chosen, *libraries))


def run(broker: Broker, table: Table, quick: bool) -> None:
    pinned = clients_jar().stem.removeprefix("kafka-clients-")
    for version in (None, *CLIENT_VERSIONS):
        name = version or pinned
        program = ["java", *JVM, "-cp", class_path(version), MAIN]
        run_client(table, f"Java {name}", broker, program, f"java-{name}-")
