"""The admin client of confluent-kafka: groups, offsets, records, settings, the cluster."""

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from .. import features
from ..broker import Broker
from ..groups import feed, kinds
from ..groups.party import Party
from ..groups.scenarios import same
from ..table import Table

TIMEOUT_S = 60


def run(broker: Broker, table: Table, client: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 2})
    table.check(client, features.GROUP_ADMIN, lambda: groups(admin, broker))
    table.check(client, features.GROUP_OFFSETS, lambda: offsets(admin, broker))
    table.check(client, features.DELETE_RECORDS, lambda: delete_records(admin, broker))
    table.check(client, features.CONFIGS, lambda: configs(admin, broker))
    table.check(client, features.CLUSTER, lambda: cluster(admin, broker))


def groups(admin: AdminClient, broker: Broker) -> None:
    group = "cf-groups"
    partitions = feed.create(broker, group, 2)
    with Party(broker, group, subscribe=group) as party:
        member = party.join(kinds.confluent("confluent-kafka"), instance="static")
        party.settle(partitions)
        described = describe(admin, group)
        same(described.state, ConsumerGroupState.STABLE)
        same(described.partition_assignor, "range")
        (only,) = described.members
        same((only.client_id, only.group_instance_id), ("rdkafka", "static"))
        owned = {f"{at.topic}:{at.partition}" for at in only.assignment.topic_partitions}
        same(owned, set(partitions))
        same(listed(admin, ConsumerGroupState.STABLE).get(group), ConsumerGroupState.STABLE)
        same(failure(admin.delete_consumer_groups([group])[group]), "NON_EMPTY_GROUP")
        party.kill(member)
    with Party(broker, "cf-gone", subscribe=group) as party:
        party.join(kinds.confluent("confluent-kafka"))
        party.settle(partitions)
        party.close_all()
    same(describe(admin, "cf-gone").state, ConsumerGroupState.EMPTY)
    same(listed(admin, ConsumerGroupState.EMPTY).get("cf-gone"), ConsumerGroupState.EMPTY)
    admin.delete_consumer_groups(["cf-gone"])["cf-gone"].result(TIMEOUT_S)
    same("cf-gone" in listed(admin), False)
    same(failure(admin.delete_consumer_groups(["cf-gone"])["cf-gone"]), "GROUP_ID_NOT_FOUND")


def describe(admin: AdminClient, group: str):
    return admin.describe_consumer_groups([group])[group].result(TIMEOUT_S)


def listed(admin: AdminClient, *states: ConsumerGroupState) -> dict[str, ConsumerGroupState]:
    found = admin.list_consumer_groups(states=set(states)).result(TIMEOUT_S)
    same(found.errors, [])
    return {group.group_id: group.state for group in found.valid}


def failure(future) -> str:
    """The name of the error that the call ends with."""
    error = future.exception(TIMEOUT_S)
    return error.args[0].name() if error else "no error"


def offsets(admin: AdminClient, broker: Broker) -> None:
    group = "cf-offsets"
    feed.create(broker, group, 3)
    wanted = [(0, 3), (1, 4)]
    altered = [TopicPartition(group, *each) for each in wanted]
    asked = ConsumerGroupTopicPartitions(group, altered)
    admin.alter_consumer_group_offsets([asked])[group].result(TIMEOUT_S)
    same(committed(admin, group, None), wanted)
    chosen = [TopicPartition(group, 1), TopicPartition(group, 2)]
    same(committed(admin, group, chosen), [(1, 4), (2, -1001)])
    same(committed(admin, "cf-nobody", None), [])


def committed(admin: AdminClient, group: str, chosen: list | None) -> list[tuple[int, int]]:
    asked = ConsumerGroupTopicPartitions(group, chosen)
    found = admin.list_consumer_group_offsets([asked])[group].result(TIMEOUT_S)
    return sorted((each.partition, each.offset) for each in found.topic_partitions)


def delete_records(admin: AdminClient, broker: Broker) -> None:
    topic = "cf-trim"
    feed.create(broker, topic, 1)
    feed.produce(broker, topic, 0, 10)
    at = TopicPartition(topic, 0, 4)
    same(admin.delete_records([at])[at].result(TIMEOUT_S).low_watermark, 4)
    beyond = TopicPartition(topic, 0, 11)
    same(failure(admin.delete_records([beyond])[beyond]), "OFFSET_OUT_OF_RANGE")
    earliest = admin.list_offsets({at: OffsetSpec.earliest()})[at].result(TIMEOUT_S)
    latest = admin.list_offsets({at: OffsetSpec.latest()})[at].result(TIMEOUT_S)
    same((earliest.offset, latest.offset), (4, 10))


def configs(admin: AdminClient, broker: Broker) -> None:
    topic = "cf-configs"
    feed.create(broker, topic, 1)
    same(value(admin, topic, "retention.ms"), ("604800000", True))
    alter(admin, topic, "retention.ms", "1000", AlterConfigOpType.SET)
    same(value(admin, topic, "retention.ms"), ("1000", False))
    alter(admin, topic, "cleanup.policy", "compact", AlterConfigOpType.APPEND)
    same(value(admin, topic, "cleanup.policy"), ("delete,compact", False))
    alter(admin, topic, "cleanup.policy", "delete", AlterConfigOpType.SUBTRACT)
    same(value(admin, topic, "cleanup.policy"), ("compact", False))
    alter(admin, topic, "retention.ms", None, AlterConfigOpType.DELETE)
    same(value(admin, topic, "retention.ms"), ("604800000", True))


def alter(admin: AdminClient, topic: str, key: str, new: str | None, how) -> None:
    entry = ConfigEntry(key, new, incremental_operation=how)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def value(admin: AdminClient, topic: str, key: str) -> tuple[str, bool]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entry = admin.describe_configs([resource])[resource].result(TIMEOUT_S)[key]
    return entry.value, entry.is_default


def cluster(admin: AdminClient, broker: Broker) -> None:
    found = admin.describe_cluster().result(TIMEOUT_S)
    same([(node.host, node.port) for node in found.nodes], [(broker.host, broker.port)])
    same(found.controller.id, found.nodes[0].id)
    same(found.cluster_id, admin.cluster_id(timeout=TIMEOUT_S))
