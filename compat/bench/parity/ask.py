"""Runs the scenarios against one broker."""

from ..rawconn import Closed
from ..schema import Schemas
from . import (
    alter_configs,
    configs,
    connection,
    consumer_groups,
    deletion,
    features,
    fetch,
    group_offsets,
    groups,
    idempotence,
    log_dirs,
    metadata,
    offsets,
    one_broker,
    produce,
    sessions,
    telemetry,
    topic_pages,
    topics,
)
from .answers import comparable
from .world import Ask, World

GROUPS = {
    "connection": connection,
    "metadata": metadata,
    "topics": topics,
    "configs": configs,
    "alter_configs": alter_configs,
    "produce": produce,
    "idempotence": idempotence,
    "fetch": fetch,
    "sessions": sessions,
    "offsets": offsets,
    "one_broker": one_broker,
    "deletion": deletion,
    "log_dirs": log_dirs,
    "topic_pages": topic_pages,
    "groups": groups,
    "group_offsets": group_offsets,
    "consumer_groups": consumer_groups,
    "telemetry": telemetry,
    "features": features,
}
CLOSED = {"closed": True}


def ask_group(name: str, schemas: Schemas, host: str, port: int) -> dict[str, dict[int, object]]:
    """The answers to every ask of one group, by title and version."""
    world = World(schemas, host, port)
    return {ask.title: ask_versions(world, ask) for ask in GROUPS[name].asks()}


def ask_versions(world: World, ask: Ask) -> dict[int, object]:
    versions = ask.versions or world.schemas.by_name[ask.api + "Request"].versions
    return {version: ask_once(world, ask, version) for version in versions}


def ask_once(world: World, ask: Ask, version: int) -> object:
    try:
        if ask.send:
            return unversioned(comparable(ask.send(world, version)), version)
        answer = world.request(ask.api, version, ask.body(world, version))
        return unversioned(comparable(answer), version)
    except Closed:
        return CLOSED
    except TimeoutError:
        return {"silent": True}
    except (ValueError, RuntimeError, LookupError) as error:
        return {"unusable": str(error)}


def unversioned(value: object, version: int) -> object:
    """The answer with the version taken out of topic names, so that equal answers look equal."""
    if isinstance(value, dict):
        return {key: unversioned(each, version) for key, each in value.items()}
    if isinstance(value, list):
        return [unversioned(each, version) for each in value]
    return value.replace(f"-v{version}", "-v*") if isinstance(value, str) else value


def partial_titles(group: str) -> set[str]:
    """The asks whose answers may list fewer elements than Kafka's."""
    return {ask.title for ask in GROUPS[group].asks() if ask.partial}
