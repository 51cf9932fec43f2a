package klamm.compat.client;

import static klamm.compat.client.Expect.numbered;
import static klamm.compat.client.Expect.same;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The features of the admin client beyond topics; each throws when it does not work. */
@SuppressWarnings("removal") // What replaces listConsumerGroups and state() is not in 3.9.
final class AdminFeatures {
    private final Clients clients;
    private final String prefix;

    AdminFeatures(String address, String prefix) {
        this.clients = new Clients(address);
        this.prefix = prefix;
    }

    void groups() throws Exception {
        String topic = clients.create(prefix + "groups", 2, Map.of());
        List<String> groups = List.of(topic);
        try (Admin admin = clients.admin();
                KafkaConsumer<byte[], byte[]> consumer = clients.member(topic)) {
            consumer.subscribe(List.of(topic));
            Expect.eventually(
                    () -> {
                        consumer.poll(Duration.ofMillis(50));
                        return consumer.assignment().size() == 2;
                    });
            ConsumerGroupDescription described = describe(admin, topic);
            same("Stable", described.state().toString());
            same("range", described.partitionAssignor());
            MemberDescription member = described.members().iterator().next();
            same(consumer.groupMetadata().memberId(), member.consumerId());
            same(consumer.assignment(), member.assignment().topicPartitions());
            Expect.failure(
                    GroupNotEmptyException.class,
                    () -> admin.deleteConsumerGroups(groups).all().get());
        }
        try (Admin admin = clients.admin()) {
            same("Empty", describe(admin, topic).state().toString());
            same(true, listed(admin).contains(topic));
            admin.deleteConsumerGroups(groups).all().get();
            same(false, listed(admin).contains(topic));
            Expect.failure(
                    GroupIdNotFoundException.class,
                    () -> admin.deleteConsumerGroups(groups).all().get());
        }
    }

    private static ConsumerGroupDescription describe(Admin admin, String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    private static List<String> listed(Admin admin) throws Exception {
        return admin.listConsumerGroups().all().get().stream()
                .map(ConsumerGroupListing::groupId)
                .toList();
    }

    void offsets() throws Exception {
        String group = clients.create(prefix + "offsets", 2, Map.of());
        TopicPartition first = new TopicPartition(group, 0);
        TopicPartition second = new TopicPartition(group, 1);
        OffsetAndMetadata noted = new OffsetAndMetadata(3, Optional.of(0), "a note ✓");
        OffsetAndMetadata bare = new OffsetAndMetadata(4, Optional.empty(), "");
        try (Admin admin = clients.admin()) {
            admin.alterConsumerGroupOffsets(group, Map.of(first, noted, second, bare)).all().get();
            same(Map.of(first, noted, second, bare), committed(admin, group));
            admin.deleteConsumerGroupOffsets(group, Set.of(first)).all().get();
            same(Map.of(second, bare), committed(admin, group));
            Map<TopicPartition, OffsetAndMetadata> nowhere =
                    Map.of(new TopicPartition(prefix + "nowhere", 0), bare);
            Expect.failure(
                    UnknownTopicOrPartitionException.class,
                    () -> admin.alterConsumerGroupOffsets(group, nowhere).all().get());
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> committed(Admin admin, String group)
            throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    void deleteRecords() throws Exception {
        String topic = clients.create(prefix + "trim");
        clients.produce(numbered(topic, 10), Map.of());
        TopicPartition at = new TopicPartition(topic, 0);
        try (Admin admin = clients.admin();
                KafkaConsumer<byte[], byte[]> consumer = clients.consumer()) {
            same(4L, trim(admin, at, 4));
            same(Map.of(at, 4L), consumer.beginningOffsets(List.of(at)));
            Expect.failure(OffsetOutOfRangeException.class, () -> trim(admin, at, 11));
            same(10L, trim(admin, at, -1));
        }
    }

    private static long trim(Admin admin, TopicPartition at, long offset) throws Exception {
        Map<TopicPartition, RecordsToDelete> wanted =
                Map.of(at, RecordsToDelete.beforeOffset(offset));
        return admin.deleteRecords(wanted).lowWatermarks().get(at).get().lowWatermark();
    }

    void configs() throws Exception {
        String topic = clients.create(prefix + "configs");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = clients.admin()) {
            alter(admin, resource, "retention.ms", "1000", OpType.SET);
            same("1000", value(admin, resource, "retention.ms"));
            alter(admin, resource, "cleanup.policy", "compact", OpType.APPEND);
            same("delete,compact", value(admin, resource, "cleanup.policy"));
            alter(admin, resource, "cleanup.policy", "delete", OpType.SUBTRACT);
            same("compact", value(admin, resource, "cleanup.policy"));
            alter(admin, resource, "retention.ms", null, OpType.DELETE);
            same("604800000", value(admin, resource, "retention.ms"));
        }
    }

    private static void alter(
            Admin admin, ConfigResource resource, String key, String value, OpType how)
            throws Exception {
        AlterConfigOp operation = new AlterConfigOp(new ConfigEntry(key, value), how);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(operation))).all().get();
    }

    private static String value(Admin admin, ConfigResource resource, String key)
            throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(key).value();
    }

    void cluster() throws Exception {
        try (Admin admin = clients.admin()) {
            DescribeClusterResult found = admin.describeCluster();
            same(1, found.nodes().get().size());
            same(found.nodes().get().iterator().next(), found.controller().get());
            same(false, found.clusterId().get().isEmpty());
        }
    }
}
