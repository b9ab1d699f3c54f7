// Rows in maps and lists, a share of them kept: growth in steps of the collector.   Rows.java COUNT WIDTH KEEP_PERMILLE
import java.util.*;

public class Rows {
    public static void main(String[] args) {
        int count = Integer.parseInt(args[0]), width = Integer.parseInt(args[1]), keep = Integer.parseInt(args[2]);
        Map<Long, List<String>> kept = new HashMap<>();
        for (int i = 0; i < count; i++) {
            String row = "x".repeat(width) + i;
            if ((long) i * 7919 % 1000 < keep) kept.computeIfAbsent((long) i % 9973, k -> new ArrayList<>()).add(row);
        }
        System.out.println(kept.size());
    }
}
