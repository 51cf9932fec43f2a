"""The connection itself: version negotiation, and requests that no broker knows."""

import struct

from .world import Ask, World

# What every client of the bench calls itself.
SOFTWARE = {"clientSoftwareName": "bench", "clientSoftwareVersion": "1.0"}


def api_versions_at(version: int, answered_at: int):
    """Asks with a version that is too new; the broker answers with the oldest body."""

    def send(w: World, _: int) -> dict:
        with w.connect() as connection:
            connection.send(connection.header(18, version) + b"\x00")
            return connection.answer("ApiVersions", answered_at)

    return send


def unknown(api_key: int, version: int):
    """A request with this key and version and an empty body; what counts is how it ends."""

    def send(w: World, _: int) -> dict:
        with w.connect() as connection:
            connection.send(connection.header(api_key, version))
            return {"frame": connection.frame().hex()}

    return send


def raw_frame(payload: bytes):
    def send(w: World, _: int) -> dict:
        with w.connect() as connection:
            connection.socket.sendall(payload)
            return {"frame": connection.frame().hex()}

    return send


def cut_body(api: str, version: int):
    """A known header with a body that ends too early."""

    def send(w: World, _: int) -> dict:
        with w.connect() as connection:
            key = w.schemas.api_key(api)
            connection.send(connection.header(key, version) + b"\x00\x00")
            return {"frame": connection.frame().hex()}

    return send


def asks() -> list[Ask]:
    once = range(0, 1)
    named = lambda name, version: (
        lambda w, v: {"clientSoftwareName": name, "clientSoftwareVersion": version}
    )
    return [
        Ask("api versions", "ApiVersions", lambda w, v: SOFTWARE, partial=True),
        Ask("api versions, name with a space", "ApiVersions", named("my client", "1"), range(3, 5)),
        Ask("api versions, empty name", "ApiVersions", named("", "1"), range(3, 5)),
        Ask("api versions, version ends in a dash", "ApiVersions", named("a", "1-"), range(3, 5)),
        Ask(
            "api versions, one-letter name",
            "ApiVersions",
            named("a", "1"),
            range(3, 5),
            partial=True,
        ),
        Ask(
            "api versions, too new by one", "ApiVersions", versions=once, send=api_versions_at(5, 0)
        ),
        Ask("api versions, far too new", "ApiVersions", versions=once, send=api_versions_at(99, 0)),
        Ask(
            "api versions, negative version",
            "ApiVersions",
            versions=once,
            send=api_versions_at(-1, 0),
        ),
        Ask("unknown api key 999", "-", versions=once, send=unknown(999, 0)),
        Ask("unknown api key -1", "-", versions=once, send=unknown(-1, 0)),
        Ask("removed api LeaderAndIsr", "-", versions=once, send=unknown(4, 0)),
        Ask("metadata version 99", "-", versions=once, send=unknown(3, 99)),
        Ask("fetch version 3", "-", versions=once, send=unknown(1, 3)),
        Ask("create topics version 1", "-", versions=once, send=unknown(19, 1)),
        Ask("metadata with a cut body", "-", versions=once, send=cut_body("Metadata", 9)),
        Ask("frame of negative length", "-", versions=once, send=raw_frame(struct.pack(">i", -1))),
        Ask("frame too long", "-", versions=once, send=raw_frame(struct.pack(">i", 0x7FFFFFFF))),
        Ask("empty frame", "-", versions=once, send=raw_frame(struct.pack(">i", 0))),
        Ask("produce version 0", "-", versions=once, send=produce_version(0)),
        Ask("produce version 2", "-", versions=once, send=produce_version(2)),
    ]


def produce_version(version: int):
    """Produce below 3 is advertised but not served; the bodies of 0 to 2 are alike."""

    def send(w: World, _: int) -> dict:
        topic = w.topic("produce-old")
        with w.connect() as connection:
            body = struct.pack(">hii", 1, 1000, 1) + struct.pack(">h", len(topic)) + topic.encode()
            body += struct.pack(">iii", 1, 0, 0)
            connection.send(connection.header(0, version) + body)
            return {"frame": connection.frame().hex()}

    return send
