package klamm.compat.client;

import static klamm.compat.client.Expect.same;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One method per feature of transactions; each throws when the feature does not work. */
final class TransactionFeatures {
    private static final int TRANSACTIONS = 40;

    private final Clients clients;
    private final Clients throughProxy;
    private final String prefix;

    TransactionFeatures(String address, String proxyAddress, String prefix) {
        this.clients = new Clients(address);
        this.throughProxy = new Clients(proxyAddress);
        this.prefix = prefix;
    }

    /** What is aborted is not seen, what is committed is, as a whole and in order. */
    void commitsAndAborts() throws Exception {
        String topic = clients.create(prefix + "committed", 3, Map.of());
        write(clients, topic, Map.of());
        check(topic);
    }

    /** The same, although connections end in the middle of requests. */
    void throughCuts() throws Exception {
        String topic = clients.create(prefix + "committed-cut", 3, Map.of());
        Map<String, Object> options = Map.of("reconnect.backoff.ms", 1, "retry.backoff.ms", 1);
        write(throughProxy, topic, options);
        check(topic);
    }

    /** Every third transaction is aborted; each has a record in every partition. */
    private void write(Clients through, String topic, Map<String, Object> options) {
        try (KafkaProducer<byte[], byte[]> producer =
                through.transactional(topic + "-producer", options)) {
            producer.initTransactions();
            for (int n = 0; n < TRANSACTIONS; n++) {
                producer.beginTransaction();
                for (int partition = 0; partition < 3; partition++) {
                    producer.send(new ProducerRecord<>(topic, partition, null, bytes("" + n)));
                }
                // By the rules of KIP-890 this client looks for unsent batches before it takes the
                // lock under which it sends EndTxn: seldom, a commit goes before what it commits,
                // and is refused. Apache Kafka refuses it, too.
                producer.flush();
                if (isAborted(n)) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
    }

    private void check(String topic) {
        awaitEnd(topic + "-producer");
        List<String> wanted = new ArrayList<>();
        for (int n = 0; n < TRANSACTIONS; n++) {
            if (!isAborted(n)) {
                wanted.add("" + n);
            }
        }
        for (int partition = 0; partition < 3; partition++) {
            same(wanted, Expect.consumed(clients.committed(topic, partition)));
        }
    }

    /** A commit is decided when it is answered; readers see it once all partitions are told. */
    private void awaitEnd(String id) {
        try (KafkaProducer<byte[], byte[]> next = clients.transactional(id, Map.of())) {
            next.initTransactions();
        }
    }

    private static boolean isAborted(int number) {
        return number % 3 == 2;
    }

    /** A producer that comes under the id of another takes its place. */
    void fencing() throws Exception {
        String topic = clients.create(prefix + "fenced");
        String id = topic + "-producer";
        try (KafkaProducer<byte[], byte[]> old = clients.transactional(id, Map.of());
                KafkaProducer<byte[], byte[]> fresh = clients.transactional(id, Map.of())) {
            old.initTransactions();
            old.beginTransaction();
            old.send(new ProducerRecord<>(topic, 0, null, bytes("lost")));
            old.flush();
            fresh.initTransactions();
            Expect.failure(
                    ProducerFencedException.class,
                    () -> {
                        old.commitTransaction();
                        return null;
                    });
            fresh.beginTransaction();
            fresh.send(new ProducerRecord<>(topic, 0, null, bytes("kept")));
            fresh.commitTransaction();
            old.close(Duration.ZERO);
        }
        awaitEnd(id);
        same(List.of("kept"), Expect.consumed(clients.committed(topic, 0)));
    }

    /** Offsets that are committed in a transaction share its end. */
    void offsets() throws Exception {
        String topic = clients.create(prefix + "transaction-offsets");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer =
                        clients.transactional(topic + "-producer", Map.of());
                KafkaConsumer<byte[], byte[]> consumer = clients.member(topic + "-group")) {
            producer.initTransactions();
            for (long offset : List.of(5L, 7L)) {
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> offsets =
                        Map.of(partition, new OffsetAndMetadata(offset, "m"));
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                if (offset == 5L) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            OffsetAndMetadata found = consumer.committed(Set.of(partition)).get(partition);
            same(new OffsetAndMetadata(5, "m"), found);
        }
    }

    /** Open transactions are listed and described, and the producers of a partition. */
    void described() throws Exception {
        String topic = clients.create(prefix + "described");
        String id = topic + "-producer";
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<byte[], byte[]> producer = clients.transactional(id, Map.of());
                Admin admin = clients.admin()) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, null, bytes("open")));
            producer.flush();
            var listed = admin.listTransactions().all().get();
            var names = listed.stream().map(TransactionListing::transactionalId).toList();
            same(true, names.contains(id));
            var described = admin.describeTransactions(List.of(id)).description(id).get();
            same(TransactionState.ONGOING, described.state());
            same(Set.of(partition), described.topicPartitions());
            var producers =
                    admin.describeProducers(List.of(partition))
                            .partitionResult(partition)
                            .get()
                            .activeProducers();
            same(1, producers.size());
            same(0L, producers.get(0).currentTransactionStartOffset().orElse(-1));
            producer.abortTransaction();
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
