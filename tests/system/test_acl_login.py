"""Logging in by auth methods that ask others: a Kubernetes API and a provider of keys, both played by this test over
TLS; and that what is written about ACLs outlives a restart."""

import base64
import http.server
import json
import ssl
import subprocess
import threading

import pytest

from conftest import free_ip, wait_for
from rpc_client import Refused, Single

MASTER = "11111111-2222-3333-4444-555555555555"
ACL = {"primary_datacenter": "dc1", "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": MASTER}}}
SERVICE_NAME = "consul.hashicorp.com/service-name"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout


class Provider:
    """Answers GET and POST from a dict of path to (status, JSON), and keeps what it was asked."""

    def __init__(self, folder):
        self.ip, self.answers, self.asked = free_ip(), {}, []
        self.cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=provider", "-addext", "subjectAltName=IP:" + self.ip, "-keyout", key, "-out", self.cert)
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                provider.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
                status, value = provider.answers.get(self.path, (404, {"message": "not there"}))
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer((self.ip, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = "https://%s:%d" % self.server.server_address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def ca(self):
        with open(self.cert) as f:
            return f.read()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Signer:
    """An RSA key, the key set with it, and tokens signed by it."""

    def __init__(self, folder):
        self.key = str(folder / "signer.pem")
        run("openssl", "genrsa", "-out", self.key, "2048")
        modulus = run("openssl", "rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1]
        self.keys = {"keys": [{"kty": "RSA", "kid": "k1", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}]}
        self.input = str(folder / "input")

    def token(self, **claims):
        text = "%s.%s" % (base64url(b'{"alg":"RS256","kid":"k1"}'), base64url(json.dumps(claims).encode()))
        with open(self.input, "w") as f:
            f.write(text)
        return "%s.%s" % (text, base64url(run("openssl", "dgst", "-sha256", "-sign", self.key, self.input)))


@pytest.fixture
def provider(tmp_path):
    p = Provider(tmp_path)
    yield p
    p.stop()


@pytest.fixture
def acl_agent(start_agent):
    agent = start_agent(config=ACL, dev=False)
    agent.headers = {"X-Consul-Token": MASTER}
    wait_for(lambda: agent.get("/v1/acl/tokens", headers=agent.headers).status == 200, "the master token")
    return agent


def put(agent, path, body):
    answer = agent.put(path, body, headers=agent.headers)
    assert answer.status == 200, answer.body
    return answer.json


def login(agent, method, token, **more):
    return agent.request("POST", "/v1/acl/login", dict(AuthMethod=method, BearerToken=token, **more))


def method_set(agent, name, kind, config, bind_name, selector=""):
    put(agent, "/v1/acl/auth-method", {"Name": name, "Type": kind, "Config": config})
    put(agent, "/v1/acl/binding-rule",
        {"AuthMethod": name, "BindType": "service", "BindName": bind_name, "Selector": selector})


def test_kubernetes(acl_agent, provider):
    jwt = "%s.%s." % (base64url(b'{"alg":"RS256"}'), base64url(b"{}"))
    review, account = "/apis/authentication.k8s.io/v1/tokenreviews", "/api/v1/namespaces/apps/serviceaccounts/web"
    method_set(acl_agent, "k8s", "kubernetes",
               {"Host": provider.url, "CACert": provider.ca, "ServiceAccountJWT": jwt + "AAAA"},
               "${serviceaccount.name}", "serviceaccount.namespace==apps")
    assert provider.asked == []  # setting it asks nobody

    provider.answers[review] = (201, {"status": {"error": "no such token"}})
    refused = login(acl_agent, "k8s", jwt + "BBBB")
    assert (refused.status, refused.body) == (500, b"lookup failed: no such token")
    assert provider.asked[-1][2] == "Bearer " + jwt + "AAAA"
    assert provider.asked[-1][3]["spec"] == {"token": jwt + "BBBB"}

    user = {"username": "system:serviceaccount:apps:web", "uid": "u1"}
    provider.answers[review] = (201, {"status": {"authenticated": True, "user": user}})
    assert login(acl_agent, "k8s", jwt + "BBBB").body == b"annotation lookup failed: not there"
    provider.answers[account] = (200, {"metadata": {"annotations": {"other": "x"}}})
    token = login(acl_agent, "k8s", jwt + "BBBB", Meta={"pod": "p1"}).json
    assert token["ServiceIdentities"] == [{"ServiceName": "web"}] and token["Local"]
    assert token["Description"] == 'token created via login: {"pod":"p1"}'
    provider.answers[account] = (200, {"metadata": {"annotations": {SERVICE_NAME: "front"}}})
    assert login(acl_agent, "k8s", jwt + "BBBB").json["ServiceIdentities"] == [{"ServiceName": "front"}]

    user["username"] = "system:serviceaccount:other:web"
    provider.answers["/api/v1/namespaces/other/serviceaccounts/web"] = (200, {})
    assert login(acl_agent, "k8s", jwt + "BBBB").status == 403  # no rule is about it
    user["username"] = "system:serviceaccount:apps:../x"
    assert login(acl_agent, "k8s", jwt + "BBBB").status == 500
    user["username"] = "system:node:web"
    assert login(acl_agent, "k8s", jwt + "BBBB").status == 500

    headers = {"X-Consul-Token": token["SecretID"]}
    assert acl_agent.request("POST", "/v1/acl/logout", headers=headers).status == 200
    assert acl_agent.get("/v1/acl/token/self", headers=headers).status == 403


def test_keys_of_a_provider(acl_agent, provider, tmp_path):
    signer = Signer(tmp_path)
    claims = {"iss": provider.url, "sub": "Alice", "aud": "c", "exp": 4102444800, "nbf": 1500000000}
    config = {"ClaimMappings": {"sub": "user"}, "BoundAudiences": ["c"]}
    keys = dict(config, JWKSURL=provider.url + "/keys", JWKSCACert=provider.ca)
    refused = acl_agent.put("/v1/acl/auth-method", {"Name": "keys", "Type": "jwt", "Config": keys},
                            headers=acl_agent.headers)
    assert refused.status == 500 and b"error checking JWKSURL: fetching keys" in refused.body
    provider.answers["/keys"] = (200, signer.keys)
    untrusted = dict(config, JWKSURL=provider.url + "/keys")
    assert acl_agent.put("/v1/acl/auth-method", {"Name": "keys", "Type": "jwt", "Config": untrusted},
                         headers=acl_agent.headers).status == 500
    method_set(acl_agent, "keys", "jwt", keys, "${value.user}")
    token = signer.token(**claims)
    assert login(acl_agent, "keys", token).json["ServiceIdentities"] == [{"ServiceName": "alice"}]
    assert login(acl_agent, "keys", signer.token(**dict(claims, exp=1))).status == 500
    forged = token.split(".")
    forged[1] = base64url(json.dumps(dict(claims, sub="Mallory")).encode())
    refused = login(acl_agent, "keys", ".".join(forged))
    assert refused.body == b"error verifying token: failed to verify id token signature"

    provider.answers["/.well-known/openid-configuration"] = (
        200, {"issuer": provider.url, "jwks_uri": provider.url + "/keys"})
    discovery = dict(config, OIDCDiscoveryURL=provider.url, OIDCDiscoveryCACert=provider.ca)
    method_set(acl_agent, "oidc", "jwt", discovery, "${value.user}")
    assert login(acl_agent, "oidc", token).json["ServiceIdentities"] == [{"ServiceName": "alice"}]
    assert login(acl_agent, "oidc", signer.token(**dict(claims, iss="other"))).status == 500
    provider.answers["/keys"] = (500, {})
    assert login(acl_agent, "oidc", token).status == 500  # no keys are kept


def test_provider_that_does_not_answer(start_agent, provider):
    """An agent that ends while somebody is being asked about ends at once."""
    agent = start_agent(config=ACL, dev=False)
    agent.headers = {"X-Consul-Token": MASTER}
    wait_for(lambda: agent.get("/v1/acl/tokens", headers=agent.headers).status == 200, "the master token")
    asked, release = threading.Event(), threading.Event()

    class Slow(dict):
        def get(self, path, default=None):
            asked.set()
            release.wait(30)
            return super().get(path, default)

    jwt = "%s.%s.AAAA" % (base64url(b'{"alg":"RS256"}'), base64url(b"{}"))
    put(agent, "/v1/acl/auth-method", {"Name": "slow", "Type": "kubernetes", "Config": {
        "Host": provider.url, "CACert": provider.ca, "ServiceAccountJWT": jwt}})
    provider.answers = Slow()

    def try_login():
        try:
            login(agent, "slow", jwt)
        except OSError:
            pass

    client = threading.Thread(target=try_login)
    client.start()
    assert asked.wait(20)
    assert agent.stop() in (0, 1)
    release.set()
    client.join()


def test_restart(acl_agent):
    policy = put(acl_agent, "/v1/acl/policy", {"Name": "p", "Rules": 'key_prefix "" { policy = "read" }'})
    role = put(acl_agent, "/v1/acl/role", {"Name": "r", "Policies": [{"Name": "p"}]})
    token = put(acl_agent, "/v1/acl/token", {"Roles": [{"Name": "r"}], "ExpirationTTL": "1h"})
    acl_agent.kill()
    acl_agent.start()
    headers = {"X-Consul-Token": token["SecretID"]}
    assert wait_for(lambda: acl_agent.get("/v1/acl/token/self", headers=headers).status == 200, "the token")
    assert acl_agent.get("/v1/acl/token/self", headers=headers).json == token
    assert acl_agent.get("/v1/acl/policy/" + policy["ID"], headers=acl_agent.headers).json == policy
    archive = acl_agent.get("/v1/snapshot", headers=acl_agent.headers).body
    acl_agent.request("DELETE", "/v1/acl/role/" + role["ID"], headers=acl_agent.headers)
    assert "Roles" not in acl_agent.get("/v1/acl/token/self", headers=headers).json
    assert acl_agent.put("/v1/snapshot", archive, headers=acl_agent.headers).status == 200
    assert acl_agent.get("/v1/acl/token/self", headers=headers).json == token


def test_policy_for_agents_of_before_1_4(acl_agent):
    """They ask for all rules of a token at once, in the words of their time; as 1.10.3 answers."""
    put(acl_agent, "/v1/acl/policy", {"Name": "a", "Rules": 'key "k" { policy = "read" } key_prefix "" { policy = "list" } '
                                      'service "s" { policy = "read" intentions = "deny" } operator = "read"'})
    put(acl_agent, "/v1/acl/policy", {"Name": "b", "Rules": 'key "k" { policy = "write" } service "s" { policy = "write" '
                                      'intentions = "read" }'})
    secret = put(acl_agent, "/v1/acl/token", {"Policies": [{"Name": "a"}, {"Name": "b"}]})["SecretID"]
    legacy = put(acl_agent, "/v1/acl/create", {"Type": "client", "Rules": 'key "k" { policy = "read" }'})["ID"]
    rpc = Single(acl_agent.ip)

    def get(token, etag=""):
        return rpc.call("ACL.GetPolicy", {"Datacenter": "dc1", "ACL": token, "ETag": etag})

    answer = get(secret)
    policy = answer["Policy"]
    assert (answer["Parent"], answer["TTL"]) == (b"deny", 30 * 10**9)
    assert answer["ETag"] == b"deny:" + policy["ID"]
    assert policy["Keys"] == [{"Prefix": b"k", "Policy": b"write"}, {"Prefix": b"", "Policy": b"list"}]
    assert policy["Services"] == [{"Name": b"s", "Policy": b"write", "Intentions": b"deny"}]
    assert (policy["Operator"], policy["ACL"], policy["KeyPrefixes"], policy["Nodes"]) == (b"read", b"", None, None)
    again = get(secret, answer["ETag"])
    assert again["Policy"] is None and again["ETag"] == answer["ETag"]
    put(acl_agent, "/v1/acl/policy", {"Name": "c"})
    assert get(secret)["ETag"] == answer["ETag"]
    assert get(legacy)["Policy"]["Keys"] == [{"Prefix": b"k", "Policy": b"read"}]
    assert get(MASTER)["Parent"] == b"manage"
    for nobody in "anonymous", "", "zzz":
        with pytest.raises(Refused, match="ACL not found"):
            get(nobody)
