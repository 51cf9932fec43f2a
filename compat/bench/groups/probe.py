"""A group as the broker tells of it, asked with raw requests."""

import time

from ..broker import Broker
from ..rawconn import RawConnection

ILLEGAL_GENERATION, RETRIABLE = 22, (14, 15, 16)
TIMEOUT_S = 30


class Probe:
    """Asks one broker."""

    def __init__(self, broker: Broker):
        self.broker = broker

    def ask(self, api: str, version: int, body: dict) -> dict:
        with RawConnection(self.broker.schemas, self.broker.host, self.broker.port) as connection:
            return connection.request(api, version, body)

    def describe(self, group: str) -> dict:
        asked = {"groups": [group], "includeAuthorizedOperations": False}
        return self.ask("DescribeGroups", 5, asked)["groups"][0]

    def committed(self, group: str) -> dict[str, int]:
        """The committed offset of each partition, as `topic:0`."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            answer = self.ask("OffsetFetch", 5, {"groupId": group, "topics": None})
            if answer["errorCode"] not in RETRIABLE or time.monotonic() > deadline:
                break
        if answer["errorCode"]:
            raise AssertionError(f"OffsetFetch of {group}: error {answer['errorCode']}")
        return {
            f"{topic['name']}:{partition['partitionIndex']}": partition["committedOffset"]
            for topic in answer["topics"]
            for partition in topic["partitions"]
        }

    def generation(self, group: str) -> int:
        """The generation of a stable group: the one whose heartbeat is taken."""
        described = self.describe(group)
        if described["groupState"] != "Stable":
            raise AssertionError(f"{group} is {described['groupState']}")
        member = described["members"][0]["memberId"]
        for generation in range(100):
            body = {"groupId": group, "generationId": generation, "memberId": member}
            error = self.ask("Heartbeat", 0, body)["errorCode"]
            if error == 0:
                return generation
            if error != ILLEGAL_GENERATION:
                raise AssertionError(f"Heartbeat of {group}: error {error}")
        raise AssertionError(f"{group} has been through more than 100 generations")
