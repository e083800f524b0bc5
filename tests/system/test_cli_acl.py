"""`acl`, `login`, `logout`, `intention`, `connect expose`: real commands against a server of this test's own, which
answers as Consul does and keeps what it was asked."""

import http.server
import json
import threading

import pytest

from conftest import free_ip

TOKEN = "11111111-2222-3333-4444-555555555555"
POLICY = "aaaaaaaa-2222-3333-4444-555555555555"
ROLE = "bbbbbbbb-2222-3333-4444-555555555555"


class Script:
    def __init__(self):
        self.answers, self.asked = {}, []
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                script.asked.append((self.command, self.path, self.headers.get("X-Consul-Token"), body))
                status, value = script.answers.get(self.command + " " + self.path.split("?")[0], (404, "not there"))
                data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer((free_ip(), 8500), Handler)
        self.address = "%s:8500" % self.server.server_address[0]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self, method):
        return [body for m, _, _, body in self.asked if m == method]


@pytest.fixture
def script():
    s = Script()
    yield s
    s.server.shutdown()
    s.server.server_close()


@pytest.fixture
def command(run, script):
    def start(*args, stdin=None, env=None):
        script.asked.clear()
        return run(*args, stdin=stdin, env={"CONSUL_HTTP_ADDR": script.address, "TZ": "UTC0", **(env or {})})

    return start


def token(**more):
    return {"CreateIndex": 7, "ModifyIndex": 9, "AccessorID": TOKEN, "SecretID": "secret", "Description": "one",
            "Policies": [{"ID": POLICY, "Name": "pol"}], "ServiceIdentities": [{"ServiceName": "web"}], "Local": True,
            "CreateTime": "2021-10-01T12:00:00.5-07:00", "Hash": "AAEC", **more}


def test_token_is_shown(command, script):
    script.answers["GET /v1/acl/tokens"] = 200, [token(Legacy=False)]
    script.answers["GET /v1/acl/token/" + TOKEN] = 200, token()
    r = command("acl", "token", "read", "-id=1111", "-meta")
    assert r.stdout == ("AccessorID:       %s\nSecretID:         secret\nDescription:      one\nLocal:            true\n"
                        "Create Time:      2021-10-01 12:00:00.5 -0700 -0700\nHash:             000102\n"
                        "Create Index:     7\nModify Index:     9\nPolicies:\n   %s - pol\nService Identities:\n"
                        "   web (Datacenters: all)\n\n" % (TOKEN, POLICY))
    assert [(m, p) for m, p, _, _ in script.asked] == [("GET", "/v1/acl/tokens"), ("GET", "/v1/acl/token/" + TOKEN)]
    # JSON has the members in the order of Go's client, and times as they came.
    r = command("acl", "token", "list", "-format=json")
    want = {k: token()[k] for k in ("CreateIndex", "ModifyIndex", "AccessorID", "SecretID", "Description", "Policies",
                                    "ServiceIdentities", "Local", "CreateTime", "Hash")}
    want["Legacy"] = False
    assert r.stdout == json.dumps([want], indent=4) + "\n"
    r = command("acl", "token", "read", "-id=2")
    assert r.returncode == 1 and r.stderr == "Error determining token ID: No such token ID with prefix: 2\n"
    r = command("acl", "token", "read", "-id=" + TOKEN, "-format=x")
    assert r.returncode == 1 and r.stderr == "Unknown format: x\n"


