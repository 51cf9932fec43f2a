"""Record batches of format v2, with every field open to abuse, and read back for comparison."""

import gzip
import struct
from dataclasses import dataclass, field

HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_END = 21
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum; slow, but the batches that need it here are small."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def zigzag(value: int) -> bytes:
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass
class Record:
    """One record of a batch, with its distance from the batch's first timestamp."""

    value: bytes | None = b"v"
    key: bytes | None = b"k"
    timestamp_delta: int = 0
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)

    def encode(self, offset_delta: int) -> bytes:
        body = b"\x00" + zigzag(self.timestamp_delta) + zigzag(offset_delta)
        body += nullable(self.key) + nullable(self.value) + zigzag(len(self.headers))
        for name, value in self.headers:
            body += zigzag(len(name.encode())) + name.encode() + nullable(value)
        return zigzag(len(body)) + body


def nullable(raw: bytes | None) -> bytes:
    return zigzag(-1) if raw is None else zigzag(len(raw)) + raw


@dataclass
class Batch:
    """A batch; fields left None are computed, fields that are set go out as they are."""

    records: list[Record] = field(default_factory=lambda: [Record()])
    base_offset: int = 0
    leader_epoch: int = -1
    magic: int = 2
    crc: int | None = None
    attributes: int = 0
    last_offset_delta: int | None = None
    base_timestamp: int = 1_700_000_000_000
    max_timestamp: int | None = None
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    count: int | None = None
    length: int | None = None
    payload: bytes | None = None

    def encode(self) -> bytes:
        records = self.payload
        if records is None:
            records = b"".join(record.encode(i) for i, record in enumerate(self.records))
            if self.attributes & 7 == CODECS["gzip"]:
                records = gzip.compress(records, mtime=0)
        latest = max((record.timestamp_delta for record in self.records), default=0)
        count = len(self.records) if self.count is None else self.count
        delta = len(self.records) - 1 if self.last_offset_delta is None else self.last_offset_delta
        maximum = self.base_timestamp + latest if self.max_timestamp is None else self.max_timestamp
        length = HEADER.size - 12 + len(records) if self.length is None else self.length
        head = HEADER.pack(
            self.base_offset,
            length,
            self.leader_epoch,
            self.magic,
            0,
            self.attributes,
            delta,
            self.base_timestamp,
            maximum,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            count,
        )
        crc = crc32c(head[CRC_END:] + records) if self.crc is None else self.crc
        return head[:17] + struct.pack(">I", crc) + head[CRC_END:] + records


def describe(raw: bytes | None) -> list[dict] | None:
    """The whole batches in a Fetch answer; a cut one may follow, which clients skip."""
    if raw is None:
        return None
    batches, at = [], 0
    while len(raw) - at >= HEADER.size:
        (
            base,
            length,
            epoch,
            magic,
            crc,
            attributes,
            delta,
            first,
            latest,
            producer_id,
            producer_epoch,
            sequence,
            count,
        ) = HEADER.unpack_from(raw, at)
        end = at + 12 + length
        if end > len(raw):
            break
        batches.append(
            {
                "baseOffset": base,
                "length": length,
                "partitionLeaderEpoch": epoch,
                "magic": magic,
                "crcValid": crc32c(raw[at + CRC_END : end]) == crc,
                "attributes": attributes,
                "lastOffsetDelta": delta,
                "baseTimestamp": first,
                "maxTimestamp": latest,
                "producerId": producer_id,
                "producerEpoch": producer_epoch,
                "baseSequence": sequence,
                "count": count,
            }
        )
        at = end
    return batches
