package org.forestall.examples;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Writer schemas from the topic {@code schemas}, by fingerprint and by registry id; decodes values of both framings. */
final class Schemas implements AutoCloseable {
    private static final TopicPartition TOPIC = new TopicPartition("schemas", 0);

    private final Map<String, Schema> known = new HashMap<>();
    private final KafkaConsumer<String, String> consumer;

    Schemas(String brokers) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("isolation.level", "read_committed");
        consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        consumer.assign(List.of(TOPIC));
        consumer.seekToBeginning(List.of(TOPIC));
    }

    /** Reads what was added since. */
    private void refresh() {
        long end = consumer.endOffsets(List.of(TOPIC)).get(TOPIC);
        while (consumer.position(TOPIC) < end) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                if (record.value() != null) {
                    known.put(record.key(), new Schema.Parser().parse(record.value()));
                }
            }
        }
    }

    private Schema find(String key) {
        if (!known.containsKey(key)) {
            refresh();
        }
        Schema schema = known.get(key);
        if (schema == null) {
            throw new IllegalStateException("nobody put schema " + key + " into the topic schemas");
        }
        return schema;
    }

    /** C3 01 and the fingerprint (little-endian), or 00 and the registry's id (big-endian); then the body. */
    GenericRecord decode(byte[] value) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(value);
        Schema schema;
        if (value.length > 10 && value[0] == (byte) 0xC3 && value[1] == 1) {
            bytes.position(2);
            schema = find(String.format("%016x", Long.reverseBytes(bytes.getLong())));
        } else if (value.length > 5 && value[0] == 0) {
            bytes.position(1);
            schema = find(String.format("%08x", bytes.getInt()));
        } else {
            throw new IOException("framed in no way we know");
        }
        return new GenericDatumReader<GenericRecord>(schema)
                .read(null, DecoderFactory.get().binaryDecoder(value, bytes.position(), bytes.remaining(), null));
    }

    @Override
    public void close() {
        consumer.close();
    }
}
