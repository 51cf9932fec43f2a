"""How a member of each client is started."""

from dataclasses import replace

from .. import features
from ..java import java_program
from ..paths import COMPAT, KLAMM_MEMBER, NODE_MODULES, RDKAFKA, VENV_PYTHON
from .member import MemberKind

ALL = ("range", "roundrobin", "cooperative-sticky")


def python(program: str) -> tuple[str, ...]:
    return (str(VENV_PYTHON), str(COMPAT / "members" / program))


def confluent(client: str) -> MemberKind:
    return MemberKind(client, python("confluent.py"), ALL)


def java(client: str, version: str | None) -> MemberKind:
    return MemberKind(client, java_program(version, "klamm.compat.client.Member"), ALL)


def of_consumer_protocol(kind: MemberKind) -> MemberKind:
    """The same client, with the protocol by which the broker assigns."""
    return replace(kind, assignors=("uniform", "range"), protocol="consumer")


def kafka_python(client: str) -> MemberKind:
    return MemberKind(client, python("kafka_python.py"), ALL)


def kafka_python_as_if(client: str, api_version: str) -> MemberKind:
    """With the request versions of an old broker, without asking the real one."""
    lacks = {features.GROUP_STATIC: "came with 2.3"}
    settings = {"api-version": api_version}
    return MemberKind(client, python("kafka_python.py"), ALL, lacks=lacks, settings=settings)


def aiokafka(client: str) -> MemberKind:
    lacks = {
        features.GROUP_COOPERATIVE: "no such assignor",
        features.GROUP_METADATA: "not shown",
    }
    return MemberKind(client, python("aio.py"), ALL[:2], lacks=lacks)


def kafkajs(client: str) -> MemberKind:
    lacks = {
        features.GROUP_COOPERATIVE: "no such assignor",
        features.GROUP_STATIC: "no such setting",
        features.GROUP_PATTERN_GROWS: "looks once",
    }
    program = ("node", str(COMPAT / "kafkajs" / "member.js"))
    environment = {"NODE_PATH": str(NODE_MODULES)}
    return MemberKind(client, program, ("roundrobin",), lacks=lacks, environment=environment)


def rdkafka(client: str) -> MemberKind:
    return MemberKind(client, (str(RDKAFKA / "release" / "member"),), ALL)


def klamm(client: str) -> MemberKind:
    """Our own consumer."""
    return MemberKind(client, (str(KLAMM_MEMBER / "debug" / "klamm-compat-member"),), ALL)


def kcat(client: str) -> MemberKind:
    lacks = {
        features.GROUP_METADATA: "not shown",
        features.GROUP_CHANGES: "commits a record before it is printed",
        features.GROUP_COOPERATIVE: "it assigns eagerly",
        features.GROUP_PAUSE: "no such option",
    }
    return MemberKind(client, python("kcat.py"), ALL, lacks=lacks)
