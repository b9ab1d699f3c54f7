"""A running forestall-ingest for the tests: its address, its metrics, and connections that end with the test."""
import pathlib
import re
import urllib.request

from agent_peer import AgentPeer
from messages import MessageCodec
from process import free_ports, wait_until


class Gateway:
    def __init__(self, cluster, name="ingest", **options):
        self.cluster, self.codec, self.peers = cluster, MessageCodec(), []
        self.address_file = cluster.directory / f"{name}.address"
        self.http_port, = free_ports(1)
        settings = {"ingest.listen": "127.0.0.1:0", "ingest.address_file": self.address_file,
                    "service.http_port": self.http_port, "service.brokers": cluster.broker.bootstrap, **options}
        self.address_file.unlink(missing_ok=True)
        arguments = [f"--{key}={value}" for key, value in settings.items()]
        self.program = cluster.start_program(name, [cluster.program("forestall-ingest"), *arguments])
        wait_until(self.ready, 30, lambda: f"ingest to be ready: {self.program.log_tail()}")
        self.address = self.address_file.read_text().strip()

    def get(self, page):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{page}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self):
        assert self.program.alive(), self.program.log_tail()
        try:
            return self.address_file.exists() and self.get("/readyz")[0] == 200
        except OSError:
            return False

    def metric(self, name, **labels):
        """The value of forestall_ingest_NAME; labels pick one of several."""
        label = "".join(f'{{{key}="{value}"}}' for key, value in labels.items())
        found = re.search(rf"^forestall_ingest_{name}{re.escape(label)} (\S+)$", self.get("/metrics")[1], re.M)
        assert found, f"no metric {name} {labels}"
        return float(found.group(1))

    def peer(self, *arguments, greet=True, **settings):
        peer = AgentPeer(self.address, self.codec, *arguments, **settings)
        self.peers.append(peer)
        return peer.greet() if greet else peer

    def log(self):
        return pathlib.Path(self.program.log_path).read_text()

    def stop(self):
        for peer in self.peers:
            peer.close()
        return self.program.stop()


def headers_of(message):
    return {key: value.decode() for key, value in message.headers() or []}
