"""One connection that sends requests of our own making and hands back the answers."""

import socket
import struct

from .schema import Schemas
from .wire import Reader, decode, encode

API_VERSIONS = 18


class Closed(Exception):
    """The broker closed or reset the connection instead of answering."""


def request_header(
    schemas: Schemas, api_key: int, version: int, correlation: int, client: str
) -> bytes:
    message = schemas.requests.get(api_key)
    flexible = message is not None and version in message.flexible
    fields = {
        "requestApiKey": api_key,
        "requestApiVersion": version,
        "correlationId": correlation,
        "clientId": client,
    }
    return encode(schemas.by_name["RequestHeader"], 2 if flexible else 1, fields)


class RawConnection:
    """A plain socket to a broker; one request at a time unless `post` is used."""

    def __init__(self, schemas: Schemas, host: str, port: int, timeout_s: float = 20):
        self.schemas = schemas
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def close(self) -> None:
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request(self, api: str, version: int, body: dict) -> dict:
        """Sends a request and returns the decoded answer."""
        self.post(api, version, body)
        return self.answer(api, version)

    def post(self, api: str, version: int, body: dict) -> None:
        """Sends a request without waiting for what comes back."""
        message = self.schemas.by_name[api + "Request"]
        self.send(self.header(message.api_key, version) + encode(message, version, body))

    def header(self, api_key: int, version: int) -> bytes:
        self.correlation += 1
        return request_header(self.schemas, api_key, version, self.correlation, client="bench")

    def send(self, payload: bytes) -> None:
        try:
            self.socket.sendall(struct.pack(">i", len(payload)) + payload)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def answer(self, api: str, version: int) -> dict:
        """The next answer, which must be the one to the request sent last."""
        message = self.schemas.by_name[api + "Response"]
        # The header of an ApiVersions answer never has tags: its version is not agreed on yet.
        flexible = version in message.flexible and message.api_key != API_VERSIONS
        raw = self.frame()
        header = Reader(self.schemas.by_name["ResponseHeader"], 1 if flexible else 0, raw)
        fields = header.struct(self.schemas.by_name["ResponseHeader"].body)
        if fields["correlationId"] != self.correlation:
            raise ValueError(f"answer to {fields['correlationId']}, not to {self.correlation}")
        return decode(message, version, header.rest())

    def frame(self) -> bytes:
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self.socket.recv(count - len(parts))
            except ConnectionResetError as error:
                raise Closed from error
            if not part:
                raise Closed
            parts += part
        return bytes(parts)
