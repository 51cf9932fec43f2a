package klamm.compat.streams;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Properties;

/**
 * A word count and a windowed join in one application. Arguments: address, application id,
 * processing guarantee, folder for its state, and the prefixes of the topics that it reads and
 * writes. It prints each state that it comes to, and ends with stdin.
 */
public final class Application {
    private static final Duration WINDOW = Duration.ofMillis(500);
    /** However late one side is, nothing is dropped. */
    private static final Duration GRACE = Duration.ofHours(1);

    private Application() {}

    public static void main(String[] args) throws IOException {
        StreamsBuilder builder = new StreamsBuilder();
        countWords(builder, args[4] + "lines", args[5] + "counts");
        join(builder, args[4] + "left", args[4] + "right", args[5] + "pairs");
        try (KafkaStreams streams = new KafkaStreams(builder.build(), config(args))) {
            streams.setStateListener((now, before) -> System.out.println(now));
            streams.setUncaughtExceptionHandler(Application::give);
            streams.start();
            while (System.in.read() >= 0) {
                // Whatever is said: only the end counts.
            }
        }
    }

    /** Each word that comes in gives a count that goes out: nothing is left out by a cache. */
    private static Properties config(String[] args) {
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[2]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put("auto.offset.reset", "earliest");
        config.put("session.timeout.ms", 3000);
        config.put("heartbeat.interval.ms", 500);
        return config;
    }

    private static void countWords(StreamsBuilder builder, String lines, String counts) {
        builder.<String, String>stream(lines)
                .flatMapValues(line -> List.of(line.split(" ")))
                .groupBy((key, word) -> word, Grouped.as("words"))
                .count()
                .toStream()
                .mapValues(String::valueOf)
                .to(counts);
    }

    private static void join(StreamsBuilder builder, String left, String right, String pairs) {
        KStream<String, String> other = builder.stream(right);
        builder.<String, String>stream(left)
                .join(
                        other,
                        (one, two) -> one + "+" + two,
                        JoinWindows.ofTimeDifferenceAndGrace(WINDOW, GRACE))
                .to(pairs);
    }

    private static StreamThreadExceptionResponse give(Throwable error) {
        error.printStackTrace();
        return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    }
}
