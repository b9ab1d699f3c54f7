"""The far side of the network programs: takes what is sent and throws it away.

    sink.py HTTP_PORT RAW_PORT     PUT and POST on one port, plain bytes on the other; says `ready` when both listen
"""
import http.server
import socketserver
import sys
import threading

PIECE = 1 << 18


class Discard(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                self._take(size + 2)
            self.rfile.readline()
        else:
            self._take(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT

    def do_GET(self):
        """/N: N bytes."""
        size = int(self.path.strip("/") or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for done in range(0, size, PIECE):
            self.wfile.write(bytes(min(PIECE, size - done)))

    def handle_expect_100(self):
        return True  # answered in do_PUT

    def _take(self, size):
        while size > 0:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionError("the sender is gone")
            size -= len(piece)

    def log_message(self, *arguments):
        pass


class Raw(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(PIECE):
            pass


class Threads(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a sender that was killed in the middle is what limits are for


def main():
    http_port, raw_port = map(int, sys.argv[1:3])
    servers = [Threads(("", http_port), Discard), Threads(("", raw_port), Raw)]
    threading.Thread(target=servers[1].serve_forever, daemon=True).start()
    print("ready", flush=True)
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
