package klamm.compat.client;

import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A member of a group, told over stdin and telling over stdout; `bench/groups/member.py` has the
 * language. Arguments: address, group, and settings as {@code key=value}.
 */
public final class Member implements ConsumerRebalanceListener {
    private static final String PACKAGE = "org.apache.kafka.clients.consumer.";
    private static final Map<String, String> ASSIGNORS =
            Map.of(
                    "range", PACKAGE + "RangeAssignor",
                    "roundrobin", PACKAGE + "RoundRobinAssignor",
                    "sticky", PACKAGE + "StickyAssignor",
                    "cooperative-sticky", PACKAGE + "CooperativeStickyAssignor");
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Queue<String> commands = new ConcurrentLinkedQueue<>();
    /** What was read and is not committed yet. */
    private final Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();

    private final boolean commits;
    private final String metadata;

    private Member(String address, String group, Map<String, String> settings) {
        commits = settings.get("commit").equals("batch");
        metadata = settings.getOrDefault("metadata", "");
        consumer =
                new KafkaConsumer<>(
                        config(address, group, settings),
                        new ByteArrayDeserializer(),
                        new ByteArrayDeserializer());
        String pattern = settings.get("pattern");
        if (pattern != null && isOfConsumerProtocol(settings)) {
            consumer.subscribe(new SubscriptionPattern(pattern), this);
        } else if (pattern != null) {
            consumer.subscribe(Pattern.compile(pattern), this);
        } else {
            consumer.subscribe(List.of(settings.get("subscribe").split(",")), this);
        }
    }

    private static Map<String, Object> config(
            String address, String group, Map<String, String> settings) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", address);
        config.put("group.id", group);
        if (isOfConsumerProtocol(settings)) {
            config.put("group.protocol", "consumer");
            config.put("group.remote.assignor", settings.get("assignor"));
        } else {
            config.put("session.timeout.ms", settings.get("session-ms"));
            config.put("heartbeat.interval.ms", 300);
            config.put("partition.assignment.strategy", ASSIGNORS.get(settings.get("assignor")));
        }
        config.put("enable.auto.commit", settings.get("commit").equals("auto"));
        config.put("auto.commit.interval.ms", 100);
        config.put("auto.offset.reset", "earliest");
        config.put("metadata.max.age.ms", 500);
        if (settings.containsKey("instance")) {
            config.put("group.instance.id", settings.get("instance"));
        }
        return config;
    }

    private static boolean isOfConsumerProtocol(Map<String, String> settings) {
        return "consumer".equals(settings.get("protocol"));
    }

    public static void main(String[] args) {
        Map<String, String> settings = new HashMap<>();
        for (String each : List.of(args).subList(2, args.length)) {
            String[] pair = each.split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        try {
            new Member(args[0], args[1], settings).run();
        } catch (RuntimeException error) {
            tell("failed", String.valueOf(error).replace('\n', ' '));
            System.exit(1);
        }
    }

    private void run() {
        Thread reader = new Thread(this::read);
        reader.setDaemon(true);
        reader.start();
        try (consumer) {
            while (true) {
                String command = commands.poll();
                if ("close".equals(command)) {
                    return;
                }
                if (command != null) {
                    obey(command.split(" "));
                }
                take(consumer.poll(Duration.ofMillis(100)));
            }
        }
    }

    private void read() {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        try {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                commands.add(line);
            }
        } catch (IOException error) {
            tell("failed", String.valueOf(error));
        }
        commands.add("close");
    }

    private void take(ConsumerRecords<byte[], byte[]> records) {
        for (ConsumerRecord<byte[], byte[]> record : records) {
            TopicPartition at = new TopicPartition(record.topic(), record.partition());
            tell("record", name(at), String.valueOf(record.offset()));
            ends.put(
                    at,
                    new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), metadata));
        }
        try {
            commit();
        } catch (RebalanceInProgressException later) {
            // A cooperative member reads on while its group changes, and commits after that.
        }
    }

    private void commit() {
        if (commits && !ends.isEmpty()) {
            consumer.commitSync(ends);
            ends.clear();
        }
    }

    private void obey(String[] command) {
        TopicPartition at = place(command[1]);
        switch (command[0]) {
            case "pause" -> consumer.pause(Set.of(at));
            case "resume" -> consumer.resume(Set.of(at));
            case "seek" -> consumer.seek(at, Long.parseLong(command[2]));
            default -> throw new IllegalArgumentException(command[0]);
        }
        tell("done");
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        consumer.committed(new HashSet<>(partitions))
                .forEach(
                        (at, found) ->
                                tell(
                                        "found",
                                        name(at),
                                        found == null ? "-1" : String.valueOf(found.offset()),
                                        found == null ? "" : found.metadata()));
        tellOf("assigned", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit();
        onPartitionsLost(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        ends.keySet().removeAll(partitions);
        tellOf("revoked", partitions);
    }

    private static void tellOf(String event, Collection<TopicPartition> partitions) {
        String names = partitions.stream().map(Member::name).collect(Collectors.joining("\t"));
        tell(partitions.isEmpty() ? event : event + "\t" + names);
    }

    private static void tell(String... event) {
        OUT.println(String.join("\t", event));
    }

    private static String name(TopicPartition at) {
        return at.topic() + ":" + at.partition();
    }

    private static TopicPartition place(String name) {
        int colon = name.lastIndexOf(':');
        return new TopicPartition(
                name.substring(0, colon), Integer.parseInt(name.substring(colon + 1)));
    }
}
