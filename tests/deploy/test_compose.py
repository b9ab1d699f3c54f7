"""The compose deployment for real, in the order of these tests: each goes on where the one before it stopped."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request
import uuid

import pytest
from cluster import SOURCE_DIRECTORY
from compose import DEPLOY, EXAMPLES, SERVICES, outputs, report
from confluent_kafka import Producer
from forestall_topics import Schemas
from messages import TOPIC_MESSAGES
from own_servers import OWN, own_files
from process import wait_until
from training import publish_a_model

MIB = 1 << 20
IMAGE_GOAL_MB = 120
# 120 MiB in 3 s, then the proof that it came to its end
GROW = ["perl", "-e", "my @kept; for (1..60) { push @kept, 'x' x (2 << 20); select undef, undef, undef, 0.05 } print 'grown ', scalar @kept, qq(\\n)"]
NAP = ["perl", "-e", "select undef, undef, undef, 2 + rand 2; print qq(done\\n)"]


def cgroups_left(suffix=""):
    return [str(path) for pattern in ("forestall-compose-test", "*/forestall-compose-test")
            for path in pathlib.Path("/sys/fs/cgroup").glob(f"{pattern}{suffix}*")]


def states(deployment):
    """{execution: [state]} of executions.state, in order; tombstones left out."""
    schemas, found = Schemas(deployment.brokers), {}
    for message in deployment.read_topic("executions.state"):
        if message.value() is not None:
            state = schemas.decode(message.value())[1]
            found.setdefault(str(uuid.UUID(bytes=state["execution"])), []).append(state)
    return found


def allocation(deployment, code):
    """examples/shell/allocation.sh, as a dictionary."""
    port = deployment.ports["REDIS_PORT"]
    done = subprocess.run([EXAMPLES / "shell" / "allocation.sh", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "REDIS": f"redis-cli -p {port}"})
    return dict(line.split(None, 1) if len(line.split(None, 1)) == 2 else (line.strip(), "")
                for line in done.stdout.splitlines())


def example(name, *arguments, timeout_s=120):
    done = subprocess.run([sys.executable, EXAMPLES / "python" / name, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout_s)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def java(*arguments, timeout_s=240):
    done = subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", EXAMPLES / "java" / "pom.xml", "compile", "exec:java",
                           "-Dexec.args=" + " ".join(map(str, arguments))], capture_output=True, text=True,
                          timeout=timeout_s, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    # Maven colours the end of its output whatever it is told
    return [line for line in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines() if line]


# --- coming up -----------------------------------------------------------------------------------------------------------


def test_build__every_image__small_labelled_and_not_root(deployment):
    started = time.monotonic()
    deployment.compose("build", profiles=("cli",), timeout_s=2400)
    report(f"{'images: build':34} {time.monotonic() - started:7.1f} s")
    for name in (*SERVICES, "cli"):
        image = json.loads(deployment.docker("image", "inspect", f"forestall/{name}:0.1.0").stdout)[0]
        size = image["Size"] / 1e6
        over = "" if size <= IMAGE_GOAL_MB else f"   over the goal of {IMAGE_GOAL_MB} MB"
        report(f"{'image: ' + name:34} {size:7.1f} MB{over}")
        assert image["Config"]["Labels"]["org.opencontainers.image.title"] == "Forestall"
        assert (image["Config"]["User"] in ("", "root")) == (name == "agent")
        assert name == "cli" or image["Config"]["Healthcheck"]["Test"] == ["CMD", "forestall-health"]


def test_up__first_start__all_ready_in_one_go(deployment):
    report(f"{'up --wait: first start':34} {deployment.up():7.1f} s")
    for service in SERVICES:
        assert deployment.containers(service), service
    for port in ("INGEST_HTTP_PORT", "PREDICT_HTTP_PORT", "ALLOCATE_HTTP_PORT", "QUEUE_HTTP_PORT", "RETRAIN_HTTP_PORT"):
        with urllib.request.urlopen(f"http://127.0.0.1:{deployment.ports[port]}/metrics", timeout=10) as page:
            assert b"forestall_" in page.read()
    assert "17 topics are as they must be" in deployment.forestall("topics", "check").stdout
    for service, used in sorted(deployment.memory().items()):
        report(f"{'memory idle: ' + service:34} {used:7.1f} MiB")


def test_down_and_up__warm__what_was_there_is_kept(deployment):
    deployment.forestall("allocation", "set", "--floor-memory", "32M", "kept-over-a-restart")
    started = time.monotonic()
    deployment.compose("down")
    report(f"{'down':34} {time.monotonic() - started:7.1f} s")
    report(f"{'up --wait: warm':34} {deployment.up():7.1f} s")
    kept = deployment.forestall("allocation", "get", "kept-over-a-restart").stdout
    assert "32" in kept, kept


# --- a saved program, and who sees it ------------------------------------------------------------------------------------


def test_run__would_be_killed__finishes_in_first_attempt_and_next_starts_with_enough(deployment, tmp_path):
    status, out, told = deployment.run(tmp_path, GROW, code="grow", memory="48M")
    assert (status, out) == (0, "grown 60\n"), told
    assert told["outcome"] == "finished" and told["attempts"] == 1 and told["first_limit_bytes"] == 48 * MIB
    assert told["final_limit_bytes"] >= told["peak_bytes"] > 120 * MIB
    peak = told["peak_bytes"]
    status, out, told = deployment.run(tmp_path, GROW, code="grow", memory="48M")
    assert (status, out) == (0, "grown 60\n"), told
    assert told["attempts"] == 1 and told["first_limit_bytes"] >= peak
    assert not [one for one in told["adjustments"] if one["direction"] == "raise"]
    report(f"{'48 MiB asked, peak, next start':34} {peak / MIB:7.1f} MiB, {told['first_limit_bytes'] / MIB:.1f} MiB")


def test_run__from_the_cli_container__the_same(deployment):
    done = deployment.compose("run", "--rm", "-T", "cli", "run", "--cwd", "/", "--code", "grow", "--memory", "48M", "--", *GROW,
                              profiles=("cli",))
    assert "grown 60" in done.stdout


def test_redis_cli__allocation_of_the_saved_code(deployment):
    held = allocation(deployment, "grow")
    assert int(held["memory_bytes"]) > 120 * MIB and held["raised"] == "memory" and int(held["runs"]) >= 2


def test_dead_letter__program_beyond_its_ceiling(deployment, tmp_path):
    deployment.forestall("allocation", "set", "--ceiling-memory", "72M", "beyond")
    status, _, told = deployment.run(tmp_path, GROW, code="beyond", memory="48M", max_attempts=3)
    assert status != 0 and told["outcome"] == "dead_lettered"


def test_python_consumer__sees_risks_and_dead_letters(deployment):
    seen = [json.loads(line) for line in example("watch.py", "--brokers", deployment.brokers, "--code", "grow", "--count", 3)]
    assert all(one["topic"] == "risks" and 0 <= one["probability"] <= 1 for one in seen)
    seen = []
    with subprocess.Popen([sys.executable, EXAMPLES / "python" / "watch.py", "--brokers", deployment.brokers, "--code", "beyond",
                           "--group", "dead-letters"], stdout=subprocess.PIPE, text=True) as watching:
        for line in watching.stdout:
            seen.append(json.loads(line))
            if seen[-1]["topic"] == "executions.dlq":
                break
        watching.terminate()
    assert seen[-1]["cause"] == "MEMORY" and seen[-1]["model"]


def test_java_consumer__sees_the_same(deployment):
    lines = java(deployment.brokers, 3, "grow", "three")
    assert len(lines) == 3 and all(line.startswith("risks code=grow probability=") for line in lines)
    letters = len(deployment.read_topic("executions.dlq"))
    risks = sum(b"beyond" in message.key() for message in deployment.read_topic("risks"))
    lines = java(deployment.brokers, risks + letters, "beyond", "all")
    assert any(line.startswith("executions.dlq code=beyond cause=MEMORY") for line in lines)


def test_python_submitter__produces_to_one_topic_only__runs(deployment):
    execution, = example("submit.py", "--brokers", deployment.brokers, "--memory", 64, "--code", "handed-in", "--", *NAP)
    wait_until(lambda: states(deployment).get(execution, [{}])[-1].get("phase") == "DONE", 60, "the end of what was handed in", 1)
    assert states(deployment)[execution][-1]["outcome"] == "FINISHED"


def test_fifty_executions__memory_of_each_container(deployment):
    long_nap = ["perl", "-e", "select undef, undef, undef, 12"]
    handed_in = example("submit.py", "--brokers", deployment.brokers, "--memory", 16, "--code", "fifty", "--count", 50, "--", *long_nap)
    wait_until(lambda: json.loads(deployment.forestall("status", "--json").stdout)["nodes"][0]["running"] >= 50, 60,
               "fifty running", 0.5)
    for service, used in sorted(deployment.memory().items()):
        report(f"{'memory with 50: ' + service:34} {used:7.1f} MiB")

    def all_done():
        known = states(deployment)
        return all(known.get(one, [{}])[-1].get("phase") == "DONE" for one in handed_in)
    wait_until(all_done, 120, "the end of fifty", 1)


# --- trouble --------------------------------------------------------------------------------------------------------------


def check_all_ended_once(deployment, handed_in, timeout_s):
    known = {}

    def all_done():
        known.clear()
        known.update(states(deployment))
        return all(known.get(one, [{}])[-1].get("phase") == "DONE" for one in handed_in)
    wait_until(all_done, timeout_s, lambda: "the end of " + str([(one, known.get(one, [{}])[-1].get("phase"))
                                                                 for one in handed_in
                                                                 if known.get(one, [{}])[-1].get("phase") != "DONE"]), 2)
    outcomes = {}
    for one in handed_in:
        # the state may be written again when it changes in a detail, but never back, and never with another outcome
        ends = [state["outcome"] for state in known[one] if state["phase"] == "DONE"]
        first = next(number for number, state in enumerate(known[one]) if state["phase"] == "DONE")
        assert len(set(ends)) == 1 and all(state["phase"] == "DONE" for state in known[one][first:]), known[one]
        outcomes[ends[0]] = outcomes.get(ends[0], 0) + 1
    schemas, finished = Schemas(deployment.brokers), {}
    for message in deployment.read_topic("executions.events"):
        event = schemas.decode(message.value())[1]
        if event["kind"] == "STARTED":
            key = (event["execution"], event["attempt"])
            finished.setdefault(key, set()).add(event["placement"])
    assert all(len(placements) == 1 for placements in finished.values()), "an attempt ran twice"
    return outcomes


def test_kill__each_service_while_executions_run__one_terminal_state_each(deployment):
    handed_in = []
    for service in SERVICES:
        handed_in += example("submit.py", "--brokers", deployment.brokers, "--memory", 32, "--code", "killed", "--count", 12, "--", *NAP)
        deployment.compose("kill", service)
        handed_in += example("submit.py", "--brokers", deployment.brokers, "--memory", 32, "--code", "killed", "--count", 3, "--", *NAP)
        seconds = deployment.up(service, "--no-recreate")
        report(f"{'killed, back and ready: ' + service:34} {seconds:7.1f} s")
    outcomes = check_all_ended_once(deployment, handed_in, 300)
    report(f"{'ended once, each service killed':34} {len(handed_in):7d} of {len(handed_in)} {outcomes}")


def test_crash__of_a_service__restarted_by_its_policy(deployment):
    container, = deployment.containers("queue")
    before = json.loads(deployment.docker("inspect", container).stdout)[0]
    os.kill(before["State"]["Pid"], 9)

    def back():
        now = json.loads(deployment.docker("inspect", container).stdout)[0]
        return now["RestartCount"] > before["RestartCount"] and now["State"].get("Health", {}).get("Status") == "healthy"
    wait_until(back, 60, "queue to be back by itself", 0.5)


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_restart__of_a_server_while_executions_run__one_terminal_state_each(deployment, server):
    handed_in = example("submit.py", "--brokers", deployment.brokers, "--memory", 32, "--code", "restarted", "--count", 20, "--", *NAP)
    started = time.monotonic()
    deployment.compose("restart", server)
    deployment.up("--no-recreate")
    report(f"{'restarted, all ready: ' + server:34} {time.monotonic() - started:7.1f} s")
    handed_in += example("submit.py", "--brokers", deployment.brokers, "--memory", 32, "--code", "restarted", "--count", 5, "--", *NAP)
    outcomes = check_all_ended_once(deployment, handed_in, 300)
    report(f"{'ended once, restarted: ' + server:34} {len(handed_in):7d} of {len(handed_in)} {outcomes}")
    assert int(allocation(deployment, "grow")["memory_bytes"]) > 120 * MIB


def test_scale__three_agents__three_nodes(deployment):
    deployment.up("--scale", "agent=3", "--no-recreate")

    def nodes():
        return json.loads(deployment.forestall("status", "--json").stdout)["nodes"]
    wait_until(lambda: len({node["node"] for node in nodes()}) == 3, 60, lambda: f"three nodes: {nodes()}", 1)
    deployment.up("--scale", "agent=1", "--no-recreate")


# --- wrong settings -------------------------------------------------------------------------------------------------------


def says(deployment, service, words, *arguments, environment=()):
    status, _, out = deployment.once(service, *arguments, environment=environment)
    lines = [line for line in out.splitlines() if all(word in line for word in words)]
    assert status != 0 and lines, f"status {status}: {out}"
    report(f"  {service}: {re.sub(r'^.*?(reason=|error=)', '', lines[0])[:230]}")


def test_wrong__broker_that_is_not_there__says_so(deployment):
    for service in ("queue", "ingest", "predict", "allocate", "retrain"):
        says(deployment, service, ("cannot reach Kafka at", "kafka-nowhere"),
             environment=["FORESTALL_SERVICE_BROKERS=kafka-nowhere:9092"])


def test_wrong__partitions_or_clean_up__each_service_refuses_and_says_which(deployment):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": deployment.brokers})
    made = admin.create_topics([NewTopic("few.risks", 3, 1), NewTopic("few.executions.finished", 8, 1),
                                NewTopic("few.executions.requested", 3, 1), NewTopic("few.nodes", 8, 1),
                                NewTopic("del.allocations", 8, 1)])
    for future in made.values():
        future.result(30)
    for service in ("queue", "ingest", "predict", "allocate", "retrain"):
        says(deployment, service, ("topic few.", "has 3 partitions"), environment=["FORESTALL_SERVICE_TOPIC_PREFIX=few."])
    says(deployment, "allocate", ("topic del.allocations has cleanup.policy=delete",),
         environment=["FORESTALL_SERVICE_TOPIC_PREFIX=del."])
    says(deployment, "init", ("topic few.", "has 3 partitions"), "topics", "check",
         environment=["FORESTALL_SERVICE_TOPIC_PREFIX=few."])


AGENT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID", "SYS_PTRACE")


def agent_start(deployment, options, *arguments):
    """An agent's container that is not started as compose.yaml does."""
    return deployment.docker("run", "--name", "forestall-test-wrong", "--cap-drop", "ALL",
                             *(f"--cap-add={name}" for name in AGENT_CAPABILITIES), *options,
                             "-v", f"{DEPLOY}/forestall.ini:/etc/forestall/forestall.ini:ro",
                             "-e", "FORESTALL_CONFIG=/etc/forestall/forestall.ini",
                             "-e", "FORESTALL_AGENT_CGROUP=forestall-compose-test-wrong",
                             "forestall/agent:0.1.0", *arguments, check=False, timeout_s=60)


