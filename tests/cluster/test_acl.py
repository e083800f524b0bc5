"""ACLs on client agents: tokens are asked of the servers, remembered, and what holds when no server answers. And agents of both kinds
with servers of both kinds (--reference-binary PATH)."""

import sys
import uuid

import pytest

from cluster import Cluster, wait_for

sys.path.append(__file__.rsplit("/", 2)[0] + "/conformance")
import dnswire  # noqa: E402

MASTER = "6a1f2b9e-0c5d-4e7a-9b3c-2d8e4f6a7b10"
AGENT_MASTER = "7b2f3c8e-1d6e-4f8b-8a4d-3e9f5a7b8c21"
UNKNOWN = "adf4238a-882b-9ddc-4a9d-5b6758e4159e"
TTL = {"token_ttl": "200ms", "policy_ttl": "200ms", "role_ttl": "200ms"}


def acl(tokens=None, **more):
    return dict({"enabled": True, "default_policy": "deny", "tokens": dict({"master": MASTER, "agent": MASTER}, **(tokens or {}))}, **more)


def with_token(token):
    return {"X-Consul-Token": token}


class Admin:
    """Policies and tokens through one server."""

    def __init__(self, agent):
        self.agent, self.headers = agent, with_token(MASTER)

    def put(self, path, body):
        answer = self.agent.put(path, body, headers=self.headers)
        assert answer.status == 200, answer.text
        return answer.json

    def policy(self, rules, name=None):
        return self.put("/v1/acl/policy", {"Name": name or "p-" + uuid.uuid4().hex[:8], "Rules": rules})

    def set_rules(self, policy, rules):
        self.put("/v1/acl/policy/" + policy["ID"], {"ID": policy["ID"], "Name": policy["Name"], "Rules": rules})

    def token(self, rules=None, policies=(), **more):
        links = [{"ID": p["ID"]} for p in policies]
        if rules is not None:
            links.append({"ID": self.policy(rules)["ID"]})
        return self.put("/v1/acl/token", dict({"Policies": links}, **more))

    def delete(self, token):
        answer = self.agent.request("DELETE", "/v1/acl/token/" + token["AccessorID"], headers=self.headers)
        assert answer.status == 200, answer.text


def wait_known(agent, token, path="/v1/agent/services"):
    """Until the agent has heard of the token: a follower's tables may be behind for a moment."""
    wait_for(lambda: agent.get(path, headers=with_token(token)).status == 200, "the token to be known at %s" % agent)


def start_client(cluster, binary=None, **settings):
    client = cluster.add_client(binary=binary, config={"acl": acl(**settings)}).start()
    wait_for(lambda: client.leader_address() != "", "the client to find a server")
    wait_known(client, MASTER)
    return client


@pytest.fixture(scope="module")
def shared(binary, request):
    """Three servers, which no test harms."""
    c = Cluster(binary, 3, config={"acl": acl()})
    c.wait_leader()
    c.wait_voters()
    for s in c.servers:
        wait_known(s, MASTER)
    yield c
    failed = request.session.testsfailed > 0
    c.close(keep=failed or request.config.getoption("--keep"), check=not failed)


@pytest.fixture(scope="module")
def admin(shared):
    return Admin(shared.servers[0])


@pytest.fixture(scope="module")
def client(shared):
    return start_client(shared, tokens={"agent_master": AGENT_MASTER}, **TTL)


def status(agent, path, token, method="GET", body=None):
    return agent.request(method, path, body, headers=with_token(token) if token else {}).status


# --- a client's own endpoints ------------------------------------------------------------------


def test_client_asks_for_tokens(client, admin):
    token = admin.token('service "web" { policy = "write" } node_prefix "" { policy = "read" }')["SecretID"]
    wait_known(client, token)
    assert status(client, "/v1/agent/service/register", token, "PUT", {"Name": "web", "Port": 80}) == 200
    answer = client.put("/v1/agent/service/register", {"Name": "db"}, headers=with_token(token))
    assert (answer.status, answer.text) == (403, "Permission denied: Missing service:write on db")
    assert list(client.get("/v1/agent/services", headers=with_token(token)).json) == ["web"]
    assert client.get("/v1/agent/services").json == {}  # the anonymous token sees nothing
    assert len(client.get("/v1/agent/members", headers=with_token(token)).json) >= 4
    assert client.get("/v1/agent/members").json == []
    answer = client.get("/v1/agent/self", headers=with_token(token))
    assert (answer.status, answer.text) == (403, "Permission denied")
    answer = client.get("/v1/agent/services", headers=with_token(UNKNOWN))
    assert (answer.status, answer.text) == (403, "ACL not found")
    assert status(client, "/v1/agent/service/deregister/web", token, "PUT") == 200


