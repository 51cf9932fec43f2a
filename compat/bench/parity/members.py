"""Members of groups that scenarios are about: their ids are learned from the broker's answers."""

import time

from .world import READY_WITHIN_S, World

# Kafka says these of a group whose log is being made or read.
NOT_YET = (14, 15, 16)
MEMBER_ID_REQUIRED = 79
JOIN, SYNC, LEAVE = 5, 3, 3
SESSION_MS = 30_000


def member(w: World, group: str, instance: str | None = None, protocol: str = "range") -> dict:
    """The only member of a stable group of its own: its id and generation."""
    if group not in w.members:
        joined = join(w, group, instance, protocol)
        sync(w, group, joined)
        w.members[group] = joined
    return w.members[group]


def joined(w: World, group: str) -> dict:
    """The only member of a group of its own, which has not brought its assignment yet."""
    if group not in w.members:
        w.members[group] = join(w, group, None, "range")
    return w.members[group]


def left(w: World, group: str) -> str:
    """A group that had a member once."""
    if group not in w.members:
        identity = {"memberId": member(w, group)["memberId"], "groupInstanceId": None}
        w.request("LeaveGroup", LEAVE, {"groupId": group, "members": [identity]})
    return group


def join(w: World, group: str, instance: str | None, protocol: str) -> dict:
    body = joining(group, protocols=(protocol,), groupInstanceId=instance)
    answer = settled(w, "JoinGroup", JOIN, body)
    if answer["errorCode"] == MEMBER_ID_REQUIRED:
        answer = w.request("JoinGroup", JOIN, body | {"memberId": answer["memberId"]})
    if answer["errorCode"]:
        raise RuntimeError(f"cannot join {group}: {answer}")
    return answer


def sync(w: World, group: str, joined: dict) -> dict:
    return w.request("SyncGroup", SYNC, syncing(group, joined, assignment=b"yours"))


def joining(group: str, member_id: str = "", protocols=("range",), **fields: object) -> dict:
    """A JoinGroup that offers these protocols, each with its name as its metadata."""
    offered = [{"name": name, "metadata": name.encode()} for name in protocols]
    return {
        "groupId": group,
        "sessionTimeoutMs": SESSION_MS,
        "rebalanceTimeoutMs": SESSION_MS,
        "memberId": member_id,
        "protocolType": "consumer",
        "protocols": offered,
    } | fields


def syncing(group: str, joined: dict, assignment: bytes | None = None, **fields: object) -> dict:
    """A SyncGroup; with an assignment it is the leader's."""
    own = {"memberId": joined["memberId"], "assignment": assignment}
    return {
        "groupId": group,
        "generationId": joined["generationId"],
        "memberId": joined["memberId"],
        "protocolType": "consumer",
        "protocolName": "range",
        "assignments": [] if assignment is None else [own],
    } | fields


def settled(w: World, api: str, version: int, body: dict) -> dict:
    """The answer once the coordinator is there."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        answer = w.request(api, version, body)
        code = answer["errorCode"]
        if code not in NOT_YET or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)
