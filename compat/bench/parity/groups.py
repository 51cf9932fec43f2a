"""Consumer groups: who coordinates them, how members come, stay and go, what is told of them."""

from .members import joined, joining, left, member, settled, syncing
from .world import Ask, World


def find(w: World, v: int, *keys: str, key_type: int = 0) -> dict:
    if v >= 4:
        return {"keyType": key_type, "coordinatorKeys": list(keys)}
    return {"key": keys[0], "keyType": key_type}


def found(*keys: str, key_type: int = 0):
    """Asks once the coordinator is there: Kafka makes its topics when they are first asked for."""

    def body(w: World, v: int) -> dict:
        if "coordinator" not in w.members:
            settled(w, "FindCoordinator", 3, find(w, 3, "any"))
            w.members["coordinator"] = member(w, "g-first")
        return find(w, v, *keys, key_type=key_type)

    return body


def coordinator_asks() -> list[Ask]:
    api = "FindCoordinator"
    return [
        Ask("coordinator of a group", api, found("g")),
        Ask("coordinator of the empty group", api, found("")),
        Ask("coordinators of two", api, found("g", "h"), range(4, 7)),
        Ask("coordinators of one twice", api, found("g", "g"), range(4, 7)),
        Ask("coordinators of none", api, found(), range(4, 7)),
        Ask("coordinator of an unknown kind", api, found("g", key_type=9), range(1, 7)),
        Ask("coordinator of a share group's key", api, found("no-key", key_type=2), range(1, 7)),
    ]


def join(group: str, member_id: str = "", **fields: object):
    return lambda w, v: joining(f"{group}-v{v}", member_id, **fields)


def rejoin(group: str, **fields: object):
    """The member of a stable group joins again."""

    def body(w: World, v: int) -> dict:
        name = f"{group}-v{v}"
        return joining(name, member(w, name)["memberId"], **fields)

    return body


def stranger(group: str, **fields: object):
    """Somebody else joins a group that has a stable member."""

    def body(w: World, v: int) -> dict:
        member(w, f"{group}-v{v}")
        return joining(f"{group}-v{v}", **fields)

    return body


def replacement(group: str, member_id: str = "", **fields: object):
    """A static member comes back, under the name of the one that is there."""

    def body(w: World, v: int) -> dict:
        name = f"{group}-v{v}"
        member(w, name, instance="i")
        return joining(name, member_id, groupInstanceId="i", **fields)

    return body


def join_asks() -> list[Ask]:
    api = "JoinGroup"
    static = range(5, 10)
    return [
        Ask("join: a newcomer", api, join("g-new")),
        Ask("join: no group", api, lambda w, v: joining("")),
        Ask("join: a session too short", api, join("g-short", sessionTimeoutMs=5999)),
        Ask("join: a session too long", api, join("g-long", sessionTimeoutMs=1_800_001)),
        Ask("join: no protocols", api, join("g-none", protocols=())),
        Ask("join: no protocol type", api, join("g-untyped", protocolType="")),
        Ask("join: an id that nobody gave", api, join("g-who", "somebody")),
        Ask("join: a static newcomer", api, join("g-static", groupInstanceId="i"), static),
        Ask("join: an empty instance", api, join("g-unnamed", groupInstanceId=""), static),
        Ask(
            "join: a static id that nobody gave",
            api,
            join("g-w", "i-1", groupInstanceId="i"),
            static,
        ),
        Ask("join: other protocols", api, stranger("g-other", protocols=("roundrobin",))),
        Ask("join: another protocol type", api, stranger("g-type", protocolType="connect")),
        Ask("join: the leader again", api, rejoin("g-again")),
        Ask("join: the leader, other metadata", api, rejoin("g-meta", protocols=("range", "x"))),
        Ask("join: the member, static name", api, rejoin("g-named", groupInstanceId="i"), static),
        Ask("join: a static member comes back", api, replacement("g-back"), static),
        Ask(
            "join: a static member comes back changed",
            api,
            replacement("g-changed", protocols=("range", "x")),
            static,
        ),
        Ask("join: a static member, wrong id", api, replacement("g-wrong", "i-2"), static),
    ]


