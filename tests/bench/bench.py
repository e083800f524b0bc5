#!/usr/bin/env python3
"""Measure one server, alone or beside another binary in the same run.

    bench.py --binary build/consul [--reference PATH] [--seconds 3] [--floor] [--growth] [NAME...]

Each program under test is started with the same configuration file on a loopback address of its own. Load comes from wrk
(64 connections) and dnsperf (8 clients). CPU per request is the server process's user + system time divided by
the requests of the run: it is steadier than the rate, which shares the machine with the load generator. Rows alternate between
the programs, so that a drift of the machine hits both. With --floor another column shows what the kernel alone takes (floor.c).
Results go to standard output as a Markdown table.
"""

import argparse
import base64
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

CLOCK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_of(process):
    """Seconds of user and system time so far."""
    with open("/proc/%d/stat" % process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK


def cpu_ns_of(process):
    """The same in nanoseconds, from the scheduler: for what takes less than a tick."""
    threads = "/proc/%d/task" % process.pid
    total = 0
    for thread in os.listdir(threads):
        with open("%s/%s/schedstat" % (threads, thread)) as f:
            total += int(f.read().split()[0])
    return total


def rss_mb_of(process):
    with open("/proc/%d/statm" % process.pid) as f:
        return int(f.read().split()[1]) * PAGE / 1e6


def wait_idle(processes, limit=20):
    """Until none of them works off what an earlier row has left: less than a fiftieth of a processor each for half a second."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        before = sum(cpu_ns_of(p) for p in processes)
        time.sleep(0.5)
        if sum(cpu_ns_of(p) for p in processes) - before < 10e6 * len(processes):
            return


def allow_files(count=25000):
    """Sockets for all readers, here and in the programs; who may goes past the hard limit. How many files there may be."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, count), max(hard, count)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


FILES = allow_files()


class Program:
    """What answers, with a directory and an address of its own."""

    count = 0

    def __init__(self, name):
        Program.count += 1
        self.name = name
        self.ip = "127.77.%d.%d" % (os.getpid() % 250, Program.count)
        self.dir = tempfile.mkdtemp(prefix="bench-")

    def url(self, path):
        return "http://%s:8500%s" % (self.ip, path)

    def get(self, path):
        with urllib.request.urlopen(self.url(path), timeout=60) as r:
            return r.read()

    def put(self, path, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        r = urllib.request.Request(self.url(path), data=data, method="PUT")
        with urllib.request.urlopen(r, timeout=60) as answer:
            return answer.read()

    def cpu(self):
        return cpu_of(self.process)

    def rss_mb(self):
        return rss_mb_of(self.process)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Floor(Program):
    """The least there can be."""

    def __init__(self):
        super().__init__("floor")
        binary = os.path.join(self.dir, "floor")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "floor.c")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", binary, source], check=True)
        self.process = subprocess.Popen([binary, self.ip, str(os.cpu_count())])
        while True:
            try:
                self.get("/")
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("floor ended")
                time.sleep(0.01)


class Server(Program):
    """One program under test, in a data directory of its own."""

    def __init__(self, name, binary, dev=False):
        super().__init__(name)
        self.binary = os.path.abspath(binary)
        config = {
            "server": True, "bootstrap": True, "node_name": "bench", "bind_addr": self.ip,
            "client_addr": self.ip, "data_dir": os.path.join(self.dir, "data"), "log_level": "err",
            "limits": {"http_max_conns_per_client": FILES - 1000}, "disable_update_check": True,
            "performance": {"raft_multiplier": 1},
            "dns_config": {"udp_answer_limit": 3},
        }
        path = os.path.join(self.dir, "config.json")
        with open(path, "w") as f:
            json.dump(config, f)
        command = [self.binary, "agent", "-config-file", path]
        if dev:
            command = [self.binary, "agent", "-dev", "-bind", self.ip, "-client", self.ip, "-log-level", "err"]
        started = time.monotonic()
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.wait_leader()
        self.start_ms = (time.monotonic() - started) * 1000

    def wait_leader(self, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("%s ended: %s" % (self.name, open(self.log.name).read()[-500:]))
            try:
                if len(self.get("/v1/status/leader")) > 4:
                    return
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError("%s has no leader" % self.name)

    def stop(self):
        super().stop()
        self.log.close()


# --- load ------------------------------------------------------------------------------------------

WRK_PUT = """
local n = 0
local id = 0
function setup(thread) thread:set("id", id); id = id + 1 end
function init(args) n = 0 end
function request()
  n = n + 1
  return wrk.format("PUT", "/v1/kv/bench/" .. id .. "-" .. (n %% 1000), nil, "%s")
end
"""

WRK_REGISTER = """
local n = 0
local id = 0
function setup(thread) thread:set("id", id); id = id + 1 end
function init(args) n = 0 end
function request()
  n = n + 1
  local name = "r" .. id .. "-" .. (n %% 500)
  local body = string.format('{"Node":"%%s","Address":"10.0.0.1","Service":{"Service":"reg","ID":"reg","Port":%%d}}', name, 1000 + n %% 60000)
  return wrk.format("PUT", "/v1/catalog/register", nil, body)
end
"""


def wrk(server, path, connections=64, seconds=3, script=None):
    """(requests per second, p50 ms, p99 ms, CPU µs per request)"""
    command = ["wrk", "-t2" if connections > 1 else "-t1", "-c%d" % connections, "-d%ds" % seconds,
               "--latency", server.url(path)]
    if script:
        name = os.path.join(server.dir, "script.lua")
        with open(name, "w") as f:
            f.write(script)
        command += ["-s", name]
    before = server.cpu()
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    used = server.cpu() - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        raise RuntimeError("%s %s: %s answers were errors" % (server.name, path, bad.group(1)))

    def ms(what):
        m = re.search(what + r"\s+([\d.]+)(us|ms|s)", out)
        return float(m.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[m.group(2)]

    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return rate, ms("50%"), ms("99%"), used / max(requests, 1) * 1e6


def dnsperf(server, question, seconds=3):
    """(answers per second, CPU µs per answer)"""
    name = os.path.join(server.dir, "questions")
    with open(name, "w") as f:
        f.write(question + "\n")
    before = server.cpu()
    out = subprocess.run(["dnsperf", "-s", server.ip, "-p", "8600", "-d", name, "-l", str(seconds),
                          "-c", "8", "-q", "200"], capture_output=True, text=True, timeout=seconds + 60).stdout
    used = server.cpu() - before
    completed = int(re.search(r"Queries completed:\s+(\d+)", out).group(1))
    rate = float(re.search(r"Queries per second:\s+([\d.]+)", out).group(1))
    return rate, used / max(completed, 1) * 1e6


def register_instances(server, service, count, nodes=None):
    for i in range(count):
        server.put("/v1/catalog/register", {
            "Node": "%s-node-%d" % (service, i % (nodes or count)), "Address": "10.%d.%d.%d" % (i >> 16 & 255, i >> 8 & 255, i & 255),
            "Service": {"Service": service, "ID": "%s-%d" % (service, i), "Tags": ["v1", "primary"], "Port": 8000 + i % 1000,
                        "Meta": {"version": "1.2.3", "zone": "a"}},
            "Check": {"Name": "alive", "CheckID": "alive-%d" % i, "ServiceID": "%s-%d" % (service, i), "Status": "passing",
                      "Output": "HTTP GET http://10.0.0.1:8000/health: 200 OK"},
        })


class Waiters:
    """Many blocked readers of one path, on raw sockets in one thread. It shares the cores with the server, so while the
    clock runs it only asks which sockets have something to read, once a millisecond; answers are read afterwards."""

    def __init__(self, server, path, count):
        self.server, self.sockets, self.poll = server, [], select.epoll()
        request = ("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path).encode()
        for _ in range(count):
            s = socket.create_connection((server.ip, 8500))
            s.sendall(request)
            self.poll.register(s.fileno(), select.EPOLLIN | select.EPOLLET | select.EPOLLONESHOT)
            self.sockets.append(s)

    def wake_all(self, path, value):
        """Write; milliseconds until the median and the last answer came, and the server's CPU for each in microseconds."""
        request = "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(value))
        times, before = [], cpu_ns_of(self.server.process)
        with socket.create_connection((self.server.ip, 8500)) as writer:
            since = time.monotonic()
            writer.sendall(request.encode() + value)
            while len(times) < len(self.sockets):
                events = self.poll.poll(30, len(self.sockets))
                if not events:
                    raise RuntimeError("%d readers were never answered" % (len(self.sockets) - len(times)))
                times += [(time.monotonic() - since) * 1000] * len(events)
                time.sleep(0.001)
        used = cpu_ns_of(self.server.process) - before
        for s in self.sockets:
            if not s.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n"):
                raise RuntimeError("a reader had another answer")
        return statistics.median(times), times[-1], used / len(times) / 1000

    def close(self):
        self.poll.close()
        for s in self.sockets:
            s.close()


# --- rows ------------------------------------------------------------------------------------------


class Table:
    """Rows to measure; a column for each program."""

    def __init__(self, what):
        self.what, self.rows = what, []

    def row(self, name, has_floor=False):
        """has_floor: floor.c does what this measures."""
        def add(function):
            self.rows.append((name, function, has_floor))
            return function
        return add

    def print(self, names, contexts, words):
        """Only rows with one of the words, when there are any; how many cells failed."""
        failed = 0
        print("| %s | " % self.what + " | ".join(names) + " |")
        print("|---|" + "---|" * len(names))
        for name, function, has_floor in self.rows:
            if words and not any(word in name for word in words):
                continue
            cells = []
            for column, c in zip(names, contexts):
                wait_idle([p for c in contexts for p in c.processes()])
                try:
                    cells.append(function(c) if column != "floor" or has_floor else "")
                except Exception as e:  # one row that fails leaves the others
                    failed += 1
                    cells.append("failed: %s" % e)
            print("| %s | %s |" % (name, " | ".join(cells)), flush=True)
        return failed


def arguments():
    """What every benchmark is told: --binary, --reference, --seconds and names."""
    p = argparse.ArgumentParser()
    p.add_argument("--binary", default="build/consul")
    p.add_argument("--reference")
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("names", nargs="*", help="only rows that contain one of these words")
    return p


def programs_of(args):
    return [("ours", args.binary)] + ([("reference", args.reference)] if args.reference else [])


TABLE = Table("what")
row = TABLE.row


class Context:
    def __init__(self, server, seconds):
        self.server, self.seconds, self.done = server, seconds, set()

    def processes(self):
        return [self.server.process]

    def once(self, what, function):
        if what not in self.done:
            self.done.add(what)
            function()

    def hundred(self):
        self.once("hundred", lambda: register_instances(self.server, "web", 100))

    def three(self):
        self.once("three", lambda: register_instances(self.server, "three", 3))

    def value(self):
        self.once("value", lambda: self.server.put("/v1/kv/bench/value", b"x" * 256))


@row("start until a leader answers (-dev)")
def start(c):
    times = []
    for _ in range(3):
        s = Server(c.server.name, c.server.binary, dev=True)
        times.append(s.start_ms)
        s.stop()
    return "%.0f ms" % statistics.median(times)


@row("idle resident memory")
def idle(c):
    time.sleep(2)  # nothing to wait for: idle is the absence of events
    return "%.1f MB" % c.server.rss_mb()


@row("binary")
def binary(c):
    return "%.1f MB" % (os.path.getsize(c.server.binary) / 1e6)


def kv_read(c, suffix):
    c.value()
    rate, p50, p99, cpu = wrk(c.server, "/v1/kv/bench/value" + suffix, seconds=c.seconds)
    return "%.1f µs; %s/s" % (cpu, format(round(rate), ","))


@row("KV read, 256 B: CPU each; rate", has_floor=True)
def kv_default(c):
    return kv_read(c, "")


@row("KV read, stale")
def kv_stale(c):
    return kv_read(c, "?stale")


@row("KV read, consistent")
def kv_consistent(c):
    return kv_read(c, "?consistent")


@row("durable KV write, 1 connection")
def kv_write_one(c):
    rate, p50, p99, cpu = wrk(c.server, "/", connections=1, seconds=c.seconds, script=WRK_PUT % ("x" * 256))
    return "%s/s; p50 %.2f ms" % (format(round(rate), ","), p50)


@row("durable KV write, 64 connections: rate; p99; CPU each")
def kv_write_many(c):
    rate, p50, p99, cpu = wrk(c.server, "/", seconds=c.seconds, script=WRK_PUT % ("x" * 256))
    return "%s/s; %.1f ms; %.0f µs" % (format(round(rate), ","), p99, cpu)


def read_of_hundred(c, path):
    c.hundred()
    rate, _, _, cpu = wrk(c.server, path, seconds=c.seconds)
    return "%.0f µs; %s/s" % (cpu, format(round(rate), ","))


@row("health of a service with 100 instances: CPU; rate")
def health(c):
    return read_of_hundred(c, "/v1/health/service/web")


@row("catalog service, 100 instances")
def catalog_service(c):
    return read_of_hundred(c, "/v1/catalog/service/web")


@row("catalog nodes, 100 nodes")
def catalog_nodes(c):
    return read_of_hundred(c, "/v1/catalog/nodes")


@row("catalog register, durable, 64 connections")
def catalog_register(c):
    rate, p50, p99, cpu = wrk(c.server, "/", seconds=c.seconds, script=WRK_REGISTER % ())
    return "%s/s; %.0f µs" % (format(round(rate), ","), cpu)


def dns_of_three(c, question):
    c.three()
    rate, cpu = dnsperf(c.server, question, c.seconds)
    return "%.1f µs; %s/s" % (cpu, format(round(rate), ","))


@row("DNS A, 3 instances: CPU; rate", has_floor=True)
def dns_a(c):
    return dns_of_three(c, "three.service.consul A")


@row("DNS SRV, 3 instances")
def dns_srv(c):
    return dns_of_three(c, "three.service.consul SRV")


@row("DNS node A", has_floor=True)
def dns_node(c):
    return dns_of_three(c, "three-node-0.node.consul A")


@row("DNS SRV, 5,000 instances")
def dns_big(c):
    c.once("big", lambda: register_instances(c.server, "big", 5000))
    rate, cpu = dnsperf(c.server, "big.service.consul SRV", c.seconds)
    return "%.1f µs; %s/s" % (cpu, format(round(rate), ","))


def blocked(c, count):
    s = c.server
    s.put("/v1/kv/watched", b"0")
    index = json.loads(s.get("/v1/kv/watched"))[0]["ModifyIndex"]
    before = s.rss_mb()
    waiters = Waiters(s, "/v1/kv/watched?index=%d&wait=5m" % index, count)
    time.sleep(1)  # let the last ones be parked; an early write would only flatter
    memory = s.rss_mb()
    median, last, cpu = waiters.wake_all("/v1/kv/watched", b"1")
    waiters.close()
    return median, last, cpu, memory, before


@row("5,000 blocked readers, one write: median / last; CPU each; memory", has_floor=True)
def blocked_readers(c):
    median, last, cpu, memory, before = blocked(c, 5000)
    return "%.0f / %.0f ms; %.1f µs; %.0f MB (%.0f MB before)" % (median, last, cpu, memory, before)


@row("100,000 keys of 256 B: memory above before; recurse")
def many_keys(c):
    s = c.server
    before = s.rss_mb()
    value = base64.b64encode(b"y" * 256).decode()
    for i in range(0, 100000, 64):
        ops = [{"KV": {"Verb": "set", "Key": "many/%06d" % k, "Value": value}} for k in range(i, min(i + 64, 100000))]
        s.put("/v1/txn", ops)
    memory = s.rss_mb() - before
    times = []
    for _ in range(3):
        begin = time.monotonic()
        s.get("/v1/kv/many?recurse")
        times.append((time.monotonic() - begin) * 1000)
    return "%.0f MB; %.0f ms" % (memory, statistics.median(times))


# --- how cost grows ----------------------------------------------------------------------------------

def growth(server, seconds):
    print("\n| growth | size | CPU each | rate |\n|---|---|---|---|")
    total = 0
    for size in (1000, 10000, 100000, 1000000):
        value = base64.b64encode(b"z" * 64).decode()
        for i in range(total, size, 64):
            server.put("/v1/txn", [{"KV": {"Verb": "set", "Key": "grow/%07d" % k, "Value": value}}
                                   for k in range(i, min(i + 64, size))])
        total = size
        rate, _, _, cpu = wrk(server, "/v1/kv/grow/%07d" % (size // 2), seconds=seconds)
        print("| KV read among keys | %s | %.1f µs | %s/s |" % (format(size, ","), cpu, format(round(rate), ",")), flush=True)
    total = 0
    for size in (10, 100, 1000, 10000):
        register_instances(server, "svc%d" % size, size)
        rate, _, _, cpu = wrk(server, "/v1/health/service/svc%d" % size, connections=8, seconds=seconds)
        print("| health of a service, instances | %s | %.0f µs | %s/s |" % (format(size, ","), cpu, format(round(rate), ",")))
        rate, cpu = dnsperf(server, "svc%d.service.consul SRV" % size, seconds)
        print("| DNS SRV, instances | %s | %.1f µs | %s/s |" % (format(size, ","), cpu, format(round(rate), ",")), flush=True)
    c = Context(server, seconds)
    for size in (100, 1000, 5000, min(20000, FILES - 1500)):
        median, last, cpu, memory, before = blocked(c, size)
        print("| blocked readers, one write | %s | %.1f µs | median %.0f ms, last %.0f ms; %.0f MB (%.0f before) |" %
              (format(size, ","), cpu, median, last, memory, before), flush=True)


def main():
    p = arguments()
    p.add_argument("--floor", action="store_true", help="measure floor.c beside them")
    p.add_argument("--growth", action="store_true", help="measure how cost grows, too (minutes)")
    args = p.parse_args()

    servers = [Server(n, b) for n, b in programs_of(args)] + ([Floor()] if args.floor else [])
    try:
        failed = TABLE.print([s.name for s in servers], [Context(s, args.seconds) for s in servers], args.names)
        if args.growth:
            growth(servers[0], args.seconds)
    finally:
        for s in servers:
            s.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
