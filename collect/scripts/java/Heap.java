// Keeps all it makes until its own heap is full.   Heap.java KIB
import java.util.*;

public class Heap {
    public static void main(String[] args) {
        int kib = Integer.parseInt(args[0]);
        List<byte[]> kept = new ArrayList<>();
        for (;;) {
            kept.add(new byte[kib << 10]);
            long sum = 0;
            for (int i = 0; i < 300000; i++) sum += i ^ kept.size();
            if (sum == 1) System.out.println();
        }
    }
}
