"""Groups of the consumer protocol (KIP-848): how members come, stay and go, and what others may do
to their groups."""

import time
from collections.abc import Callable

from ..groupmember import subscription
from .group_offsets import place
from .groups import find
from .members import joining, member, settled
from .world import READY_WITHIN_S, Ask, World

BEAT, DESCRIBE = "ConsumerGroupHeartbeat", "ConsumerGroupDescribe"
LOG, OTHER = "gc-log", "gc-other"
JOINS, LEAVES, LEAVES_FOR_A_WHILE = 0, -1, -2
# Where a group is with its first member, and then.
EPOCH, NEXT = 2, 3
MUTE = {
    "instanceId": None,
    "rackId": None,
    "rebalanceTimeoutMs": -1,
    "subscribedTopicNames": None,
    "subscribedTopicRegex": None,
    "serverAssignor": None,
    "topicPartitions": None,
}
ALL = {"rebalanceTimeoutMs": 30_000, "subscribedTopicNames": [LOG], "topicPartitions": []}

Start = Callable[[World, str], None]


def beat(group: str, member_id: str, epoch: int, **fields: object) -> dict:
    return {"groupId": group, "memberId": member_id, "memberEpoch": epoch} | MUTE | fields


def owning(w: World, *partitions: int) -> list[dict]:
    return [{"topicId": w.id(LOG), "partitions": list(partitions)}] if partitions else []


def nobody(w: World, group: str) -> None:
    """The coordinator is there, and no group."""
    w.topic(LOG, 3)
    w.topic(OTHER, 1)
    if "consumers" not in w.members:
        settled(w, "FindCoordinator", 3, find(w, 3, "any"))
        settled(w, BEAT, 1, beat("gc-first", "a", JOINS, **ALL))
        w.members["consumers"] = {}


def one(w: World, group: str, **fields: object) -> None:
    """Member `a` is in the group and holds all partitions."""
    nobody(w, group)
    if group not in w.members:
        w.request(BEAT, 1, beat(group, "a", JOINS, **(ALL | fields)))
        w.members[group] = {}


def static(w: World, group: str) -> None:
    """The same, with a name that stays."""
    one(w, group, instanceId="i")


def away(w: World, group: str) -> None:
    """The static member has left for a while."""
    static(w, group)
    w.request(BEAT, 1, beat(group, "a", LEAVES_FOR_A_WHILE, instanceId="i"))


def two(w: World, group: str) -> None:
    """`a` has heard that it is to give up what `b` shall have, and `b` that it has to wait."""
    if group in w.members:
        return
    one(w, group)
    until(w, lambda: beat(group, "b", JOINS, **ALL), lambda answer: answer["memberEpoch"] == NEXT)
    held = owning(w, 0, 1, 2)
    answer = w.request(BEAT, 1, beat(group, "a", EPOCH, **(ALL | {"topicPartitions": held})))
    w.members[group] = answer["assignment"]


def given_up(w: World, group: str) -> None:
    """`a` has given up."""
    two(w, group)
    w.request(BEAT, 1, beat(group, "a", EPOCH, **(ALL | w.members[group])))


def matched(w: World, group: str) -> None:
    """`a` reads by a pattern, and has been told what that is: Kafka looks in the background."""
    if group in w.members:
        return
    nobody(w, group)
    reads = {"subscribedTopicNames": [], "subscribedTopicRegex": "gc-(log|none)"}
    w.request(BEAT, 1, beat(group, "a", JOINS, **(ALL | reads)))
    until(
        w,
        lambda: beat(group, "a", JOINS, **(ALL | reads)),
        lambda answer: answer["assignment"] and answer["assignment"]["topicPartitions"],
    )
    w.members[group] = {}


