"""Fetches what the bench needs into `.work`, each piece once."""

import shutil
import subprocess
import sys
from pathlib import Path

from .paths import CLASSES, COMPAT, JARS, NODE_MODULES, OTHER_CLIENTS, VENV_PYTHON, WORK

APT = {
    "kcat": "kcat",
    "mvn": "maven",
    "javac": "default-jdk-headless",
    "node": "nodejs",
    "npm": "npm",
}
# Beside the pinned one: the last client that speaks what Kafka 4 dropped, and the newest.
CLIENT_VERSIONS = ("3.9.1", "4.4.0")
PIP = COMPAT / "requirements.txt"
NPM = (COMPAT / "kafkajs" / "package.json", COMPAT / "kafkajs" / "package-lock.json")
POM = COMPAT / "java" / "pom.xml"


def run(*command: object, **options) -> None:
    subprocess.run([str(part) for part in command], check=True, **options)


def prepare() -> None:
    """Everything that suites other than the broker itself stand on."""
    WORK.mkdir(exist_ok=True)
    apt_packages()
    jars()
    other_clients()
    classes()
    python_packages()
    node_packages()


def apt_packages() -> None:
    missing = [package for program, package in APT.items() if not shutil.which(program)]
    if missing:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", *missing)


def fresh(stamp, *sources) -> bool:
    """Whether `stamp` is younger than everything it was made from."""
    return stamp.exists() and all(s.stat().st_mtime <= stamp.stat().st_mtime for s in sources)


def jars() -> None:
    stamp = WORK / "jars.stamp"
    if fresh(stamp, POM):
        return
    shutil.rmtree(JARS, ignore_errors=True)
    run(
        "mvn",
        "-q",
        "-B",
        "-f",
        POM,
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={JARS}",
    )
    stamp.touch()


def older_jars(name: str) -> Path:
    """The jars of an older broker, as `java/NAME.pom.xml` lists them."""
    pom, folder, stamp = POM.parent / f"{name}.pom.xml", WORK / name, WORK / f"{name}.stamp"
    if not fresh(stamp, pom):
        shutil.rmtree(folder, ignore_errors=True)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
        run("mvn", "-q", "-B", "-f", pom, goal, "-DincludeScope=runtime", f"-DoutputDirectory={folder}")
        stamp.touch()
    return folder


def other_clients() -> None:
    for version in CLIENT_VERSIONS:
        if not (OTHER_CLIENTS / f"kafka-clients-{version}.jar").exists():
            run(
                "mvn",
                "-q",
                "-B",
                "-f",
                POM,
                "dependency:copy",
                f"-Dartifact=org.apache.kafka:kafka-clients:{version}",
                f"-DoutputDirectory={OTHER_CLIENTS}",
            )


def classes() -> None:
    sources = sorted((COMPAT / "java" / "src").rglob("*.java"))
    stamp = WORK / "classes.stamp"
    if not sources or fresh(stamp, *sources, WORK / "jars.stamp"):
        return
    shutil.rmtree(CLASSES, ignore_errors=True)
    run("javac", "--release", "17", "-nowarn", "-cp", f"{JARS}/*", "-d", CLASSES, *sources)
    stamp.touch()


def python_packages() -> None:
    stamp = WORK / "venv.stamp"
    if fresh(stamp, PIP):
        return
    run(sys.executable, "-m", "venv", "--clear", WORK / "venv")
    run(VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", PIP)
    stamp.touch()


def node_packages() -> None:
    stamp = WORK / "kafkajs.stamp"
    if fresh(stamp, *NPM):
        return
    NODE_MODULES.parent.mkdir(exist_ok=True)
    for source in NPM:
        shutil.copy(source, NODE_MODULES.parent)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    run("npm", "ci", *quiet, cwd=NODE_MODULES.parent)
    stamp.touch()


if __name__ == "__main__":
    prepare()
