"""Metrics: where they are sent, under which names, and what is printed at SIGUSR1."""

import csv
import fnmatch
import json
import os
import re
import signal
import socket
import struct
import threading

import pytest

from conftest import free_ip, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = socket.gethostname()
LINE = re.compile(r"(?P<name>[^:|]+):(?P<value>[^|]+)\|(?P<kind>c|g|ms)(\|@(?P<rate>[0-9.]+))?(\|#(?P<tags>.*))?")


class Udp:
    """Gathers the packets that are sent to it."""

    def __init__(self, ip, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, port))
        self.address = "%s:%d" % (ip, port)
        self.packets = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                self.packets.append(self.socket.recv(65536))
            except OSError:
                return

    def lines(self):
        return [line for p in list(self.packets) for line in p.decode().split("\n") if line]


class Tcp:
    """One connection at a time."""

    def __init__(self, ip, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((ip, port))
        self.listener.listen()
        self.data = b""
        self.connections = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                self.peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            while True:
                try:
                    piece = self.peer.recv(65536)
                except OSError:
                    piece = b""
                if not piece:
                    break
                self.data += piece
            self.peer.close()

    def lines(self):
        return self.data.decode().split("\n")[:-1]


@pytest.fixture
def ip():
    return free_ip()


def gauges(agent):
    return {g["Name"] for g in agent.get("/v1/agent/metrics").json["Gauges"]}


def test_statsd(start_agent, ip):
    udp = Udp(ip, 8125)
    agent = start_agent(config={"telemetry": {"statsd_address": udp.address}})
    for i in range(300):
        agent.put("/v1/kv/some/key", b"x")
    wanted = ["consul.raft.apply:", "consul.api.http.PUT.v1_kv_:", "consul.http.PUT.v1.kv._:", "consul.fsm.kvs.set:",
              "consul.%s.raft.applied_index:" % HOST, "consul.%s.version.1.10.3.:" % HOST]
    for start in wanted:
        wait_for(lambda: any(line.startswith(start) for line in udp.lines()), start)

    def puts():
        """How many of them were told of: each by a line of its own, unless the line says otherwise."""
        return sum(1 / float(LINE.fullmatch(line)["rate"] or 1) for line in udp.lines()
                   if line.startswith("consul.api.http.PUT.v1_kv_:"))
    wait_for(lambda: puts() >= 300, "all requests")
    assert round(puts()) == 300
    for packet in udp.packets:
        assert len(packet) <= 1400 and packet.endswith(b"\n")
    assert max(map(len, udp.packets)) > 1200, "packets are filled"
    for line in udp.lines():
        assert LINE.fullmatch(line), line
    # Where metrics go somewhere, gauges have the host's name, here too.
    wait_for(lambda: "consul.%s.raft.applied_index" % HOST in gauges(agent), "a gauge with the host's name")


def test_dogstatsd(start_agent, ip):
    udp = Udp(ip, 8125)
    agent = start_agent(config={"telemetry": {"dogstatsd_addr": udp.address, "dogstatsd_tags": ["env:test", "solo"]}})
    agent.put("/v1/kv/some/key", b"x")
    wait_for(lambda: any(line.startswith("consul.api.http:") and line.endswith("|#env:test,solo,method:PUT,path:v1_kv_")
                         for line in udp.lines()), "a sample with tags")
    wait_for(lambda: any(re.fullmatch(r"consul\.raft\.applied_index:\d+\|g\|#env:test,solo", line)
                         for line in udp.lines()), "a gauge without the host's name")
    wait_for(lambda: any(re.fullmatch(r"consul\.raft\.apply:\d+\|c\|#env:test,solo", line)
                         for line in udp.lines()), "a counter")
    for packet in udp.packets:
        assert len(packet) <= 1432 and not packet.endswith(b"\n")


def test_dogstatsd_over_a_unix_socket(start_agent, tmp_path):
    path = str(tmp_path / "dog.sock")
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    receiver.settimeout(30)
    start_agent(config={"telemetry": {"dogstatsd_addr": "unix://" + path}})
    assert receiver.recv(65536).startswith(b"consul.")


def test_statsite_that_comes_late_and_goes(start_agent, ip):
    agent = start_agent(config={"telemetry": {"statsite_address": ip + ":8125", "disable_hostname": True}})
    wait_for(lambda: "Cannot send metrics, will keep trying: sink=statsite" in agent.log(), "the log to say so")
    tcp = Tcp(ip, 8125)
    for connection in (1, 2):
        wait_for(lambda: tcp.connections == connection, "a connection")
        tcp.data = b""
        agent.put("/v1/kv/some/key", b"x")
        wait_for(lambda: any(line.startswith("consul.kvs.apply:") for line in tcp.lines()), "a line")
        wait_for(lambda: any(line.startswith("consul.raft.applied_index:") for line in tcp.lines()), "a gauge")
        for line in tcp.lines():
            assert LINE.fullmatch(line), line
        tcp.peer.shutdown(socket.SHUT_RDWR)
    assert "Sending metrics again: sink=statsite" in agent.log()


def test_receivers_that_are_not_there(start_agent, ip):
    """Nothing waits for them, and each is named once."""
    agent = start_agent(config={"telemetry": {"statsd_address": "no-such-host.invalid:8125", "statsite_address": "1",
                                              "dogstatsd_addr": ip + ":8125"}})
    for sink in ("statsd", "statsite", "dogstatsd"):
        wait_for(lambda: "Cannot send metrics, will keep trying: sink=%s " % sink in agent.log(), sink)
    assert agent.put("/v1/kv/some/key", b"x").body.strip() == b"true"
    assert agent.log().count("sink=statsd ") == 1


def test_prefixes(start_agent, ip):
    udp = Udp(ip, 8125)
    agent = start_agent(config={"telemetry": {
        "statsd_address": udp.address, "metrics_prefix": "acme", "filter_default": False, "disable_hostname": True,
        "prefix_filter": ["+acme.raft", "-acme.raft.apply", "+acme.raft.applied"]}})
    agent.put("/v1/kv/some/key", b"x")
    wait_for(lambda: any(line.startswith("acme.raft.applied_index:") for line in udp.lines()), "what is let through")
    wait_for(lambda: any(line.startswith("acme.raft.commitTime:") for line in udp.lines()), "what is let through")
    names = {line.split(":")[0] for line in udp.lines()}
    assert all(name.startswith("acme.raft.") for name in names) and "acme.raft.apply" not in names


def test_no_sink_no_hostname(agent):
    wait_for(lambda: "consul.raft.applied_index" in gauges(agent), "a gauge without the host's name")
    assert not any(HOST in name for name in gauges(agent))


def test_circonus_is_refused_in_words(start_agent):
    agent = start_agent(config={"telemetry": {"circonus_submission_url": "https://127.0.0.1:1/"}})
    assert "[WARN]  agent: telemetry.circonus_*: " in agent.log()


def test_prometheus(start_agent):
    agent = start_agent(config={"telemetry": {"prometheus_retention_time": "1h", "disable_hostname": True}})
    agent.get("/v1/kv/some/key")
    text = agent.get("/v1/agent/metrics?format=prometheus").body.decode()
    with open(os.path.join(HERE, "metrics.tsv")) as f:
        types = {row["name"].replace(".", "_").replace("-", "_"): row["kind"] for row in csv.DictReader(f, delimiter="\t")}
    declared = re.findall(r"^# TYPE consul_(\S+) (\S+)$", text, re.M)
    assert len(declared) > 150
    for name, kind in declared:
        if not name.startswith(("http_", "serf_events_", "serf_queries_")):  # behind these come names
            assert types[name] == ("sample" if kind == "summary" else kind) or name.startswith("raft_"), name
    assert re.search(r'^consul_api_http_count\{method="GET",path="v1_kv_"\} 1$', text, re.M)
    assert "\nconsul_acl_ResolveToken_count 0\n" in text, "declared, and not seen yet"
    for name in ("process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes",
                 "process_start_time_seconds"):
        assert re.search(r"^%s [0-9.e+]+$" % name, text, re.M), name


def test_sigusr1(agent):
    agent.put("/v1/kv/some/key", b"x")
    start = r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \S+\]"

    def printed():
        """Only intervals of ten seconds that are over are printed."""
        agent.process.send_signal(signal.SIGUSR1)
        return all(re.search(start + line, agent.log(), re.M) for line in (
            r"\[S\] 'consul\.kvs\.apply': Count: 1 Sum: [\d.]+$", r"\[G\] 'consul\.raft\.applied_index': \d+\.000$",
            r"\[C\] 'consul\.raft\.apply': Count: "))
    wait_for(printed, "a sample, a gauge and a counter")
    assert agent.process.poll() is None