def until(w: World, body: Callable[[], dict], is_it: Callable[[dict], bool]) -> None:
    """Kafka makes a new target once a second at most."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_it(w.request(BEAT, 1, body())) and time.monotonic() < deadline:
        time.sleep(0.1)


def empty(w: World, group: str) -> None:
    """Its only member has left."""
    if group not in w.members:
        one(w, group)
        w.request(BEAT, 1, beat(group, "a", LEAVES))


def at(start: Start, group: str, member_id: str, epoch: int, *reads: dict, **fields: object):
    def body(w: World, v: int) -> dict:
        name = group and f"{group}-v{v}"
        start(w, name)
        said = {key: value for each in reads for key, value in each.items()} | fields
        return beat(name, member_id, epoch, **said)

    return body


def join_asks() -> list[Ask]:
    def join(title: str, group: str, versions: range | None = None, **fields: object) -> Ask:
        return Ask(f"join: {title}", BEAT, at(nobody, group, "a", JOINS, ALL, **fields), versions)

    pattern = {"subscribedTopicNames": [], "versions": range(1, 2)}
    return [
        join("a newcomer", "gc-new"),
        Ask("join: no id", BEAT, at(nobody, "gc-no-id", "", JOINS, ALL)),
        Ask("join: a blank id", BEAT, at(nobody, "gc-blank-id", " ", JOINS, ALL)),
        join("no group", ""),
        Ask("join: a blank group", BEAT, lambda w, v: beat(" ", "a", JOINS, **ALL)),
        join("an empty instance", "gc-unnamed", instanceId=""),
        join("a blank rack", "gc-rack", rackId=" "),
        join("no rebalance timeout", "gc-no-time", rebalanceTimeoutMs=-1),
        join("a rebalance timeout of nothing", "gc-no-time", rebalanceTimeoutMs=0),
        Ask(
            "join: it holds partitions",
            BEAT,
            lambda w, v: beat("gc-holds", "a", JOINS, **ALL) | {"topicPartitions": owning(w, 0)},
        ),
        join("it does not say what it holds", "gc-holds", topicPartitions=None),
        join("it does not say what it reads", "gc-reads", subscribedTopicNames=None),
        join("nothing to read", "gc-reads-none", subscribedTopicNames=[]),
        join("a topic that is not there", "gc-reads-no", subscribedTopicNames=["nowhere"]),
        join("a topic twice", "gc-reads-twice", subscribedTopicNames=[LOG, LOG]),
        join("an assignor", "gc-range", serverAssignor="range"),
        join("no such assignor", "gc-sticky", serverAssignor="sticky"),
        join("an empty assignor", "gc-no-assignor", serverAssignor=""),
        join("static", "gc-static", instanceId="i"),
        join("a pattern that is none", "gc-bad", subscribedTopicRegex="(", **pattern),
        join("a pattern of Java's own", "gc-look", subscribedTopicRegex="(?=a)b", **pattern),
        join("a pattern with a reference", "gc-ref", subscribedTopicRegex=r"(a)\1", **pattern),
        Ask("join: a stranger by epoch", BEAT, at(nobody, "gc-nobody", "a", EPOCH)),
        Ask("join: an epoch that means nothing", BEAT, at(nobody, "gc-epoch", "a", -3, ALL)),
        Ask("join: again", BEAT, at(one, "gc-again", "a", JOINS, ALL)),
        Ask("join: again, static", BEAT, at(static, "gc-again-i", "a", JOINS, ALL, instanceId="i")),
        Ask("join: a second one", BEAT, at(one, "gc-second", "b", JOINS, ALL)),
        Ask(
            "join: an instance taken",
            BEAT,
            at(static, "gc-taken", "b", JOINS, ALL, instanceId="i"),
        ),
        Ask(
            "join: an instance that was left",
            BEAT,
            at(away, "gc-back", "b", JOINS, ALL, instanceId="i"),
        ),
    ]


def stay_asks() -> list[Ask]:
    def held(group: str, *partitions: int, start: Start = one):
        def body(w: World, v: int) -> dict:
            name = f"{group}-v{v}"
            start(w, name)
            return beat(name, "a", EPOCH, **(ALL | {"topicPartitions": owning(w, *partitions)}))

        return body

    other = {"subscribedTopicNames": [OTHER]}
    return [
        Ask("stay: a word", BEAT, at(one, "gc-stay", "a", EPOCH)),
        Ask("stay: without an id", BEAT, at(one, "gc-stay", "", EPOCH)),
        Ask("stay: all is said", BEAT, held("gc-stay-all", 0, 1, 2)),
        Ask("stay: it holds less", BEAT, held("gc-stay-less", 0)),
        Ask("stay: it holds more", BEAT, held("gc-stay-more", 0, 1, 2, 3)),
        Ask("stay: a later epoch", BEAT, at(one, "gc-stay", "a", NEXT)),
        Ask("stay: an older epoch", BEAT, at(one, "gc-stay", "a", 1)),
        Ask("stay: a stranger", BEAT, at(one, "gc-stay", "b", EPOCH)),
        Ask("stay: another instance", BEAT, at(static, "gc-stay-i", "a", EPOCH, instanceId="j")),
        Ask("stay: another's instance", BEAT, at(static, "gc-stay-i", "b", EPOCH, instanceId="i")),
        Ask("stay: static, without saying so", BEAT, at(static, "gc-stay-i", "a", EPOCH)),
        Ask("stay: an assignor", BEAT, at(one, "gc-range-now", "a", EPOCH, serverAssignor="range")),
        Ask("stay: no such assignor", BEAT, at(one, "gc-stay", "a", EPOCH, serverAssignor="x")),
        Ask("stay: it reads something else", BEAT, at(one, "gc-stay-other", "a", EPOCH, other)),
        Ask("stay: of two, it is to give up", BEAT, held("gc-two", 0, 1, 2, start=two)),
        Ask("stay: of two, it has not", BEAT, at(two, "gc-two-not", "a", EPOCH)),
        Ask("stay: of two, it has", BEAT, at(given_up, "gc-two-has", "a", NEXT)),
        Ask("stay: of two, the answer was lost", BEAT, at(given_up, "gc-two-lost", "a", EPOCH)),
        Ask("stay: of two, the other waits", BEAT, at(two, "gc-two-waits", "b", NEXT)),
        Ask("stay: of two, the other gets it", BEAT, at(given_up, "gc-two-gets", "b", NEXT)),
        Ask("stay: with a pattern", BEAT, at(matched, "gc-matched", "a", JOINS, ALL), range(1, 2)),
    ]


def leave_asks() -> list[Ask]:
    return [
        Ask("leave: a member", BEAT, at(one, "gc-leave", "a", LEAVES)),
        Ask("leave: again", BEAT, at(one, "gc-leave", "a", LEAVES)),
        Ask("leave: no group", BEAT, at(nobody, "gc-leave-no", "a", LEAVES)),
        Ask("leave: without an id", BEAT, at(one, "gc-leave-id", "", LEAVES)),
        Ask("leave: for a while", BEAT, at(static, "gc-while", "a", -2, instanceId="i")),
        Ask("leave: for a while, again", BEAT, at(static, "gc-while", "a", -2, instanceId="i")),
        Ask("leave: for a while, no instance", BEAT, at(one, "gc-while-no", "a", -2)),
        Ask("leave: another's instance", BEAT, at(static, "gc-while-i", "b", -1, instanceId="i")),
        Ask("leave: unknown instance", BEAT, at(static, "gc-while-i", "a", -1, instanceId="j")),
        Ask("leave: static, for good", BEAT, at(static, "gc-good", "a", -1, instanceId="i")),
    ]


def describing(start: Start, *groups: str, operations: bool = False):
    def body(w: World, v: int) -> dict:
        names = [group and f"{group}-v{v}" for group in groups]
        for name in names:
            start(w, name)
        return {"groupIds": names, "includeAuthorizedOperations": operations}

    return body


def two_members(w: World, v: int) -> dict:
    """Kafka tells of members in the order of a hash table."""
    answer = w.request(DESCRIBE, v, describing(two, "gc-tell-two")(w, v))
    answer["groups"][0]["members"].sort(key=lambda each: each["memberId"])
    return answer


def of_classic(w: World, group: str) -> None:
    nobody(w, group)
    member(w, group)


def describe_asks() -> list[Ask]:
    return [
        Ask("describe: a member", DESCRIBE, describing(one, "gc-tell")),
        Ask("describe: operations", DESCRIBE, describing(one, "gc-tell", operations=True)),
        Ask("describe: a static member", DESCRIBE, describing(static, "gc-tell-i")),
        Ask("describe: away", DESCRIBE, describing(away, "gc-tell-away")),
        Ask("describe: two members", DESCRIBE, send=two_members),
        Ask("describe: two groups", DESCRIBE, describing(one, "gc-tell", "gc-tell-b")),
        Ask("describe: one group twice", DESCRIBE, describing(one, "gc-tell", "gc-tell")),
        Ask("describe: with a pattern", DESCRIBE, describing(matched, "gc-tell-matched")),
        Ask("describe: nobody left", DESCRIBE, describing(empty, "gc-tell-empty")),
        Ask("describe: no such group", DESCRIBE, describing(nobody, "gc-tell-no")),
        Ask("describe: no name", DESCRIBE, describing(nobody, "")),
        Ask("describe: none", DESCRIBE, describing(nobody)),
        Ask("describe: a classic group", DESCRIBE, describing(of_classic, "gc-tell-classic")),
        Ask(
            "describe: as a classic group",
            "DescribeGroups",
            lambda w, v: (
                one(w, f"gc-tell-as-v{v}")
                or {"groups": [f"gc-tell-as-v{v}"], "includeAuthorizedOperations": False}
            ),
        ),
    ]


def offset_asks() -> list[Ask]:
    def commit(start: Start, group: str, member_id: str, epoch: int):
        def body(w: World, v: int) -> dict:
            name = f"{group}-v{v}"
            start(w, name)
            topic = {"name": LOG, "topicId": w.id(LOG), "partitions": [place()]}
            who = {"generationIdOrMemberEpoch": epoch, "memberId": member_id}
            return {"groupId": name, "topics": [topic]} | who

        return body

    def fetch(start: Start, group: str, member_id: str | None, epoch: int):
        def body(w: World, v: int) -> dict:
            name = f"{group}-v{v}"
            start(w, name)
            topic = {"name": LOG, "topicId": w.id(LOG), "partitionIndexes": [0]}
            who = {"memberId": member_id, "memberEpoch": epoch}
            return {"groups": [{"groupId": name, "topics": [topic]} | who]}

        return body

    def delete(start: Start, group: str, topic: str):
        def body(w: World, _: int) -> dict:
            start(w, group)
            topics = [{"name": topic, "partitions": [{"partitionIndex": 0}]}]
            return {"groupId": group, "topics": topics}

        return body

    commits, fetches, whose = "OffsetCommit", "OffsetFetch", range(9, 11)
    return [
        Ask("commit: a member", commits, commit(one, "gc-commit", "a", EPOCH)),
        Ask("commit: a later epoch", commits, commit(one, "gc-commit", "a", NEXT)),
        Ask("commit: an older epoch", commits, commit(one, "gc-commit", "a", 1)),
        Ask("commit: a stranger", commits, commit(one, "gc-commit", "b", EPOCH)),
        Ask("commit: from outside", commits, commit(one, "gc-commit", "", -1)),
        Ask("commit: from outside, nobody in", commits, commit(empty, "gc-commit-0", "", -1)),
        Ask("commit: by epoch, nobody in", commits, commit(empty, "gc-commit-0", "a", EPOCH)),
        Ask("commit: what it has held since", commits, commit(given_up, "gc-commit-2", "a", EPOCH)),
        Ask("commit: what it does not hold", commits, commit(two, "gc-commit-3", "b", EPOCH)),
        Ask("fetch: a member", fetches, fetch(one, "gc-commit", "a", EPOCH), whose),
        Ask("fetch: a later epoch", fetches, fetch(one, "gc-commit", "a", NEXT), whose),
        Ask("fetch: an older epoch", fetches, fetch(one, "gc-commit", "a", 1), whose),
        Ask("fetch: a stranger", fetches, fetch(one, "gc-commit", "b", EPOCH), whose),
        Ask("fetch: no member with an epoch", fetches, fetch(one, "gc-commit", None, 1), whose),
        Ask("fetch: from outside", fetches, fetch(one, "gc-commit", None, -1), whose),
        Ask("delete: what is read", "OffsetDelete", delete(one, "gc-commit-v9", LOG)),
        Ask("delete: what is not", "OffsetDelete", delete(one, "gc-commit-v9", OTHER)),
        Ask("delete: nobody in", "OffsetDelete", delete(empty, "gc-commit-0-v9", LOG)),
    ]


def classic_asks() -> list[Ask]:
    """Requests of the classic protocol, sent to such groups."""

    def join(start: Start, group: str, member_id: str = "", **fields: object):
        def body(w: World, v: int) -> dict:
            name = f"{group}-v{v}"
            start(w, name)
            offered = [{"name": "range", "metadata": subscription(LOG)}]
            return joining(name, member_id) | {"protocols": offered} | fields

        return body

    def whoever(start: Start, group: str, member_id: str, **fields: object):
        def body(w: World, v: int) -> dict:
            start(w, f"{group}-v{v}")
            who = {"generationId": EPOCH, "memberId": member_id}
            return {"groupId": f"{group}-v{v}"} | who | fields

        return body

    def leaving(w: World, v: int) -> dict:
        name = f"gc-classic-leave-v{v}"
        one(w, name)
        members = [{"memberId": who, "groupInstanceId": None} for who in ("a", "b")]
        return {"groupId": name, "memberId": "a", "members": members}

    def removal(start: Start):
        return lambda w, v: (
            start(w, f"gc-{start.__name__}-v{v}") or {"groupsNames": [f"gc-{start.__name__}-v{v}"]}
        )

    synced = {"protocolType": "consumer", "protocolName": "range", "assignments": []}
    return [
        Ask("classic: join", "JoinGroup", join(one, "gc-classic")),
        Ask("classic: join, another type", "JoinGroup", join(one, "gc-type", protocolType="x")),
        Ask("classic: join, nobody in", "JoinGroup", join(empty, "gc-classic-0")),
        Ask("classic: join with an id, nobody in", "JoinGroup", join(empty, "gc-classic-1", "c")),
        Ask("classic: heartbeat of a stranger", "Heartbeat", whoever(one, "gc-classic-b", "b")),
        Ask("classic: heartbeat", "Heartbeat", whoever(one, "gc-classic-b", "a")),
        Ask("classic: sync", "SyncGroup", whoever(one, "gc-classic-s", "a", **synced)),
        Ask("classic: leave", "LeaveGroup", leaving),
        Ask("delete: a group at work", "DeleteGroups", removal(one)),
        Ask("delete: a group without members", "DeleteGroups", removal(empty)),
    ]


def asks() -> list[Ask]:
    return [
        *join_asks(),
        *stay_asks(),
        *leave_asks(),
        *describe_asks(),
        *offset_asks(),
        *classic_asks(),
    ]
