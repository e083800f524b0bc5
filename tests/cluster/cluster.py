"""Clusters of real server processes: start them, hurt them, ask them.

    with Cluster(binary, 3) as c:            # loopback addresses of their own, default ports
        leader = c.wait_leader()
        leader.put("/v1/kv/a", b"1")
        leader.kill()                        # SIGKILL; also stop() pause() resume() start() wipe()
        c.wait_leader(c.running())

With a `Network` (netns.py) each server has a network namespace, and links can be cut.
"""

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

RAFT_PORT = 8300
PATIENCE = 90  # seconds; what works needs a small part of it

# The log is compacted every few seconds.
COMPACTING = {"raft_snapshot_threshold": 100, "raft_snapshot_interval": "500ms", "raft_trailing_logs": 10}


class Failure(AssertionError):
    """A condition did not come true in time, or a server ended by itself."""


class NotSent(OSError):
    """The server was not there: the request was not made."""


class NoAnswer(OSError):
    """The request may have been carried out, or not."""


def wait_for(condition, what, timeout=PATIENCE):
    """The first true value of condition()."""
    end = time.monotonic() + timeout
    while True:
        try:
            value = condition()
        except OSError as e:
            value, why = None, " (%s)" % e
        else:
            why = ""
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %d s for %s%s" % (timeout, what, why))
        time.sleep(0.02)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode(errors="replace").strip()


class Client:
    """HTTP with one kept connection to each server; for one thread. Nothing is sent twice."""

    def __init__(self, network=None, timeout=30):
        self.network, self.timeout, self.connections = network, timeout, {}

    def _connect(self, ip, timeout):
        connection = http.client.HTTPConnection(ip, 8500, timeout=timeout)
        try:
            with self.network.client() if self.network else contextlib.nullcontext():
                connection.sock = socket.create_connection((ip, 8500), timeout)
        except OSError as e:
            raise NotSent("%s: %s" % (ip, e)) from None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(self, ip, method, path, body=None, headers=None, timeout=None):
        timeout = timeout or self.timeout
        connection = self.connections.pop(ip, None) or self._connect(ip, timeout)
        connection.sock.settimeout(timeout)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, headers or {})
            r = connection.getresponse()
            answer = Answer(r.status, r.headers, r.read())
        except (OSError, http.client.HTTPException) as e:
            connection.close()
            raise NoAnswer("%s %s %s: %s %s" % (ip, method, path, type(e).__name__, e)) from None
        if not r.will_close:
            self.connections[ip] = connection
        return answer

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()


