package klamm.compat.client;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** What a feature sends and what it must find. */
final class Expect {
    private Expect() {}

    /** Records of partition 0 that tell themselves apart. */
    static List<ProducerRecord<byte[], byte[]>> numbered(String topic, int count) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            byte[] value = ("value " + n + " and words that compress well well").getBytes(UTF_8);
            records.add(new ProducerRecord<>(topic, 0, null, value));
        }
        return records;
    }

    static List<String> values(List<ProducerRecord<byte[], byte[]>> records) {
        return records.stream().map(each -> new String(each.value(), UTF_8)).toList();
    }

    static List<String> consumed(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(each -> new String(each.value(), UTF_8)).toList();
    }

    static void same(Object wanted, Object got) {
        if (!Objects.equals(wanted, got)) {
            throw new AssertionError(brief(got) + " instead of " + brief(wanted));
        }
    }

    /** The call must fail with this error, bare or as the cause of a failed future. */
    static void failure(Class<? extends Exception> wanted, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (Exception error) {
            Throwable found = error instanceof ExecutionException ? error.getCause() : error;
            if (wanted.isInstance(found)) {
                return;
            }
            throw error;
        }
        throw new AssertionError("no " + wanted.getSimpleName());
    }

    /** Metadata may lag behind the answer to a change; it must follow soon. */
    static void eventually(Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + Clients.TIMEOUT.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("did not come true within " + Clients.TIMEOUT);
            }
        }
    }

    static String describe(byte[] key, byte[] value, long timestamp, Headers headers) {
        StringBuilder text = new StringBuilder(hex(key) + "=" + hex(value) + "@" + timestamp);
        for (Header header : headers) {
            text.append(" ").append(header.key()).append(":").append(hex(header.value()));
        }
        return text.toString();
    }

    private static String hex(byte[] raw) {
        return raw == null ? "null" : HexFormat.of().formatHex(raw);
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() > 120 ? text.substring(0, 120) + "..." : text;
    }
}