def test_roles_and_identities(client, admin):
    policy = admin.policy('key_prefix "r/" { policy = "write" } agent_prefix "" { policy = "read" }')
    role = admin.put("/v1/acl/role", {"Name": "r-" + uuid.uuid4().hex[:8], "Policies": [{"ID": policy["ID"]}],
                                      "ServiceIdentities": [{"ServiceName": "api"}]})
    token = admin.put("/v1/acl/token", {"Roles": [{"ID": role["ID"]}]})["SecretID"]
    wait_known(client, token, "/v1/agent/self")
    assert status(client, "/v1/agent/service/register", token, "PUT", {"Name": "api"}) == 200
    assert status(client, "/v1/agent/service/register", token, "PUT", {"Name": "api-sidecar-proxy"}) == 200
    assert status(client, "/v1/agent/service/register", token, "PUT", {"Name": "web"}) == 403
    assert status(client, "/v1/kv/r/x", token, "PUT", b"1") == 200
    assert status(client, "/v1/kv/s/x", token, "PUT", b"1") == 403
    for name in ("api", "api-sidecar-proxy"):
        assert status(client, "/v1/agent/service/deregister/" + name, token, "PUT") == 200


def test_changes_arrive(client, admin):
    policy = admin.policy('agent_prefix "" { policy = "read" }')
    token = admin.token(policies=[policy])
    secret = token["SecretID"]
    wait_known(client, secret, "/v1/agent/self")
    admin.set_rules(policy, 'agent_prefix "" { policy = "deny" }')
    wait_for(lambda: status(client, "/v1/agent/self", secret) == 403, "the new rules to hold")
    admin.set_rules(policy, 'agent_prefix "" { policy = "read" }')
    wait_for(lambda: status(client, "/v1/agent/self", secret) == 200, "the old rules to hold again")
    admin.delete(token)
    wait_for(lambda: client.get("/v1/agent/self", headers=with_token(secret)).text == "ACL not found", "the token to be gone")


def test_agent_master_token(client):
    assert status(client, "/v1/agent/self", AGENT_MASTER) == 200
    assert status(client, "/v1/agent/service/register", AGENT_MASTER, "PUT", {"Name": "web"}) == 403
    other = uuid.uuid4().hex
    assert status(client, "/v1/agent/token/agent_master", AGENT_MASTER, "PUT", {"Token": other}) == 200
    assert status(client, "/v1/agent/self", other) == 200
    assert status(client, "/v1/agent/self", AGENT_MASTER) == 403
    assert status(client, "/v1/agent/token/agent_master", other, "PUT", {"Token": AGENT_MASTER}) == 200


def test_sidecar_with_a_token_of_its_own(shared, client, admin):
    service = admin.token('service "shop" { policy = "write" }')["SecretID"]
    sidecar = admin.token('service_prefix "shop" { policy = "write" }')["SecretID"]
    for s in shared.servers:
        wait_known(s, sidecar)
    wait_known(client, service)
    body = {"Name": "shop", "Port": 1, "Connect": {"SidecarService": {}}}
    assert status(client, "/v1/agent/service/register", service, "PUT", body) == 403
    body["Connect"]["SidecarService"]["Token"] = sidecar
    assert status(client, "/v1/agent/service/register", service, "PUT", body) == 200
    seen = client.get("/v1/agent/services", headers=with_token(MASTER)).json
    assert {"shop", "shop-sidecar-proxy"} <= set(seen)
    assert status(client, "/v1/agent/service/deregister/shop", service, "PUT") == 200


def test_sidecar_token_is_asked_for_first(shared, client, admin):
    """The agent has never seen the sidecar's token: the request waits for it."""
    first = admin.token('service_prefix "late" { policy = "write" }')["SecretID"]
    late = admin.token('service_prefix "late" { policy = "write" }')["SecretID"]
    for s in shared.servers:
        wait_known(s, late)
    wait_known(client, first)
    body = {"Name": "late", "Port": 1, "Connect": {"SidecarService": {"Token": late}}}
    assert status(client, "/v1/agent/service/register", first, "PUT", body) == 200
    assert status(client, "/v1/agent/service/deregister/late", first, "PUT") == 200


# --- the catalog -------------------------------------------------------------------------------


def instances(agent, name):
    return [row["Node"] for row in agent.get("/v1/catalog/service/" + name, headers=with_token(MASTER)).json]


