package klamm.compat.client;

import static klamm.compat.client.Expect.numbered;
import static klamm.compat.client.Expect.same;
import static klamm.compat.client.Expect.values;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.internals.RecordHeader;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** One method per feature of the table; each throws when the feature does not work. */
final class Features {
    private static final int COUNT = 500;
    private static final long START_MS = 1_795_000_000_000L;

    private final Clients clients;
    private final Clients throughProxy;
    private final String prefix;

    Features(String address, String proxyAddress, String prefix) {
        this.clients = new Clients(address);
        this.throughProxy = new Clients(proxyAddress);
        this.prefix = prefix;
    }

    void topics() throws Exception {
        String topic = clients.create(prefix + "topics", 3, Map.of("retention.ms", "3600000"));
        Expect.failure(TopicExistsException.class, () -> clients.create(topic));
        try (Admin admin = clients.admin()) {
            same(3, describe(admin, topic).partitions().size());
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
            Expect.eventually(() -> describe(admin, topic).partitions().size() == 5);
            admin.deleteTopics(List.of(topic)).all().get();
            Expect.eventually(() -> !admin.listTopics().names().get().contains(topic));
        }
    }

    private static TopicDescription describe(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    void autoCreate() throws Exception {
        String topic = prefix + "auto";
        clients.produce(numbered(topic, 1), Map.of());
        same(values(numbered(topic, 1)), Expect.consumed(clients.consume(topic, 0)));
    }

    void unknownTopic() throws Exception {
        try (Admin admin = clients.admin();
                KafkaConsumer<byte[], byte[]> consumer = clients.consumer()) {
            Expect.failure(
                    UnknownTopicOrPartitionException.class, () -> describe(admin, "java-nowhere"));
            List<String> names = List.of("java-nowhere");
            Expect.failure(
                    UnknownTopicOrPartitionException.class,
                    () -> admin.deleteTopics(names).all().get());
            same(List.of(), consumer.partitionsFor("java-nowhere"));
        }
    }

    void compression(String codec) throws Exception {
        String topic = clients.create(prefix + codec);
        clients.produce(numbered(topic, COUNT), Map.of("compression.type", codec));
        same(values(numbered(topic, COUNT)), Expect.consumed(clients.consume(topic, 0)));
    }

    void recordFields() throws Exception {
        String topic = clients.create(prefix + "fields");
        List<ProducerRecord<byte[], byte[]>> sent =
                List.of(
                        new ProducerRecord<>(
                                topic,
                                0,
                                START_MS + 3,
                                bytes("k"),
                                bytes("v"),
                                List.of(
                                        new RecordHeader("h", bytes("1")),
                                        new RecordHeader("h", null))),
                        new ProducerRecord<>(topic, 0, START_MS, null, bytes("v2")),
                        new ProducerRecord<>(
                                topic,
                                0,
                                START_MS + 9,
                                new byte[] {0, -1},
                                null,
                                List.of(new RecordHeader("", new byte[0]))));
        clients.produce(sent, Map.of("compression.type", "lz4"));
        List<String> wanted = new ArrayList<>();
        sent.forEach(
                each ->
                        wanted.add(
                                Expect.describe(
                                        each.key(),
                                        each.value(),
                                        each.timestamp(),
                                        each.headers())));
        List<String> got = new ArrayList<>();
        for (ConsumerRecord<byte[], byte[]> each : clients.consume(topic, 0)) {
            got.add(Expect.describe(each.key(), each.value(), each.timestamp(), each.headers()));
        }
        same(wanted, got);
    }

    void seekByOffset() throws Exception {
        String topic = clients.create(prefix + "seek");
        clients.produce(numbered(topic, COUNT), Map.of("compression.type", "zstd"));
        same(
                values(numbered(topic, COUNT)).subList(321, COUNT),
                Expect.consumed(clients.consume(topic, 321)));
    }

    void seekByTime() throws Exception {
        String topic = clients.create(prefix + "time");
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        for (int n = 0; n < COUNT; n++) {
            sent.add(new ProducerRecord<>(topic, 0, START_MS + 10L * n, null, bytes("v" + n)));
        }
        clients.produce(sent, Map.of());
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = clients.consumer()) {
            Map<Long, Long> wanted =
                    Map.of(
                            START_MS - 5,
                            0L,
                            START_MS,
                            0L,
                            START_MS + 11,
                            2L,
                            START_MS + 10L * (COUNT - 1),
                            COUNT - 1L);
            for (Map.Entry<Long, Long> each : wanted.entrySet()) {
                OffsetAndTimestamp found =
                        consumer.offsetsForTimes(Map.of(partition, each.getKey())).get(partition);
                same(each.getValue(), found.offset());
                same(START_MS + 10L * each.getValue(), found.timestamp());
            }
            same(
                    null,
                    consumer.offsetsForTimes(Map.of(partition, START_MS + 1_000_000))
                            .get(partition));
        }
    }

    void earliestLatest() throws Exception {
        String topic = clients.create(prefix + "ends");
        clients.produce(numbered(topic, 10), Map.of());
        TopicPartition partition = new TopicPartition(topic, 0);
        try (Admin admin = clients.admin();
                KafkaConsumer<byte[], byte[]> consumer = clients.consumer()) {
            same(Map.of(partition, 0L), consumer.beginningOffsets(List.of(partition)));
            same(Map.of(partition, 10L), consumer.endOffsets(List.of(partition)));
            same(10L, offset(admin, partition, OffsetSpec.latest()));
            same(0L, offset(admin, partition, OffsetSpec.earliest()));
        }
    }

    private static long offset(Admin admin, TopicPartition partition, OffsetSpec spec)
            throws Exception {
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    void big() throws Exception {
        String topic = clients.create(prefix + "big");
        byte[] value = new byte[1_000_000];
        clients.produce(
                List.of(new ProducerRecord<>(topic, 0, null, value)),
                Map.of("max.request.size", 2_000_000));
        same(value.length, clients.consume(topic, 0).get(0).value().length);
    }

    void tooLarge() throws Exception {
        String topic = clients.create(prefix + "large");
        ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(topic, 0, null, new byte[2_000_000]);
        Map<String, Object> options = Map.of("max.request.size", 4_000_000);
        Expect.failure(
                RecordTooLargeException.class, () -> clients.produce(List.of(record), options));
    }

    /**
     * Every record exactly once and in order, although connections end in the middle of requests.
     */
    void throughCuts() throws Exception {
        String topic = clients.create(prefix + "cut");
        Map<String, Object> options =
                Map.of(
                        "batch.size",
                        2000,
                        "reconnect.backoff.ms",
                        1,
                        "retry.backoff.ms",
                        1,
                        "linger.ms",
                        1);
        throughProxy.produce(numbered(topic, 2000), options);
        same(values(numbered(topic, 2000)), Expect.consumed(clients.consume(topic, 0)));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }
}
