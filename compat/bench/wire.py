"""Messages as bytes, driven by the schemas: what is missing from a message takes its default."""

import base64
import struct as packing

from .schema import Field, Message, Struct

FIXED = {
    "int8": ">b",
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "float64": ">d",
}
ZERO_UUID = "AAAAAAAAAAAAAAAAAAAAAA"


def uuid_text(raw: bytes) -> str:
    """A 16-byte id as Kafka prints it: base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def uuid_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def unsigned_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def default_of(field: Field) -> object:
    """The value that stands in for an absent field."""
    if field.default == "null":
        return None
    if field.is_array:
        return []
    if field.struct:
        return {}
    if field.type in FIXED:
        return (
            float(field.default or 0)
            if field.type == "float64"
            else int(str(field.default or 0), 0)
        )
    if field.type == "bool":
        return str(field.default).lower() == "true"
    return {"string": field.default or "", "uuid": ZERO_UUID}.get(field.type, b"")


class Writer:
    """Encodes one message at one version."""

    def __init__(self, message: Message, version: int):
        self.version = version
        self.flexible = version in message.flexible
        self.out = bytearray()

    def struct(self, struct: Struct, value: dict) -> None:
        tags = []
        for field in struct.fields:
            if self.version in field.tagged:
                body = self.apart(field, value.get(field.name, default_of(field)))
                if body != self.apart(field, default_of(field)):
                    tags.append((field.tag, body))
            elif self.version in field.versions:
                self.field(field, value.get(field.name, default_of(field)))
        if self.flexible:
            self.tags(tags)

    def apart(self, field: Field, value: object) -> bytes:
        """The bytes of one field by itself."""
        outer, self.out = self.out, bytearray()
        self.field(field, value)
        inner, self.out = self.out, outer
        return bytes(inner)

    def tags(self, entries: list[tuple[int, bytes]]) -> None:
        self.out += unsigned_varint(len(entries))
        for tag, body in sorted(entries):
            self.out += unsigned_varint(tag) + unsigned_varint(len(body)) + body

    def field(self, field: Field, value: object) -> None:
        flexible = self.flexible if field.flexible is None else self.version in field.flexible
        if field.is_array:
            self.length(None if value is None else len(value), flexible, ">i")
            for element in value or []:
                self.value(field.type[2:], field, element, flexible)
        elif field.struct and self.version in field.nullable:
            self.out += b"\xff" if value is None else b"\x01"
            if value is not None:
                self.struct(field.struct, value)
        else:
            self.value(field.type, field, value, flexible)

    def value(self, kind: str, field: Field, value: object, flexible: bool) -> None:
        if kind in FIXED:
            self.out += packing.pack(FIXED[kind], value)
        elif kind == "bool":
            self.out.append(1 if value else 0)
        elif kind == "uuid":
            self.out += uuid_bytes(value)
        elif kind == "string":
            self.sized(None if value is None else value.encode(), flexible, ">h")
        elif kind in ("bytes", "records"):
            self.sized(value, flexible, ">i")
        else:
            self.struct(field.struct, value)

    def sized(self, raw: bytes | None, flexible: bool, length_format: str) -> None:
        self.length(None if raw is None else len(raw), flexible, length_format)
        self.out += raw or b""

    def length(self, count: int | None, flexible: bool, length_format: str) -> None:
        if flexible:
            self.out += unsigned_varint(0 if count is None else count + 1)
        else:
            self.out += packing.pack(length_format, -1 if count is None else count)


class Reader:
    """Decodes one message at one version; `rest()` tells whether all of it was read."""

    def __init__(self, message: Message, version: int, raw: bytes):
        self.version = version
        self.flexible = version in message.flexible
        self.raw = raw
        self.at = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.raw):
            raise ValueError(f"{count} bytes wanted at {self.at} of {len(self.raw)}")
        self.at += count
        return self.raw[self.at - count : self.at]

    def rest(self) -> bytes:
        return self.raw[self.at :]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def struct(self, struct: Struct) -> dict:
        value, tagged = {}, {}
        for field in struct.fields:
            if self.version in field.tagged:
                tagged[field.tag] = field
                value[field.name] = default_of(field)
            elif self.version in field.versions:
                value[field.name] = self.field(field)
        if self.flexible:
            self.tags(tagged, value)
        return value

    def tags(self, known: dict[int, Field], value: dict) -> None:
        for _ in range(self.varint()):
            tag, end = self.varint(), self.varint()
            end += self.at
            if tag in known:
                value[known[tag].name] = self.field(known[tag])
                if self.at != end:
                    raise ValueError(f"tag {tag} ends at {self.at}, not at {end}")
            else:
                body = uuid_text(self.take(end - self.at))
                value.setdefault("unknownTags", []).append([tag, body])

    def field(self, field: Field) -> object:
        flexible = self.flexible if field.flexible is None else self.version in field.flexible
        if field.is_array:
            count = self.length(flexible, ">i")
            if count is None:
                return None
            return [self.value(field.type[2:], field, flexible) for _ in range(count)]
        if field.struct and self.version in field.nullable:
            return None if self.take(1) == b"\xff" else self.struct(field.struct)
        return self.value(field.type, field, flexible)

    def value(self, kind: str, field: Field, flexible: bool) -> object:
        if kind in FIXED:
            size = packing.calcsize(FIXED[kind])
            return packing.unpack(FIXED[kind], self.take(size))[0]
        if kind == "bool":
            return self.take(1) != b"\x00"
        if kind == "uuid":
            return uuid_text(self.take(16))
        if kind == "string":
            raw = self.sized(flexible, ">h")
            return None if raw is None else raw.decode()
        if kind in ("bytes", "records"):
            return self.sized(flexible, ">i")
        return self.struct(field.struct)

    def sized(self, flexible: bool, length_format: str) -> bytes | None:
        count = self.length(flexible, length_format)
        return None if count is None else self.take(count)

    def length(self, flexible: bool, length_format: str) -> int | None:
        if flexible:
            count = self.varint() - 1
        else:
            size = packing.calcsize(length_format)
            count = packing.unpack(length_format, self.take(size))[0]
        return None if count < 0 else count


def encode(message: Message, version: int, value: dict) -> bytes:
    """The bytes of `value` at `version`."""
    writer = Writer(message, version)
    writer.struct(message.body, value)
    return bytes(writer.out)


def decode(message: Message, version: int, raw: bytes) -> dict:
    """The message in `raw`, which must hold it and nothing else."""
    reader = Reader(message, version, raw)
    value = reader.struct(message.body)
    if reader.rest():
        raise ValueError(f"{len(reader.rest())} bytes left over after {message.name} v{version}")
    return value
