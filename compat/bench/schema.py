"""Kafka's message schemas, read from the JSON definitions inside the kafka-clients jar.

The bench speaks Kafka through this reading of the schemas alone, so that it shares no line of
code, and hence no mistake, with the broker it judges.
"""

import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

NONE = range(0, 0)
ALWAYS = 1 << 15


def parse_versions(text: str | None) -> range:
    """`"3-7"`, `"5+"`, `"2"` or `"none"` as a range of versions."""
    if text is None or text == "none":
        return NONE
    low, dash, high = text.partition("-")
    if text.endswith("+"):
        return range(int(text[:-1]), ALWAYS)
    return range(int(low), int(high if dash else low) + 1)


def lower_first(name: str) -> str:
    """Field names as Kafka's JSON converters spell them."""
    return name[0].lower() + name[1:]


@dataclass
class Field:
    """One field of a struct; `struct` is set when its type, or its element's, is one."""

    name: str
    type: str
    versions: range
    nullable: range
    flexible: range | None
    tagged: range
    tag: int | None
    default: object
    map_key: bool
    struct: "Struct | None"

    @property
    def is_array(self) -> bool:
        return self.type.startswith("[]")


@dataclass
class Struct:
    """An ordered list of fields."""

    fields: list[Field] = field(default_factory=list)


@dataclass
class Message:
    """A request, response or header: its struct and the versions that exist of it."""

    name: str
    api_key: int | None
    versions: range
    flexible: range
    body: Struct


class Schemas:
    """Every message of one kafka-clients jar, by name and by API key."""

    def __init__(self, jar: Path):
        self.by_name: dict[str, Message] = {}
        self.requests: dict[int, Message] = {}
        self.responses: dict[int, Message] = {}
        with zipfile.ZipFile(jar) as archive:
            for entry in sorted(archive.namelist()):
                if entry.startswith("common/message/") and entry.endswith(".json"):
                    self._add(parse_commented_json(archive.read(entry).decode()))

    def _add(self, spec: dict) -> None:
        if spec["type"] not in ("request", "response", "header") or spec["validVersions"] == "none":
            return
        message = parse_message(spec)
        self.by_name[message.name] = message
        if spec["type"] == "request":
            self.requests[message.api_key] = message
        elif spec["type"] == "response":
            self.responses[message.api_key] = message

    def api_name(self, api_key: int) -> str:
        return self.requests[api_key].name.removesuffix("Request")

    def api_key(self, name: str) -> int:
        return self.by_name[name + "Request"].api_key


def parse_commented_json(text: str) -> dict:
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


def parse_message(spec: dict) -> Message:
    common = {struct["name"]: struct for struct in spec.get("commonStructs", [])}
    versions = parse_versions(spec["validVersions"])
    if spec.get("latestVersionUnstable"):
        versions = versions[:-1]
    return Message(
        name=spec["name"],
        api_key=spec.get("apiKey"),
        versions=versions,
        flexible=parse_versions(spec.get("flexibleVersions")),
        body=parse_struct(spec["fields"], common),
    )


def parse_struct(fields: list[dict], common: dict) -> Struct:
    return Struct([parse_field(spec, common) for spec in fields])


def parse_field(spec: dict, common: dict) -> Field:
    base = spec["type"].removeprefix("[]")
    inner = spec.get("fields") or common.get(base, {}).get("fields")
    return Field(
        name=lower_first(spec["name"]),
        type=spec["type"],
        versions=parse_versions(spec.get("versions")),
        nullable=parse_versions(spec.get("nullableVersions")),
        flexible=parse_versions(spec["flexibleVersions"]) if "flexibleVersions" in spec else None,
        tagged=parse_versions(spec.get("taggedVersions")),
        tag=spec.get("tag"),
        default=spec.get("default"),
        map_key=spec.get("mapKey", False),
        struct=parse_struct(inner, common) if inner and base[0].isupper() else None,
    )
