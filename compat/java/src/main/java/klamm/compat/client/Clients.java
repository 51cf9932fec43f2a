package klamm.compat.client;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

/** Producer, consumer and admin client against one address. */
final class Clients {
    static final Duration TIMEOUT = Duration.ofSeconds(60);

    private final String address;

    Clients(String address) {
        this.address = address;
    }

    Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", address));
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, Object> options) {
        Map<String, Object> config =
                new HashMap<>(Map.of("bootstrap.servers", address, "linger.ms", 5));
        config.putAll(options);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** A producer with a transactional id. */
    KafkaProducer<byte[], byte[]> transactional(String id, Map<String, Object> options) {
        Map<String, Object> config = new HashMap<>(Map.of("transactional.id", id));
        config.putAll(options);
        return producer(config);
    }

    /** A consumer for `assign`: it has no group and commits nothing. */
    KafkaConsumer<byte[], byte[]> consumer() {
        return consumer(Map.of());
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> options) {
        Map<String, Object> config = new HashMap<>(options);
        config.put("bootstrap.servers", address);
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "none");
        config.put("allow.auto.create.topics", false);
        return new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** A consumer of a group. */
    KafkaConsumer<byte[], byte[]> member(String group) {
        Map<String, Object> config = Map.of("bootstrap.servers", address, "group.id", group);
        return new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    String create(String topic, int partitions, Map<String, String> config) throws Exception {
        try (Admin admin = admin()) {
            NewTopic wanted = new NewTopic(topic, partitions, (short) 1).configs(config);
            admin.createTopics(List.of(wanted)).all().get();
        }
        return topic;
    }

    String create(String topic) throws Exception {
        return create(topic, 1, Map.of());
    }

    /** Sends all records and waits for every acknowledgement; throws the first error. */
    List<RecordMetadata> produce(
            List<ProducerRecord<byte[], byte[]>> records, Map<String, Object> options)
            throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(options)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (ProducerRecord<byte[], byte[]> each : records) {
                sent.add(producer.send(each));
            }
            producer.flush();
            List<RecordMetadata> acknowledged = new ArrayList<>();
            for (Future<RecordMetadata> each : sent) {
                acknowledged.add(each.get());
            }
            return acknowledged;
        } catch (ExecutionException error) {
            throw (Exception) error.getCause();
        }
    }

    /** Everything in partition 0 from `start` up to the end at the time of the call. */
    List<ConsumerRecord<byte[], byte[]>> consume(String topic, long start) {
        return consume(new TopicPartition(topic, 0), start, Map.of());
    }

    /** Everything in a partition that is committed at the time of the call. */
    List<ConsumerRecord<byte[], byte[]>> committed(String topic, int partition) {
        Map<String, Object> options = Map.of("isolation.level", "read_committed");
        return consume(new TopicPartition(topic, partition), 0, options);
    }

    private List<ConsumerRecord<byte[], byte[]>> consume(
            TopicPartition partition, long start, Map<String, Object> options) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(options)) {
            consumer.assign(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            consumer.seek(partition, start);
            long deadline = System.nanoTime() + TIMEOUT.toNanos();
            while (consumer.position(partition) < end) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError("at " + consumer.position(partition) + " of " + end);
                }
                consumer.poll(Duration.ofMillis(500)).forEach(records::add);
            }
        }
        return records;
    }
}
