"""The program's own gauge `progress`, 0..1, as a StatsD line; nothing where nobody listens or nobody asked."""
import os
import socket

_path = os.environ.get("FORESTALL_METRICS")
_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if _path else None


def progress(done, total):
    if _socket:
        try:
            _socket.sendto(b"progress:%.4f|g" % (done / total), socket.MSG_DONTWAIT, _path)
        except OSError:
            pass  # telling is never a reason to fail
