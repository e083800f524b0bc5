"""Archives through servers that do not lead: they come from the leader and go to it, a piece at a time."""

import http.client
import os
import random
import socket

import pytest

from cluster import Cluster, wait_for

VALUE_SIZE = 500 * 1000
MEGABYTES = 48  # more than the sockets on the way can hold


@pytest.fixture(scope="module")
def three(binary, request):
    c = Cluster(binary, 3)
    c.wait_leader()
    c.wait_voters()
    yield c
    failed = request.session.testsfailed > 0
    c.close(keep=failed or request.config.getoption("--keep"), check=not failed)


@pytest.fixture
def roles(three):
    leader = three.wait_leader()
    return (leader, *three.running(leader))


def fill(server, megabytes=MEGABYTES):
    """Keys that gzip cannot make smaller."""
    random.seed(7)
    for n in range(megabytes * 1000000 // VALUE_SIZE):
        assert server.set("big/%d" % n, random.randbytes(VALUE_SIZE))


def save(server, mode=""):
    answer = server.get("/v1/snapshot" + mode, timeout=120)
    assert answer.status == 200, answer.text
    return answer


def resident(server):
    with open("/proc/%d/status" % server.process.pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def is_checked(binary):
    with open(binary, "rb") as f:
        return b"__asan_init" in f.read()


def test_saved_here_restored_there(three, roles):
    leader, one, two = roles
    for n in range(50):
        assert leader.set("kept/%d" % n, "before")
    answer = save(one)
    assert answer.headers["X-Consul-KnownLeader"] == "true" and answer.headers["X-Consul-LastContact"] == "0"
    assert int(answer.headers["X-Consul-Index"]) >= leader.get("/v1/kv/kept/49").json[0]["ModifyIndex"]
    assert answer.headers["Content-Type"] == "application/x-gzip" and answer.body[:2] == b"\x1f\x8b"
    for n in range(50):
        assert two.set("kept/%d" % n, "after")
    assert one.set("new", "after")
    restored = two.put("/v1/snapshot", answer.body, timeout=120)
    assert (restored.status, restored.text) == (200, "")
    three.wait_leader()
    assert all("receiving snapshot in advance" in s.log() for s in (one, two))
    for s in roles:
        wait_for(lambda s=s: s.value("kept/49") == "before" and s.value("new") is None, "the old contents on %s" % s)
        assert all(s.value("kept/%d" % n) == "before" for n in range(50))
    three.wait_same()
    assert one.set("new", "again") and two.value("new", "?consistent") == "again"


def test_command_line(three, roles, tmp_path):
    leader, one, two = roles
    path = str(tmp_path / "archive")
    assert leader.set("cli", "saved")
    got = one.cli("snapshot", "save", path)
    assert got.returncode == 0 and got.stdout.startswith("Saved and verified snapshot to index "), got
    assert one.cli("snapshot", "inspect", path).returncode == 0
    assert leader.set("cli", "overwritten")
    got = two.cli("snapshot", "restore", path)
    assert (got.returncode, got.stdout) == (0, "Restored snapshot\n"), got
    for s in roles:
        wait_for(lambda s=s: s.value("cli") == "saved", "the old value on %s" % s)
    assert two.cli("snapshot", "save", "-stale", path + "2").returncode == 0


def test_stale_is_the_followers_own(three, roles):
    leader, one, _ = roles
    assert leader.set("stale", "1")
    three.wait_same()
    answer = save(one, "?stale")
    assert answer.headers["X-Consul-KnownLeader"] == "true" and answer.body[:2] == b"\x1f\x8b"
    answer = one.put("/v1/snapshot?stale", b"")
    assert (answer.status, answer.text) == (500, "stale not allowed for restore")


def test_what_the_leader_refuses(roles, is_reference):
    """Its sentence, word for word; and nothing is changed."""
    leader, one, _ = roles
    assert leader.set("refused", "1")
    archive = save(one).body
    damaged = bytearray(archive)
    damaged[len(damaged) // 2] ^= 1
    for bad in (b"", b"no archive", archive[:-1], archive[:len(archive) // 2], bytes(damaged)):
        told = [s.put("/v1/snapshot", bad) for s in (leader, one)]
        assert told[0].status == told[1].status == 500
        assert told[0].text == told[1].text != "", told[1].text
    assert one.value("refused", "?") == "1"
    answer = one.get("/v1/snapshot?dc=elsewhere")
    assert (answer.status, answer.text) == (500, "No path to datacenter")


def test_request_and_archive_in_one_packet(three, roles):
    """As a client agent may send them: port 8300, first byte 5, the request, the archive."""
    leader, one, _ = roles
    assert leader.set("packet", "before")
    archive = save(leader).body
    assert leader.set("packet", "after")
    request = b"\x84\xaaDatacenter\xa3dc1\xa5Token\xa0\xaaAllowStale\xc2\xa2Op\x01"
    with socket.create_connection((one.ip, 8300), 30) as s:
        s.sendall(b"\x05" + request + archive)
        s.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    assert b"\xa5Error\xa0" in answer, answer
    for s in roles:
        wait_for(lambda s=s: s.value("packet") == "before", "the old value on %s" % s)


def test_large_ones_in_little_memory(three, roles, binary):
    leader, one, two = roles
    fill(leader)
    three.wait_same()
    before = resident(one)
    archive = save(one).body
    assert len(archive) > MEGABYTES * 1000000
    if not is_checked(binary):
        assert resident(one) - before < 16 << 20
    assert leader.set("large", "after")
    # In chunks, so that nobody knows the size before.
    connection = http.client.HTTPConnection(two.ip, 8500, timeout=120)
    pieces = (archive[n:n + 100000] for n in range(0, len(archive), 100000))
    connection.request("PUT", "/v1/snapshot", pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    connection.close()
    for s in roles:
        wait_for(lambda s=s: s.value("large") is None,
                 "the old contents on %s" % s)
    three.wait_same()


def test_clients_that_leave(three, roles):
    """In the middle, either way: nobody is the worse for it, and nothing half is restored."""
    leader, one, _ = roles
    fill(leader)
    assert leader.set("left", "1")
    archive = save(one).body
    for _ in range(8):
        with socket.create_connection((one.ip, 8500)) as s:
            s.sendall(b"GET /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        with socket.create_connection((one.ip, 8500)) as s:
            s.sendall(b"PUT /v1/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(archive) + archive[:len(archive) // 2])
    assert leader.value("left", "?consistent") == "1"
    assert save(one).body[:2] == b"\x1f\x8b"

    def connections():
        """Established ones between the two that are not the pool's."""
        with open("/proc/%d/net/tcp" % one.process.pid) as f:
            rows = [line.split() for line in f.readlines()[1:]]
        inodes = {os.readlink("/proc/%d/fd/%s" % (one.process.pid, fd)) for fd in os.listdir("/proc/%d/fd" % one.process.pid)}
        to = "%02X%02X%02X%02X:206C" % tuple(reversed([int(x) for x in leader.ip.split(".")]))
        return [r for r in rows if r[2] == to and "socket:[%s]" % r[9] in inodes]
    wait_for(lambda: len(connections()) < 8, "the connections to end")


def test_no_leader(start_cluster):
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    last = c.running(leader)[0]
    for s in c.running(last):
        s.kill()
    wait_for(lambda: last.leader_address() == "", "the last server to know no leader")
    answer = last.get("/v1/snapshot")
    assert (answer.status, answer.text) == (500, "No cluster leader")
    answer = last.put("/v1/snapshot", b"x" * 100000)
    assert (answer.status, answer.text) == (500, "No cluster leader")
    got = last.cli("snapshot", "save", os.path.join(last.dir, "archive"))
    assert got.returncode == 1 and "Error saving snapshot: Unexpected response code: 500 (No cluster leader)" in got.stderr
    answer = save(last, "?stale")
    assert answer.headers["X-Consul-KnownLeader"] == "false"


def test_leader_killed_while_it_saves(start_cluster, is_reference):
    """The answer has begun, so its end is missing; what was written is never taken for whole."""
    c = start_cluster()
    leader = c.wait_leader()
    fill(leader)
    c.wait_same()
    one, two = c.running(leader)
    connection = http.client.HTTPConnection(one.ip, 8500, timeout=60)
    connection.request("GET", "/v1/snapshot")
    answer = connection.getresponse()
    assert answer.status == 200
    got = answer.read(65536)
    leader.kill()
    try:
        got += answer.read()
        assert is_reference, "the end came after %d bytes" % len(got)
    except http.client.IncompleteRead:
        pass
    connection.close()
    c.wait_leader(c.running())
    assert save(two).body[:2] == b"\x1f\x8b"


def test_leader_killed_while_it_restores(start_cluster):
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    fill(leader)
    archive = save(leader).body
    assert leader.set("after", "kept")
    c.wait_same()
    one, two = c.running(leader)
    with socket.create_connection((one.ip, 8500), timeout=60) as s:
        s.sendall(b"PUT /v1/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(archive))
        s.sendall(archive[:len(archive) // 2])
        leader.kill()
        try:
            s.sendall(archive[len(archive) // 2:])
        except OSError:
            pass  # the answer is there already
        answer = http.client.HTTPResponse(s)
        answer.begin()
        text = answer.read().decode()
    assert answer.status == 500 and text.startswith("failed to copy snapshot in: "), text
    c.wait_leader([one, two])
    for server in (one, two):
        assert server.value("after", "?consistent") == "kept"
    # A whole one, then.
    assert two.put("/v1/snapshot", archive, timeout=120).status == 200
    for server in (one, two):
        wait_for(lambda server=server: server.value("after") is None, "the old contents")
