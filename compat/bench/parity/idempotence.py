"""InitProducerId, and Produce with sequences: repeats, gaps, old epochs, strangers."""

from ..records import TRANSACTIONAL, Batch, Record
from .world import Ask, World
from .world import produce as to

NEWEST_SEQUENCE = 0x7FFFFFFF


def step(
    topic: str, sequence: int, count: int = 1, epoch: int = 0, producer: str = "", **fields: int
):
    """A batch of one producer at this sequence. Each version has its own topic and producer."""

    def body(w: World, v: int) -> dict:
        name = w.fresh(topic, v)
        identity = w.producer(f"{topic}{producer}-v{v}")
        batch = Batch(
            records=[Record()] * count,
            producer_id=identity,
            producer_epoch=epoch,
            base_sequence=sequence,
            **fields,
        )
        return to(w, name, batch)

    return body


def stranger(topic: str, sequence: int, epoch: int = 0, producer_id: int = 987_654):
    """A producer id that the broker never handed out."""

    def body(w: World, v: int) -> dict:
        batch = Batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
        return to(w, w.fresh(topic, v), batch)

    return body


def story(topic: str, steps: list[tuple[str, dict]]) -> list[Ask]:
    """Steps that one producer takes one after the other on one topic."""
    return [Ask(f"{topic}: {title}", "Produce", step(topic, **given)) for title, given in steps]


def stories() -> list[Ask]:
    window = story(
        "seq-window",
        [(f"batch {n}", {"sequence": n}) for n in range(7)]
        + [
            ("the last again", {"sequence": 6}),
            ("the fifth from the end again", {"sequence": 2}),
            ("the sixth from the end again", {"sequence": 1}),
            ("the first again", {"sequence": 0}),
            ("the next", {"sequence": 7}),
        ],
    )
    gaps = story(
        "seq-gap",
        [
            ("starts", {"sequence": 0}),
            ("skips one", {"sequence": 2}),
            ("goes on", {"sequence": 1}),
            ("repeats with more records", {"sequence": 1, "count": 2}),
            ("an older epoch", {"sequence": 2, "epoch": -1}),
            ("a new epoch in mid-sequence", {"sequence": 2, "epoch": 1}),
            ("a new epoch from zero", {"sequence": 0, "epoch": 1}),
            ("the old epoch again", {"sequence": 2, "epoch": 0}),
            ("the new epoch goes on", {"sequence": 1, "epoch": 1}),
            ("an epoch three ahead", {"sequence": 0, "epoch": 4}),
        ],
    )
    wrap = story(
        "seq-wrap",
        [
            ("close to the end", {"sequence": NEWEST_SEQUENCE - 1}),
            ("across the end", {"sequence": NEWEST_SEQUENCE, "count": 2}),
            ("repeats it", {"sequence": NEWEST_SEQUENCE, "count": 2}),
            ("after the end", {"sequence": 1}),
        ],
    )
    odd = story(
        "seq-odd",
        [
            ("no sequence", {"sequence": -1}),
            ("a negative sequence", {"sequence": -2}),
            ("transactional without a transaction", {"sequence": 0, "attributes": TRANSACTIONAL}),
        ],
    )
    return window + gaps + wrap + odd


def init(transactional_id: str | None = None, timeout_ms: int = 60_000, **fields: int):
    def body(w: World, v: int) -> dict:
        w.producer("any")  # Waits until the broker has ids to give.
        return {"transactionalId": transactional_id, "transactionTimeoutMs": timeout_ms} | fields

    return body


def asks() -> list[Ask]:
    api = "InitProducerId"
    return [
        Ask("an id", api, init()),
        Ask("an id, timeout zero", api, init(timeout_ms=0)),
        Ask("an id, timeout negative", api, init(timeout_ms=-1)),
        Ask("an id, epoch but no id", api, init(producerEpoch=3), range(3, 6)),
        Ask("an id, id but no epoch", api, init(producerId=3), range(3, 6)),
        Ask("an id for a known id", api, init(producerId=3, producerEpoch=1), range(3, 6)),
        Ask("an empty transactional id", api, init(transactional_id="")),
        Ask("a stranger starts at zero", "Produce", stranger("seq-stranger0", 0)),
        Ask("a stranger starts at ten", "Produce", stranger("seq-stranger10", 10)),
        Ask("a stranger with a high epoch", "Produce", stranger("seq-stranger-epoch", 0, epoch=9)),
        Ask("a stranger with an id below -1", "Produce", stranger("seq-minus", 0, producer_id=-2)),
        Ask("a producer without an epoch", "Produce", stranger("seq-epochless", 0, epoch=-1)),
        *stories(),
    ]
