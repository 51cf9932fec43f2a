"""Waiting for what other processes do."""

import time
from collections.abc import Callable

from confluent_kafka import KafkaException

TIMEOUT_S = 90
POLL_S = 0.1


def until(
    condition: Callable[[], bool], wanted: str, state: Callable[[], str] = lambda: ""
) -> None:
    """Waits until it holds. Who is not there yet, or changes its mind just now, is asked again."""
    deadline = time.monotonic() + TIMEOUT_S
    said = ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
            said = ""
        except (OSError, KafkaException) as error:
            said = str(error)
        time.sleep(POLL_S)
    raise AssertionError(f"not within {TIMEOUT_S} s: {wanted}; {said} {state()}"[:600])
