"""DescribeTopicPartitions: in which order topics come, where a page ends, where one begins."""

from .world import Ask, World

API = "DescribeTopicPartitions"
# Beyond the names of all other scenarios, so that the end of the list of all topics is ours.
A, B, C = "zzz-a", "zzz-b", "zzz-c"


def pages(
    *names: str,
    limit: int = 2000,
    cursor: tuple[str, int] | None = None,
    follow: bool = False,
):
    """One page, or all of them, with topics and cursors in the order in which they came."""

    def send(w: World, v: int) -> dict:
        for name in (C, A, B):
            w.topic(name, partitions=3)
        said, at = [], cursor
        while True:
            answer = w.request(API, v, body(names, limit, at))
            after = answer["nextCursor"]
            said.append({"order": [each["name"] for each in answer["topics"]], "answer": answer})
            if after is None or not follow:
                return {"pages": said}
            at = (after["topicName"], after["partitionIndex"])

    return send


def body(names: tuple[str, ...], limit: int, at: tuple[str, int] | None) -> dict:
    return {
        "topics": [{"name": name} for name in names],
        "responsePartitionLimit": limit,
        "cursor": at and {"topicName": at[0], "partitionIndex": at[1]},
    }


def asks() -> list[Ask]:
    kinds = [
        ("topics out of order", pages(C, A, B)),
        ("a topic twice", pages(A, A)),
        ("unknown and bad names", pages("zzz-nowhere", "a/b", A, "__consumer_offsets-")),
        ("an empty name", pages("", A)),
        ("a name that a cursor passes over", pages(A, B, "a/b", cursor=(A, 0))),
        ("all from a cursor on", pages(cursor=(A, 0))),
        ("all, page by page", pages(limit=2, cursor=(A, 0), follow=True)),
        ("some, page by page", pages(C, A, "zzz-bb", B, limit=2, follow=True)),
        ("one by one", pages(A, B, limit=1, follow=True)),
        ("pages that end with a topic", pages(A, B, C, limit=3, follow=True)),
        ("a page that ends before an unknown topic", pages(A, "zzz-aa", limit=3, follow=True)),
        ("a limit of 0", pages(A, limit=0)),
        ("a limit of -1", pages(A, limit=-1)),
        ("a cursor in the middle of a topic", pages(A, B, cursor=(A, 1))),
        ("a cursor beyond the partitions", pages(A, B, cursor=(A, 9))),
        ("a cursor at a topic that is not asked for", pages(A, C, cursor=(B, 1))),
        ("a cursor at no topic", pages(A, cursor=("", 0))),
        ("a cursor after all", pages(A, cursor=("zzzz", 0))),
        ("a cursor at a negative partition", pages(A, cursor=(A, -1))),
        ("all from a negative partition on", pages(cursor=(A, -1))),
        ("all from a topic on that is not there", pages(cursor=("zzz-aa", 1))),
    ]
    return [Ask(title, API, send=send) for title, send in kinds]
