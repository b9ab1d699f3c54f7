"""Sends so many bytes to a server and waits until it has them all.    upload.py HOST PORT BYTES"""
import socket
import sys

host, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
block = bytes(65536)
with socket.create_connection((host, port)) as connection:
    for start in range(0, size, len(block)):
        connection.sendall(block[:min(len(block), size - start)])
    connection.shutdown(socket.SHUT_WR)
    received = int(connection.recv(32))
print(received, "bytes arrived")
sys.exit(received != size)