def test_token_is_made_and_changed(command, script):
    script.answers["PUT /v1/acl/token"] = script.answers["PUT /v1/acl/token/" + TOKEN] = 200, token()
    script.answers["GET /v1/acl/token/" + TOKEN] = 200, token()
    script.answers["GET /v1/acl/roles"] = 200, [{"ID": ROLE, "Name": "rol"}]
    assert command("acl", "token", "create", "-policy-name=pol", "-role-id=bbb", "-service-identity=db:dc1,dc2",
                   "-node-identity=n1:dc1", "-expires-ttl=90m", "-local").returncode == 0
    assert script.bodies("PUT") == [{
        "CreateIndex": 0, "ModifyIndex": 0, "AccessorID": "", "SecretID": "", "Description": "", "Local": True,
        "Policies": [{"ID": "", "Name": "pol"}], "Roles": [{"ID": ROLE, "Name": ""}],
        "ServiceIdentities": [{"ServiceName": "db", "Datacenters": ["dc1", "dc2"]}],
        "NodeIdentities": [{"NodeName": "n1", "Datacenter": "dc1"}], "ExpirationTTL": 5400 * 10**9,
        "CreateTime": "0001-01-01T00:00:00Z"}]
    assert command("acl", "token", "update", "-id=" + TOKEN, "-merge-policies", "-policy-name=pol", "-policy-name=more",
                   "-merge-service-identities", "-service-identity=web:dc2").returncode == 0
    put = script.bodies("PUT")[0]
    assert put["Policies"] == [{"ID": POLICY, "Name": "pol"}, {"ID": "", "Name": "more"}]
    assert put["ServiceIdentities"] == [{"ServiceName": "web", "Datacenters": ["dc2"]}]
    # What is not merged is replaced.
    assert command("acl", "token", "update", "-id=" + TOKEN, "-node-identity=n2:dc1").returncode == 0
    put = script.bodies("PUT")[0]
    assert "Policies" not in put and "ServiceIdentities" not in put and put["Description"] == "one"
    r = command("acl", "token", "create", "-service-identity=a:b:c")
    assert r.returncode == 1 and r.stderr == 'Malformed -service-identity argument: "a:b:c"\n' and script.asked == []
    r = command("acl", "token", "update", "-id=" + TOKEN, "-upgrade-legacy")
    assert r.returncode == 1 and r.stderr == "Can't use -upgrade-legacy on a non-legacy token\n"


def test_policy(command, script, tmp_path):
    policy = {"ID": POLICY, "Name": "pol", "Description": "d", "Rules": 'key "" {}', "Datacenters": ["dc1", "dc2"],
              "Hash": "AAEC", "CreateIndex": 1, "ModifyIndex": 2}
    for path in ("PUT /v1/acl/policy", "PUT /v1/acl/policy/" + POLICY, "GET /v1/acl/policy/" + POLICY):
        script.answers[path] = 200, policy
    script.answers["GET /v1/acl/policies"] = 200, [policy]
    (tmp_path / "rules").write_text("the rules")
    r = command("acl", "policy", "create", "-name=pol", "-rules=@rules", "-valid-datacenter=dc1")
    assert r.stdout == ("ID:           %s\nName:         pol\nDescription:  d\nDatacenters:  dc1, dc2\nRules:\n"
                        'key "" {}\n' % POLICY)
    assert script.bodies("PUT") == [{"ID": "", "Name": "pol", "Description": "", "Rules": "the rules",
                                     "Datacenters": ["dc1"], "Hash": None, "CreateIndex": 0, "ModifyIndex": 0}]
    # A flag that is given empties what it names, one that is not leaves it.
    assert command("acl", "policy", "update", "-name=pol", "-description=").returncode == 0
    assert {k: script.bodies("PUT")[0][k] for k in ("Name", "Description", "Rules")} == {
        "Name": "pol", "Description": "", "Rules": 'key "" {}'}
    r = command("acl", "policy", "list")
    assert r.stdout == ("pol:\n   ID:           %s\n   Description:  d\n   Datacenters:  dc1, dc2\n\n" % POLICY)
    r = command("acl", "policy", "create", "-rules=x")
    assert r.returncode == 1 and r.stderr.startswith("Missing require '-name' flag\n") and "-valid-datacenter" in r.stderr
    script.answers["GET /v1/acl/policies"] = 403, "Permission denied"
    r = command("acl", "policy", "delete", "-name=pol")
    assert r.returncode == 1
    assert r.stderr == "Error determining policy ID: Unexpected response code: 403 (Permission denied)\n"


def test_role_and_its_name(command, script):
    role = {"ID": ROLE, "Name": "a b", "Description": "", "NodeIdentities": [{"NodeName": "n", "Datacenter": "dc1"}]}
    script.answers["GET /v1/acl/role/name/a+b"] = 200, role
    assert command("acl", "role", "read", "-name=a b").stdout == (
        "ID:           %s\nName:         a b\nDescription:  \nNode Identities:\n   n (Datacenter: dc1)\n\n" % ROLE)
    r = command("acl", "role", "read", "-name=a/b")
    assert r.returncode == 1 and r.stderr == 'Role not found with name "a/b"\n'
    assert script.asked[0][1] == "/v1/acl/role/name/a%252Fb"


