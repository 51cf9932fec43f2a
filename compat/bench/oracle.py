"""Our codec against Kafka's own classes: the same bytes in, the same bytes out, at every version.

Random messages are made from the schemas in each kafka-clients jar, decoded and encoded again by
Kafka's generated classes (through their JSON form) and by our codec. All three must agree. The
jar of the 3.9 line covers the versions that Kafka 4 dropped.
"""

import argparse
import random
import subprocess
import sys

from .java import JVM, class_path
from .paths import COMPAT, OTHER_CLIENTS, WORK, clients_jar
from .schema import Field, Message, Schemas, Struct
from .setup import CLIENT_VERSIONS
from .table import FAIL, OK, Table
from .wire import default_of, encode, uuid_text

BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
TEXTS = ("", "a", "topic-1", "Ünïcödé ✓", "x" * 200)
ROUNDS, QUICK_ROUNDS = 60, 8
TARGET = WORK / "recode"


class Dice:
    """Random messages of one schema, at one version."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def message(self, message: Message, version: int) -> bytes:
        return encode(message, version, self.struct(message.body, version))

    def struct(self, struct: Struct, version: int) -> dict:
        value = {}
        for field in struct.fields:
            if version in field.tagged:
                chosen = self.random.random() < 0.5
                value[field.name] = self.field(field, version) if chosen else default_of(field)
            elif version in field.versions:
                value[field.name] = self.field(field, version)
        return value

    def field(self, field: Field, version: int) -> object:
        if version in field.nullable and self.random.random() < 0.25:
            return None
        if field.is_array:
            elements = [
                self.value(field.type[2:], field, version) for _ in range(self.random.randrange(4))
            ]
            return distinct(field, elements)
        return self.value(field.type, field, version)

    def value(self, kind: str, field: Field, version: int) -> object:
        if kind in BITS:
            edge = 1 << (BITS[kind] - 1)
            return self.random.choice(
                (0, 1, -1, edge - 1, -edge, self.random.randrange(-edge, edge))
            )
        if kind in ("uint16", "uint32"):
            return self.random.randrange(1 << int(kind[4:]))
        if kind == "bool":
            return self.random.random() < 0.5
        if kind == "float64":
            return self.random.uniform(-1e9, 1e9)
        if kind == "string":
            return self.random.choice(TEXTS)
        if kind == "uuid":
            return uuid_text(self.random.randbytes(16))
        if kind in ("bytes", "records"):
            return self.random.randbytes(self.random.randrange(40))
        return self.struct(field.struct, version)


def distinct(field: Field, elements: list) -> list:
    """Kafka keeps some lists by key, where a second element of one key cannot be."""
    keys = [each.name for each in field.struct.fields if each.map_key] if field.struct else []
    if not keys:
        return elements
    return list({tuple(element.get(key) for key in keys): element for element in elements}.values())


def lines(schemas: Schemas, declared: dict[int, range], rounds: int, seed: int) -> list[str]:
    """Messages of every kind at every version that both the schemas and our codec know."""
    dice = Dice(seed)
    out = []
    for kind, messages in (("request", schemas.requests), ("response", schemas.responses)):
        for key, message in sorted(messages.items()):
            for version in message.versions:
                if version in declared.get(key, range(0)):
                    bodies = (dice.message(message, version).hex() for _ in range(rounds))
                    out += [f"{kind}\t{key}\t{version}\t{body}" for body in bodies]
    return out


def program(command: list[str], text: str = "") -> list[str]:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def ours(*args: str, text: str = "") -> list[str]:
    return program([str(TARGET / "release" / "klamm-compat-recode"), *args], text)


def theirs(version: str | None, text: str) -> list[str]:
    command = ["java", *JVM, "-cp", class_path(version), "klamm.compat.oracle.Recode"]
    return program(command, text)


def differing(sent: list[str], returned: list[str]) -> list[str]:
    """The messages that came back otherwise, one per kind, API and version."""
    if len(sent) != len(returned):
        return [f"{len(returned)} answers to {len(sent)} messages"]
    found = {}
    for before, after in zip(sent, returned, strict=True):
        if before != after:
            head, _, was = before.rpartition("\t")
            found.setdefault(
                head, f"{head.replace(chr(9), ' ')}: {divergence(was, after.rpartition(chr(9))[2])}"
            )
    return list(found.values())


def divergence(was: str, now: str) -> str:
    """Where two messages in hex part, or why there is no second one."""
    if now.startswith("!"):
        return now[1:200]
    length = min(len(was), len(now))
    at = next((i for i in range(0, length, 2) if was[i : i + 2] != now[i : i + 2]), length)
    near = slice(max(at - 16, 0), at + 16)
    return f"from byte {at // 2} on, sent ..{was[near]}.., back ..{now[near]}.."


def judge(table: Table, client: str, feature: str, sent: list[str], returned: list[str]) -> None:
    complaints = differing(sent, returned)
    for line in complaints:
        print("  " + line)
    detail = f"{len(sent)} messages, {len(complaints)} kinds and versions differ"
    table.add(client, feature, FAIL if complaints else OK, detail)


def declared_versions() -> dict[int, range]:
    rows = (tuple(map(int, line.split("\t"))) for line in ours("list"))
    return {key: range(low, high + 1) for key, low, high in rows}


def uncovered(declared: dict[int, range], jars: list[Schemas]) -> list[str]:
    """What we declare and no jar can judge."""
    out = []
    for key, versions in declared.items():
        known = {v for jar in jars for v in getattr(jar.requests.get(key), "versions", ())}
        out += [f"api {key} version {version}" for version in versions if version not in known]
    return out


def build() -> None:
    manifest = COMPAT / "recode" / "Cargo.toml"
    subprocess.run(
        [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
            manifest,
            "--target-dir",
            TARGET,
        ],
        check=True,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compat/oracle", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer messages per version")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    return parser.parse_args()


def main() -> int:
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    build()
    declared = declared_versions()
    table, all_schemas = Table(), []
    for version in (None, *CLIENT_VERSIONS):
        jar = OTHER_CLIENTS / f"kafka-clients-{version}.jar" if version else clients_jar()
        schemas = Schemas(jar)
        all_schemas.append(schemas)
        sent = lines(schemas, declared, QUICK_ROUNDS if options.quick else ROUNDS, options.seed)
        text = "\n".join(sent) + "\n"
        judge(table, jar.stem, "decoded and encoded by Kafka", sent, theirs(version, text))
        judge(table, jar.stem, "decoded and encoded by us", sent, ours(text=text))
    known = all_schemas[0]
    defaults = [line for line in ours("defaults") if judged_by(known, line)]
    judge(
        table,
        clients_jar().stem,
        "our defaults, read by Kafka",
        defaults,
        theirs(None, "\n".join(defaults) + "\n"),
    )
    gaps = uncovered(declared, all_schemas)
    table.add(
        "all jars", "every declared version judged", FAIL if gaps else OK, ", ".join(gaps[:10])
    )
    return table.report()


def judged_by(schemas: Schemas, line: str) -> bool:
    kind, key, version, _ = line.split("\t")
    messages = schemas.requests if kind == "request" else schemas.responses
    return int(key) in messages and int(version) in messages[int(key)].versions


if __name__ == "__main__":
    sys.exit(main())
