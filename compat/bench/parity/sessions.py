"""Fetch sessions: what opens, changes and closes one, and which partitions an answer names.

Each ask is a conversation; its answer is what the broker said at each step, in order.
"""

from collections.abc import Callable

from ..rawconn import RawConnection
from ..records import Batch
from ..wire import ZERO_UUID
from .world import UNKNOWN_ID, Ask, World, produce

BY_ID_FROM = 13
NAMES_ONLY, IDS_ONLY = range(7, BY_ID_FROM), range(BY_ID_FROM, 19)
OUT_OF_ORDER, UNKNOWN_PARTITION = 71, 3
# Rounds after which the broker is taken to have done with a topic what it will ever do.
ROUNDS = 2_000


class Session:
    """The client's end of a session, and what it was told."""

    def __init__(self, w: World, version: int):
        self.w, self.version = w, version
        self.id, self.epoch = 0, 0
        self.said: list[dict] = []

    def topics(self, wanted: dict[str, dict[int, int]]) -> list[dict]:
        return [
            {
                "topic": name,
                "topicId": self.w.id(name),
                "partitions": [
                    {"partition": index, "fetchOffset": offset, "partitionMaxBytes": 1 << 20}
                    for index, offset in partitions.items()
                ],
            }
            for name, partitions in wanted.items()
        ]

    def body(self, wanted: dict[str, dict[int, int]] | None = None, **fields: object) -> dict:
        body = {
            "maxWaitMs": 0,
            "minBytes": 0,
            "maxBytes": 1 << 24,
            "sessionId": self.id,
            "sessionEpoch": self.epoch,
            "topics": self.topics(wanted or {}),
        }
        return body | fields

    def poll(self, wanted: dict[str, dict[int, int]] | None = None, **fields: object) -> dict:
        """Sends the next request of the session and goes on as the answer says."""
        version = fields.pop("version", self.version)
        before = self.id
        answer = self.w.request("Fetch", version, self.body(wanted, **fields))
        if answer["errorCode"] == 0:
            self.id = answer["sessionId"]
            self.epoch = self.epoch + 1 if self.id else 0
        heard = self.heard(answer, before)
        self.said.append(heard)
        return heard

    def until(self, done: Callable[[dict], bool]) -> dict:
        """Polls until the answer is as expected; only the last one counts."""
        for _ in range(ROUNDS):
            heard = self.poll()
            if done(heard):
                break
            self.said.pop()
        return heard

    def heard(self, answer: dict, before: int) -> dict:
        partitions = [
            (
                self.called(topic),
                part["partitionIndex"],
                {
                    "error": part["errorCode"],
                    "high watermark": part["highWatermark"],
                    "start": part.get("logStartOffset"),
                    "bytes": len(part["records"] or b""),
                },
            )
            for topic in answer["responses"]
            for part in topic["partitions"]
        ]
        kept = "kept" if answer["sessionId"] == before else "opened"
        return {
            "error": answer["errorCode"],
            "session": kept if answer["sessionId"] else "none",
            "partitions": [[name, index, facts] for name, index, facts in partitions],
        }

    def called(self, topic: dict) -> str:
        if "topic" in topic:
            return topic["topic"]
        names = {topic_id: name for name, topic_id in self.w.ids.items()}
        return names.get(topic["topicId"], "?")

    def forget(self, name: str, *partitions: int) -> dict:
        topic = {"topic": name, "topicId": self.w.id(name), "partitions": list(partitions)}
        return self.poll(forgottenTopicsData=[topic])


def talk(scenario: Callable[[Session], None]) -> Callable[[World, int], dict]:
    def send(w: World, version: int) -> dict:
        session = Session(w, version)
        scenario(session)
        return {"said": session.said}

    return send


def fill(s: Session, name: str, *partitions: int) -> None:
    for index in partitions:
        s.w.request("Produce", 9, produce(s.w, name, Batch(), partition=index))


def made(s: Session, base: str, partitions: int = 3) -> str:
    return s.w.fresh("s-" + base, s.version, partitions)


def opened(s: Session, base: str, partitions: int = 3) -> str:
    name = made(s, base, partitions)
    s.poll({name: dict.fromkeys(range(partitions), 0)})
    return name


def idle(s: Session) -> None:
    opened(s, "idle")
    s.poll()
    s.poll()


def records(s: Session) -> None:
    name = opened(s, "records")
    fill(s, name, 1)
    s.poll()
    s.poll()
    s.poll({name: {1: 1}})
    s.poll()


def adding(s: Session) -> None:
    name = made(s, "adding")
    s.poll({name: {0: 0}})
    s.poll({name: {2: 0, 1: 0}})
    s.poll({name: {2: 5}})
    s.poll({name: {2: 0}})
    s.poll()


def forgetting(s: Session) -> None:
    name = opened(s, "forgetting")
    fill(s, name, 0, 1, 2)
    s.forget(name, 1, 7)
    s.forget("nowhere", 0)
    s.forget(name, 0, 2)
    s.epoch = 4
    s.poll()


def forgetting_what_is_asked(s: Session) -> None:
    name = opened(s, "both")
    topic = {"topic": name, "topicId": s.w.id(name), "partitions": [1]}
    s.poll({name: {1: 0}}, forgottenTopicsData=[topic])
    s.poll({name: {1: 0}})


def errors(s: Session) -> None:
    name = opened(s, "errors")
    s.poll({name: {0: 9}})
    s.poll()
    s.poll({name: {0: 0}})
    s.poll()


def unknown_partition(s: Session) -> None:
    name = made(s, "partitions")
    s.poll({name: {0: 0, 9: 0}})
    s.poll()


