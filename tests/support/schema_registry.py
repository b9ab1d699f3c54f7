"""The part of a schema registry's HTTP interface that Forestall uses, in this process, for tests where no real one is at
hand (tests/deploy has the real one): subjects with versions, ids over all of them, and a refusal of incompatible schemas.
"""
import http.server
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "schemas"))
from compatibility import canonical, faults_between  # noqa: E402


class SchemaRegistry:
    def __init__(self):
        self.schemas = []   # id - 1 -> JSON text
        self.subjects = {}  # name -> [id]
        self.levels = {}    # subject -> compatibility
        self.requests = []  # "POST /subjects/x/versions"
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or "{}")
                registry.requests.append(f"{self.command} {self.path}")
                status, answer = registry.serve(self.command, self.path.strip("/").split("/"), body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def serve(self, method, path, body):
        if method == "POST" and path[0] == "subjects" and path[2:] == ["versions"]:
            return self.register(path[1], body["schema"])
        if method == "GET" and path[:2] == ["schemas", "ids"]:
            number = int(path[2])
            if 1 <= number <= len(self.schemas):
                return 200, {"schema": self.schemas[number - 1]}
            return 404, {"error_code": 40403, "message": f"Schema {number} not found"}
        if method == "PUT" and path[0] == "config":
            self.levels[path[1]] = body["compatibility"]
            return 200, body
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def register(self, subject, text):
        versions = self.subjects.setdefault(subject, [])
        for number in versions:
            known = self.schemas[number - 1]
            if canonical(known) == canonical(text):
                return 200, {"id": number}
            if faults_between(known, text):
                return 409, {"error_code": 409, "message": "Schema being registered is incompatible with an earlier schema"}
        self.schemas.append(text)
        versions.append(len(self.schemas))
        return 200, {"id": len(self.schemas)}
