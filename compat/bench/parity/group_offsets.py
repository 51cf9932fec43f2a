"""Committed offsets: kept, told and forgotten."""

from .members import SESSION_MS, joined, joining, member, settled
from .world import UNKNOWN_ID, Ask, World

LONGEST_METADATA = 4096


def logs(w: World) -> str:
    return w.topic("go-log", 3)


def committing(
    w: World, v: int, group: str, *partitions: dict, topic: str = "go-log", **fields: object
) -> dict:
    logs(w)
    if "offsets" not in w.members:
        settled(w, "JoinGroup", 4, joining("go-first", sessionTimeoutMs=SESSION_MS))
        w.members["offsets"] = member(w, "go-ready")
    entry = {"name": topic, "topicId": w.id(topic), "partitions": list(partitions)}
    return {"groupId": group, "topics": [entry]} | fields


def place(partition: int = 0, offset: int = 5, metadata: str | None = "m", **fields: int) -> dict:
    ids = {"partitionIndex": partition, "committedOffset": offset}
    return ids | {"committedMetadata": metadata} | fields


def commit(group: str, *partitions: dict, **fields: object):
    return lambda w, v: committing(w, v, group and f"{group}-v{v}", *partitions, **fields)


def by_member(group: str, start=member, **fields: object):
    def body(w: World, v: int) -> dict:
        name = f"{group}-v{v}"
        one = start(w, name)
        ids = {
            "generationIdOrMemberEpoch": one["generationId"],
            "memberId": one["memberId"],
        }
        return committing(w, v, name, place(), **(ids | fields))

    return body


def static(w: World, group: str) -> dict:
    return member(w, group, instance="i")


def commit_asks() -> list[Ask]:
    api, named = "OffsetCommit", range(7, 11)
    epoch = place(1, 7, "with epoch", committedLeaderEpoch=0)
    return [
        Ask("commit: without a group", api, commit("go-own", place())),
        Ask("commit: two partitions", api, commit("go-own", place(1, 9, ""), place(2, 0, None))),
        Ask("commit: with an epoch", api, commit("go-epoch", epoch)),
        Ask("commit: one partition twice", api, commit("go-twice", place(0, 1), place(0, 2))),
        Ask("commit: offset -1", api, commit("go-minus", place(0, -1))),
        Ask("commit: offset -5", api, commit("go-minus", place(1, -5))),
        Ask(
            "commit: the longest metadata",
            api,
            commit("go-long", place(0, 1, "x" * LONGEST_METADATA)),
        ),
        Ask(
            "commit: metadata too long",
            api,
            commit("go-long", place(1, 1, "x" * (LONGEST_METADATA + 1)), place(2)),
        ),
        Ask("commit: an unknown topic", api, commit("go-where", place(), topic="nowhere")),
        Ask("commit: an unknown partition", api, commit("go-where", place(9), place(0))),
        Ask("commit: the group without a name", api, commit("", place())),
        Ask("commit: nothing", api, lambda w, v: committing(w, v, f"go-no-v{v}") | {"topics": []}),
        Ask(
            "commit: a stranger",
            api,
            commit("go-who", place(), generationIdOrMemberEpoch=1, memberId="nobody"),
        ),
        Ask(
            "commit: a generation of nobody",
            api,
            commit("go-gen", place(), generationIdOrMemberEpoch=1),
        ),
        Ask(
            "commit: an id that is unknown",
            api,
            commit("go-id", place(), topic="nowhere"),
            range(10, 11),
        ),
        Ask("commit: a member", api, by_member("go-member")),
        Ask("commit: before the assignment", api, by_member("go-early", joined)),
        Ask(
            "commit: an older generation", api, by_member("go-member", generationIdOrMemberEpoch=0)
        ),
        Ask("commit: another member", api, by_member("go-member", memberId="nobody")),
        Ask(
            "commit: from outside a group with members",
            api,
            by_member("go-member", generationIdOrMemberEpoch=-1, memberId=""),
        ),
        Ask("commit: static", api, by_member("go-static", static, groupInstanceId="i"), named),
        Ask(
            "commit: static, another's id",
            api,
            by_member("go-static", static, groupInstanceId="i", memberId="i-2"),
            named,
        ),
        Ask(
            "commit: unknown instance",
            api,
            by_member("go-static", static, groupInstanceId="j"),
            named,
        ),
    ]


