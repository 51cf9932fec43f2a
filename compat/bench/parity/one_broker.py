"""What a cluster of one broker says to those who would move, elect, count, or look for more."""

from .world import Ask, World

OWN = "ob-"


def log(w: World) -> str:
    name = OWN + "log"
    if name not in w.ids:
        w.topic(name, partitions=2)
    return name


# --- ElectLeaders


def elect(kind: int, make):
    """Elects; of an answer about all partitions, ours count."""

    def send(w: World, v: int) -> dict:
        log(w)
        body = {"topicPartitions": make, "timeoutMs": 10_000}
        if v >= 1:
            body["electionType"] = kind
        answer = w.request("ElectLeaders", v, body)
        results = answer["replicaElectionResults"]
        results[:] = [topic for topic in results if not topic["topic"].startswith("__")]
        results[:] = [topic for topic in results if make is not None or OWN in topic["topic"]]
        results.sort(key=lambda topic: topic["topic"])
        for topic in results:
            topic["partitionResult"].sort(key=lambda part: part["partitionId"])
        return answer

    return send


def chosen(name: str, *partitions: int) -> dict:
    return {"topic": name, "partitions": list(partitions)}


def elections() -> list[Ask]:
    kinds = [
        ("the preferred leader of two", 0, [chosen(OWN + "log", 1, 0)]),
        ("a leader at any price", 1, [chosen(OWN + "log", 0)]),
        ("an unknown kind of election", 7, [chosen(OWN + "log", 0)]),
        ("an unknown partition", 0, [chosen(OWN + "log", 9, -1)]),
        ("an unknown topic", 0, [chosen("nowhere", 0)]),
        ("a bad name", 0, [chosen("a/b", 0)]),
        ("a partition twice", 0, [chosen(OWN + "log", 0, 0)]),
        ("a topic without partitions", 0, [chosen(OWN + "log")]),
        ("nothing", 0, []),
        ("all", 0, None),
        ("all at any price", 1, None),
    ]
    api = "ElectLeaders"
    return [Ask(f"elect: {title}", api, send=elect(kind, make)) for title, kind, make in kinds]


# --- moving replicas


def reassign(*wanted: tuple[str, int, list[int] | None], **more):
    def body(w: World, v: int) -> dict:
        log(w)
        topics = [
            {"name": name, "partitions": [{"partitionIndex": index, "replicas": replicas}]}
            for name, index, replicas in wanted
        ]
        if v < 1:
            more.pop("allowReplicationFactorChange", None)
        return {"timeoutMs": 10_000, "topics": topics, **more}

    return body


def reassignments() -> list[Ask]:
    alter, name = "AlterPartitionReassignments", OWN + "log"
    keep = {"allowReplicationFactorChange": False}
    kinds = [
        ("to where it is", reassign((name, 0, [1]))),
        ("to an unknown broker", reassign((name, 0, [9]))),
        ("to one more broker", reassign((name, 0, [1, 9]))),
        ("to one more, which is not allowed", reassign((name, 0, [1, 9]), **keep)),
        ("to nowhere", reassign((name, 0, []))),
        ("to the same broker twice", reassign((name, 0, [1, 1]))),
        ("to a negative broker", reassign((name, 0, [-1]))),
        ("stop what is not under way", reassign((name, 0, None))),
        ("an unknown partition", reassign((name, 9, [1]))),
        ("stop an unknown partition", reassign((name, 9, None))),
        ("an unknown topic", reassign(("nowhere", 0, [1]))),
        ("two partitions", reassign((name, 0, [1]), (name, 1, [9]))),
        ("nothing", reassign()),
    ]
    asks = [Ask(f"move: {title}", alter, body) for title, body in kinds]
    one = lambda name, *indexes: {"name": name, "partitionIndexes": list(indexes)}
    wanted = [
        ("all", None),
        ("none", []),
        ("one", [one(name, 0)]),
        ("an unknown partition", [one(name, 9)]),
        ("an unknown topic", [one("nowhere", 0)]),
    ]
    for title, topics in wanted:
        body = lambda w, v, topics=topics: {"timeoutMs": 10_000, "topics": topics}
        asks.append(Ask(f"moves: {title}", "ListPartitionReassignments", body))
    return asks


def own_dir(w: World) -> str:
    return w.request("DescribeLogDirs", 1, {"topics": []})["results"][0]["logDir"]


def to_dir(path, *topics: tuple[str, list[int]]):
    def body(w: World, v: int) -> dict:
        log(w)
        where = own_dir(w) if path is None else path
        named = [{"name": name, "partitions": partitions} for name, partitions in topics]
        return {"dirs": [{"path": where, "topics": named}]}

    return body


def folders() -> list[Ask]:
    name = OWN + "log"
    kinds = [
        ("where they are", to_dir(None, (name, [0, 1]))),
        ("an unknown folder", to_dir("/nowhere", (name, [0]))),
        ("a relative folder", to_dir("here", (name, [0]))),
        ("an unknown partition", to_dir(None, (name, [9]))),
        ("an unknown topic", to_dir(None, ("nowhere", [0]))),
        ("an unknown topic to an unknown folder", to_dir("/nowhere", ("nowhere", [0]))),
        ("two topics", to_dir(None, (name, [0]), ("nowhere", [0, 1]))),
        ("no topics", to_dir(None)),
    ]
    return [Ask(f"folder: {title}", "AlterReplicaLogDirs", body) for title, body in kinds]