def test_auth_method_and_binding_rule(command, script):
    method = {"Name": "m", "Type": "jwt", "MaxTokenTTL": "5m0s", "Config": {"b": [1], "a": None}, "CreateIndex": 1,
              "ModifyIndex": 2}
    script.answers["PUT /v1/acl/auth-method"] = 200, method
    r = command("acl", "auth-method", "create", "-type=jwt", "-name=m", "-max-token-ttl=5m", '-config={"b": [1], "a": null}')
    assert r.stdout == ("Name:          m\nType:          jwt\nDescription:   \nMaxTokenTTL:   5m0s\nConfig:\n"
                        '{\n  "a": null,\n  "b": [\n    1\n  ]\n}\n')
    assert script.bodies("PUT")[0]["MaxTokenTTL"] == "5m0s" and script.bodies("PUT")[0]["Config"] == method["Config"]
    rule = {"ID": ROLE, "AuthMethod": "m", "Selector": "x == y", "BindType": "role", "BindName": "n"}
    script.answers["GET /v1/acl/binding-rules"] = 200, [rule]
    script.answers["GET /v1/acl/binding-rule/" + ROLE] = script.answers["PUT /v1/acl/binding-rule/" + ROLE] = 200, rule
    assert command("acl", "binding-rule", "update", "-id=bb", "-selector=").returncode == 0
    put = script.bodies("PUT")[0]
    assert put["Selector"] == "" and put["BindName"] == "n" and put["BindType"] == "service"


def test_agent_tokens(command, script):
    script.answers["PUT /v1/agent/token/acl_token"] = 200, ""
    r = command("acl", "set-agent-token", "default", "-", stdin="t")
    assert r.stdout == 'ACL token "default" set successfully\n'
    assert script.asked == [("PUT", "/v1/agent/token/default", None, {"Token": "t"}),
                            ("PUT", "/v1/agent/token/acl_token", None, {"Token": "t"})]
    assert command("acl", "set-agent-token", "other", "t").stderr == "Unknown token type\n"
    assert command("acl", "set-agent-token", "agent").stderr == "Error! Missing TOKEN argument\n"


def test_login_and_logout(command, script, tmp_path):
    script.answers["POST /v1/acl/login"] = 200, token()
    script.answers["POST /v1/acl/logout"] = 200, "true"
    (tmp_path / "jwt").write_text("  proof \n")
    login = ["login", "-method=m", "-bearer-token-file=jwt", "-token-sink-file=sub/sink", "-meta=a=b"]
    r = command(*login, "-token=flag")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert script.asked == [("POST", "/v1/acl/login", None,
                             {"AuthMethod": "m", "BearerToken": "proof", "Meta": {"a": "b"}})]
    sink = tmp_path / "sub" / "sink"
    assert sink.read_text() == "secret" and sink.stat().st_mode & 0o777 == 0o600
    assert command("logout", "-token-file=sub/sink").returncode == 0
    assert script.asked == [("POST", "/v1/acl/logout", "secret", None)]
    script.answers["POST /v1/acl/login"] = 403, "Permission denied"
    r = command(*login)
    assert r.returncode == 1 and r.stderr == "Error logging in: Unexpected response code: 403 (Permission denied)\n"
    assert sink.read_text() == "secret" and [p.name for p in sink.parent.iterdir()] == ["sink"]


def test_legacy_rules(command, script):
    script.answers["GET /v1/acl/token/self"] = 200, token(Rules='key "a" { policy = "read" }')
    r = command("acl", "translate-rules", "-token-secret", TOKEN)
    assert r.stdout == 'key_prefix "a" {\n  policy = "read"\n}\n'
    assert script.asked[0][:3] == ("GET", "/v1/acl/token/self", TOKEN)
    script.answers["PUT /v1/acl/policy"] = 200, {"ID": POLICY}
    assert command("acl", "policy", "create", "-name=p", "-from-token=" + TOKEN, "-token-secret").returncode == 0
    assert script.bodies("PUT")[0]["Rules"] == 'key_prefix "a" {\n  policy = "read"\n}'
    r = command("acl", "translate-rules", "bad")
    assert r.returncode == 1 and r.stderr.startswith("Error translating rules: Failed to parse rules: At 1:5: ")