def unknown_topic(s: Session) -> None:
    name = made(s, "topics")
    s.poll({name: {0: 0}, "nowhere": {0: 0}})
    s.poll()


def appearing(s: Session) -> None:
    name = f"s-appearing-v{s.version}"
    s.poll({name: {0: 0}})
    s.w.topic(name)
    s.until(lambda heard: heard["partitions"][0][2]["error"] == 0)
    s.poll()


def deleted(s: Session) -> None:
    """Deletes the topic, and makes it anew."""
    name = opened(s, "deleted", 1)
    s.w.request("DeleteTopics", 5, {"topicNames": [name], "timeoutMs": 10_000})
    error = lambda heard: heard["partitions"] and heard["partitions"][0][2]["error"]
    s.until(lambda heard: error(heard) == UNKNOWN_PARTITION)
    old = s.w.ids.pop(name)
    s.w.topic(name, retention_ms="-1")
    new, s.w.ids[name] = s.w.ids[name], old
    s.until(lambda heard: error(heard) != UNKNOWN_PARTITION)
    s.poll()
    s.w.ids[name] = new


def trimmed(s: Session) -> None:
    """Moves the start of the log, which is news although nothing was written."""
    name = opened(s, "trimmed")
    fill(s, name, 0)
    s.poll({name: {0: 1}})
    part = {"partitionIndex": 0, "offset": 1}
    body = {"topics": [{"name": name, "partitions": [part]}], "timeoutMs": 10_000}
    s.w.request("DeleteRecords", 1, body)
    s.poll()
    s.poll()


def turns(s: Session) -> None:
    """Room for one partition only: each has its turn."""
    name = opened(s, "turns")
    fill(s, name, 0, 1, 2)
    for _ in range(5):
        s.poll(maxBytes=1)


def wrong_epochs(s: Session) -> None:
    opened(s, "epochs")
    for epoch in (0x7FFFFFFF, 2, -2):
        s.poll(sessionEpoch=epoch)
    s.poll()


def wrong_kind(s: Session) -> None:
    """Names where there were ids, and the other way round."""
    name = opened(s, "kinds")
    other = 12 if s.version >= BY_ID_FROM else 13
    s.poll({name: {0: 0}}, version=other)
    s.poll(version=other)
    s.poll()


def closing(s: Session) -> None:
    name = opened(s, "closing")
    closed = s.id
    s.poll({name: {0: 0}}, sessionEpoch=-1)
    s.poll(sessionId=closed, sessionEpoch=1)


def opening_anew(s: Session) -> None:
    name = opened(s, "anew")
    closed = s.id
    s.epoch = 0
    s.poll({name: {1: 0}})
    s.poll(sessionId=closed, sessionEpoch=1)
    s.poll()


def empty(s: Session) -> None:
    s.poll()
    s.poll()


def filling_empty(s: Session) -> None:
    name = made(s, "filling")
    s.poll()
    s.poll({name: {0: 0}})


def twice(s: Session) -> None:
    name = made(s, "twice")
    fill(s, name, 0)
    topics = s.topics({name: {0: 0}}) + s.topics({name: {0: 1}})
    s.poll(topics=topics)
    s.poll()


def odd_isolation(s: Session) -> None:
    opened(s, "isolation")
    s.poll(isolationLevel=7)


def strange_id(s: Session) -> None:
    """An id that nobody has, and none at all, beside a name that counts for nothing."""
    name = made(s, "ids")
    topics = s.topics({name: {0: 0}, "nowhere": {0: 0}})
    topics.append(topics[1] | {"topicId": ZERO_UUID})
    s.poll(topics=topics)
    s.poll(forgottenTopicsData=[{"topicId": UNKNOWN_ID, "partitions": [0]}])


def overtaken(s: Session) -> None:
    """Another connection goes on with the session while a request of the first one waits."""
    name = opened(s, "overtaken")
    with RawConnection(s.w.schemas, s.w.host, s.w.port) as first:
        first.post("Fetch", s.version, s.body(maxWaitMs=10_000, minBytes=1))
        s.epoch += 1
        while s.poll()["error"] == OUT_OF_ORDER:
            s.said.pop()
        fill(s, name, 1)
        s.said.append(s.heard(first.answer("Fetch", s.version), s.id))


def asks() -> list[Ask]:
    everywhere = range(7, 19)
    kinds = [
        ("nothing happens", idle, everywhere),
        ("records come", records, everywhere),
        ("partitions are added and moved", adding, everywhere),
        ("partitions are forgotten", forgetting, everywhere),
        ("one is asked for and forgotten", forgetting_what_is_asked, everywhere),
        ("an error comes and goes", errors, everywhere),
        ("an unknown partition", unknown_partition, everywhere),
        ("an unknown topic", unknown_topic, everywhere),
        ("a topic appears", appearing, NAMES_ONLY),
        ("a topic is deleted and made anew", deleted, everywhere),
        ("the log starts later", trimmed, everywhere),
        ("room for one", turns, everywhere),
        ("wrong epochs", wrong_epochs, everywhere),
        ("names and ids", wrong_kind, everywhere),
        ("it is closed", closing, everywhere),
        ("another is opened in its place", opening_anew, everywhere),
        ("it follows nothing", empty, everywhere),
        ("it follows nothing at first", filling_empty, everywhere),
        ("a partition is named twice", twice, everywhere),
        ("an unknown isolation level", odd_isolation, everywhere),
        ("ids of nobody", strange_id, IDS_ONLY),
        ("another connection takes over", overtaken, everywhere),
    ]
    return [Ask(title, "Fetch", versions=v, send=talk(scenario)) for title, scenario, v in kinds]
