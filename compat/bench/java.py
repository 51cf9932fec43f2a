"""Our programs in a JVM, over a kafka-clients of any version."""

from .paths import CLASSES, JARS, OTHER_CLIENTS, clients_jar

JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
# Workers and applications: they live for a while, and one may be killed at any time.
FRAMEWORK_JVM = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def class_path(version: str | None) -> str:
    """Our programs, the wanted kafka-clients, and the libraries that it needs."""
    chosen = OTHER_CLIENTS / f"kafka-clients-{version}.jar" if version else clients_jar()
    libraries = [jar for jar in JARS.glob("*.jar") if not jar.name.startswith("kafka")]
    return ":".join(str(path) for path in (CLASSES, chosen, *libraries))


def java_program(version: str | None, main: str) -> tuple[str, ...]:
    """The command that runs `main`; without a version, over the kafka-clients of the bench."""
    return ("java", *JVM, "-cp", class_path(version), main)