def test_anti_entropy_with_tokens(shared, client, admin):
    """A service whose token may not write it any more stays out of the catalog; others are not held up by it."""
    policy = admin.policy('service_prefix "job" { policy = "write" }')
    token = admin.token(policies=[policy])["SecretID"]
    wait_known(client, token)
    admin.set_rules(policy, 'service "job1" { policy = "write" }')
    wait_for(lambda: all(status(s, "/v1/catalog/register", token, "PUT", {"Node": client.name, "SkipNodeUpdate": True, "Service": {"Service": "job2"}})
                         == 403 for s in shared.servers), "the rules to hold at all servers")
    # The agent, which remembers the old rules for a moment, may take both; the servers take one.
    client.put("/v1/agent/service/register", {"Name": "job2"}, headers=with_token(token))
    assert status(client, "/v1/agent/service/register", token, "PUT", {"Name": "job1"}) == 200
    wait_for(lambda: instances(client, "job1") == [client.name], "job1 in the catalog")
    assert instances(client, "job2") == []
    for name in ("job1", "job2"):
        client.put("/v1/agent/service/deregister/" + name, headers=with_token(MASTER))


def test_default_and_agent_token_through_the_api(shared, admin):
    """Without a token the agent's own entry is not there; with one it comes, and DNS answers by the default one."""
    c = shared.add_client(config={"acl": {"enabled": True, "default_policy": "deny", "tokens": {"agent_master": AGENT_MASTER}}}).start()
    wait_for(lambda: c.leader_address() != "", "the client to find a server")
    agent = admin.token('node "%s" { policy = "write" } service_prefix "" { policy = "read" }' % c.name)["SecretID"]
    user = admin.token('node_prefix "" { policy = "read" } service "dns" { policy = "write" }')["SecretID"]

    def tagged():
        rows = shared.servers[0].get("/v1/catalog/nodes", headers=with_token(MASTER)).json
        return [r for r in rows if r["Node"] == c.name and (r["TaggedAddresses"] or {}).get("wan")]
    assert tagged() == []
    assert status(c, "/v1/agent/token/agent", AGENT_MASTER, "PUT", {"Token": agent}) == 200
    wait_for(tagged, "the node's own entry")
    assert status(c, "/v1/agent/token/default", AGENT_MASTER, "PUT", {"Token": user}) == 200
    wait_for(lambda: status(c, "/v1/agent/service/register", None, "PUT", {"Name": "dns", "Port": 7}) == 200, "the default token to be known")

    def answers(name):
        reply = dnswire.ask((c.ip, 8600), dnswire.build_query(name, "SRV"), timeout=30)
        return [rr["data"] for rr in dnswire.parse(reply).get("answer", [])] if reply else []
    wait_for(lambda: answers("dns.service.consul."), "the service by DNS")
    assert answers("consul.service.consul.") == []


# --- no server answers -------------------------------------------------------------------------


@pytest.fixture
def lonely(binary, request):
    """One server, to be taken away, and a token that its clients know."""
    c = Cluster(binary, 1, config={"acl": acl()})
    c.wait_leader()
    wait_known(c.servers[0], MASTER)
    yield c
    failed = getattr(request.node, "failed", True)
    c.close(keep=failed or request.config.getoption("--keep"), check=not failed)


RULES = 'agent_prefix "" { policy = "read" }'
DOWN = {"extend-cache": (200, 403), "async-cache": (200, 403), "deny": (403, 403), "allow": (200, 200)}


@pytest.mark.parametrize("policy", DOWN)
def test_down_policy(lonely, policy):
    known = Admin(lonely.servers[0]).token(RULES)["SecretID"]
    c = start_client(lonely, down_policy=policy, **TTL)
    wait_known(c, known, "/v1/agent/self")
    lonely.servers[0].kill()
    want = DOWN[policy]
    wait_for(lambda: (status(c, "/v1/agent/self", known), status(c, "/v1/agent/self", UNKNOWN)) == want, "%s to hold" % policy)
    assert (status(c, "/v1/agent/self", known), status(c, "/v1/agent/self", UNKNOWN)) == want
    lonely.servers[0].start()
    wait_for(lambda: (status(c, "/v1/agent/self", known), status(c, "/v1/agent/self", UNKNOWN)) == (200, 403), "the server's word again")


def test_async_cache_does_not_wait(lonely):
    """While the server does not answer at all, what was known is told at once."""
    known = Admin(lonely.servers[0]).token(RULES)["SecretID"]
    c = start_client(lonely, down_policy="async-cache", **TTL)
    wait_known(c, known, "/v1/agent/self")
    lonely.servers[0].pause()
    for _ in range(20):
        assert status(c, "/v1/agent/self", known) == 200
    lonely.servers[0].resume()


