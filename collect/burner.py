"""Contention: a process that takes what a neighbour would take.

    burner.py cpu | memory | disk DIRECTORY      until it is killed
"""
import hashlib
import os
import sys

BLOCK = 32 << 20  # larger than any cache: copying it is memory bandwidth


def burn_cpu():
    data = bytes(1 << 16)
    while True:
        data = hashlib.sha512(data).digest() * 1024


def burn_memory():
    source, target = bytearray(BLOCK), bytearray(BLOCK)
    while True:
        target[:] = source
        source[0] = target[-1] ^ 1


def burn_disk(directory):
    """Writes and syncs a small file over and over: it keeps the disk busy, not full."""
    path = os.path.join(directory, f"burner-{os.getpid()}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.unlink(path)  # nothing to clean up, however it ends
    data = os.urandom(4 << 20)
    while True:
        os.pwrite(descriptor, data, 0)
        os.fsync(descriptor)


if __name__ == "__main__":
    {"cpu": burn_cpu, "memory": burn_memory, "disk": burn_disk}[sys.argv[1]](*sys.argv[2:])