def test_intentions(command, script, tmp_path):
    web = {"ID": "i1", "SourceNS": "default", "SourceName": "web", "DestinationName": "db", "Action": "allow",
           "Meta": {"z": "1", "a": "2"}, "Precedence": 9, "CreatedAt": "2021-10-01T12:00:00.5Z"}
    layered = {"SourceName": "web", "DestinationNS": "ns", "DestinationName": "api",
               "Permissions": [{"Action": "allow", "HTTP": {"PathPrefix": "/a"}}]}
    script.answers.update({"GET /v1/connect/intentions": (200, [web, layered]),
                           "GET /v1/connect/intentions/exact": (200, web),
                           "GET /v1/connect/intentions/i2": (200, layered),
                           "GET /v1/connect/intentions/match": (200, {"db": [web, layered]}),
                           "POST /v1/connect/intentions": (200, {"ID": "x"}),
                           "PUT /v1/connect/intentions/i1": (200, "true")})
    assert command("intention", "list").stdout == ("ID  Source  Action  Destination  Precedence\n"
                                                   "i1  web     allow   db           9\n"
                                                   "    web             api          0\n")
    assert command("intention", "get", "web", "db").stdout == (
        "Source:       web\nDestination:  db\nAction:       allow\nID:           i1\nMeta[a]:      2\nMeta[z]:      1\n"
        "Created At:   Friday, 01-Oct-21 12:00:00 UTC\n")
    assert 'Permissions:\n[\n  {\n    "Action": "allow",\n' in command("intention", "get", "i2").stdout
    assert command("intention", "match", "db").stdout == "web => db (allow)\nweb => ns/api (1 permission)\n"
    r = command("intention", "create", "-deny", "-meta=k=v", "n/a", "*")
    assert r.stdout == "Created: n/a => * (deny)\n"
    posted = script.bodies("POST")[0]
    assert (posted["SourceNS"], posted["SourceName"], posted["Action"], posted["Meta"]) == ("n", "a", "deny", {"k": "v"})
    assert command("intention", "create", "-replace", "-deny", "web", "db").stdout == ""
    assert script.asked[-1][:2] == ("PUT", "/v1/connect/intentions/i1") and script.bodies("PUT")[0]["ID"] == "i1"
    (tmp_path / "l7").write_text(json.dumps(layered))
    assert "cannot create L7 intention from file" in command("intention", "create", "-file", "l7").stderr
    for answer, code, said in ((True, 0, "Allowed\n"), (False, 1, "Denied\n")):
        script.answers["GET /v1/connect/intentions/check"] = 200, {"Allowed": answer}
        r = command("intention", "check", "web", "db")
        assert (r.returncode, r.stdout) == (code, said)
    script.answers["GET /v1/connect/intentions/check"] = 500, "no"
    assert command("intention", "check", "web", "db").returncode == 2
    script.answers["GET /v1/connect/intentions"] = 200, []
    r = command("intention", "list")
    assert (r.returncode, r.stderr) == (2, "There are no intentions.\n")


def test_expose(command, script):
    entry = {"Kind": "ingress-gateway", "Name": "gw", "Unknown": {"kept": 1}, "ModifyIndex": 9,
             "Listeners": [{"Port": 80, "Protocol": "tcp", "Services": [{"Name": "old"}]}, {"Port": 81}]}
    script.answers.update({"GET /v1/config/ingress-gateway/gw": (200, entry), "PUT /v1/config": (200, "true"),
                           "PUT /v1/connect/intentions/exact": (200, "true")})
    expose = ["connect", "expose", "-service=web", "-ingress-gateway=gw", "-port=80"]
    r = command(*expose)
    assert r.stdout == ('Successfully updated config entry for ingress service "gw"\n'
                        'Successfully set up intention for "gw" -> "web"\n')
    assert [p for m, p, _, _ in script.asked if m == "PUT"] == [
        "/v1/config?cas=9", "/v1/connect/intentions/exact?destination=web&source=gw"]
    entry["Listeners"][0]["Services"].append({"Name": "web", "Hosts": None})
    assert script.bodies("PUT")[0] == entry
    r = command(*expose, "-protocol=http")
    assert r.stderr == 'Listener on port 80 already configured with conflicting protocol "tcp"\n'
    script.answers["PUT /v1/config"] = 200, "false"
    assert "was changed while attempting to update" in command(*expose).stderr