def test_restart_keeps_rights(lonely):
    """What tokens may do is of the log, and of snapshots."""
    server = lonely.servers[0]
    admin = Admin(server)
    token = admin.token('key_prefix "a/" { policy = "write" }')["SecretID"]
    assert status(server, "/v1/kv/a/x", token, "PUT", b"1") == 200
    server.kill()
    server.start()
    lonely.wait_leader()
    wait_for(lambda: status(server, "/v1/kv/a/x", token) == 200, "the token after a restart")
    assert status(server, "/v1/kv/b/x", token, "PUT", b"1") == 403
    saved = server.get("/v1/snapshot", headers=with_token(MASTER))
    assert saved.status == 200
    assert status(server, "/v1/snapshot", token) == 403
    other = admin.token('key_prefix "b/" { policy = "write" }')["SecretID"]
    assert status(server, "/v1/kv/b/x", other, "PUT", b"1") == 200
    assert server.put("/v1/snapshot", saved.body, headers=with_token(token)).status == 403
    assert server.put("/v1/snapshot", saved.body, headers=with_token(MASTER)).status == 200
    wait_for(lambda: status(server, "/v1/kv/b/x", other) == 403, "the later token to be gone")  # remembered rights go with the tables
    assert status(server, "/v1/kv/a/x", token) == 200


# --- servers -----------------------------------------------------------------------------------


def test_every_server_enforces(shared, admin):
    token = admin.token('key_prefix "e/" { policy = "write" } key "e/secret" { policy = "deny" }')["SecretID"]
    for s in shared.servers:
        wait_known(s, token)
        assert status(s, "/v1/kv/e/a", token, "PUT", b"1") == 200
        assert status(s, "/v1/kv/e/secret", token, "PUT", b"1") == 403
        assert status(s, "/v1/kv/e/a", UNKNOWN) == 403
        assert status(s, "/v1/kv/e/?recurse", token, "DELETE") == 403
        assert [r["Key"] for r in s.get("/v1/kv/e/?recurse", headers=with_token(token)).json] == ["e/a"]
    for path in ("/v1/operator/raft/configuration", "/v1/snapshot", "/v1/acl/tokens", "/v1/operator/autopilot/health"):
        assert status(shared.servers[1], path, token) == 403, path


def test_blocking_query_keeps_to_rights(shared, admin):
    """A watch wakes by its index, and sees no more than its token may."""
    token = admin.token('key_prefix "w/open" { policy = "read" }')["SecretID"]
    for s in shared.servers:
        wait_known(s, token)
    admin.agent.put("/v1/kv/w/open", b"1", headers=with_token(MASTER))
    first = admin.agent.get("/v1/kv/w/?recurse", headers=with_token(token))
    index = int(first.headers["X-Consul-Index"])
    admin.agent.put("/v1/kv/w/closed", b"1", headers=with_token(MASTER))
    later = admin.agent.get("/v1/kv/w/?recurse&index=%d&wait=60s" % index, headers=with_token(token), timeout=90)
    assert int(later.headers["X-Consul-Index"]) > index
    assert [r["Key"] for r in later.json] == ["w/open"]


# --- with agents of Consul itself --------------------------------------------------------------


def check_both_ways(cluster, client):
    admin = Admin(cluster.servers[0])
    policy = admin.policy('service "web" { policy = "write" } agent_prefix "" { policy = "read" } node_prefix "" { policy = "read" }')
    role = admin.put("/v1/acl/role", {"Name": "role-m", "Policies": [{"ID": policy["ID"]}]})
    token = admin.put("/v1/acl/token", {"Roles": [{"ID": role["ID"]}], "ServiceIdentities": [{"ServiceName": "api"}]})
    secret = token["SecretID"]
    wait_known(client, secret, "/v1/agent/self")
    for name, want in (("web", 200), ("api", 200), ("db", 403)):
        answer = client.put("/v1/agent/service/register", {"Name": name, "Port": 1}, headers=with_token(secret))
        assert answer.status == want, (name, answer.text)
    assert answer.text == "Permission denied: Missing service:write on db"
    for name in ("web", "api"):
        wait_for(lambda name=name: instances(cluster.servers[0], name) == [client.name], "%s in the catalog" % name)
    answer = client.get("/v1/agent/self", headers=with_token(UNKNOWN))
    assert (answer.status, answer.text) == (403, "ACL not found")
    admin.delete(token)
    wait_for(lambda: status(client, "/v1/agent/self", secret) == 403, "the token to be gone")


def test_client_with_servers_of_consul(reference_binary, binary, start_cluster):
    c = start_cluster(1, binaries=[reference_binary], config={"acl": acl()})
    c.wait_leader()
    wait_known(c.servers[0], MASTER)
    check_both_ways(c, start_client(c, binary=binary, **TTL))


def test_client_of_consul_with_servers(reference_binary, binary, start_cluster):
    c = start_cluster(1, binaries=[binary], config={"acl": acl()})
    c.wait_leader()
    wait_known(c.servers[0], MASTER)
    check_both_ways(c, start_client(c, binary=reference_binary, **TTL))
