import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.Utils;

/**
 * Writes tests/golden with Kafka's own client: java -cp '.conformance/jars/*' tests/conformance/GoldenFiles.java tests/golden
 * (`make conformance` fetches the jars). The tests know the rules by which keys and records are made, not this program.
 */
public class GoldenFiles {
    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        hashes(directory.resolve("murmur2-10000.bin"));
        for (CompressionType type : CompressionType.values()) {
            if (type != CompressionType.NONE) {
                batch(type, directory.resolve("batch-" + type.name + ".bin"));
            }
        }
    }

    /** Big-endian 32-bit hashes of key(0) to key(9999). */
    private static void hashes(Path path) throws Exception {
        try (DataOutputStream out = new DataOutputStream(Files.newOutputStream(path))) {
            for (int number = 0; number < 10_000; number++) {
                out.writeInt(Utils.murmur2(key(number)));
            }
        }
    }

    /** SHA-256 of the decimal number, three times; the first byte of it, modulo 97, is the key's length. */
    private static byte[] key(int number) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Integer.toString(number).getBytes(StandardCharsets.UTF_8));
        byte[] key = new byte[(digest[0] & 0xff) % 97];
        for (int at = 0; at < key.length; at++) {
            key[at] = digest[at % 32];
        }
        return key;
    }

    /** 1,000 records: keys k<n>, values of n % 300 letters; every tenth has a header, every seventh no key, every 50th no value. */
    private static void batch(CompressionType type, Path path) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            buffer, RecordBatch.MAGIC_VALUE_V2, Compression.of(type).build(), TimestampType.CREATE_TIME, 0L);
        for (int number = 0; number < 1_000; number++) {
            byte[] key = number % 7 == 0 ? null : ("k" + number).getBytes(StandardCharsets.UTF_8);
            byte[] value = number % 50 == 0 ? null : value(number);
            Header[] headers = number % 10 == 0
                ? new Header[] {new RecordHeader("name", "content".getBytes(StandardCharsets.UTF_8))} : new Header[0];
            builder.append(1_700_000_000_000L + number, key, value, headers);
        }
        ByteBuffer records = builder.build().buffer();
        byte[] bytes = new byte[records.remaining()];
        records.get(bytes);
        Files.write(path, bytes);
    }

    private static byte[] value(int number) {
        byte[] value = new byte[number % 300];
        for (int at = 0; at < value.length; at++) {
            value[at] = (byte) ('a' + (number * 7 + at) % 26);
        }
        return value;
    }
}
