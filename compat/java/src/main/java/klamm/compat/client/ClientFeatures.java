package klamm.compat.client;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Runs every feature with the kafka-clients of the class path and prints, one line each, {@code
 * feature TAB ok|FAIL TAB detail}. Arguments: address, address through the proxy, topic prefix.
 */
public final class ClientFeatures {
    private interface Feature {
        void run() throws Exception;
    }

    private ClientFeatures() {}

    public static void main(String[] args) {
        Features features = new Features(args[0], args[1], args[2]);
        Map<String, Feature> all = new LinkedHashMap<>();
        all.put("topics made, described, deleted", features::topics);
        all.put("a topic made by asking for it", features::autoCreate);
        all.put("an unknown topic is an error", features::unknownTopic);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            all.put("produce and consume, " + codec, () -> features.compression(codec));
        }
        all.put("keys, headers, nulls, timestamps", features::recordFields);
        all.put("seek by offset", features::seekByOffset);
        all.put("seek by time", features::seekByTime);
        all.put("earliest and latest", features::earliestLatest);
        all.put("a message near the limit", features::big);
        all.put("a message over the limit", features::tooLarge);
        all.put("idempotent retry through cuts", features::throughCuts);
        AdminFeatures admin = new AdminFeatures(args[0], args[2]);
        all.put("groups listed, described, deleted", admin::groups);
        all.put("offsets listed, altered, deleted", admin::offsets);
        all.put("records deleted", admin::deleteRecords);
        all.put("configs described, altered", admin::configs);
        all.put("cluster described", admin::cluster);
        TransactionFeatures transactions = new TransactionFeatures(args[0], args[1], args[2]);
        all.put("transactions committed, aborted", transactions::commitsAndAborts);
        all.put("transactions through cuts", transactions::throughCuts);
        all.put("a transactional producer is fenced", transactions::fencing);
        all.put("offsets in transactions", transactions::offsets);
        all.put("transactions listed, described", transactions::described);
        all.forEach(ClientFeatures::report);
    }

    private static void report(String name, Feature feature) {
        try {
            feature.run();
            System.out.println(name + "\tok\t");
        } catch (Exception | AssertionError error) {
            String detail = String.valueOf(error).lines().findFirst().orElse("");
            System.out.println(name + "\tFAIL\t" + detail);
        }
    }
}
