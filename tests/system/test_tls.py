"""HTTPS with curl, openssl and Python's ssl; checks and watches over TLS; what keeps an agent from starting."""

import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading

import pytest

from conftest import Agent, wait_for

NAME = "server.dc1.consul"


@pytest.fixture(scope="module")
def pki(binary, tmp_path_factory):
    """Certificates of `consul tls`: ca, server, client, and another authority's."""
    top = tmp_path_factory.mktemp("pki")

    def make(path, *commands):
        os.makedirs(path, exist_ok=True)
        for command in commands:
            subprocess.run([binary, "tls", *command], cwd=path, check=True, capture_output=True, timeout=60)
    make(top, ["ca", "create"], ["cert", "create", "-server"], ["cert", "create", "-server"], ["cert", "create", "-client"])
    make(top / "other", ["ca", "create"], ["cert", "create", "-client"])
    return lambda name: str(top / name)


def files(pki, server=0):
    return {"ca_file": pki("consul-agent-ca.pem"), "cert_file": pki("dc1-server-consul-%d.pem" % server),
            "key_file": pki("dc1-server-consul-%d-key.pem" % server)}


@pytest.fixture
def start(binary, pki):
    agents = []

    def go(config=None, **kw):
        a = Agent(binary, dict({"ports": {"https": 8501}}, **files(pki), **(config or {})), **kw)
        agents.append(a)
        return a
    yield go
    for a in agents:
        a.remove()


def context(pki, client=None, ca="consul-agent-ca.pem"):
    c = ssl.create_default_context(cafile=pki(ca))
    if client:
        c.load_cert_chain(pki(client + ".pem"), pki(client + "-key.pem"))
    return c


def connect(a, c, name=NAME):
    raw = socket.create_connection((a.ip, 8501), 30)
    return c.wrap_socket(raw, server_hostname=name)


def https(a, c, method, path, body=None):
    connection = http.client.HTTPSConnection(NAME, 8501, context=c, timeout=30)
    connection.sock = connect(a, c)
    connection.request(method, path, body)
    r = connection.getresponse()
    answer = r.status, r.read().strip()
    connection.close()
    return answer


def curl(a, pki, *args, ca="consul-agent-ca.pem"):
    return subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", pki(ca), "--resolve", "%s:8501:%s" % (NAME, a.ip), *args],
                          capture_output=True, text=True, timeout=90)


def s_client(a, pki, *args, stdin=""):
    return subprocess.run(["openssl", "s_client", "-connect", a.ip + ":8501", "-CAfile", pki("consul-agent-ca.pem"), *args],
                          input=stdin, capture_output=True, text=True, timeout=60)


def test_curl(start, pki, tmp_path):
    a = start()
    url = "https://%s:8501/v1/kv/" % NAME
    big = tmp_path / "big"
    big.write_bytes(os.urandom(400000))
    assert curl(a, pki, "-T", str(big), url + "big").stdout.strip() == "true"
    got = curl(a, pki, "--http2", "-o", str(tmp_path / "got"), "-w", "%{http_version} %{ssl_verify_result}", url + "big?raw")
    assert got.stdout == "1.1 0", got
    assert (tmp_path / "got").read_bytes() == big.read_bytes()
    # Several in one connection.
    got = curl(a, pki, "-w", "%{num_connects}\n", *["-o", "/dev/null", url + "big?raw"] * 3)
    assert got.stdout.split() == ["1", "0", "0"], got
    assert curl(a, pki, url + "big", ca="other/consul-agent-ca.pem").returncode == 60
    # In the clear on the port of TLS, and the other way round.
    plain = subprocess.run(["curl", "-s", "-w", "%{http_code}", "--http0.9", "http://%s:8501/" % a.ip], capture_output=True, text=True)
    assert plain.stdout == "Client sent an HTTP request to an HTTPS server.\n400"
    with pytest.raises(ssl.SSLError):
        context(pki).wrap_socket(socket.create_connection((a.ip, 8500), 30), server_hostname=NAME)


