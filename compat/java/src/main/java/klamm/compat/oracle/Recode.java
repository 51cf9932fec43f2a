package klamm.compat.oracle;

import com.fasterxml.jackson.databind.JsonNode;

import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.HexFormat;

/**
 * Decodes messages with Kafka's generated classes, takes them through their JSON form, and encodes
 * them again. Reads lines {@code request|response TAB api key TAB version TAB hex} and prints
 * likewise; a message that fails has {@code !} and the reason in the place of the bytes.
 */
public final class Recode {
    private Recode() {}

    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(System.out, false);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split("\t", -1);
            out.println(String.join("\t", parts[0], parts[1], parts[2], recode(parts)));
        }
        out.flush();
    }

    private static String recode(String[] parts) {
        try {
            ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(parts[1]));
            ApiMessage message =
                    parts[0].equals("request") ? type.newRequest() : type.newResponse();
            short version = Short.parseShort(parts[2]);
            ByteBuffer raw = ByteBuffer.wrap(HexFormat.of().parseHex(parts[3]));
            message.read(new ByteBufferAccessor(raw), version);
            if (raw.hasRemaining()) {
                return "!" + raw.remaining() + " bytes left over";
            }
            ApiMessage again = carriesRecords(message) ? message : throughJson(message, version);
            return HexFormat.of().formatHex(encode(again, version));
        } catch (ReflectiveOperationException | RuntimeException error) {
            Throwable reason = error.getCause() == null ? error : error.getCause();
            return "!" + String.valueOf(reason).replace('\n', ' ').replace('\t', ' ');
        }
    }

    /** By hand, since the helper for it differs between the releases whose jars this runs with. */
    private static byte[] encode(ApiMessage message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer out = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(out), cache, version);
        return out.array();
    }

    /** The JSON form keeps only the size of record batches. */
    private static boolean carriesRecords(ApiMessage message) {
        String name = message.getClass().getSimpleName();
        return name.equals("ProduceRequestData")
                || name.equals("FetchResponseData")
                || name.equals("ShareFetchResponseData");
    }

    private static ApiMessage throughJson(ApiMessage message, short version)
            throws ReflectiveOperationException {
        Class<?> data = message.getClass();
        Class<?> converter = Class.forName(data.getName() + "JsonConverter");
        Method write = converter.getMethod("write", data, short.class);
        Method read = converter.getMethod("read", JsonNode.class, short.class);
        return (ApiMessage) read.invoke(null, write.invoke(null, message, version), version);
    }
}
