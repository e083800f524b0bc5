"""Clusters that speak TLS on port 8300, with certificates of `consul tls`."""

import os
import socket
import ssl
import subprocess

import pytest

from cluster import COMPACTING, wait_for

LAYOUTS = {"ours": "ooo", "one of theirs": "oor", "one of ours": "rro"}


class Authority:
    def __init__(self, binary, path):
        self.binary, self.path, self.counts = binary, str(path), {}
        os.makedirs(self.path, exist_ok=True)
        self._run("ca", "create")
        self.ca = os.path.join(self.path, "consul-agent-ca.pem")

    def _run(self, *args):
        subprocess.run([self.binary, "tls", *args], cwd=self.path, check=True, capture_output=True, timeout=60)

    def pair(self, kind, dc="dc1"):
        """The next certificate of a kind, and its key."""
        n = self.counts[kind, dc] = self.counts.get((kind, dc), -1) + 1
        self._run("cert", "create", "-" + kind, "-dc", dc)
        name = os.path.join(self.path, "%s-%s-consul-%d" % (dc, kind, n))
        return name + ".pem", name + "-key.pem"

    def config(self, kind, dc="dc1", **kw):
        cert, key = self.pair(kind, dc)
        return dict({"ca_file": self.ca, "cert_file": cert, "key_file": key, "verify_incoming": True, "verify_outgoing": True,
                     "verify_server_hostname": True}, **kw)


@pytest.fixture
def authority(binary, tmp_path):
    return Authority(binary, tmp_path / "ca")


@pytest.fixture(params=LAYOUTS)
def secure(request, start_cluster, binary, authority):
    """secure(**settings): a started cluster of three."""
    layout = LAYOUTS[request.param]
    reference = request.getfixturevalue("reference_binary") if "r" in layout else None

    def start(**kw):
        c = start_cluster(3, binaries=[binary if o == "o" else reference for o in layout], start=False, **kw)
        for s in c.servers:
            s.config.update(authority.config("server"))
        c.start()
        return c
    return start


def secured(c, authority, **kw):
    s = c.add(expect=False, **kw)
    s.config.update(authority.config("server"))
    return s


