// The Java client, driven by one JSON argument; see ../README.md. Run from source with Kafka's jars on the class path.

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();
    private static final PrintStream OUT = System.out;

    private static volatile boolean stopped = false;
    private static final Thread MAIN = Thread.currentThread();

    public static void main(String[] args) throws Exception {
        JsonNode request = JSON.readTree(args[0]);
        int status = 0;
        try {
            switch (request.get("op").asText()) {
                case "consume" -> consume(request);
                case "produce" -> produce(request);
                case "metadata" -> metadata(request);
                case "committed" -> committed(request);
                case "offsets" -> offsets(request);
                case "create_topic" -> createTopic(request);
                default -> throw new IllegalArgumentException("unknown op " + request.get("op"));
            }
        } catch (ExecutionException failure) {
            emitError(failure.getCause(), null);
            status = 3;
        } catch (RuntimeException failure) {
            failure.printStackTrace();
            emitError(failure, null);
            status = 3;
        }
        OUT.flush();
        Runtime.getRuntime().halt(status);
    }

    // ---- consume -------------------------------------------------------------------------------------------------

    private static void consume(JsonNode request) {
        try (var consumer = consumerOf(request)) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                stopped = true;
                consumer.wakeup();
                try {
                    MAIN.join(5_000);
                } catch (InterruptedException ignored) {
                    Thread.currentThread().interrupt();
                }
            }));
            subscribe(consumer, request);
            readOn(consumer, request);
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumerOf(JsonNode request) {
        Properties settings = settings(request);
        if (request.has("group") || !settings.containsKey("group.id")) settings.put("group.id", text(request, "group", "unused"));
        settings.put("auto.offset.reset", text(request, "from", "earliest"));
        settings.put("group.protocol", text(request, "protocol", "classic"));
        settings.put("enable.auto.commit", "false");
        more(settings, request);
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void subscribe(KafkaConsumer<byte[], byte[]> consumer, JsonNode request) {
        if (request.has("assign")) {
            List<TopicPartition> places = new ArrayList<>();
            request.get("assign").forEach(place -> places.add(placeOf(place)));
            consumer.assign(places);
            emitPlaces(places);
            consumer.seekToBeginning(places);
            request.get("assign").forEach(place -> {
                if (place.has("offset")) consumer.seek(placeOf(place), place.get("offset").asLong());
            });
            return;
        }
        ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> places) {}

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> places) {
                emitPlaces(places);
                for (JsonNode seek : request.path("seek")) {
                    if (places.contains(placeOf(seek))) consumer.seek(placeOf(seek), seek.get("offset").asLong());
                }
            }
        };
        if (request.has("pattern")) {
            consumer.subscribe(Pattern.compile(request.get("pattern").asText()), listener);
        } else {
            consumer.subscribe(topics(request), listener);
        }
    }

    private static void readOn(KafkaConsumer<byte[], byte[]> consumer, JsonNode request) {
        long wanted = request.has("max") ? request.get("max").asLong() : Long.MAX_VALUE;
        long idle = request.has("idle_ms") ? request.get("idle_ms").asLong() : Long.MAX_VALUE;
        boolean untilEnd = request.path("until_end").asBoolean();
        boolean summary = request.path("summary").asBoolean();
        String commit = text(request, "commit", "none");
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        long count = 0, bytes = 0, firstAt = 0, lastAt = 0, last = System.nanoTime();
        while (!stopped && count < wanted) {
            Iterable<ConsumerRecord<byte[], byte[]>> records;
            try {
                records = consumer.poll(Duration.ofMillis(100));
            } catch (WakeupException stop) {
                break;
            } catch (TopicAuthorizationException refused) {
                for (String topic : refused.unauthorizedTopics()) emitError(refused, topic);
                if (idleFor(last) > idle) break;
                continue;
            }
            for (var record : records) {
                if (count >= wanted) break;
                count++;
                last = System.nanoTime();
                if (summary) {
                    lastAt = micros();
                    firstAt = firstAt == 0 ? lastAt : firstAt;
                    bytes += record.value() == null ? 0 : record.value().length;
                } else {
                    emitRecord(record);
                }
                var place = new TopicPartition(record.topic(), record.partition());
                next.put(place, new OffsetAndMetadata(record.offset() + 1));
                if (commit.equals("each")) consumer.commitSync(Map.of(place, next.get(place)));
            }
            if (idleFor(last) > idle || untilEnd && atEnd(consumer)) break;
        }
        if (commit.equals("end") && !next.isEmpty()) {
            consumer.commitSync(next);
            List<Object> offsets = new ArrayList<>();
            next.forEach((place, offset) -> offsets.add(List.of(place.topic(), place.partition(), offset.offset())));
            emit("committed", Map.of("offsets", offsets));
        }
        Map<String, Object> done = new LinkedHashMap<>();
        done.put("count", count);
        if (summary) {
            done.put("bytes", bytes);
            done.put("first_at", firstAt);
            done.put("last_at", lastAt);
        }
        emit("done", done);
    }

    private static boolean atEnd(KafkaConsumer<byte[], byte[]> consumer) {
        var places = consumer.assignment();
        return !places.isEmpty() && consumer.endOffsets(places).entrySet().stream()
                .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    }

    private static long idleFor(long since) {
        return (System.nanoTime() - since) / 1_000_000;
    }

    private static void emitRecord(ConsumerRecord<byte[], byte[]> record) {
        List<List<String>> headers = new ArrayList<>();
        for (Header header : record.headers()) headers.add(Arrays.asList(header.key(), hexed(header.value())));
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("topic", record.topic());
        fields.put("partition", record.partition());
        fields.put("offset", record.offset());
        fields.put("timestamp", record.timestamp());
        fields.put("timestamp_type", switch (record.timestampType()) {
            case CREATE_TIME -> "create";
            case LOG_APPEND_TIME -> "append";
            default -> "none";
        });
        fields.put("key", hexed(record.key()));
        fields.put("value", hexed(record.value()));
        fields.put("headers", headers);
        fields.put("at", micros());
        emit("record", fields);
    }

    // ---- produce, look, administer -------------------------------------------------------------------------------

    private static void produce(JsonNode request) {
        Properties settings = settings(request);
        settings.put("compression.type", text(request, "compression", "none"));
        settings.put("acks", text(request, "acks", "all"));
        settings.put("linger.ms", "50");
        settings.put("delivery.timeout.ms", "15000");
        settings.put("request.timeout.ms", "10000");
        settings.put("max.block.ms", "15000");
        more(settings, request);
        long count = 0;
        String topic = request.get("topic").asText();
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            var sent = new ArrayList<java.util.concurrent.Future<RecordMetadata>>();
            for (JsonNode record : request.get("records")) {
                List<Header> headers = new ArrayList<>();
                for (JsonNode header : record.path("headers")) {
                    headers.add(new RecordHeader(header.get(0).asText(), unhexed(header.get(1))));
                }
                Integer partition = record.hasNonNull("partition") ? record.get("partition").asInt() : null;
                Long timestamp = record.hasNonNull("timestamp") ? record.get("timestamp").asLong() : null;
                sent.add(producer.send(new ProducerRecord<>(
                        topic, partition, timestamp, unhexed(record.get("key")), unhexed(record.get("value")), headers)));
            }
            for (var answer : sent) {
                try {
                    RecordMetadata place = answer.get();
                    count++;
                    emit("delivered", Map.of("topic", topic, "partition", place.partition(), "offset", place.offset()));
                } catch (ExecutionException failure) {
                    emitError(failure.getCause(), topic);
                } catch (InterruptedException stop) {
                    Thread.currentThread().interrupt();
                    break;
                }
            }
        }
        emit("done", Map.of("count", count));
    }

    private static Admin adminOf(JsonNode request) {
        Properties settings = settings(request);
        // Its default is longer than what a whole call may take here, which the client refuses.
        settings.putIfAbsent("request.timeout.ms", "10000");
        return Admin.create(settings);
    }

    private static void metadata(JsonNode request) throws Exception {
        try (Admin admin = adminOf(request)) {
            Collection<String> asked = request.has("topics") ? topics(request) : admin.listTopics().names().get();
            for (String topic : asked.stream().sorted().toList()) {
                try {
                    var description = admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get();
                    var partitions = description.partitions().stream().map(partition -> partition.partition()).toList();
                    emit("topic", Map.of("topic", topic, "partitions", partitions));
                } catch (ExecutionException failure) {
                    emitError(failure.getCause(), topic);
                }
            }
            for (Node node : admin.describeCluster().nodes().get()) {
                emit("broker", Map.of("id", node.id(), "host", node.host(), "port", node.port()));
            }
        }
        emit("done", Map.of("count", 0));
    }

    private static void committed(JsonNode request) {
        try (var consumer = consumerOf(request)) {
            for (TopicPartition place : placesOf(consumer, request)) {
                OffsetAndMetadata offset = consumer.committed(java.util.Set.of(place)).get(place);
                Map<String, Object> fields = new HashMap<>();
                fields.put("topic", place.topic());
                fields.put("partition", place.partition());
                fields.put("offset", offset == null ? null : offset.offset());
                emit("offset", fields);
            }
        }
        emit("done", Map.of("count", 0));
    }

    private static void offsets(JsonNode request) {
        try (var consumer = consumerOf(request)) {
            List<TopicPartition> places = placesOf(consumer, request);
            var low = consumer.beginningOffsets(places);
            var high = consumer.endOffsets(places);
            for (TopicPartition place : places) {
                emit("offsets", Map.of("topic", place.topic(), "partition", place.partition(),
                        "low", low.get(place), "high", high.get(place)));
            }
        }
        emit("done", Map.of("count", 0));
    }

    private static void createTopic(JsonNode request) throws Exception {
        String topic = request.get("topic").asText();
        try (Admin admin = adminOf(request)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            emit("created", Map.of("topic", topic));
        }
        emit("done", Map.of("count", 1));
    }

    // ---- helpers -------------------------------------------------------------------------------------------------

    private static Properties settings(JsonNode request) {
        Properties settings = new Properties();
        if (request.hasNonNull("config_file")) {
            try (var file = java.nio.file.Files.newBufferedReader(java.nio.file.Path.of(request.get("config_file").asText()))) {
                settings.load(file);
            } catch (java.io.IOException failure) {
                throw new java.io.UncheckedIOException(failure);
            }
        } else {
            settings.put("bootstrap.servers", request.get("bootstrap").asText());
        }
        settings.put("client.id", "test-java");
        settings.put("default.api.timeout.ms", "20000");
        if (request.hasNonNull("login")) {
            settings.put("security.protocol", "SASL_PLAINTEXT");
            settings.put("sasl.mechanism", text(request, "mechanism", "SCRAM-SHA-512"));
            settings.put("sasl.jaas.config", String.format(
                    "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";",
                    request.get("login").asText(), request.get("password").asText()));
        }
        more(settings, request);
        return settings;
    }

    private static void more(Properties settings, JsonNode request) {
        request.path("settings").fields().forEachRemaining(entry -> settings.put(entry.getKey(), entry.getValue().asText()));
    }

    private static List<TopicPartition> placesOf(KafkaConsumer<byte[], byte[]> consumer, JsonNode request) {
        List<TopicPartition> places = new ArrayList<>();
        for (String topic : topics(request)) {
            consumer.partitionsFor(topic).forEach(info -> places.add(new TopicPartition(topic, info.partition())));
        }
        places.sort(java.util.Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition));
        return places;
    }

    private static TopicPartition placeOf(JsonNode place) {
        return new TopicPartition(place.get("topic").asText(), place.get("partition").asInt());
    }

    private static List<String> topics(JsonNode request) {
        List<String> topics = new ArrayList<>();
        request.get("topics").forEach(topic -> topics.add(topic.asText()));
        return topics;
    }

    private static String text(JsonNode request, String name, String otherwise) {
        return request.hasNonNull(name) ? request.get(name).asText() : otherwise;
    }

    private static String hexed(byte[] bytes) {
        return bytes == null ? null : HEX.formatHex(bytes);
    }

    private static byte[] unhexed(JsonNode text) {
        return text == null || text.isNull() ? null : HEX.parseHex(text.asText());
    }

    private static long micros() {
        return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
    }

    private static void emitPlaces(Collection<TopicPartition> places) {
        List<Object> list = new ArrayList<>();
        places.forEach(place -> list.add(List.of(place.topic(), place.partition())));
        emit("assigned", Map.of("partitions", list));
    }

    private static void emitError(Throwable failure, String topic) {
        Errors error = Errors.forException(failure);
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("code", error.code());
        fields.put("name", error == Errors.UNKNOWN_SERVER_ERROR ? failure.getClass().getSimpleName() : error.name());
        fields.put("text", String.valueOf(failure.getMessage()));
        if (topic != null) fields.put("topic", topic);
        fields.put("fatal", true);
        emit("error", fields);
    }

    private static synchronized void emit(String event, Map<String, ?> fields) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.putAll(fields);
        try {
            OUT.println(JSON.writeValueAsString(line));
            OUT.flush();
        } catch (JsonProcessingException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
