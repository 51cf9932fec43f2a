"""Which versions are measured."""

import os
import subprocess

from bench.broker import klamm_binary
from bench.paths import clients_jar

from .contestants import Contestant
from .paths import ROOT


def of(contestants: tuple[Contestant, ...]) -> dict[str, str]:
    """By the name of the product."""
    products = {contestant.name.split("-")[0] for contestant in contestants}
    found = {"Klamm": klamm()}
    if "kafka" in products:
        found["Apache Kafka"] = clients_jar().stem.removeprefix("kafka-clients-")
        found["Java"] = said("java", "--version").splitlines()[0]
    if "tansu" in products:
        found["Tansu"] = "0.6.0"
    return found


def klamm() -> str:
    version = said(str(klamm_binary()), "--version").removeprefix("klamm ")
    if "KLAMM_BIN" in os.environ:
        return version
    commit = said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    return f"{version}, commit {commit}" if commit else version


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