def fetching(w: World, v: int, *groups: dict, **fields: object) -> dict:
    logs(w)
    if v >= 8:
        return {"groups": list(groups)} | fields
    return groups[0] | fields


def wanted(
    w: World, group: str, topic: str | None = "go-log", partitions=(0, 1, 2), **fields
) -> dict:
    topics = None
    if topic is not None:
        ids = {"name": topic, "topicId": w.ids.get(topic, UNKNOWN_ID)}
        topics = [ids | {"partitionIndexes": list(partitions)}]
    return {"groupId": group, "topics": topics} | fields


def fetch(group: str, **what: object):
    """Of the offsets that version 5 has committed, so that every version is asked for the same."""
    return lambda w, v: fetching(w, v, wanted(w, group, **what))


def fetch_asks() -> list[Ask]:
    api, whole, many, with_member = "OffsetFetch", range(2, 11), range(8, 11), range(9, 11)
    return [
        Ask("fetch: committed", api, fetch("go-own-v5")),
        Ask("fetch: with an epoch", api, fetch("go-epoch-v6")),
        Ask("fetch: one partition twice", api, fetch("go-twice-v5")),
        Ask("fetch: offset -1", api, fetch("go-minus-v5")),
        Ask("fetch: after refusals", api, fetch("go-where-v5")),
        Ask("fetch: nothing committed", api, fetch("go-never")),
        Ask("fetch: an unknown topic", api, fetch("go-own-v5", topic="nowhere")),
        Ask("fetch: an unknown partition", api, fetch("go-own-v5", partitions=(0, 9))),
        Ask("fetch: the group without a name", api, fetch("")),
        Ask(
            "fetch: no topics",
            api,
            lambda w, v: fetching(w, v, wanted(w, "go-own-v5") | {"topics": []}),
        ),
        Ask("fetch: all topics", api, fetch("go-own-v5", topic=None), whole),
        Ask("fetch: all topics of nobody", api, fetch("go-never", topic=None), whole),
        Ask("fetch: a member's", api, fetch("go-member-v5")),
        Ask(
            "fetch: only what is stable",
            api,
            lambda w, v: fetching(w, v, wanted(w, "go-own-v5"), requireStable=True),
            range(7, 11),
        ),
        Ask(
            "fetch: of two groups",
            api,
            lambda w, v: fetching(w, v, wanted(w, "go-own-v5"), wanted(w, "go-epoch-v6", None)),
            many,
        ),
        Ask("fetch: of no group", api, lambda w, v: fetching(w, v), many),
        Ask(
            "fetch: as a stranger",
            api,
            fetch("go-own-v5", memberId="nobody", memberEpoch=1),
            with_member,
        ),
        Ask(
            "fetch: as a stranger, of a group with members",
            api,
            fetch("go-member-v5", memberId="nobody", memberEpoch=1),
            with_member,
        ),
    ]


def delete(group: str, *partitions: int, topic: str = "go-log"):
    def body(w: World, v: int) -> dict:
        logs(w)
        entries = [{"partitionIndex": each} for each in partitions]
        return {"groupId": group, "topics": [{"name": topic, "partitions": entries}]}

    return body


def delete_asks() -> list[Ask]:
    api = "OffsetDelete"
    return [
        Ask("delete: one", api, delete("go-own-v9", 0)),
        Ask("delete: again", api, delete("go-own-v9", 0)),
        Ask("delete: an unknown topic", api, delete("go-own-v9", 0, topic="nowhere")),
        Ask("delete: an unknown partition", api, delete("go-own-v9", 9, 1)),
        Ask("delete: an unknown group", api, delete("go-never", 0)),
        Ask("delete: no group", api, delete("", 0)),
        Ask("delete: nothing", api, delete("go-own-v9")),
        Ask("delete: of a group with members", api, delete("go-member-v9", 0)),
        Ask("fetch: after deletion", "OffsetFetch", fetch("go-own-v9", topic=None), range(2, 11)),
    ]


def asks() -> list[Ask]:
    return commit_asks() + fetch_asks() + delete_asks()
