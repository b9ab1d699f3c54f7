"""Receives uploads one after the other and answers each with the number of bytes.    receive.py HOST PORT"""
import socket
import sys

with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            size = 0
            try:
                while block := connection.recv(1 << 16):
                    size += len(block)
                connection.sendall(str(size).encode())
            except OSError:
                pass  # the sender was ended at its deadline