# --- the names ---------------------------------------------------------------------------------


def dns_ask(ip, name, kind):
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + question + struct.pack(">2H", kind, 1), (ip, 8600))
        s.recv(4096)


def load(agent):
    """A little of everything that a server does."""
    def call(method, path, body=None, status=200):
        answer = agent.request(method, path, body)
        assert answer.status == status, (method, path, answer.body)
        return json.loads(answer.body) if answer.headers["Content-Type"] == "application/json" else None

    call("PUT", "/v1/kv/a", b"1")
    for options in ("", "?consistent", "?stale", "?index=1", "?index=1000000&wait=100ms"):
        call("GET", "/v1/kv/a" + options)
    call("DELETE", "/v1/kv/a")
    call("PUT", "/v1/agent/service/register", {"Name": "web", "Tags": ["a", "b"], "Check": {"TTL": "10s"}})
    call("PUT", "/v1/catalog/register", {"Node": "n2", "Address": "192.0.2.1", "Service": {"Service": "db"}})
    for path in ("service/web?tag=a", "service/none", "connect/web?tag=a&tag=b", "nodes", "datacenters", "services",
                 "node/n2", "node-services/n2"):
        call("GET", "/v1/catalog/" + path)
    for kind in ("service", "connect", "ingress"):
        call("GET", "/v1/health/%s/web?tag=a" % kind)
        call("GET", "/v1/health/%s/none" % kind)
    for path in ("service/web", "nodes", "services", "node/n2", "node-services/n2"):
        call("GET", "/v1/catalog/%s?dc=nowhere" % path, status=500)
    call("PUT", "/v1/catalog/register", {}, status=500)
    call("PUT", "/v1/catalog/deregister", {"Node": "n2", "Datacenter": "nowhere"}, status=500)
    call("PUT", "/v1/catalog/deregister", {"Node": "n2"})
    session = call("PUT", "/v1/session/create", {"TTL": "10s"})["ID"]
    call("PUT", "/v1/session/renew/" + session)
    call("PUT", "/v1/kv/lock?acquire=" + session, b"1")
    call("PUT", "/v1/session/destroy/" + session)
    call("PUT", "/v1/txn", [{"KV": {"Verb": "set", "Key": "t", "Value": "eA=="}}])
    call("PUT", "/v1/txn", [{"KV": {"Verb": "get", "Key": "t"}}])
    query = call("POST", "/v1/query", {"Name": "q", "Service": {"Service": "web"}})["ID"]
    call("GET", "/v1/query/q/execute")
    call("GET", "/v1/query/q/explain")
    call("DELETE", "/v1/query/" + query)
    call("PUT", "/v1/connect/intentions/exact?source=web&destination=db", {"Action": "allow"})
    call("PUT", "/v1/config", {"Kind": "service-defaults", "Name": "web"})
    call("GET", "/v1/config/service-defaults/web")
    call("GET", "/v1/config/service-defaults")
    call("DELETE", "/v1/config/service-defaults/web")
    call("GET", "/v1/discovery-chain/web")
    call("PUT", "/v1/coordinate/update", {"Node": agent.node, "Coord": {"Error": 1.5, "Vec": [0] * 8}})
    call("GET", "/v1/snapshot")
    dns_ask(agent.ip, "web.service.consul", 1)
    dns_ask(agent.ip, "1.0.0.127.in-addr.arpa", 12)


