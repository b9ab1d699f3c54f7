package org.forestall.examples;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Follows risks and dead letters, a line for each: {@code Watch [BROKERS [COUNT [CODE [GROUP]]]]}. Ends after COUNT lines
 * (0: never); with CODE only what is of that code. A group goes on where it stopped.
 */
public final class Watch {
    private Watch() {}

    private static String line(String topic, GenericRecord message) {
        if (message.getSchema().getName().equals("DeadExecution")) {
            GenericRecord record = (GenericRecord) message.get("record");
            return String.format("%s code=%s cause=%s attempt=%s", topic, record.get("code"), record.get("cause"),
                    record.get("attempt"));
        }
        GenericRecord limits = (GenericRecord) message.get("limits");
        return String.format("%s code=%s probability=%.3f cause=%s memory=%s limit=%s", topic, message.get("code"),
                (Float) message.get("probability"), message.get("cause"), message.get("memory_bytes"),
                limits.get("memory_bytes"));
    }

    public static void main(String[] arguments) throws Exception {
        String brokers = arguments.length > 0 ? arguments[0] : "localhost:29092";
        int count = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 0;
        String only = arguments.length > 2 ? "code=" + arguments[2] + " " : "";
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("group.id", arguments.length > 3 ? arguments[3] : "forestall-example-java");
        settings.put("auto.offset.reset", "earliest");
        settings.put("isolation.level", "read_committed");
        int written = 0;
        try (Schemas schemas = new Schemas(brokers);
                KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                        settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("risks", "executions.dlq"));
            while (count == 0 || written < count) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    String line = line(record.topic(), schemas.decode(record.value()));
                    if (line.contains(only) && (count == 0 || written < count)) {
                        System.out.println(line);
                        written++;
                    }
                }
            }
        }
    }
}
