"""Workers that each take their own memory, one after the other: steps.   pool.py WORKERS MIB EVERY_S HOLD_S"""
import os
import sys
import time

workers, mib, every, hold = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
children = []
for number in range(workers):
    pid = os.fork()
    if pid == 0:
        blocks = []
        for _ in range(mib):
            blocks.append(bytearray(b"\x01") * (1 << 20))
            time.sleep(every / mib / 2)
        time.sleep(hold)
        os._exit(len(blocks) != mib)
    children.append(pid)
    time.sleep(every)
failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
sys.exit(failed > 0)
