"""An agent as ingest sees it, spoken from schemas/frame.h and schemas/*.avsc alone.

    peer = AgentPeer(address, codec, node="n1")
    peer.greet()                    HELLO, then WELCOME
    peer.tick(); peer.event(1); peer.wait_ack(1)
"""
import io
import select
import socket
import struct
import time
import uuid

import fastavro

HELLO, WELCOME, REJECT, TICK, STATUS, EVENT, RECORD, ACK, ADMISSION, ADJUSTMENT, PING, PONG, SCHEMA = range(1, 14)

LIMITS = {"memory_bytes": 64 << 20, "cpu_millicores": 500, "cpu_weight": 100, "io_read_bps": 0, "io_write_bps": 0,
          "io_weight": 100, "net_egress_bps": 0, "net_priority": 0}
COUNTERS = {name: 0 for name in (
    "cpu_usage_us cpu_throttled_us cpu_throttled_periods cpu_periods memory_bytes memory_usage_bytes memory_peak_bytes "
    "cpu_some_us memory_some_us memory_full_us io_some_us io_full_us io_stall_us io_read_bytes io_write_bytes io_read_ops "
    "io_write_ops net_rx_bytes net_tx_bytes page_faults major_faults oom_kills tasks brake_us").split()}
COUNTERS.update(brake_engaged=False, custom=[], memory_bytes=30 << 20, tasks=3)


def frame(kind, payload=b""):
    return struct.pack(">IB", len(payload) + 1, kind) + payload


def numbered(kind, number, payload=b""):
    return frame(kind, struct.pack(">Q", number) + payload)


def now_us():
    return time.time_ns() // 1000