def test_names(start_agent, ip):
    """What a server tells of itself, against metrics.tsv: every name of 1.10.3 with its kind and its
    labels, and whether a server under load() has it (`yes`, `sometimes`), 1.10.3 itself never has
    (`never`), or what it belongs to is missing here (`no`). What gets a source is marked there."""
    kinds = {"c": "counter", "g": "gauge", "ms": "sample"}
    udp = Udp(ip, 8125)
    agent = start_agent(config={"telemetry": {"dogstatsd_addr": udp.address}})
    load(agent)

    def observed():
        names = set()
        for m in map(LINE.fullmatch, udp.lines()):
            labels = dict.fromkeys(tag.split(":")[0] for tag in (m["tags"] or "").split(",") if tag)
            names.add((m["name"].removeprefix("consul."), kinds[m["kind"]], ",".join(labels)))
        return names

    with open(os.path.join(HERE, "metrics.tsv")) as f:
        table = list(csv.DictReader(f, delimiter="\t"))

    def matches(row, seen):
        return fnmatch.fnmatchcase(seen[0], row["name"]) and seen[1:] == (row["kind"], row["labels"])

    def missing():
        seen = observed()
        return [r["name"] for r in table if r["source"] == "yes" and not any(matches(r, s) for s in seen)]
    try:
        wait_for(lambda: not missing(), "all names")
    except BaseException:
        print("missing:", missing())
        raise
    for seen in observed():
        rows = [r for r in table if matches(r, seen)]
        assert rows, "1.10.3 has no metric like %s" % (seen,)
        assert not all(re.match("no:|never:", r["source"]) for r in rows), "metrics.tsv says %s: %s" % (rows, seen)
