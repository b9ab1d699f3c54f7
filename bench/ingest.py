"""How much one forestall-ingest carries: ticks of 50 samples from many agents into a real broker on this machine.

    FORESTALL_BIN=build/release/bin tests/support/python.sh bench/ingest.py [--agents 100] [--seconds 10] [--samples 50]

Two figures, as one JSON line each: `flood`, agents that send as fast as they are read, and `paced`, agents at 10 ticks a second. CPU
time is that of the ingest process with librdkafka's threads in it; `ticks_per_core_s` is what one core would carry at that cost.
The broker and the senders share this machine, so `ticks_per_s` is a lower bound.
"""
import argparse
import json
import os
import pathlib
import select
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests" / "support"), str(HERE.parent / "tests" / "ingest")]
from agent_peer import TICK, frame  # noqa: E402
from cluster import Cluster  # noqa: E402
from gateway import Gateway  # noqa: E402


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(gateway, run):
    before, cpu, started = gateway.metric("forwarded_total"), cpu_seconds(gateway.program.pid), time.monotonic()
    run()
    seconds = time.monotonic() - started
    ticks, cpu = gateway.metric("forwarded_total") - before, cpu_seconds(gateway.program.pid) - cpu
    return {"ticks": int(ticks), "ticks_per_s": round(ticks / seconds), "cpu_share": round(cpu / seconds, 3),
            "cpu_us_per_tick": round(cpu / ticks * 1e6, 1), "ticks_per_core_s": round(ticks / cpu),
            "ticks_dropped": int(gateway.metric("ticks_dropped_total"))}


def serve(peers, ready):
    """Takes in what ingest sends (its pings), pings each second."""
    for peer in peers:
        if peer.socket in ready or time.monotonic() - peer.pinged > 1:
            assert peer.pump(), "ingest closed a connection"


def flood(peers, blobs, seconds):
    deadline = time.monotonic() + seconds
    offsets = dict.fromkeys(peers, 0)
    by_socket = {peer.socket: peer for peer in peers}
    for peer in peers:
        peer.socket.setblocking(False)
    while time.monotonic() < deadline:
        readable, writable, _ = select.select(list(by_socket), list(by_socket), [], 0.2)
        for peer in (by_socket[sock] for sock in writable):
            blob, at = blobs[peer], offsets[peer]
            offsets[peer] = (at + peer.socket.send(blob[at:at + (1 << 16)])) % len(blob)
        for sock in readable:
            assert sock.recv(1 << 16), "ingest closed a connection"  # pings: an answer would land inside a frame
    for peer, at in offsets.items():  # whole frames, so that the stream can go on
        peer.socket.setblocking(True)
        if at:
            peer.send(blobs[peer][at:])


def paced(peers, ticks, seconds):
    started, number = time.monotonic(), 0
    while time.monotonic() < started + seconds:
        for peer in peers:
            peer.send(ticks[peer])
        number += 1
        serve(peers, select.select([peer.socket for peer in peers], [], [], 0)[0])
        time.sleep(max(0, started + number / 10 - time.monotonic()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--samples", type=int, default=50)
    options = parser.parse_args()
    with Cluster(with_redis=False) as cluster:
        gateway = Gateway(cluster)
        peers = [gateway.peer(f"bench-{number}") for number in range(options.agents)]
        ticks = {peer: frame(TICK, peer.make_tick(samples=options.samples)) for peer in peers}
        size = len(ticks[peers[0]])
        blobs = {peer: tick * max(1, (1 << 18) // size) for peer, tick in ticks.items()}
        for name, run in (("paced", lambda: paced(peers, ticks, options.seconds)),
                          ("flood", lambda: flood(peers, blobs, options.seconds))):
            print(json.dumps({"bench": f"ingest-{name}", "agents": options.agents, "samples": options.samples,
                              "tick_bytes": size, **measure(gateway, run)}), flush=True)
        assert gateway.stop() == 0, gateway.program.log_tail()


if __name__ == "__main__":
    main()
