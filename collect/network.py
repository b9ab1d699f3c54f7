"""Two network namespaces of the collector's own, joined by a veth pair: programs send from `node` to a sink in `hub`.

The namespaces are held by two sleeping children and have no name on disk, so the kernel removes them with the collector,
however it ends."""
import dataclasses
import os
import pathlib
import subprocess
import sys

from child import start, stop
from machine import find_program

NODE_DEVICE, HUB_DEVICE = "fsnode", "fshub"
NODE_ADDRESS, HUB_ADDRESS = "10.231.8.2", "10.231.8.1"
HTTP_PORT, RAW_PORT = 8000, 9000


class NetworkUnavailable(Exception):
    pass


@dataclasses.dataclass
class Network:
    node: subprocess.Popen
    hub: subprocess.Popen
    sink: subprocess.Popen | None = None

    def enter(self):
        """Words to put before a command that shall run in the node's namespace; /sys stays what it is."""
        return _enter(self.node)

    def close(self):
        for process in (self.sink, self.node, self.hub):
            if process:
                stop(process)


def _enter(holder):
    return ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]


def _hold():
    """A child in a network namespace of its own; it says so by a line."""
    process = start(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"], stdout=subprocess.PIPE)
    if process.stdout.readline() != b"ready\n":
        stop(process)
        raise NetworkUnavailable("cannot make a network namespace (root is needed)")
    return process


def _configure(network):
    node, hub = _enter(network.node), _enter(network.hub)
    for command in (
            [*node, "ip", "link", "add", NODE_DEVICE, "type", "veth", "peer", "name", HUB_DEVICE, "netns", network.hub.pid],
            [*node, "ip", "link", "set", "lo", "up"],
            [*node, "ip", "addr", "add", f"{NODE_ADDRESS}/24", "dev", NODE_DEVICE],
            [*node, "ip", "link", "set", NODE_DEVICE, "up"],
            [*hub, "ip", "addr", "add", f"{HUB_ADDRESS}/24", "dev", HUB_DEVICE],
            [*hub, "ip", "link", "set", HUB_DEVICE, "up"]):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            raise NetworkUnavailable(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def open_network():
    """Raises NetworkUnavailable with the reason."""
    if os.geteuid() != 0:
        raise NetworkUnavailable("no root")
    for tool in ("ip", "nsenter", "unshare"):
        if not find_program(tool):
            raise NetworkUnavailable(f"no program `{tool}`")
    node = _hold()
    try:
        network = Network(node, _hold())
    except NetworkUnavailable:
        stop(node)
        raise
    try:
        _configure(network)
        sink = pathlib.Path(__file__).with_name("sink.py")
        network.sink = start([*_enter(network.hub), sys.executable, sink, HTTP_PORT, RAW_PORT], stdout=subprocess.PIPE)
        if network.sink.stdout.readline() != b"ready\n":
            raise NetworkUnavailable("the sink did not start")
    except NetworkUnavailable:
        network.close()
        raise
    return network