def test_many_ways_of_reading(start, pki):
    a = start()
    c = context(pki)
    for n in range(20):
        assert a.put("/v1/kv/k/%d" % n, b"x" * 100000).json is True
    status, body = https(a, c, "GET", "/v1/kv/k/?recurse")
    assert status == 200 and len(json.loads(body)) == 20
    # Sent ahead, answered in order.
    s = connect(a, c)
    s.sendall(b"".join(b"GET /v1/kv/k/%d?raw HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20)))
    got = b""
    while got.count(b"HTTP/1.1 200") < 20 or not got.endswith(b"x" * 100000):
        piece = s.recv(1 << 20)
        assert piece
        got += piece
    # A blocking query, and what changes.
    index = a.get("/v1/kv/k/1").headers["X-Consul-Index"]
    s.sendall(b"GET /v1/kv/k/1?raw&index=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % index.encode())
    assert a.put("/v1/kv/k/1", b"changed").json is True
    got = b""
    while piece := s.recv(65536):  # to its orderly end
        got += piece
    assert got.endswith(b"\r\n\r\nchanged")
    # A stream without end.
    s = connect(a, c)
    s.sendall(b"GET /v1/agent/monitor?loglevel=debug HTTP/1.1\r\nHost: x\r\n\r\n")
    got = b""
    while b"Request finished" not in got:
        a.get("/v1/kv/k/1")
        got += s.recv(65536)
    s.close()


def test_versions_and_ciphers(start, pki):
    a = start({"tls_cipher_suites": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"})
    assert "Protocol  : TLSv1.3" in s_client(a, pki, "-tls1_3").stdout or "TLSv1.3" in s_client(a, pki, "-tls1_3").stdout
    out = s_client(a, pki, "-tls1_2").stdout
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in out and "Verify return code: 0 (ok)" in out
    assert s_client(a, pki, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256").returncode != 0
    assert s_client(a, pki, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").returncode != 0
    assert "ALPN protocol: http/1.1" in s_client(a, pki, "-alpn", "h2,http/1.1").stdout


def test_clients_show_who_they_are(start, pki):
    a = start({"verify_incoming_https": True})
    assert https(a, context(pki, "dc1-client-consul-0"), "PUT", "/v1/kv/a", "b") == (200, b"true")
    for c in (context(pki), context(pki, "other/dc1-client-consul-0")):
        with pytest.raises((OSError, http.client.HTTPException)):
            https(a, c, "GET", "/v1/kv/a")
    assert "tls: client didn't provide a certificate" in a.log()
    assert "tls: failed to verify client's certificate: x509: certificate signed by unknown authority" in a.log()


def test_slow_handshakes_end(start, pki):
    a = start({"limits": {"https_handshake_timeout": "300ms"}})
    c = context(pki)
    with socket.create_connection((a.ip, 8501), 30) as s:
        s.settimeout(30)
        s.sendall(b"\x16\x03\x01")
        assert s.recv(1) == b""
    # One that has shaken hands may take its time.
    kept = connect(a, c)
    with socket.create_connection((a.ip, 8501), 30) as s:
        s.settimeout(30)
        assert s.recv(1) == b""
    kept.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(15) == b"HTTP/1.1 200 OK"


def test_slow_handshakes_end_on_8300(start):
    a = start({"limits": {"rpc_handshake_timeout": "300ms"}})
    for first in (b"\x03", b"\x03\x16\x03\x01", b"\x16\x03\x01"):
        with socket.create_connection((a.ip, 8300), 30) as s:
            s.settimeout(30)
            s.sendall(first)
            assert s.recv(1) == b""
    wait_for(lambda: a.log().count("i/o timeout") == 3, "the log's lines")


def test_too_many_connections(start, pki):
    a = start({"limits": {"http_max_conns_per_client": 2}})
    c = context(pki)
    kept = [connect(a, c) for _ in range(2)]
    with connect(a, c) as s:
        got = b""
        while piece := s.recv(65536):
            got += piece
    assert got.startswith(b"HTTP/1.1 429 Too Many Requests\r\n") and b"too many concurrent connections" in got
    for s in kept:
        s.close()


def test_reload(start, pki):
    a = start()
    before = connect(a, context(pki))
    first = before.getpeercert()["serialNumber"]
    with open(os.path.join(a.dir, "config.json"), "w") as f:
        json.dump(dict(a.config, **files(pki, 1)), f)
    assert a.put("/v1/agent/reload").status == 200
    assert connect(a, context(pki)).getpeercert()["serialNumber"] != first
    before.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
    assert before.recv(15) == b"HTTP/1.1 200 OK"
    # Without a certificate every handshake is refused; with one it is not again.
    with open(os.path.join(a.dir, "config.json"), "w") as f:
        json.dump({"ports": {"https": 8501}}, f)
    assert a.put("/v1/agent/reload").status == 200
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        connect(a, context(pki))
    with open(os.path.join(a.dir, "config.json"), "w") as f:
        json.dump(a.config, f)
    assert a.put("/v1/agent/reload").status == 200
    connect(a, context(pki)).close()


def test_watch_of_an_agent_with_https_alone(binary, pki, tmp_path):
    out = tmp_path / "out"
    config = dict(files(pki), ports={"https": 8501, "http": -1}, verify_incoming_https=True,
                  watches=[{"type": "key", "key": "a", "handler_type": "script", "args": ["sh", "-c", "cat > %s" % out]}])
    c = context(pki, "dc1-client-consul-0")

    class Quiet(Agent):
        def is_ready(self):
            try:
                return https(self, c, "GET", "/v1/status/leader") not in ((200, b'""'), (500, b""))
            except OSError:
                return False
    a = Quiet(binary, config)
    assert https(a, c, "PUT", "/v1/kv/a", "b") == (200, b"true")
    wait_for(lambda: out.exists() and b'"Value":"Yg=="' in out.read_bytes(), "the handler")
    a.remove()


class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


def serve(pki, wants_client=False, plain=False):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ok)
    server.handle_error = lambda *args: None
    if not plain:
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(pki("dc1-server-consul-0.pem"), pki("dc1-server-consul-0-key.pem"))
        if wants_client:
            c.verify_mode = ssl.CERT_REQUIRED
            c.load_verify_locations(pki("consul-agent-ca.pem"))
        server.socket = c.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


UNKNOWN = 'Get "{url}": x509: certificate signed by unknown authority'
GRPC = ('rpc error: code = Unavailable desc = all SubConns are in TransientFailure, latest connection error: connection error: '
        'desc = "transport: authentication handshake failed: %s"')


@pytest.mark.parametrize("settings", ["none", "agent", "agent and name"])
def test_checks(start, pki, settings):
    """What 1.10.3 says of the same."""
    servers = [serve(pki), serve(pki, wants_client=True), serve(pki, plain=True)]
    tls, client, plain = ("127.0.0.1:%d" % s.server_port for s in servers)
    has = settings != "none"
    node = "x509: certificate is valid for server.dc1.consul, localhost, not node1"
    ok = "HTTP GET {url}: 200 OK Output: ok"
    default = UNKNOWN if not has else ok if "name" in settings else 'Get "{url}": ' + node
    expected = {
        "default": ({"http": "https://" + tls}, default),
        "skip": ({"http": "https://" + tls, "tls_skip_verify": True}, ok),
        "named": ({"http": "https://" + tls, "tls_server_name": NAME}, ok if has else UNKNOWN),
        "misnamed": ({"http": "https://" + tls, "tls_server_name": "x.y"},
                     'Get "{url}": x509: certificate is valid for server.dc1.consul, localhost, not x.y'),
        "client": ({"http": "https://" + client, "tls_server_name": NAME}, ok if has else UNKNOWN),
        "plain": ({"http": "https://" + plain},
                  'Get "{url}": tls: first record does not look like a TLS handshake'),
        "h2": ({"h2ping": plain}, "Failed to dial to %s: tls: first record does not look like a TLS handshake" % plain),
        "grpc": ({"grpc": plain, "grpc_use_tls": True}, GRPC % "tls: first record does not look like a TLS handshake"),
    }
    config = {"checks": [dict(d, id=name, name=name, interval="1s", timeout="20s") for name, (d, _) in expected.items()]}
    if has:
        config["enable_agent_tls_for_checks"] = True
    if "name" in settings:
        config["server_name"] = NAME
    a = start(config)
    for name, (definition, output) in expected.items():
        want = output.replace("{url}", definition.get("http", ""))
        wait_for(lambda: a.get("/v1/agent/checks").json[name]["Output"], "the check " + name)
        got = a.get("/v1/agent/checks").json[name]
        assert (got["Output"], got["Status"]) == (want, "passing" if output == ok else "critical"), name
    for s in servers:
        s.shutdown()
        s.server_close()


@pytest.mark.parametrize("config, words", [
    ({"verify_outgoing": True}, "VerifyOutgoing set, and no CA certificate provided!"),
    ({"verify_incoming": True}, "VerifyIncoming set but no CA certificates were provided"),
    ({"verify_incoming_https": True, "ca_file": "CA"},
     "VerifyIncoming requires either a Cert and Key pair in the configuration file, or auto_encrypt/auto_config be enabled"),
    ({"cert_file": "/nowhere/x", "key_file": "/nowhere/y"},
     "Failed to load cert/key pair: open /nowhere/x: no such file or directory"),
    ({"ca_file": "/nowhere/x"}, "Error loading from /nowhere/x: open /nowhere/x: no such file or directory"),
])
def test_settings_that_cannot_be(binary, pki, tmp_path, config, words):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({k: pki("consul-agent-ca.pem") if v == "CA" else v for k, v in config.items()}))
    r = subprocess.run([binary, "agent", "-dev", "-bind", "127.0.0.1", "-config-file", str(path)], capture_output=True, text=True,
                       timeout=60)
    assert r.returncode == 1 and ("==> " + words) in r.stderr, (r.stdout, r.stderr)


def test_auto_encrypt_is_refused(binary, pki, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"server": False, "auto_encrypt": {"tls": True}, "verify_outgoing": True,
                                "ca_file": pki("consul-agent-ca.pem"), "data_dir": str(tmp_path)}))
    r = subprocess.run([binary, "agent", "-bind", "127.0.0.1", "-config-file", str(path)], capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and "auto_encrypt.tls: certificates from the servers are not available yet" in r.stderr, r.stderr


def test_tags(start):
    a = start()
    wait_for(lambda: a.get("/v1/agent/self").json["Member"]["Tags"].get("use_tls") == "1", "the tag")