def sync(group: str, assignment: bytes | None = b"yours", start=joined, **fields: object):
    def body(w: World, v: int) -> dict:
        name = f"{group}-v{v}"
        return syncing(name, start(w, name), assignment, **fields)

    return body


def sync_asks() -> list[Ask]:
    api, typed = "SyncGroup", range(5, 6)
    return [
        Ask("sync: the leader's", api, sync("g-sync")),
        Ask("sync: once more, without assignments", api, sync("g-sync", None)),
        Ask("sync: none for itself", api, sync("g-sync-none", None)),
        Ask("sync: an older generation", api, sync("g-sync-old", generationId=0)),
        Ask("sync: a later generation", api, sync("g-sync-late", generationId=2)),
        Ask("sync: a stranger", api, sync("g-sync-who", memberId="nobody")),
        Ask("sync: no group", api, sync("g-sync-any", groupId="")),
        Ask("sync: an unknown group", api, sync("g-sync-any", groupId="nowhere")),
        Ask("sync: another type", api, sync("g-sync-type", protocolType="connect"), typed),
        Ask("sync: another protocol", api, sync("g-sync-name", protocolName="x"), typed),
        Ask("sync: no type", api, sync("g-sync-no-type", protocolType=None), typed),
        Ask("sync: an instance", api, sync("g-sync-i", groupInstanceId="i"), range(3, 6)),
    ]


def beat(group: str, start=member, **fields: object):
    def body(w: World, v: int) -> dict:
        name = f"{group}-v{v}"
        one = start(w, name)
        ids = {"generationId": one["generationId"], "memberId": one["memberId"]}
        return {"groupId": name} | ids | fields

    return body


def static(w: World, group: str) -> dict:
    return member(w, group, instance="i")


def heartbeat_asks() -> list[Ask]:
    api, named = "Heartbeat", range(3, 5)
    return [
        Ask("heartbeat: stable", api, beat("g-beat")),
        Ask("heartbeat: before the assignment", api, beat("g-beat-early", joined)),
        Ask("heartbeat: an older generation", api, beat("g-beat", generationId=0)),
        Ask("heartbeat: a stranger", api, beat("g-beat", memberId="nobody")),
        Ask("heartbeat: no member", api, beat("g-beat", memberId="")),
        Ask("heartbeat: no group", api, beat("g-beat", groupId="")),
        Ask("heartbeat: an unknown group", api, beat("g-beat", groupId="nowhere")),
        Ask("heartbeat: static", api, beat("g-beat-i", static, groupInstanceId="i"), named),
        Ask(
            "heartbeat: static, another's id",
            api,
            beat("g-beat-i", static, groupInstanceId="i", memberId="i-2"),
            named,
        ),
        Ask(
            "heartbeat: unknown instance", api, beat("g-beat-i", static, groupInstanceId="j"), named
        ),
    ]


def leave(group: str, start=member, **fields: object):
    """One member goes: alone before version 3, in a list since."""

    def body(w: World, v: int) -> dict:
        name = f"{group}-v{v}"
        one = {"memberId": start(w, name)["memberId"], "groupInstanceId": None} | fields
        return {"groupId": name, "memberId": one["memberId"], "members": [one]}

    return body


def leave_two(w: World, v: int) -> dict:
    name = f"g-leave-two-v{v}"
    ids = [static(w, name)["memberId"], "nobody"]
    return {
        "groupId": name,
        "members": [{"memberId": each, "groupInstanceId": None} for each in ids],
    }


def leave_none(w: World, v: int) -> dict:
    member(w, f"g-leave-none-v{v}")
    return {"groupId": f"g-leave-none-v{v}", "members": []}


def leave_asks() -> list[Ask]:
    api, listed = "LeaveGroup", range(3, 6)
    return [
        Ask("leave: the last one", api, leave("g-leave")),
        Ask("leave: a stranger", api, leave("g-leave-who", memberId="nobody")),
        Ask(
            "leave: an unknown group",
            api,
            lambda w, v: leave("g-l", joined)(w, v) | {"groupId": "x"},
        ),
        Ask("leave: no group", api, lambda w, v: leave("g-l", joined)(w, v) | {"groupId": ""}),
        Ask("leave: nobody", api, leave_none, listed),
        Ask("leave: one of two", api, leave_two, listed),
        Ask(
            "leave: static, by its name",
            api,
            leave("g-leave-i", static, memberId="", groupInstanceId="i"),
            listed,
        ),
        Ask(
            "leave: static, another's id",
            api,
            leave("g-leave-j", static, memberId="i-2", groupInstanceId="i"),
            listed,
        ),
        Ask(
            "leave: an unknown instance",
            api,
            leave("g-leave-k", static, memberId="", groupInstanceId="k"),
            listed,
        ),
    ]


