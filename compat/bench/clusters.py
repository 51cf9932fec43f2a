"""The clusters that our own clients are tried on, each started on free ports and stopped again."""

import subprocess
from pathlib import Path

from .broker import CLUSTER_ID, Broker, Kafka, Klamm, free_port
from .paths import clients_jar
from .schema import Schemas
from .setup import older_jars

# Sessions that end soon, as the tests have them with a broker of their own.
SETTINGS = (
    "group.min.session.timeout.ms=1000",
    "group.initial.rebalance.delay.ms=0",
    "group.consumer.min.heartbeat.interval.ms=50",
    "group.consumer.heartbeat.interval.ms=50",
    "group.consumer.min.session.timeout.ms=3000",
    "group.consumer.session.timeout.ms=3000",
)
# Who may do what is asked of an authorizer, and everybody here may do everything; tokens can be had
# by those who say who they are.
ACCESS = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users=User:ANONYMOUS",
    "delegation.token.secret.key=secret",
)
ACCESS_2 = (
    "authorizer.class.name=kafka.security.auth.SimpleAclAuthorizer",
    "super.users=User:ANONYMOUS",
    "delegation.token.master.key=secret",
)
NODES = 3

MEMBER_PROPERTIES = """\
process.roles={roles}
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
controller.listener.names=CONTROLLER
log.dirs={data}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=9
transaction.state.log.replication.factor=3
transaction.state.log.num.partitions=9
transaction.state.log.min.isr=2
broker.session.timeout.ms=3000
leader.imbalance.check.interval.seconds=5
"""

ZOOKEEPER_PROPERTIES = """\
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
"""

KAFKA_2_PROPERTIES = """\
broker.id=1
listeners=PLAINTEXT://127.0.0.1:{port}
zookeeper.connect=127.0.0.1:{zookeeper}
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


class OlderKafka(Kafka):
    """Apache Kafka of another version, one node of KRaft."""

    heap = "256m"
    version = "3.9.1"

    def __init__(self, schemas: Schemas, folder: Path, settings: tuple[str, ...] = ()):
        self.jars = older_jars(f"kafka-{self.version}")
        super().__init__(schemas, folder, settings)


class Zookeeper(Broker):
    """What Kafka 2 keeps its metadata in."""

    def __init__(self, schemas: Schemas, folder: Path, jars: Path):
        super().__init__(schemas, folder)
        self.properties = folder / "zookeeper.properties"
        self.properties.write_text(ZOOKEEPER_PROPERTIES.format(data=self.data, port=self.port))
        self.java = [*Kafka.JAVA, "-Xmx128m", "-cp", f"{jars}/*"]

    def command(self) -> list[str]:
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return [*self.java, main, str(self.properties)]

    def answers(self) -> bool:
        return self.accepts()


class Kafka2(Broker):
    """The oldest that our clients promise to talk to, with its ZooKeeper."""

    version = "2.1.1"

    def __init__(self, schemas: Schemas, folder: Path, settings: tuple[str, ...] = ()):
        super().__init__(schemas, folder)
        self.jars = older_jars(f"kafka-{self.version}")
        self.zookeeper = Zookeeper(schemas, folder / "zookeeper", self.jars)
        self.properties = folder / "server.properties"
        text = KAFKA_2_PROPERTIES.format(
            port=self.port, zookeeper=self.zookeeper.port, data=self.data
        )
        self.properties.write_text(text + "".join(f"{setting}\n" for setting in settings))

    def command(self) -> list[str]:
        java = [*Kafka.JAVA, "-Xmx256m", "-cp", f"{self.jars}/*"]
        return [*java, "kafka.Kafka", str(self.properties)]

    def start(self) -> "Broker":
        self.zookeeper.start()
        return super().start()

    def stop(self) -> None:
        super().stop()
        self.zookeeper.stop()


class Member(Kafka):
    """A node of a cluster: a controller or a broker."""

    heap = "256m"

    def __init__(self, schemas: Schemas, folder: Path, node: int, text: str, is_broker: bool):
        Broker.__init__(self, schemas, folder)
        self.is_broker = is_broker
        self.properties = folder / "server.properties"
        self.text = text.replace("{port}", str(self.port)).replace("{data}", str(self.data))

    def prepare(self, settings: tuple[str, ...]) -> None:
        self.properties.write_text(self.text + "".join(f"{setting}\n" for setting in settings))
        self.format()

    def answers(self) -> bool:
        return super().answers() if self.is_broker else self.accepts()


class Cluster:
    """One broker, or several that replicate."""

    has_spare = False

    def __init__(self, folder: Path, kind: type[Broker], settings: tuple[str, ...] = ()):
        schemas = Schemas(clients_jar())
        self.nodes = [kind(schemas, folder, (*SETTINGS, *settings))]

    @property
    def address(self) -> str:
        return self.nodes[0].address

    def __enter__(self):
        started = []
        try:
            for node in self.nodes:
                started.append(node)
                node.start()
        except BaseException:
            for node in started:
                node.stop()
            raise
        return self

    def __exit__(self, *_):
        for node in reversed(self.nodes):
            node.stop()


class Three(Cluster):
    """A controller and three brokers; two of them are enough to go on."""

    has_spare = True

    def __init__(self, folder: Path):
        schemas = Schemas(clients_jar())
        voter = f"9@127.0.0.1:{(controller_port := free_port())}"
        self.nodes = []
        for node in (9, *range(1, NODES + 1)):
            is_broker = node != 9
            text = MEMBER_PROPERTIES.format(
                roles="broker" if is_broker else "controller",
                node=node,
                voters=voter,
                listeners="PLAINTEXT://127.0.0.1:{port}"
                if is_broker
                else f"CONTROLLER://127.0.0.1:{controller_port}",
                data="{data}",
            )
            member = Member(schemas, folder / f"node-{node}", node, text, is_broker)
            if not is_broker:
                member.port = controller_port
            member.prepare((*SETTINGS, *ACCESS))
            self.nodes.append(member)

    @property
    def brokers(self) -> list[Broker]:
        return self.nodes[1:]

    @property
    def address(self) -> str:
        return ",".join(broker.address for broker in self.brokers)

    def __enter__(self):
        super().__enter__()
        self.wait_for_all()
        return self

    def wait_for_all(self) -> None:
        """Returns once every broker knows of the others."""
        for broker in self.brokers:
            broker.wait(lambda broker=broker: broker.knows() == NODES)


KINDS = {
    "klamm": lambda folder: Cluster(folder, Klamm),
    "kafka-4": lambda folder: Cluster(folder, Kafka, ACCESS),
    "kafka-3.9": lambda folder: Cluster(folder, OlderKafka, ACCESS),
    "kafka-2.1": lambda folder: Cluster(folder, Kafka2, ACCESS_2),
    "cluster": Three,
}