def first_byte(server, byte, certificate=None, authority=None, alpn=None):
    """A connection of that kind within TLS (byte None: ALPN names it)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.ca)
    if certificate:
        context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols([alpn])
    raw = socket.create_connection((server.ip, 8300), 30)
    raw.settimeout(30)
    if not alpn:
        raw.sendall(b"\x03")
    tls = context.wrap_socket(raw)
    if byte is not None:
        tls.sendall(bytes([byte]))
    return tls


def ask(tls, method=b"Status.Leader"):
    """One call without arguments on a connection of kind 0; the bytes of its answer."""
    name = bytes([0xa0 | len(method)]) + method
    tls.sendall(b"\x82\xadServiceMethod" + name + b"\xa3Seq\x01" + b"\x80")
    answer = b""
    while b":8300" not in answer:
        piece = tls.recv(4096)
        if not piece:
            break
        answer += piece
    return answer


def is_closed(tls):
    try:
        return tls.recv(1) == b""
    except (OSError, ssl.SSLError):
        return True


def test_elect_write_kill(secure):
    c = secure()
    for n in range(3):
        leader = c.wait_leader()
        for s in c.running():
            assert wait_for(lambda s=s: s.set("round%d/%s" % (n, s.name), "x"), "a write through %s" % s)
        others = c.running(leader)
        leader.kill()
        c.wait_leader(others)
        assert wait_for(lambda: others[0].set("after%d" % n, "x"), "a write without the old leader")
        leader.start()
    c.wait_leader()
    rows = c.wait_same()
    assert len(rows) == 12


def test_late_server_and_archives(secure, authority, binary):
    """A snapshot goes to a server that comes late, archives through those that do not lead."""
    c = secure(config=COMPACTING)
    leader = c.wait_leader()
    for n in range(300):
        assert leader.set("k/%d" % n, b"v" * 5000)
    late = secured(c, authority, binary=binary)
    late.start()
    wait_for(lambda: late.value("k/299") == "v" * 5000, "the state at the late server")
    leader = c.wait_leader()
    for s in c.servers * 5:  # whole each time: a reset at its end would cut it
        answer = s.get("/v1/snapshot", timeout=120)
        assert answer.status == 200, (s, answer.text)
    assert leader.set("k/0", "changed")
    follower = next(s for s in c.servers if s is not leader)
    assert follower.put("/v1/snapshot", answer.body, timeout=120).status == 200
    wait_for(lambda: all(s.value("k/0") == "v" * 5000 for s in c.servers), "the restored state")


def test_client(secure, authority, binary):
    c = secure()
    c.wait_leader()
    client = c.add_client(binary, authority.config("client"))
    client.start()
    wait_for(lambda: client.set("a", "b"), "a write through the client")
    assert client.value("a", "") == "b"
    answer = client.get("/v1/snapshot", timeout=60)
    assert answer.status == 200 and len(answer.body) > 100
    assert "error" not in client.cli("kv", "get", "a").stderr


def test_who_is_refused(start_cluster, binary, authority, tmp_path):
    c = start_cluster(3, start=False)
    for s in c.servers:
        s.config.update(authority.config("server"))
    c.start()
    leader = c.wait_leader()
    # Plain connections of any kind.
    for byte in (0, 1, 4, 5):
        with socket.create_connection((leader.ip, 8300), 30) as s:
            s.settimeout(30)
            s.sendall(bytes([byte]))
            assert is_closed(s)
    assert "Non-TLS connection attempted with VerifyIncoming set" in leader.log()
    # Without a certificate, and with one of an authority that is not theirs.
    other = Authority(binary, tmp_path / "other")
    for certificate in (None, other.pair("server")):
        with pytest.raises((OSError, ssl.SSLError, AssertionError)):
            assert ask(first_byte(leader, 0, certificate, authority))
    # A client's certificate is good for calls, not for Raft; a server's for both.
    client, server = authority.pair("client"), authority.pair("server")
    assert b":8300" in ask(first_byte(leader, 0, client, authority))
    tls = first_byte(leader, 1, client, authority)
    assert is_closed(tls)
    wait_for(lambda: "AuthorizeServerConn failed certificate validation" in leader.log(), "the log's line")
    tls = first_byte(leader, 1, server, authority)
    tls.settimeout(0.5)
    with pytest.raises((TimeoutError, socket.timeout)):
        tls.recv(1)
    # No TLS within TLS.
    assert is_closed(first_byte(leader, 3, server, authority))
    # Without a byte before it ALPN says what it is; a protocol that is not known ends it.
    assert b":8300" in ask(first_byte(leader, None, client, authority, "consul/rpc-single"))
    with pytest.raises((OSError, ssl.SSLError, AssertionError)):
        assert ask(first_byte(leader, None, client, authority, "consul/nothing"))
    with pytest.raises((OSError, ssl.SSLError, AssertionError)):
        assert ask(first_byte(leader, None, None, authority, "consul/rpc-single"))


def test_outsiders_do_not_get_in(start_cluster, binary, authority):
    """A plain client of a verifying cluster, and a server whose certificate says that it is none."""
    c = start_cluster(1, start=False)
    c.servers[0].config.update(authority.config("server"))
    c.start()
    leader = c.wait_leader()
    plain = c.add_client(binary)
    plain.start()
    wait_for(lambda: len(leader.get("/v1/agent/members").json) == 2, "the plain client to join")
    wait_for(lambda: plain.get("/v1/kv/a").status == 500, "its call to be refused")
    impostor = c.add_client(binary, authority.config("client"))
    liar = c.add(binary, expect=False)
    liar.config.update(authority.config("client"))
    liar.start()
    impostor.start()
    wait_for(lambda: impostor.set("a", "b"), "a client's certificate is good for a client")
    wait_for(lambda: "x509: certificate is valid for client.dc1.consul, localhost, not server.dc1.consul" in leader.log(),
             "the leader to find out")
    assert leader.set("a", "c"), "the cluster goes on"


def test_certificates_change(start_cluster, binary, authority, tmp_path):
    """Another authority, in three steps, by reloads only; the cluster is there all the time."""
    c = start_cluster(3, start=False)
    both = str(tmp_path / "both.pem")
    new = Authority(binary, tmp_path / "new")
    files = {}
    for s in c.servers:
        config = authority.config("server")
        s.config.update(config)
        files[s.name] = config
    c.start()
    leader = c.wait_leader()
    assert leader.set("step", "0")

    def reload(s, **kw):
        s.config.update(kw)
        s.write_config()
        assert s.put("/v1/agent/reload").status == 200

    with open(both, "w") as f:
        f.write(open(authority.ca).read() + open(new.ca).read())
    for s in c.servers:
        reload(s, ca_file=both)
    for s in c.servers:
        cert, key = new.pair("server")
        reload(s, cert_file=cert, key_file=key)
    for s in c.servers:
        reload(s, ca_file=new.ca)
    # Connections that were there go on; those of a server that starts anew need the new ones.
    victim = next(s for s in c.servers if s is not c.wait_leader())
    victim.kill()
    victim.start()
    assert wait_for(lambda: victim.set("step", "3"), "a write through the restarted server")
    assert b":8300" in ask(first_byte(victim, 0, new.pair("client"), new))
    with pytest.raises((OSError, ssl.SSLError, AssertionError)):
        assert ask(first_byte(victim, 0, authority.pair("client"), new))
    # A reload that cannot be carried out changes nothing.
    victim.config["cert_file"] = str(tmp_path / "nowhere.pem")
    victim.write_config()
    answer = victim.put("/v1/agent/reload")
    assert answer.status == 500 and answer.text.startswith(
        "Failed reloading tls configuration: Failed to load cert/key pair: open "), answer.text
    assert b":8300" in ask(first_byte(victim, 0, new.pair("client"), new))


@pytest.mark.parametrize("layout", ["oo", "or", "ro"])
def test_data_centers(request, start_cluster, binary, authority, layout):
    """Calls and archives of another one; its servers have to be of there."""
    if "r" in layout:
        request.getfixturevalue("reference_binary")
    clusters = []
    for i, letter in enumerate(layout):
        dc = "dc%d" % (i + 1)
        c = start_cluster(1, binaries=[binary if letter == "o" else request.getfixturevalue("reference_binary")], start=False,
                          config={"datacenter": dc, "primary_datacenter": "dc1", "ports": {}, "retry_interval_wan": "500ms",
                                  "retry_join_wan": [s.ip for c in clusters for s in c.servers]})
        c.servers[0].config.update(authority.config("server", dc))
        c.start()
        c.wait_leader()
        clusters.append(c)
    one, two = (c.servers[0] for c in clusters)
    for here, there in ((one, "dc2"), (two, "dc1")):
        wait_for(lambda here=here, there=there: here.put("/v1/kv/from/%s?dc=%s" % (here.name, there), b"x").text == "true",
                 "a write from one data center to the other")
        assert here.get("/v1/snapshot?dc=" + there, timeout=60).status == 200
    # With a certificate of the wrong data center it is nobody.
    two.stop()
    two.config.update(authority.config("server", "dc1"))
    two.start()
    wait_for(lambda: len([m for m in one.get("/v1/agent/members?wan=1").json if m["Status"] == 1]) == 2, "it to be back")
    wait_for(lambda: one.get("/v1/kv/a?dc=dc2").status == 500 and "remote error: tls: bad certificate" in two.log(),
             "the call to be refused")