class Server:
    def __init__(self, cluster, name, binary, ip, config, enter=(), data_space=None):
        self.cluster, self.name, self.binary, self.ip = cluster, name, binary, ip
        self.enter, self.data_space = list(enter), data_space
        self.id = str(uuid.uuid4())
        self.dir = os.path.join(cluster.dir, name)
        self.data_dir = os.path.join(self.dir, "data")
        self.log_path = os.path.join(self.dir, "log")
        os.makedirs(self.data_dir)
        self.config = dict(config, node_name=name, node_id=self.id, bind_addr=ip, client_addr=ip, data_dir=self.data_dir)
        self.process, self.ended_by_us, self.is_away = None, True, False

    def __repr__(self):
        return "%s (%s)" % (self.name, self.ip)

    @property
    def address(self):
        return "%s:%d" % (self.ip, RAFT_PORT)

    # -- the process --

    def write_config(self):
        path = os.path.join(self.dir, "config.json")
        with open(path, "w") as f:
            json.dump(self.config, f, indent=1)
        return path

    def start(self):
        path = self.write_config()
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        enter = self.enter + (self.data_space.enter() if self.data_space else [])
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(enter + [self.binary, "agent", "-config-file", path], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.dir, env=dict(env, **self.cluster.env))
        self.ended_by_us = self.is_away = False
        return self

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def check(self):
        if self.process is not None and self.process.poll() is not None and not self.ended_by_us:
            raise Failure("%s ended by itself with %d" % (self, self.process.returncode))

    def signal(self, sig):
        self.process.send_signal(sig)

    def kill(self):
        self.ended_by_us = True
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=60):
        """SIGTERM; the exit code."""
        self.ended_by_us = True
        if self.is_running:
            self.signal(signal.SIGTERM)
        return self.wait_end(timeout)

    def wait_end(self, timeout=60):
        self.ended_by_us = True
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure("%s did not end in %d s" % (self, timeout)) from None

    def pause(self):
        self.signal(signal.SIGSTOP)
        self.is_away = True

    def resume(self):
        self.signal(signal.SIGCONT)
        self.is_away = False

    def wipe(self):
        shutil.rmtree(self.data_dir)
        os.makedirs(self.data_dir)

    def log(self):
        if self.process is None:
            return ""
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def path_of(self, *names):
        """A file of the data directory as this process sees it."""
        root = "/proc/%d/root" % self.data_space.holder.pid if self.data_space else ""
        return root + os.path.join(self.data_dir, *names)

    def write_peers(self, servers):
        """raft/peers.json: the configuration to start with, whatever the log says."""
        os.makedirs(self.path_of("raft"), exist_ok=True)
        with open(self.path_of("raft", "peers.json"), "w") as f:
            json.dump([{"id": s.id, "address": s.address, "non_voter": False} for s in servers], f)

    # -- questions; each thread has its own connections --

    def request(self, method, path, body=None, **kw):
        return self.cluster.client().request(self.ip, method, path, body, **kw)

    def get(self, path, **kw):
        """A read is made again when a kept connection turns out to be closed."""
        client = self.cluster.client()
        kept = self.ip in client.connections
        try:
            return client.request(self.ip, "GET", path, **kw)
        except NoAnswer:
            if not kept:
                raise
            return client.request(self.ip, "GET", path, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def set(self, key, value):
        """A write that waits for a leader; True when it was acknowledged."""
        answer = self.put("/v1/kv/" + key, value if isinstance(value, bytes) else str(value).encode())
        return answer.status == 200 and answer.text == "true"

    def value(self, key, mode="?stale"):
        answer = self.get("/v1/kv/%s%s&raw" % (key, mode or "?"))
        return answer.body.decode() if answer.status == 200 else None

    def leader_address(self):
        try:
            answer = self.get("/v1/status/leader", timeout=5)
        except OSError:
            return ""
        return answer.json if answer.status == 200 else ""

    def raft(self):
        """The `raft` section of the agent's own figures."""
        return self.get("/v1/agent/self").json["Stats"]["raft"]

    def term(self):
        return int(self.raft()["term"])

    def peers(self):
        answer = self.get("/v1/status/peers?stale")
        return sorted(answer.json or []) if answer.status == 200 else []

    def cli(self, *args, timeout=60):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        env["CONSUL_HTTP_ADDR"] = self.ip + ":8500"
        return subprocess.run(self.enter + [self.binary, *args], capture_output=True, text=True, env=dict(env, **self.cluster.env),
                              timeout=timeout, cwd=self.dir)

    def dump(self):
        """All keys as this server has them."""
        answer = self.get("/v1/kv/?recurse&stale")
        return {row["Key"]: (row["Value"], row["Flags"], row.get("Session"), row["LockIndex"], row["CreateIndex"], row["ModifyIndex"])
                for row in answer.json} if answer.status == 200 else {}


class Cluster:
    """binaries: one path, or one per server (the last one serves the rest)."""

    def __init__(self, binaries, count=3, config=None, network=None, start=True, data_space=None, env=None):
        self.binaries = [os.path.abspath(b) for b in ([binaries] if isinstance(binaries, str) else binaries)]
        self.network, self.data_space, self.env = network, data_space, env or {}
        self.dir = tempfile.mkdtemp(prefix="consul-cluster-")
        self.local = threading.local()
        self.expect = count
        self.settings = {
            "server": True, "retry_interval": "500ms", "log_level": "debug", "disable_update_check": True,
            "performance": {"raft_multiplier": 1, "leave_drain_time": "200ms"}, "ports": {"serf_wan": -1},
            # Who is a voter is changed by tests only.
            "autopilot": {"cleanup_dead_servers": False, "server_stabilization_time": "1s"},
        }
        self.settings.update(config or {})
        self.servers, self.all = [], []
        for _ in range(count):
            self.add()
        if start:
            self.start()

    def client(self):
        if not hasattr(self.local, "client"):
            self.local.client = Client(self.network)
        return self.local.client

    def _free_ip(self):
        for _ in range(1000):
            ip = "127.%d.%d.%d" % (random.randint(64, 191), random.randint(0, 255), random.randint(1, 254))
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind((ip, RAFT_PORT))
                    return ip
                except OSError:
                    continue
        raise Failure("no free address")

    def add(self, binary=None, config=None, expect=True):
        """One more server, not started. With expect=False it joins what is there and bootstraps nothing."""
        number = len(self.all)
        enter, ip = (), None
        if self.network:
            while len(self.network.nodes) <= number:
                self.network.add()
            enter, ip = self.network.enter(number), self.network.address(number)
        settings = dict(self.settings, **(config or {}))
        if expect:
            settings["bootstrap_expect"] = self.expect
        s = Server(self, "server%d" % (number + 1), os.path.abspath(binary) if binary else
                   self.binaries[min(number, len(self.binaries) - 1)], ip or self._free_ip(), settings, enter, self.data_space)
        self.servers.append(s)
        self.all.append(s)
        for one in self.servers:
            one.config["retry_join"] = [o.ip for o in self.servers if o is not one]
        return s

    def add_client(self, binary=None, config=None):
        """A client agent, not started. It is asked like a server, but is none of `servers`."""
        number = 1 + sum(not s.config["server"] for s in self.all)
        settings = dict(self.settings, server=False, retry_join=[s.ip for s in self.servers])
        settings.update(config or {})
        s = Server(self, "client%d" % number, os.path.abspath(binary) if binary else self.binaries[0], self._free_ip(), settings)
        self.all.append(s)
        return s

    def forget(self, server):
        """It is gone for good: others are not told of it any more."""
        self.servers.remove(server)
        for one in self.servers:
            one.config["retry_join"] = [o.ip for o in self.servers if o is not one]

    def start(self):
        for s in self.servers:
            s.start()

    def running(self, *without):
        return [s for s in self.servers if s.is_running and s not in without]

    # -- links, in a cluster with a network; clients ask servers that are away but seldom --

    def isolate(self, server, sends=True, receives=True):
        self.network.isolate(self.all.index(server), sends, receives)
        server.is_away = True

    def split(self, group):
        self.network.split([self.all.index(s) for s in group])
        for s in group:
            s.is_away = True

    def cut(self, a, b):
        self.network.cut_both(self.all.index(a), self.all.index(b))
        b.is_away = True

    def heal(self):
        self.network.heal()
        for s in self.all:
            s.is_away = False

    def agreed_leader(self, among=None):
        """The one of `among` that all of them, itself included, take for the leader; None."""
        among = self.running() if among is None else among
        for s in among:
            s.check()
        named = {s.leader_address() for s in among}
        if len(named) != 1:
            return None
        address = named.pop()
        return next((s for s in among if s.address == address), None)

    def wait_leader(self, among=None, timeout=PATIENCE):
        return wait_for(lambda: self.agreed_leader(among), "a leader among %s" % (among or self.servers), timeout)

    def wait_voters(self, servers=None, timeout=PATIENCE):
        """Until each of them says that just these are the peers."""
        servers = self.servers if servers is None else servers
        want = sorted(s.address for s in servers)
        wait_for(lambda: all(s.peers() == want for s in servers), "the peers to be %s" % servers, timeout)

    def wait_same(self, servers=None, timeout=PATIENCE):
        """Until all have the same keys; them."""
        servers = self.running() if servers is None else servers
        last = []

        def same():
            last[:] = [s.dump() for s in servers]
            return all(d == last[0] for d in last)
        try:
            wait_for(same, "the same keys on %s" % servers, timeout)
        except Failure as e:
            differing = [k for k in set().union(*last) if len({d.get(k) for d in last}) > 1]
            raise Failure("%s; %d differ, such as %s" % (e, len(differing), [(k, [d.get(k) for d in last]) for k in sorted(differing)[:3]]))
        return last[0]

    def check_logs(self):
        for s in self.all:
            log = s.log()
            for bad in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "panic:", "assertion"):
                if bad in log:
                    raise Failure("%s in the log of %s" % (bad, s))

    def close(self, keep=False, check=True):
        problem = None
        try:
            if check:
                for s in self.all:
                    s.check()
                self.check_logs()
        except Failure as e:
            problem = e
        for s in self.all:
            if s.is_running:
                s.ended_by_us = True
                s.process.kill()
                s.process.send_signal(signal.SIGCONT)
            if s.process:
                s.process.wait()
        if hasattr(self.local, "client"):
            self.local.client.close()
        if not keep and not problem:
            shutil.rmtree(self.dir, ignore_errors=True)
        if problem:
            raise problem

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        self.close(keep=kind is not None and kind is not KeyboardInterrupt, check=kind is None)