# --- the quorum


def quorum(*wanted: tuple[str, list[int]]):
    """Describes, and masks what grows or belongs to the machine."""

    def send(w: World, v: int) -> dict:
        log(w)
        topics = [
            {"topicName": name, "partitions": [{"partitionIndex": n} for n in numbers]}
            for name, numbers in wanted
        ]
        answer = w.request("DescribeQuorum", v, {"topics": topics})
        for topic in answer["topics"]:
            for partition in topic["partitions"]:
                mask(partition)
        for node in answer.get("nodes", []):
            for listener in node["listeners"]:
                listener.update(name="a name", host="a host", port="a port")
        return answer

    return send


def mask(partition: dict) -> None:
    for field in ("highWatermark", "leaderEpoch"):
        partition[field] = "known" if partition[field] > 0 else partition[field]
    for replica in partition["currentVoters"] + partition["observers"]:
        for field in ("logEndOffset", "lastFetchTimestamp", "lastCaughtUpTimestamp"):
            if replica.get(field, -1) > 0:
                replica[field] = "known"
        if "replicaDirectoryId" in replica:
            zero = replica["replicaDirectoryId"] == "A" * 22
            replica["replicaDirectoryId"] = "none" if zero else "an id"


def quorums() -> list[Ask]:
    own = "__cluster_metadata"
    kinds = [
        ("the metadata log", quorum((own, [0]))),
        ("another partition of it", quorum((own, [1]))),
        ("two partitions of it", quorum((own, [0, 1]))),
        ("another topic", quorum((OWN + "log", [0]))),
        ("it and another topic", quorum((own, [0]), (OWN + "log", [0]))),
        ("no topic", quorum()),
        ("no partition", quorum((own, []))),
    ]
    return [Ask(f"quorum: {title}", "DescribeQuorum", send=send) for title, send in kinds]


# --- brokers that are not there, users, quotas and rules that nobody has set


def acl_filter(resource_type: int = 1) -> dict:
    return {
        "resourceTypeFilter": resource_type,
        "resourceNameFilter": None,
        "patternTypeFilter": 1,
        "principalFilter": None,
        "hostFilter": None,
        "operation": 1,
        "permissionType": 1,
    }


def acl() -> dict:
    return {
        "resourceType": 2,
        "resourceName": "t",
        "resourcePatternType": 3,
        "principal": "User:alice",
        "host": "*",
        "operation": 3,
        "permissionType": 3,
    }


def quota(kind: str, match: int, value: str | None) -> dict:
    return {"entityType": kind, "matchType": match, "match": value}


def users(*names: str):
    """Describes, and sorts what comes back in the order of a hash."""

    def send(w: World, v: int) -> dict:
        body = {"users": [{"name": name} for name in names]}
        answer = w.request("DescribeUserScramCredentials", v, body)
        answer["results"].sort(key=lambda result: result["user"])
        return answer

    return send


def strangers() -> list[Ask]:
    quotas = lambda *components, strict=False: (
        lambda w, v: {
            "components": list(components),
            "strict": strict,
        }
    )
    return [
        Ask("unregister an unknown broker", "UnregisterBroker", lambda w, v: {"brokerId": 9}),
        Ask("unregister no broker", "UnregisterBroker", lambda w, v: {"brokerId": -1}),
        Ask("all users", "DescribeUserScramCredentials", lambda w, v: {"users": None}),
        Ask("no users", "DescribeUserScramCredentials", send=users()),
        Ask("an unknown user", "DescribeUserScramCredentials", send=users("alice")),
        Ask("a user twice", "DescribeUserScramCredentials", send=users("alice", "bob", "alice")),
        Ask("a user without a name", "DescribeUserScramCredentials", send=users("")),
        Ask("all rules", "DescribeAcls", lambda w, v: acl_filter()),
        Ask("rules of an unknown type", "DescribeAcls", lambda w, v: acl_filter(99)),
        Ask("a new rule", "CreateAcls", lambda w, v: {"creations": [acl(), acl()]}),
        Ask("no new rule", "CreateAcls", lambda w, v: {"creations": []}),
        Ask("no more rules", "DeleteAcls", lambda w, v: {"filters": [acl_filter()]}),
        Ask("all quotas", "DescribeClientQuotas", quotas()),
        Ask("quotas of any user", "DescribeClientQuotas", quotas(quota("user", 2, None))),
        Ask("quotas of a user", "DescribeClientQuotas", quotas(quota("user", 0, "alice"))),
        Ask("quotas of an unknown kind", "DescribeClientQuotas", quotas(quota("dog", 2, None))),
        Ask(
            "quotas of the same kind twice",
            "DescribeClientQuotas",
            quotas(quota("user", 2, None), quota("user", 1, None)),
        ),
        Ask("an unknown match", "DescribeClientQuotas", quotas(quota("user", 9, None))),
        Ask(
            "a name for the default",
            "DescribeClientQuotas",
            quotas(quota("user", 1, "alice"), strict=True),
        ),
        Ask("no name", "DescribeClientQuotas", quotas(quota("user", 0, None))),
    ]


def asks() -> list[Ask]:
    return [
        *elections(),
        *reassignments(),
        *folders(),
        *quorums(),
        *strangers(),
    ]
