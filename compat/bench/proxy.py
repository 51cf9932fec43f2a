"""A TCP proxy that cuts connections in the middle of a Produce, on either side of the broker.

Clients find brokers by the address in Metadata, so the proxy writes its own port there.
"""

import contextlib
import itertools
import socket
import struct
import threading
from collections import Counter

from .schema import Schemas
from .wire import Reader, encode

PRODUCE, METADATA, DESCRIBE_CLUSTER = 0, 3, 60
# Where a connection is cut, in turn. After the last two the broker has the records, and only the
# producer does not know it: a retry that is taken for a new batch would double them.
CUTS = ("before the request", "inside the request", "before the answer", "inside the answer")


class Cut(Exception):
    """The connection ends here, on purpose."""


class CuttingProxy:
    """Forwards to one broker; every `every`-th Produce ends its connection."""

    def __init__(self, schemas: Schemas, host: str, port: int, every: int = 5):
        self.schemas = schemas
        self.target = (host, port)
        self.every = every
        self.produced = 0
        self.cuts = Counter()
        self.rotation = itertools.cycle(CUTS)
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            Relay(self, client).start()

    def next_cut(self) -> str | None:
        """Where the Produce at hand is cut, if it is its turn."""
        with self.lock:
            self.produced += 1
            return None if self.produced % self.every else next(self.rotation)

    def cut(self, where: str) -> "Cut":
        """Notes that a connection is cut."""
        with self.lock:
            self.cuts[where] += 1
        return Cut()

    def tally(self) -> str:
        """How many connections were cut; there must be one for each place of a cut."""
        if missed := [where for where in CUTS if not self.cuts[where]]:
            raise AssertionError(f"no connection was cut {', '.join(missed)}")
        return f"{self.cuts.total()} cuts"


class Relay:
    """One client connection and its counterpart towards the broker."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket):
        self.proxy = proxy
        self.client = client
        self.broker = socket.create_connection(proxy.target)
        for end in (self.client, self.broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending: dict[int, tuple[int, int, str | None]] = {}

    def start(self) -> None:
        threading.Thread(target=self.pump, args=(self.requests,), daemon=True).start()
        threading.Thread(target=self.pump, args=(self.answers,), daemon=True).start()

    def pump(self, direction) -> None:
        try:
            while True:
                direction()
        except (OSError, Cut):
            for end in (self.client, self.broker):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def requests(self) -> None:
        frame = read_frame(self.client)
        api_key, version, correlation = struct.unpack_from(">hhi", frame)
        cut = self.proxy.next_cut() if api_key == PRODUCE else None
        self.pending[correlation] = (api_key, version, cut)
        if cut == "before the request":
            raise self.proxy.cut(cut)
        if cut == "inside the request":
            self.broker.sendall(with_length(frame)[: len(frame) // 2])
            raise self.proxy.cut(cut)
        self.broker.sendall(with_length(frame))

    def answers(self) -> None:
        frame = read_frame(self.broker)
        (correlation,) = struct.unpack_from(">i", frame)
        api_key, version, cut = self.pending.pop(correlation)
        if cut == "before the answer":
            raise self.proxy.cut(cut)
        if cut == "inside the answer":
            self.client.sendall(with_length(frame)[:-3])
            raise self.proxy.cut(cut)
        if api_key in (METADATA, DESCRIBE_CLUSTER):
            frame = self.readdressed(api_key, version, frame)
        self.client.sendall(with_length(frame))

    def readdressed(self, api_key: int, version: int, frame: bytes) -> bytes:
        """The answer with the proxy's port in the place of the broker's."""
        message = self.proxy.schemas.responses[api_key]
        header = self.proxy.schemas.by_name["ResponseHeader"]
        reader = Reader(header, 1 if version in message.flexible else 0, frame)
        reader.struct(header.body)
        value = Reader(message, version, reader.rest()).struct(message.body)
        for broker in value["brokers"]:
            broker["port"] = self.proxy.port
        return frame[: reader.at] + encode(message, version, value)


def read_frame(source: socket.socket) -> bytes:
    return exactly(source, struct.unpack(">i", exactly(source, 4))[0])


def exactly(source: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = source.recv(count - len(parts))
        if not part:
            raise Cut
        parts += part
    return bytes(parts)


def with_length(frame: bytes) -> bytes:
    return struct.pack(">i", len(frame)) + frame
