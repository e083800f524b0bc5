"""`tls`: authorities and certificates, looked at with the openssl program."""

import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")


@pytest.fixture
def openssl(tmp_path):
    def start(*args):
        r = subprocess.run(["openssl", *args], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        return r.returncode, r.stdout

    return start


def text_of(openssl, path):
    code, text = openssl("x509", "-in", path, "-noout", "-text")
    assert code == 0
    return text


def test_certificates_verify(run, openssl, tmp_path):
    assert run("tls", "ca", "create").stdout == "==> Saved consul-agent-ca.pem\n==> Saved consul-agent-ca-key.pem\n"
    for kind in ("server", "client", "cli"):
        r = run("tls", "cert", "create", "-" + kind)
        assert r.returncode == 0, r.stderr
        assert r.stdout.endswith("==> Using consul-agent-ca.pem and consul-agent-ca-key.pem\n"
                                 "==> Saved dc1-%s-consul-0.pem\n==> Saved dc1-%s-consul-0-key.pem\n" % (kind, kind))
        assert openssl("verify", "-x509_strict", "-CAfile", "consul-agent-ca.pem",
                       "dc1-%s-consul-0.pem" % kind)[0] == 0
        # The key belongs to it.
        assert (openssl("x509", "-in", "dc1-%s-consul-0.pem" % kind, "-noout", "-pubkey") ==
                openssl("pkey", "-in", "dc1-%s-consul-0-key.pem" % kind, "-pubout"))
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["consul-agent-ca.pem", "consul-agent-ca-key.pem"] +
        ["dc1-%s-consul-0%s.pem" % (kind, key) for kind in ("server", "client", "cli") for key in ("", "-key")])


def test_what_is_in_them(run, openssl):
    assert run("tls", "ca", "create", "-domain=corp", "-cluster-id=ABC", "-common-name=My CA").returncode == 0
    assert run("tls", "cert", "create", "-server", "-domain=corp", "-dc=east", "-node=n1", "-additional-dnsname=x.y",
               "-additional-ipaddress=10.0.0.1", "-additional-ipaddress=::1").returncode == 0
    ca, cert = text_of(openssl, "corp-agent-ca.pem"), text_of(openssl, "east-server-corp-0.pem")
    for want in ("CN = My CA", "URI:spiffe://abc.corp", "Digital Signature, Certificate Sign, CRL Sign", "CA:TRUE"):
        assert want in ca
    for want in ("Issuer: C = US, ST = CA, L = San Francisco", "Subject: CN = server.east.corp",
                 "Digital Signature, Key Encipherment", "CA:FALSE", "ecdsa-with-SHA256",
                 "TLS Web Server Authentication, TLS Web Client Authentication",
                 "DNS:x.y, DNS:n1.server.east.corp, DNS:server.east.corp, DNS:localhost, IP Address:10.0.0.1, "
                 "IP Address:0:0:0:0:0:0:0:1, IP Address:127.0.0.1"):
        assert want in cert
    # The second of a name takes the next number; the key of the authority names itself and what it signed.
    assert "==> Saved east-server-corp-1.pem" in run("tls", "cert", "create", "-server", "-domain=corp",
                                                     "-dc=east").stdout


def test_signed_by_another_kind_of_key(run, openssl, tmp_path):
    assert openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mine", "-keyout", "k.pem", "-out",
                   "c.pem")[0] == 0
    r = run("tls", "cert", "create", "-client", "-ca=c.pem", "-key=k.pem")
    assert r.returncode == 0, r.stderr
    assert "sha256WithRSAEncryption" in text_of(openssl, "dc1-client-consul-0.pem")
    assert openssl("verify", "-CAfile", "c.pem", "dc1-client-consul-0.pem")[0] == 0


def test_nothing_is_left_after_a_failure(run, tmp_path):
    assert run("tls", "ca", "create", "-name-constraint").returncode == 0
    before = sorted(os.listdir(tmp_path))
    r = run("tls", "cert", "create", "-server", "-additional-dnsname=other.org")
    assert r.returncode == 1
    assert r.stderr == ('x509: a root or intermediate certificate is not authorized to sign for this name: DNS name '
                        '"other.org" is not permitted by any constraint\n')
    assert run("tls", "ca", "create").stderr == "consul-agent-ca.pem already exists.\n"
    assert run("tls", "cert", "create", "-server", "-cli").stderr == "Please provide either -server, -client, or -cli\n"
    assert run("tls", "cert", "create", "-cli", "-node=x").stderr == "-node requires -server\n"
    assert run("tls", "cert", "create", "-cli", "-ca=none").stderr == (
        "Error reading CA: open none: no such file or directory\n")
    assert sorted(os.listdir(tmp_path)) == before


def test_a_handshake(run, tmp_path):
    """Both sides show a certificate, and check the other's and its name."""
    for args in (["ca", "create"], ["cert", "create", "-server"], ["cert", "create", "-client"]):
        assert run("tls", *args).returncode == 0

    def context(purpose, kind):
        c = ssl.create_default_context(purpose, cafile=str(tmp_path / "consul-agent-ca.pem"))
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_cert_chain(str(tmp_path / ("dc1-%s-consul-0.pem" % kind)),
                          str(tmp_path / ("dc1-%s-consul-0-key.pem" % kind)))
        return c

    a, b = socket.socketpair()
    with a, b:
        server = threading.Thread(
            target=lambda: context(ssl.Purpose.CLIENT_AUTH, "server").wrap_socket(b, server_side=True).sendall(b"hello"))
        server.start()
        with context(ssl.Purpose.SERVER_AUTH, "client").wrap_socket(a, server_hostname="server.dc1.consul") as s:
            assert s.recv(5) == b"hello"
        server.join()
