// A bounded cache: grows to its bound and stays there.   Cache.java BOUND WIDTH REQUESTS
import java.util.*;

public class Cache {
    public static void main(String[] args) {
        int bound = Integer.parseInt(args[0]), width = Integer.parseInt(args[1]), requests = Integer.parseInt(args[2]);
        Map<Integer, byte[]> cache = new LinkedHashMap<>(16, 0.75f, true) {
            protected boolean removeEldestEntry(Map.Entry<Integer, byte[]> eldest) { return size() > bound; }
        };
        Random chance = new Random(5);
        long sum = 0;
        for (int i = 0; i < requests; i++) {
            int key = (int) Math.abs(chance.nextGaussian() * bound);
            byte[] value = cache.computeIfAbsent(key, k -> new byte[width]);
            value[i % width]++;
            for (byte b : value) sum += b;
        }
        System.out.println(sum);
    }
}
