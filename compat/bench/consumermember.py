"""One member of a group of the consumer protocol that reads and commits, cheap enough to have
fifty."""

import asyncio
import struct
import uuid

from .groupmember import Line
from .schema import Schemas

BEAT, FETCH, COMMIT, COMMITTED = 1, 12, 9, 9
UNKNOWN_MEMBER, FENCED_EPOCH, STALE_EPOCH = 25, 110, 113
REBALANCE_MS = 30_000
# How long a broker without records waits before it says so.
PATIENCE_MS = 250
PARTITION_BYTES_MAX = 1 << 16
RETRY_S = 0.01
# In a batch: where its length, its last offset's distance and, after the length, the rest begin.
LENGTH_AT, LAST_AT, BEHIND_LENGTH = 8, 23, 12


class Member:
    """Beats on one connection and reads on another."""

    def __init__(self, schemas: Schemas, address: tuple[str, int], group: str, topic: tuple):
        self.address, self.group = address, group
        self.topic, self.topic_id = topic
        self.beats, self.fetches = Line(schemas, group), Line(schemas, group)
        self.id, self.epoch, self.interval_s = str(uuid.uuid4()), 0, 0.0
        # The partitions that it reads, and how far it has.
        self.owned: dict[int, int] = {}
        # What it has read: partition, first offset, end. And how far is committed, as it knows.
        self.reads: list[tuple[int, int, int]] = []
        self.committed: dict[int, int] = {}
        # Held from when records are taken until they are committed, and while partitions go.
        self.at_work = asyncio.Lock()

    async def live(self) -> None:
        """Until it is cancelled, and then it is gone without a word."""
        try:
            await self.beats.open(*self.address)
            await self.fetches.open(*self.address)
            await asyncio.gather(self.beat(), self.read())
        finally:
            self.beats.cut()
            self.fetches.cut()

    async def beat(self) -> None:
        says_all = True
        while True:
            asked = self.says_all() if says_all else self.identity()
            answer = await self.beats.ask("ConsumerGroupHeartbeat", BEAT, asked)
            code = answer["errorCode"]
            if code in (UNKNOWN_MEMBER, FENCED_EPOCH):
                self.epoch, says_all = 0, True
                self.owned.clear()
                continue
            if code:
                raise RuntimeError(f"{self.group}: error {code}: {answer['errorMessage']}")
            self.epoch = answer["memberEpoch"]
            changes = answer["assignment"] is not None and await self.adopt(answer["assignment"])
            # What has changed is said at once, so that others get what this one has given up.
            says_all = changes
            if not changes:
                await asyncio.sleep(answer["heartbeatIntervalMs"] / 1000)

    def identity(self) -> dict:
        return {"groupId": self.group, "memberId": self.id, "memberEpoch": self.epoch}

    def says_all(self) -> dict:
        held = [{"topicId": self.topic_id, "partitions": sorted(self.owned)}] if self.owned else []
        return self.identity() | {
            "rebalanceTimeoutMs": REBALANCE_MS,
            "subscribedTopicNames": [self.topic],
            "topicPartitions": held,
        }

    async def adopt(self, assignment: dict) -> bool:
        """Comes to what it shall hold; tells whether that is something else."""
        told = {index for each in assignment["topicPartitions"] for index in each["partitions"]}
        if told == set(self.owned):
            return False
        new = sorted(told - set(self.owned))
        found = await self.look_up(new) if new else {}
        async with self.at_work:
            self.owned = {index: self.owned.get(index, found.get(index, 0)) for index in told}
            self.committed |= found
        return True

    async def look_up(self, partitions: list[int]) -> dict[int, int]:
        """From where to read on."""
        topics = [{"name": self.topic, "partitionIndexes": partitions}]
        group = {"groupId": self.group, "memberId": self.id, "memberEpoch": self.epoch}
        body = {"groups": [group | {"topics": topics}], "requireStable": True}
        (group,) = (await self.beats.ask("OffsetFetch", COMMITTED, body))["groups"]
        if group["errorCode"]:
            raise RuntimeError(f"{self.group}: OffsetFetch: error {group['errorCode']}")
        told = group["topics"][0]["partitions"]
        return {each["partitionIndex"]: max(each["committedOffset"], 0) for each in told}

    async def read(self) -> None:
        while True:
            wanted = dict(self.owned)
            if not wanted:
                await asyncio.sleep(RETRY_S)
                continue
            answer = await self.fetches.ask("Fetch", FETCH, self.fetching(wanted))
            async with self.at_work:
                ends = {}
                for each in answer["responses"][0]["partitions"]:
                    index = each["partitionIndex"]
                    # It may have gone meanwhile, or gone and come back.
                    if each["records"] and self.owned.get(index) == wanted[index]:
                        ends[index] = self.take(index, each["records"])
                if ends:
                    await self.commit(ends)

    def fetching(self, wanted: dict[int, int]) -> dict:
        partitions = [
            {"partition": index, "fetchOffset": offset, "partitionMaxBytes": PARTITION_BYTES_MAX}
            for index, offset in wanted.items()
        ]
        return {
            "maxWaitMs": PATIENCE_MS,
            "minBytes": 1,
            "sessionEpoch": -1,
            "topics": [{"topic": self.topic, "partitions": partitions}],
        }

    def take(self, index: int, records: bytes) -> int:
        """Notes what the batches hold from the position on; gives the end."""
        end, at = self.owned[index], 0
        while at + LAST_AT + 4 <= len(records):
            base, length = struct.unpack_from(">qi", records, at)
            behind = base + struct.unpack_from(">i", records, at + LAST_AT)[0] + 1
            if at + BEHIND_LENGTH + length > len(records):
                break  # Kafka may send half of the last one.
            if behind > end:
                self.reads.append((index, end, behind))
                end = behind
            at += BEHIND_LENGTH + length
        self.owned[index] = end
        return end

    async def commit(self, ends: dict[int, int]) -> None:
        """Until it is done. While it waits, another heartbeat may have brought another epoch."""
        places = [
            {"partitionIndex": index, "committedOffset": end, "committedMetadata": ""}
            for index, end in ends.items()
        ]
        while self.epoch:
            body = {
                "groupId": self.group,
                "memberId": self.id,
                "generationIdOrMemberEpoch": self.epoch,
                "topics": [{"name": self.topic, "partitions": places}],
            }
            answer = await self.fetches.ask("OffsetCommit", COMMIT, body)
            codes = {each["errorCode"] for each in answer["topics"][0]["partitions"]}
            if codes == {0}:
                self.committed |= ends
                return
            if codes in ({UNKNOWN_MEMBER}, {FENCED_EPOCH}):
                return  # It is out, and will hear of it.
            if codes != {STALE_EPOCH}:
                raise RuntimeError(f"{self.group}: a commit was refused: errors {codes}")
            await asyncio.sleep(RETRY_S)