def encode(codec, name, message):
    """Like codec.encode(), with the schema's defaults for fields that are not given: additions do not break the tests."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, codec.schema(name), message)
    return b"\xc3\x01" + struct.pack("<Q", codec.fingerprint(name)) + body.getvalue()


def request(code="xz", pool="p1", execution=None):
    return {"action": "RUN", "execution": execution or uuid.uuid4().bytes, "code": code, "pool": pool, "argv": ["xz", "-9"],
            "env": ["A=b"], "cwd": "", "user": "", "stdout_path": "", "stderr_path": "", "limits": LIMITS, "priority": 0,
            "timeout_ms": 0, "max_attempts": 3, "retry_other": False, "hints": {}, "submitted_us": now_us()}


class AgentPeer:
    def __init__(self, address, codec, node="n1", pool="p1", incarnation=None, epoch=1, boot_id="boot-1"):
        host, port = address.rsplit(":", 1)
        self.codec, self.node, self.pool, self.epoch, self.boot_id = codec, node, pool, epoch, boot_id
        self.incarnation = incarnation or uuid.uuid4().bytes
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sequence = 0
        self.received = []  # frames not yet asked for: (kind, payload)
        self.acks = []
        self.closed = False
        self.pinged = time.monotonic()
        self.welcomed = False

    # --- out ---

    def send(self, data):
        self.socket.sendall(data)

    def hello(self, **changes):
        return encode(self.codec, "Hello", {"node": self.node, "pool": self.pool, "incarnation": self.incarnation,
                                           "epoch": self.epoch, "boot_id": self.boot_id, "version": "test",
                                           "spooled_through": 0, **changes})

    def greet(self, **changes):
        self.send(frame(HELLO, self.hello(**changes)))
        self.wait(WELCOME)
        self.welcomed = True
        return self

    def make_tick(self, samples=1, **changes):
        self.sequence += 1
        sample = {"execution": b"e" * 16, "attempt": 1, "code": "xz", "started_us": now_us() - 1000, "timeout_ms": 0,
                  "limits": LIMITS, "adjusted_sequence": 0, "arm": "TREATED", "counters": COUNTERS, "command": 0,
                  "input_bytes": 0}
        return encode(self.codec, "Tick", {
            "node": self.node, "pool": self.pool, "incarnation": self.incarnation, "epoch": self.epoch,
            "sequence": self.sequence, "time_us": now_us(), "monotonic_us": time.monotonic_ns() // 1000, "dropped": 0,
            "samples": [sample] * samples, **changes})

    def make_status(self, **changes):
        return encode(self.codec, "NodeStatus", {
            "node": self.node, "pool": self.pool, "incarnation": self.incarnation, "epoch": self.epoch,
            "boot_id": self.boot_id, "time_us": now_us(), "version": "test", "draining": False, "capacity": LIMITS,
            "committed": LIMITS, "free": LIMITS, "capabilities": ["memory"], "running": [], "short": [], **changes})

    def make_event(self, **changes):
        return encode(self.codec, "ExecutionEvent", {
            "kind": "STARTED", "pool": self.pool, "node": self.node, "incarnation": self.incarnation, "epoch": self.epoch,
            "execution": b"e" * 16, "attempt": 1, "placement": 1, "code": "xz", "time_us": now_us(), "reason": "",
            "limits": LIMITS, "short_of": "NONE", "outcome": "NONE", "cause": "NONE", "exit_status": 0, "signal": 0,
            "memory_peak_bytes": 0, "adjusted": None, **changes})

    def make_record(self, points=0, **changes):
        point = {"time_us": now_us(), "limits": LIMITS, "counters": COUNTERS}
        return encode(self.codec, "ExecutionRecord", {
            "execution": b"e" * 16, "attempt": 1, "placement": 1, "code": "xz", "pool": self.pool, "node": self.node,
            "incarnation": self.incarnation, "request": request(pool=self.pool), "started_us": now_us() - 5000,
            "ended_us": now_us(), "outcome": "OOM_KILLED", "cause": "MEMORY", "exit_status": -1, "signal": 9,
            "detail": "oom_kill", "totals": COUNTERS, "first_limits": LIMITS, "highest_limits": LIMITS,
            "last_limits": LIMITS, "peak_cpu_millicores": 10, "peak_io_bps": 0, "peak_net_bps": 0, "raised": [],
            "allocation_revision": 0, "adjustments": [], "adjustments_dropped": 0, "brakes": [], "arm": "TREATED",
            "propensity": 1.0, "series": [point] * points, "series_inclusion": 1.0, "series_stride": 1, **changes})

    def ping(self, token=7):
        self.send(numbered(PING, token))

    # --- in ---

    def pump(self, timeout_s=0.0):
        """Takes in what has come; answers pings and sends one a second. False once ingest has closed."""
        if self.welcomed and not self.closed and time.monotonic() - self.pinged > 1:
            self.pinged = time.monotonic()
            try:
                self.ping(0)
            except OSError:
                pass  # what it said before it closed is still to be read
        if self.closed or not select.select([self.socket], [], [], timeout_s)[0]:
            return not self.closed
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.buffer += data
        while len(self.buffer) >= 5:
            size, kind = struct.unpack_from(">IB", self.buffer)
            if len(self.buffer) < 4 + size:
                break
            payload, self.buffer = self.buffer[5:4 + size], self.buffer[4 + size:]
            if kind == PING:
                try:
                    self.send(frame(PONG, payload))
                except OSError:
                    pass
            elif kind == ACK:
                self.acks.append(struct.unpack(">Q", payload)[0])
            self.received.append((kind, payload))
        return True

    def until(self, condition, what, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.node}: no {what} within {timeout_s} s, got {self.received[-5:]}")
            if not self.pump(0.05) and not condition():
                raise ConnectionError(f"{self.node}: closed before {what}, got {self.received[-5:]}")

    def wait(self, kind, timeout_s=20):
        """The payload of the next frame of this kind; earlier ones of other kinds stay."""
        def found():
            return next((i for i, (k, _) in enumerate(self.received) if k == kind), None)
        self.until(lambda: found() is not None, f"frame of type {kind}", timeout_s)
        return self.received.pop(found())[1]

    def wait_ack(self, *numbers, timeout_s=20):
        self.until(lambda: set(numbers) <= set(self.acks), f"acknowledgement of {numbers}", timeout_s)

    def wait_closed(self, timeout_s=20):
        """Until ingest closes; the reason of its REJECT, or None."""
        self.until_closed(timeout_s)
        return next((payload.decode() for kind, payload in self.received if kind == REJECT), None)

    def until_closed(self, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        while self.pump(0.05):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.node}: not closed within {timeout_s} s")

    def count(self, kind):
        return sum(1 for k, _ in self.received if k == kind)

    def close(self):
        self.closed = True
        self.socket.close()