def test_completion_is_installed(run, tmp_path):
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    r = run("-autocomplete-install", env=env)
    assert r.returncode == 1 and r.stderr == "Error executing CLI: Did not find any shells to install\n"
    (tmp_path / ".bashrc").write_text("# mine\n")
    (tmp_path / ".zshrc").write_text("")
    (tmp_path / "config" / "fish").mkdir(parents=True)
    fish = tmp_path / "config" / "fish" / "completions" / "consul.fish"
    assert run("-autocomplete-install", env=env).returncode == 0
    line = (tmp_path / ".bashrc").read_text()
    assert line.startswith("# mine\n\ncomplete -C /") and line.endswith(" consul\n")
    assert "bashcompinit\ncomplete -o nospace -C /" in (tmp_path / ".zshrc").read_text()
    assert "function __complete_consul" in fish.read_text()
    r = run("-autocomplete-install", env=env)
    assert r.returncode == 1 and r.stderr.startswith("Error executing CLI: 3 errors occurred:\n\t* already installed in ")
    assert run("--autocomplete-uninstall", env=env).returncode == 0
    assert "complete" not in (tmp_path / ".bashrc").read_text() and not fish.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".bashrc", ".zshrc", "config"]
    assert run("-autocomplete-uninstall", env=env).returncode == 1


def test_traffic_is_redirected(command, script, tmp_path):
    """Programs of the test's own stand in for iptables and nsenter: they note down what they are given."""
    for name in ("iptables", "nsenter"):
        (tmp_path / name).write_text("#!/bin/sh\necho %s \"$@\" >>noted\n" % name)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": "%s:%s" % (tmp_path, "/usr/bin:/bin")}
    proxy = {"DestinationServiceName": "web", "Config": {"bind_port": 21000, "envoy_stats_bind_addr": "1.2.3.4:9001"},
             "Expose": {"Checks": True, "Paths": [{"ListenerPort": 3000}]}}
    script.answers["GET /v1/agent/service/p"] = 200, {"Port": 2000, "Proxy": proxy}
    script.answers["GET /v1/agent/checks"] = 200, {"c": {"ExposedPort": 21500}}
    r = command("connect", "redirect-traffic", "-proxy-uid=77", "-proxy-id=p", "-exclude-outbound-port=8", env=env)
    assert r.stdout == "    Successfully applied traffic redirection rules\n", r.stderr
    noted = (tmp_path / "noted").read_text().splitlines()
    assert noted[:4] == ["iptables -t nat -N CONSUL_PROXY_" + c for c in ("INBOUND", "IN_REDIRECT", "OUTPUT", "REDIRECT")]
    for rule in ("-A CONSUL_PROXY_REDIRECT -p tcp -j REDIRECT --to-port 15001",
                 "-A CONSUL_PROXY_OUTPUT -m owner --uid-owner 77 -j RETURN",
                 "-I CONSUL_PROXY_OUTPUT -p tcp --dport 8 -j RETURN",
                 "-A CONSUL_PROXY_IN_REDIRECT -p tcp -j REDIRECT --to-port 21000"):
        assert "iptables -t nat " + rule in noted
    assert noted[-3:] == ["iptables -t nat -I CONSUL_PROXY_INBOUND -p tcp --dport %s -j RETURN" % port
                          for port in (9001, 3000, 21500)]
    (tmp_path / "noted").unlink()
    r = command("connect", "redirect-traffic", "-proxy-uid=77", "-proxy-inbound-port=1", "-netns=/n", env=env)
    assert (tmp_path / "noted").read_text().startswith("nsenter --net=/n -- iptables -t nat -N CONSUL_PROXY_INBOUND\n")
    # The first that fails ends it.
    (tmp_path / "iptables").write_text("#!/bin/sh\necho why\nexit 3\n")
    r = command("connect", "redirect-traffic", "-proxy-uid=77", "-proxy-inbound-port=1", env=env)
    assert r.returncode == 1
    assert r.stderr == ("==> Error setting up traffic redirection rules: failed to run command: %s/iptables -t nat -N "
                        "CONSUL_PROXY_INBOUND, err: exit status 3, output: why\n\n" % tmp_path)