def describe(*groups: str, start=member, **fields: object):
    def body(w: World, v: int) -> dict:
        for group in groups:
            start(w, group)
        return {"groups": list(groups)} | fields

    return body


def empty_group(w: World, group: str) -> None:
    left(w, group)


def nothing(w: World, group: str) -> None:
    """A group that nobody has made."""


def describe_asks() -> list[Ask]:
    api = "DescribeGroups"
    allowed = {"includeAuthorizedOperations": True}
    return [
        Ask("describe: stable", api, describe("g-d-stable")),
        Ask("describe: before the assignment", api, describe("g-d-early", start=joined)),
        Ask("describe: static", api, describe("g-d-static", start=static)),
        Ask("describe: empty", api, describe("g-d-empty", start=empty_group)),
        Ask("describe: unknown", api, describe("g-d-nowhere", start=nothing)),
        Ask("describe: no name", api, describe("", start=nothing)),
        Ask("describe: two", api, describe("g-d-one", "g-d-two")),
        Ask("describe: one twice", api, describe("g-d-one", "g-d-one")),
        Ask("describe: none", api, describe()),
        Ask("describe: what may be done", api, describe("g-d-stable", **allowed), range(3, 7)),
    ]


def listing(**fields: object):
    """Of all groups, those that `describe_asks` has made."""

    def send(w: World, v: int) -> dict:
        answer = w.request("ListGroups", v, fields)
        known = [each for each in answer["groups"] if each["groupId"].startswith("g-d-")]
        return answer | {"groups": known}

    return send


def list_asks() -> list[Ask]:
    api, by_state, by_type = "ListGroups", range(4, 6), range(5, 6)
    return [
        Ask("list: all", api, send=listing()),
        Ask("list: stable", api, send=listing(statesFilter=["Stable"]), versions=by_state),
        Ask(
            "list: empty, in lower case",
            api,
            send=listing(statesFilter=["empty"]),
            versions=by_state,
        ),
        Ask(
            "list: dead or stable",
            api,
            send=listing(statesFilter=["Dead", "Stable"]),
            versions=by_state,
        ),
        Ask("list: no such state", api, send=listing(statesFilter=["Asleep"]), versions=by_state),
        Ask("list: classic", api, send=listing(typesFilter=["classic"]), versions=by_type),
        Ask("list: consumer", api, send=listing(typesFilter=["consumer"]), versions=by_type),
        Ask("list: no such type", api, send=listing(typesFilter=["party"]), versions=by_type),
    ]


def delete(*groups: str, start=left):
    def body(w: World, v: int) -> dict:
        names = [f"{group}-v{v}" if group else "" for group in groups]
        for name in names:
            start(w, name)
        return {"groupsNames": names}

    return body


def delete_asks() -> list[Ask]:
    api = "DeleteGroups"
    return [
        Ask("delete: an empty one", api, delete("g-gone")),
        Ask("delete: again", api, delete("g-gone", start=nothing)),
        Ask("delete: one with a member", api, delete("g-busy", start=member)),
        Ask("delete: one unknown", api, delete("g-never", start=nothing)),
        Ask("delete: no name", api, delete("", start=nothing)),
        Ask("delete: one twice", api, delete("g-gone2", "g-gone2")),
        Ask("delete: none", api, delete()),
        Ask("describe: deleted", "DescribeGroups", describe("g-gone-v0", start=nothing)),
    ]


def asks() -> list[Ask]:
    return (
        coordinator_asks()
        + join_asks()
        + sync_asks()
        + heartbeat_asks()
        + leave_asks()
        + describe_asks()
        + list_asks()
        + delete_asks()
    )
