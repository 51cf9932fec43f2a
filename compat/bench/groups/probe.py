"""A group as the broker tells of it, asked with raw requests."""

import time

from ..broker import Broker
from ..rawconn import RawConnection

ILLEGAL_GENERATION, RETRIABLE = 22, (14, 15, 16)
TIMEOUT_S = 30
# A type of resource that has settings.
GROUP = 32


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

    def describe_consumers(self, group: str) -> dict:
        """A group of the consumer protocol."""
        asked = {"groupIds": [group], "includeAuthorizedOperations": False}
        return self.ask("ConsumerGroupDescribe", 1, asked)["groups"][0]

    def set_session(self, group: str, session_ms: int) -> None:
        """Members of the consumer protocol take the group's."""
        name, value = "consumer.session.timeout.ms", str(session_ms)
        set_to = {"name": name, "configOperation": 0, "value": value}
        resource = {"resourceType": GROUP, "resourceName": group, "configs": [set_to]}
        body = {"resources": [resource], "validateOnly": False}
        (answer,) = self.ask("IncrementalAlterConfigs", 1, body)["responses"]
        if answer["errorCode"]:
            raise AssertionError(f"session of {group}: {answer['errorMessage']}")

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
        """The generation of a stable group: the one whose heartbeat is taken. Of a group of the
        consumer protocol it is the epoch."""
        described = self.describe_consumers(group)
        if not described["errorCode"]:
            return described["groupEpoch"]
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
