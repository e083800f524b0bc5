"""Real agents for the tests: each on a loopback address of its own, with the default ports."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_addoption(parser):
    parser.addoption("--binary", default=os.path.join(TOP, "build", "consul"), help="the release binary")
    parser.addoption("--checked", default=None, help="the binary with sanitizers, used where speed does not matter")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def free_ip():
    """A loopback address nobody listens on: Linux answers on all of 127.0.0.0/8."""
    for _ in range(1000):
        raw = os.urandom(3)
        ip = "127.%d.%d.%d" % (64 + raw[0] % 128, raw[1], 1 + raw[2] % 254)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((ip, 8500))
                return ip
            except OSError:
                continue
    raise RuntimeError("no free address")


def wait_for(condition, what, timeout=30):
    """The first true value of condition(); fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail("waited %d s for %s" % (timeout, what))
        time.sleep(0.02)


class Agent:
    def __init__(self, binary, config=None, args=(), dev=True, node="node1"):
        self.binary, self.config, self.args, self.dev, self.node = binary, config, list(args), dev, node
        self.ip = free_ip()
        self.dir = tempfile.mkdtemp(prefix="consul-test-")
        self.process = None
        self.start()

    def start(self):
        command = [self.binary, "agent"]
        if self.dev:
            command.append("-dev")
        else:
            command += ["-server", "-bootstrap", "-data-dir", os.path.join(self.dir, "data")]
        command += ["-node", self.node, "-bind", self.ip, "-client", self.ip]
        if self.config is not None:
            path = os.path.join(self.dir, "config.json")
            with open(path, "w") as f:
                json.dump(self.config, f)
            command += ["-config-file", path]
        self.log_path = os.path.join(self.dir, "log")
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command + self.args, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.dir, env=env)
        wait_for(self.is_ready, "a leader at " + self.ip)

    def is_ready(self):
        if self.process.poll() is not None:
            pytest.fail("the agent ended:\n" + self.log())
        try:
            return len(self.get("/v1/status/leader").json) > 0
        except OSError:
            return False

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail("the agent did not end:\n" + self.log())
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        code = self.stop()
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert "ERROR: AddressSanitizer" not in log and "runtime error:" not in log and "LeakSanitizer" not in log, log
        return code

    def request(self, method, path, body=None, headers=None, timeout=30):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        r = urllib.request.Request("http://%s:8500%s" % (self.ip, path), data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(r, timeout=timeout) as a:
                return Answer(a.status, a.headers, a.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def cli(self, *args, stdin=None, env=None):
        e = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        e["CONSUL_HTTP_ADDR"] = self.ip + ":8500"
        e.update(env or {})
        return subprocess.run([self.binary, *args], input=stdin, capture_output=True, text=True, env=e, timeout=60)

    def dig(self, name, kind="A", *options):
        out = subprocess.run(["dig", "@" + self.ip, "-p", "8600", "+short", "+tries=3", *options, name, kind],
                             capture_output=True, text=True, timeout=60).stdout
        return [line for line in out.splitlines() if line and not line.startswith(";")]


@pytest.fixture(scope="session")
def binary(request):
    return os.path.abspath(request.config.getoption("--checked") or request.config.getoption("--binary"))


@pytest.fixture
def start_agent(binary):
    agents = []

    def start(**kw):
        agents.append(Agent(binary, **kw))
        return agents[-1]

    yield start
    for a in agents:
        a.remove()


@pytest.fixture
def agent(start_agent):
    return start_agent()


@pytest.fixture
def run(binary, tmp_path):
    """A command without an agent, in a folder of its own."""

    def start(*args, stdin=None, env=None):
        e = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
        e.update(env or {})
        return subprocess.run([binary, *args], input=stdin, capture_output=True, text=True, env=e, cwd=tmp_path,
                              timeout=60)

    return start
