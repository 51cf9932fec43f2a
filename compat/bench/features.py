"""The features of the table, by the names that every client's suite uses."""

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

TOPICS = "topics made, described, deleted"
AUTO_CREATE = "a topic made by asking for it"
UNKNOWN_TOPIC = "an unknown topic is an error"
RECORD_FIELDS = "keys, headers, nulls, timestamps"
SEEK_OFFSET = "seek by offset"
SEEK_TIME = "seek by time"
EARLIEST_LATEST = "earliest and latest"
BIG = "a message near the limit"
TOO_LARGE = "a message over the limit"
CUT = "idempotent retry through cuts"


def compression(codec: str) -> str:
    return f"produce and consume, {codec}"
