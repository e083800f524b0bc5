"""Blocking queries that wait at the leader for a follower's clients: what they cost, and that nothing is left of them."""

import resource
import selectors
import socket

import pytest

from cluster import Cluster, wait_for

COUNT = 5000


@pytest.fixture(scope="module")
def three(binary, request):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3 * COUNT:
        pytest.skip("too few file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * COUNT), hard))
    c = Cluster(binary, 3, config={"limits": {"http_max_conns_per_client": 2 * COUNT}})
    c.wait_leader()
    c.wait_voters()
    yield c
    failed = request.session.testsfailed > 0
    c.close(keep=failed or request.config.getoption("--keep"), check=not failed)


def is_checked(binary):
    with open(binary, "rb") as f:
        return b"__asan_init" in f.read()


def status_of(server, name):
    with open("/proc/%d/status" % server.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))


def blocking(server):
    gauges = server.get("/v1/agent/metrics").json["Gauges"]
    return sum(g["Value"] for g in gauges if g["Name"].endswith("rpc.queries_blocking"))


class Waiting:
    """So many blocking queries for a key that does not change, at one server."""

    def __init__(self, server, key, index, count=COUNT):
        self.sockets = []
        request = b"GET /v1/kv/%s?index=%d&wait=590s HTTP/1.1\r\nHost: x\r\n\r\n" % (key.encode(), index)
        for _ in range(count):
            s = socket.create_connection((server.ip, 8500), 30)
            s.sendall(request)
            self.sockets.append(s)

    def close(self):
        for s in self.sockets:
            s.close()
        self.sockets.clear()

    def answers(self):
        """The status lines, one each."""
        got = []
        with selectors.DefaultSelector() as selector:
            for s in self.sockets:
                selector.register(s, selectors.EVENT_READ)
            while len(got) < len(self.sockets):
                ready = selector.select(60)
                assert ready, "%d of %d were answered" % (len(got), len(self.sockets))
                for key, _ in ready:
                    got.append(key.fileobj.recv(65536).split(b"\r\n")[0])
                    selector.unregister(key.fileobj)
        return got


def test_clients_that_leave(three, binary, is_reference):
    """The leader hears of it at once, and both servers have back what they had."""
    if is_reference:
        pytest.skip("forwarded queries run to their end there")
    leader = three.wait_leader()
    follower = three.running(leader)[0]
    assert leader.set("quiet", "1")
    index = follower.get("/v1/kv/quiet").json[0]["ModifyIndex"]
    sizes = []
    for _ in range(4):
        waiting = Waiting(follower, "quiet", index)
        wait_for(lambda: blocking(leader) >= COUNT, "the queries to wait at the leader")
        most = [status_of(s, "VmRSS") for s in (leader, follower)]
        assert blocking(follower) == 0
        waiting.close()
        wait_for(lambda: blocking(leader) == 0, "the queries to end at the leader")
        sizes.append((*[status_of(s, "VmRSS") for s in (leader, follower)], *most))
    print(sizes)
    if not is_checked(binary):
        for which in (0, 1):  # after the first round, when every pool has its size
            assert sizes[3][which] - sizes[1][which] < 2000, sizes
    assert follower.value("quiet", "?") == "1"


def test_clients_that_are_answered(three):
    leader = three.wait_leader()
    follower = three.running(leader)[0]
    assert leader.set("loud", "1")
    index = follower.get("/v1/kv/loud").json[0]["ModifyIndex"]
    waiting = Waiting(follower, "loud", index)
    wait_for(lambda: blocking(leader) >= COUNT, "the queries to wait at the leader")
    assert follower.set("loud", "2")
    assert set(waiting.answers()) == {b"HTTP/1.1 200 OK"}
    waiting.close()


def test_leader_lost_while_they_wait(three):
    """They move to the next one, and are woken there."""
    leader = three.wait_leader()
    follower = three.running(leader)[0]
    assert leader.set("moved", "1")
    index = follower.get("/v1/kv/moved").json[0]["ModifyIndex"]
    waiting = Waiting(follower, "moved", index, 1000)
    wait_for(lambda: blocking(leader) >= 1000, "the queries to wait at the leader")
    leader.kill()
    three.wait_leader(three.running())
    assert follower.set("moved", "2")
    assert set(waiting.answers()) == {b"HTTP/1.1 200 OK"}
    waiting.close()
    leader.start()
    three.wait_leader()