def agent_alone(deployment, options, *arguments):
    """(status, what it said) of such a container, run to its end."""
    try:
        done = agent_start(deployment, ("--rm", *options), *arguments)
    finally:
        deployment.docker("rm", "-fv", "forestall-test-wrong", check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("options", [("--cgroupns=host",), ("--cgroupns=private",)], ids=["no mount", "no mount, no cgroup: host"])
def test_wrong__agent_without_the_machines_cgroups__says_what_to_do(deployment, options):
    status, out = agent_alone(deployment, ("--pid=host", *options))
    lines = [line for line in out.splitlines() if "cgroup: host" in line and "bind /sys/fs/cgroup" in line]
    assert status == 1 and len(lines) == len(out.splitlines()) == 1, f"{status}: {out}"
    report(f"  agent, {options[0]}, no mount: {lines[0][:260]}")


def test_wrong__agent_in_a_cgroup_namespace_of_its_own__said_and_not_misled(deployment):
    """With the mount and without `cgroup: host`, /proc/self/cgroup and the mounted tree disagree: the agent goes by the
    tree, and says that it is not how it should be."""
    mount = ("--pid=host", "--cgroupns=private", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw")
    status, out = agent_alone(deployment, mount, "--check")
    assert status == 0 and "This machine can run executions" in out, f"{status}: {out}"
    lines = [line for line in out.splitlines() if "use `cgroup: host`" in line]
    assert len(lines) == 1, out
    said = []

    def has_said():
        said[:] = [line for line in deployment.docker("logs", "forestall-test-wrong", check=False).stderr.splitlines()
                   if "use `cgroup: host`" in line]
        return said
    try:
        agent_start(deployment, ("-d", *mount))
        wait_until(has_said, 30, "the agent's line about its cgroups", 0.2)
        deployment.docker("stop", "forestall-test-wrong")
    finally:
        deployment.docker("rm", "-fv", "forestall-test-wrong", check=False)
    assert len(said) == 1 and "bind /sys/fs/cgroup" in said[0], said
    report(f"  agent, mount without cgroup: host: {said[0][:260]}")
    assert not cgroups_left("-wrong")


# --- with a schema registry -----------------------------------------------------------------------------------------------


def test_registry__switched_on_in_place__values_in_confluents_framing(deployment, tmp_path):
    environment = {"FORESTALL_SCHEMA_REGISTRY": "http://registry:8080/apis/ccompat/v7"}
    deployment.environment.update(environment)
    before = {topic: len(deployment.read_topic(topic)) for topic in TOPIC_MESSAGES}
    report(f"{'up --wait: registry switched on':34} {deployment.up(profiles=('registry',)):7.1f} s")
    report(f"{'memory idle: registry':34} {deployment.memory()['registry']:7.1f} MiB")
    with_registry = {"FORESTALL_SERVICE_SCHEMA_REGISTRY": deployment.registry}
    # what was written before is read: the allocation of `grow` came in the other framing
    status, out, told = deployment.run(tmp_path, GROW, code="grow", memory="48M")
    assert (status, out) == (0, "grown 60\n") and told["attempts"] == 1
    deployment.forestall("allocation", "set", "--ceiling-memory", "72M", "beyond-2", **with_registry)
    status, _, told = deployment.run(tmp_path, GROW, code="beyond-2", memory="48M", max_attempts=2)
    assert told["outcome"] == "dead_lettered"
    example("submit.py", "--brokers", deployment.brokers, "--memory", 32, "--", *NAP)
    deployment.forestall("submit", "--cwd", "/", "--memory", "32M", "--", *NAP, **with_registry)
    publish_a_model(deployment, tmp_path)

    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext
    client = SchemaRegistryClient({"url": deployment.registry})
    deserializers, counts = {}, {}

    def read_all():
        counts.clear()
        for topic, name in TOPIC_MESSAGES.items():
            messages = deployment.read_topic(topic)
            framed = [message for message in messages if message.value() is not None and message.value()[:1] == b"\x00"]
            deserializer = deserializers.setdefault(topic, AvroDeserializer(client))
            for message in framed:
                assert deserializer(message.value(), SerializationContext(topic, MessageField.VALUE))
            latest = json.loads(client.get_latest_version(topic + "-value").schema.schema_str)
            assert latest["name"] == name
            counts[topic] = (len(framed), len(messages) - before[topic])
        return all(framed > 0 for framed, _ in counts.values())
    wait_until(read_all, 60, lambda: f"each topic in Confluent's framing: {counts}", 1)
    report("  read by Confluent's deserializer: " + " ".join(f"{topic}={framed}" for topic, (framed, _) in counts.items()))
    assert not deployment.read_topic("quarantine")


def test_registry__values_of_confluents_serializer__taken(deployment):
    """A schema that another program registered: its id is asked for at the registry."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext
    schema = json.loads((SOURCE_DIRECTORY / "schemas" / "execution_request.avsc").read_text())
    schema["fields"].append({"name": "ticket", "type": "string", "default": "", "doc": "of the submitter's own"})
    client = SchemaRegistryClient({"url": deployment.registry})
    serializer = AvroSerializer(client, json.dumps(schema), conf={"auto.register.schemas": True})
    execution = uuid.uuid4()
    limits = dict.fromkeys(("memory_bytes", "cpu_millicores", "cpu_weight", "io_read_bps", "io_write_bps", "io_weight",
                            "net_egress_bps", "net_priority"), 0)
    request = {"action": "RUN", "execution": execution.bytes, "code": "foreign", "pool": "default", "argv": NAP, "env": [],
               "cwd": "/", "user": "", "stdout_path": "", "stderr_path": "", "limits": {**limits, "memory_bytes": 32 * MIB},
               "priority": 500, "timeout_ms": 0, "max_attempts": 1, "retry_other": False, "hints": {},
               "submitted_us": time.time_ns() // 1000, "ticket": "T-1"}
    value = serializer(request, SerializationContext("executions.requested", MessageField.VALUE))
    producer = Producer({"bootstrap.servers": deployment.brokers, "partitioner": "murmur2_random"})
    producer.produce("executions.requested", value, b"default")
    assert producer.flush(30) == 0
    wait_until(lambda: states(deployment).get(str(execution), [{}])[-1].get("phase") == "DONE", 60, "the foreign request's end", 1)
    assert states(deployment)[str(execution)][-1]["outcome"] == "FINISHED"


def test_registry__incompatible_schema__refused(deployment):
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError
    client = SchemaRegistryClient({"url": deployment.registry})
    schema = json.loads((SOURCE_DIRECTORY / "schemas" / "risk.avsc").read_text())
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "probability"]
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema("risks-value", Schema(json.dumps(schema), "AVRO"))
    assert refused.value.http_status_code == 409
    report(f"  registry, Risk without probability: {refused.value.http_status_code}")


def test_wrong__registry_that_is_not_there__says_so(deployment):
    says(deployment, "queue", ("cannot reach the schema registry at http://registry-nowhere:1",),
         environment=["FORESTALL_SERVICE_SCHEMA_REGISTRY=http://registry-nowhere:1"])
    says(deployment, "queue", ("does not answer as a schema registry",),
         environment=["FORESTALL_SERVICE_SCHEMA_REGISTRY=http://ingest:9400"])


# --- with a Kafka and a Redis of one's own, and one more node -------------------------------------------------------------


def test_own_servers__sasl_and_tls_by_the_ini__run_and_a_second_node_joins(deployment, own_servers, tmp_path):
    settings = {"FORESTALL_BROKERS": OWN + "-kafka:9092", "FORESTALL_REDIS": OWN + "-redis:6379",
                "FORESTALL_SCHEMA_REGISTRY": ""}
    node = {"COMPOSE_PROJECT_NAME": "forestall-test-node", "FORESTALL_NODE": "second", "FORESTALL_POOL": "elsewhere",
            "FORESTALL_INGEST": "ingest:7400", "FORESTALL_CGROUP": "forestall-compose-test-second"}
    files, node_files = own_files(tmp_path, "of-forestall")
    try:
        started = time.monotonic()
        deployment.compose("up", "-d", "--wait", "--wait-timeout", "180", files=files, **settings)
        report(f"{'up --wait: own Kafka, SASL_SSL':34} {time.monotonic() - started:7.1f} s")
        running = deployment.compose("ps", "--services", files=files, **settings).stdout.split()
        assert sorted(running) == sorted(SERVICES), running
        deployment.compose("up", "-d", "--wait", "--wait-timeout", "90", files=node_files, **node)
        for pool, says in (("default", "here"), ("elsewhere", "there")):
            done = deployment.compose("run", "--rm", "-T", "cli", "run", "--cwd", "/", "--pool", pool, "--memory", "32M", "--",
                                      "echo", says, files=files, profiles=("cli",), timeout_s=120, **settings)
            assert done.stdout.splitlines() == [says], done.stdout
        nodes = json.loads(deployment.compose("run", "--rm", "-T", "cli", "status", "--json", files=files, profiles=("cli",),
                                              **settings).stdout)["nodes"]
        assert {one["pool"] for one in nodes} == {"default", "elsewhere"} and "second" in {one["node"] for one in nodes}
        for trouble, word, ini in (("wrong password", "uthentication", {"password": "not-the-password"}),
                                   ("without the authority", "ssl.ca.location", {"password": "of-forestall", "authority": ""})):
            wrong, _ = own_files(tmp_path, **ini)
            done = deployment.compose("run", "--rm", "-T", "cli", "topics", "check", check=False, files=wrong, profiles=("cli",),
                                      **settings)
            said = [line for line in (done.stdout + done.stderr).splitlines() if word in line]
            assert done.returncode != 0 and len(said) == 1, done.stdout + done.stderr
            report(f"  {trouble}: {said[0][:320]}")
    finally:
        deployment.compose("down", "-v", files=node_files, check=False, **node)
        deployment.compose("down", "-v", files=files, profiles=("cli",), check=False, **settings)


# --- the end --------------------------------------------------------------------------------------------------------------


def test_down__with_volumes__nothing_is_left(deployment):
    started = time.monotonic()
    deployment.compose("down", "-v", profiles=("registry", "cli"))
    report(f"{'down -v':34} {time.monotonic() - started:7.1f} s")
    label = "label=com.docker.compose.project=" + os.environ.get("COMPOSE_PROJECT_NAME", "forestall")
    for kind in (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q")):
        assert not deployment.docker(*kind, "--filter", label).stdout, kind
    assert not cgroups_left()
    assert outputs() <= deployment.outputs
