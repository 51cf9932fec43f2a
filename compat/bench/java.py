"""Programs in a JVM: ours, over a kafka-clients of any version, and those of frameworks."""

import signal
import subprocess
from pathlib import Path

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


class Framework:
    """A worker or an application in a process of its own, all jars at hand; it ends by a signal."""

    def __init__(self, log: Path):
        self.log = log
        self.process: subprocess.Popen | None = None

    def start(self, main: str, *args: object) -> None:
        """Starts it; what it prints goes to the log, after what it said in earlier lives."""
        command = ["java", *FRAMEWORK_JVM, "-cp", f"{CLASSES}:{JARS}/*", main, *map(str, args)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def stop(self) -> None:
        self.end(signal.SIGTERM)

    def end(self, sign: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(sign)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
