"""One member of a classic group, on a socket of its own, cheap enough to have a thousand."""

import asyncio
import itertools
import struct

from .rawconn import request_header
from .schema import Schemas
from .wire import decode, encode

JOIN, SYNC, HEARTBEAT, COMMIT, DESCRIBE = 5, 3, 3, 7, 4
UNKNOWN_MEMBER, ILLEGAL_GENERATION, REBALANCE, MEMBER_ID_REQUIRED = 25, 22, 27, 79
# The coordinator is loading or not there yet.
NOT_YET = (14, 15, 16)
RETRY_S = 0.1
BEATS_BETWEEN_COMMITS = 3


class Line:
    """A connection on which one request at a time is asked."""

    def __init__(self, schemas: Schemas, name: str):
        self.schemas, self.name = schemas, name
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.correlation = 0

    async def open(self, host: str, port: int) -> None:
        self.reader, self.writer = await asyncio.open_connection(host, port)

    async def ask(self, api: str, version: int, body: dict) -> dict:
        request = self.schemas.by_name[api + "Request"]
        self.correlation += 1
        header = (request.api_key, version, self.correlation)
        raw = request_header(self.schemas, *header, client=self.name)
        raw += encode(request, version, body)
        self.writer.write(struct.pack(">i", len(raw)) + raw)
        await self.writer.drain()
        length = struct.unpack(">i", await self.reader.readexactly(4))[0]
        answer = await self.reader.readexactly(length)
        # The correlation id, and in newer versions the header's tags, of which there are none.
        header = 5 if version in request.flexible else 4
        return decode(self.schemas.by_name[api + "Response"], version, answer[header:])

    def cut(self) -> None:
        """Ends the connection as a process that dies does."""
        if self.writer:
            self.writer.transport.abort()


class Member:
    """Joins, shares out the partitions when it leads, beats, and commits now and then."""

    def __init__(self, schemas: Schemas, address: tuple[str, int], group: str, topic: str, **how):
        self.line = Line(schemas, group)
        self.address, self.group, self.topic = address, group, topic
        self.session_ms, self.beat_s = how["session_ms"], how["beat_s"]
        self.id, self.generation = "", -1
        self.assigned: bytes | None = None
        self.commits = 0

    async def live(self) -> None:
        """Until it is cancelled, and then it is gone without a word."""
        try:
            await self.line.open(*self.address)
            while True:
                if await self.join():
                    await self.beat()
        finally:
            self.assigned = None
            self.line.cut()

    async def join(self) -> bool:
        """Whether it has a part in the new generation."""
        self.assigned = None
        answer = await self.line.ask("JoinGroup", JOIN, self.joining())
        code = answer["errorCode"]
        if code == MEMBER_ID_REQUIRED:
            self.id = answer["memberId"]
            return False
        if code:
            return await self.refused(code)
        self.id, self.generation = answer["memberId"], answer["generationId"]
        shares = []
        if answer["leader"] == self.id:
            names = [each["memberId"] for each in answer["members"]]
            shares = [
                {"memberId": name, "assignment": b"%d of %d" % (number, len(names))}
                for number, name in enumerate(names)
            ]
        body = self.identity() | {"generationId": self.generation, "assignments": shares}
        answer = await self.line.ask("SyncGroup", SYNC, body)
        if answer["errorCode"]:
            return await self.refused(answer["errorCode"])
        self.assigned = answer["assignment"]
        return True

    async def beat(self) -> None:
        """Until the group is to be joined again."""
        body = self.identity() | {"generationId": self.generation}
        for beats in itertools.count(1):
            await asyncio.sleep(self.beat_s)
            answer = await self.line.ask("Heartbeat", HEARTBEAT, body)
            if answer["errorCode"]:
                await self.refused(answer["errorCode"])
                return
            if beats % BEATS_BETWEEN_COMMITS == 0:
                await self.commit()

    async def commit(self) -> None:
        self.commits += 1
        place = {"partitionIndex": 0, "committedOffset": self.commits, "committedMetadata": ""}
        body = self.identity() | {
            "generationIdOrMemberEpoch": self.generation,
            "topics": [{"name": self.topic, "partitions": [place]}],
        }
        answer = await self.line.ask("OffsetCommit", COMMIT, body)
        code = answer["topics"][0]["partitions"][0]["errorCode"]
        # The next heartbeat says what has become of the group.
        if code not in (0, UNKNOWN_MEMBER, ILLEGAL_GENERATION, REBALANCE):
            raise RuntimeError(f"{self.group}: a commit was refused: error {code}")

    async def refused(self, code: int) -> bool:
        if code == UNKNOWN_MEMBER:
            self.id = ""
        elif code in NOT_YET:
            await asyncio.sleep(RETRY_S)
        elif code not in (REBALANCE, ILLEGAL_GENERATION):
            raise RuntimeError(f"{self.group}: error {code}")
        return False

    def identity(self) -> dict:
        return {"groupId": self.group, "memberId": self.id}

    def joining(self) -> dict:
        return self.identity() | {
            "sessionTimeoutMs": self.session_ms,
            "rebalanceTimeoutMs": self.session_ms,
            "protocolType": "consumer",
            "protocols": [{"name": "range", "metadata": subscription(self.topic)}],
        }


def subscription(topic: str) -> bytes:
    """The consumers' own message, version 0. Kafka 4.3 never answers when it cannot read it."""
    name = topic.encode()
    return struct.pack(f">hih{len(name)}si", 0, 1, len(name), name, -1)
