"""Client agents: everything is asked of the servers, and goes on when those come and go."""

import base64
import json
import os
import sys
import threading

import pytest

from cluster import Cluster, wait_for

sys.path.append(__file__.rsplit("/", 2)[0] + "/conformance")
import dnswire  # noqa: E402

shared_clusters = []


def is_served(client):
    return client.leader_address() != ""


def start_client(cluster, **config):
    client = cluster.add_client(config=config).start()
    wait_for(lambda: is_served(client), "the client to find a server")
    return client


@pytest.fixture(scope="module")
def shared(binary, request):
    """Three servers and a client, which no test harms."""
    c = Cluster(binary, 3)
    shared_clusters.append(c)
    c.wait_leader()
    c.wait_voters()
    start_client(c)
    yield c
    failed = request.session.testsfailed > 0
    c.close(keep=failed or request.config.getoption("--keep"), check=not failed)
    shared_clusters.clear()


@pytest.fixture
def client(shared):
    return shared.all[len(shared.servers)]


def ask(agent, name, kind="A"):
    reply = dnswire.ask((agent.ip, 8600), dnswire.build_query(name, kind), timeout=30)
    return dnswire.parse(reply) if reply else {"rcode": "none"}


def data(agent, name, kind="A"):
    return sorted(rr["data"] for rr in ask(agent, name, kind).get("answer", []))


# --- what a client is --------------------------------------------------------------------------


def test_members_and_self(shared, client):
    names = {s.name for s in shared.servers} | {client.name}
    for agent in (*shared.servers, client):
        wait_for(lambda: {m["Name"] for m in agent.get("/v1/agent/members").json if m["Status"] == 1} == names, "all members")
    row = next(m for m in shared.servers[0].get("/v1/agent/members").json if m["Name"] == client.name)
    assert row["Tags"]["role"] == "node" and "port" not in row["Tags"]
    me = client.get("/v1/agent/self").json
    assert me["Config"]["Server"] is False
    assert me["Stats"]["consul"] == {"acl": "disabled", "known_servers": "3", "server": "false"}
    assert "raft" not in me["Stats"] and "serf_wan" not in me["Stats"]
    assert client.get("/v1/agent/members?wan=1").json is None
    assert "server        = false" in " ".join(client.cli("info").stdout.split()) or "known_servers = 3" in client.cli("info").stdout
    assert len(client.cli("members").stdout.splitlines()) == 5


def test_catalog_has_the_client(shared, client):
    wait_for(lambda: [c["Status"] for c in client.get("/v1/health/node/" + client.name).json if c["CheckID"] == "serfHealth"] ==
             ["passing"], "the client's serfHealth")
    body = {"Name": "web", "ID": "web-1", "Port": 8080, "Tags": ["a"], "Check": {"TTL": "10m", "Status": "passing"}}
    assert client.put("/v1/agent/service/register", body).status == 200
    for agent in (*shared.servers, client):
        wait_for(lambda: [e["Node"]["Node"] for e in agent.get("/v1/health/service/web?passing").json] == [client.name], "the service")
    assert client.put("/v1/agent/check/fail/service:web-1").status == 200
    wait_for(lambda: client.get("/v1/health/service/web?passing").json == [], "the service to fail")
    assert client.put("/v1/agent/check/pass/service:web-1").status == 200
    wait_for(lambda: data(client, "web.service.consul") == [client.ip], "DNS to have it")
    srv = ask(client, "a.web.service.consul", "SRV")
    assert [rr["type"] for rr in srv["answer"]] == ["SRV"] and "8080" in json.dumps(srv["answer"])
    assert data(client, client.name + ".node.consul") == [client.ip]
    assert data(client, shared.servers[0].name + ".node.consul") == [shared.servers[0].ip]
    assert ask(client, "missing.service.consul")["rcode"] == "NXDOMAIN"
    assert client.put("/v1/agent/service/deregister/web-1").status == 200
    wait_for(lambda: shared.servers[0].get("/v1/catalog/service/web").json == [], "the service to be gone")


def test_status_and_operator(shared, client):
    leader = shared.wait_leader()
    assert client.leader_address() == leader.address
    assert sorted(client.get("/v1/status/peers").json) == sorted(s.address for s in shared.servers)
    rows = client.get("/v1/operator/raft/configuration").json["Servers"]
    assert {r["Node"] for r in rows} == {s.name for s in shared.servers}
    assert client.get("/v1/operator/autopilot/configuration").status == 200
    assert len(client.cli("operator", "raft", "list-peers").stdout.splitlines()) == 4
    assert client.get("/v1/catalog/datacenters").json == ["dc1"]
    other = client.get("/v1/kv/a?dc=elsewhere")
    assert other.status == 500 and other.text == "rpc error making call: No path to datacenter"


# --- calls -------------------------------------------------------------------------------------


def test_reads_and_writes(shared, client):
    for n in range(30):
        assert client.set("reads", n)
        for mode in ("?", "?consistent"):
            assert client.value("reads", mode) == str(n)
    wait_for(lambda: client.value("reads", "?stale") == "29", "a stale read of the last one")
    assert client.get("/v1/kv/reads?stale").headers["X-Consul-KnownLeader"] == "true"
    index = client.get("/v1/kv/reads").json[0]["ModifyIndex"]
    assert client.put("/v1/kv/reads?cas=%d" % index, b"x").text == "true"
    assert client.put("/v1/kv/reads?cas=%d" % index, b"y").text == "false"
    ops = [{"KV": {"Verb": "get", "Key": "reads"}}]
    assert base64.b64decode(client.put("/v1/txn", ops).json["Results"][0]["KV"]["Value"]) == b"x"
    big = os.urandom(500 * 1000)
    assert client.set("big", big)
    assert client.get("/v1/kv/big?raw").body == big


def test_many_blocking_queries(shared, client):
    """They wait at a server, wake for their own key, and do not keep others from being answered."""
    count = 150  # limits.http_max_conns_per_client is 200
    assert client.set("watch/x", "0")
    index = int(client.get("/v1/kv/watch/x").headers["X-Consul-Index"])
    seen = []

    def watch():
        seen.append(client.get("/v1/kv/watch/x?index=%d&wait=5m" % index, timeout=120).json[0]["Value"])
    threads = [threading.Thread(target=watch) for _ in range(count)]
    for t in threads:
        t.start()
    leader = shared.wait_leader()
    for n in range(20):
        assert client.set("watch/other", n)
    assert not seen
    assert leader.set("watch/x", "1")
    for t in threads:
        t.join()
    assert seen == ["MQ=="] * count


def test_sessions_and_locks(client):
    session = client.put("/v1/session/create", {"TTL": "600s", "Name": "s"}).json["ID"]
    info = client.get("/v1/session/info/" + session).json[0]
    assert info["Node"] == client.name
    assert client.put("/v1/kv/lock?acquire=" + session, b"1").text == "true"
    assert client.put("/v1/session/renew/" + session).status == 200
    assert client.put("/v1/session/destroy/" + session).status == 200
    assert "Session" not in client.get("/v1/kv/lock").json[0]
    assert client.cli("lock", "cli", "echo", "held").stdout.strip() == "held"


def test_dns_that_is_never_stale(shared):
    """What a write has returned for is what DNS says, at once, whichever server the client asks."""
    for config in ({"allow_stale": False}, {"max_stale": "1ns"}):
        client = start_client(shared, dns_config=config)
        for n in range(1, 31):
            address = "10.1.2.%d" % n
            assert client.put("/v1/catalog/register", {"Node": "ext", "Address": address,
                                                       "Service": {"Service": "fresh", "Port": 1, "Address": address}}).status == 200
            for name in ("fresh.service.consul", "ext.node.consul"):
                assert data(client, name) == [address], name
        assert client.put("/v1/catalog/deregister", {"Node": "ext"}).status == 200
        assert client.stop() == 0


def test_prepared_queries_and_near(shared, client):
    assert client.put("/v1/agent/service/register", {"Name": "db", "Port": 1}).status == 200
    wait_for(lambda: len(client.get("/v1/catalog/service/db").json) == 1, "the service")
    made = client.request("POST", "/v1/query", {"Name": "q", "Service": {"Service": "db", "Near": "_agent"}})
    assert made.status == 200
    result = client.get("/v1/query/q/execute?near=_agent").json
    assert [n["Node"]["Node"] for n in result["Nodes"]] == [client.name]
    wait_for(lambda: data(client, "q.query.consul") == [client.ip], "the query to be on the server that is asked")
    assert client.get("/v1/query/missing/execute").status == 404
    assert client.get("/v1/catalog/service/db?near=_agent").status == 200
    assert client.put("/v1/agent/service/deregister/db").status == 200


def test_cached_reads_are_fresh(client):
    assert client.put("/v1/agent/service/register", {"Name": "cached", "Port": 1}).status == 200
    wait_for(lambda: len(client.get("/v1/health/service/cached?cached").json) == 1, "the service")
    answer = client.get("/v1/health/service/cached?cached")
    assert answer.headers["X-Cache"] == "HIT" and "Age" in answer.headers
    assert client.put("/v1/agent/service/deregister/cached").status == 200
    wait_for(lambda: client.get("/v1/health/service/cached?cached").json == [], "the service to go")


def test_snapshot(shared, client, tmp_path):
    assert client.set("kept", "1")
    path = str(tmp_path / "archive")
    assert client.cli("snapshot", "save", path).returncode == 0
    assert "Index" in client.cli("snapshot", "inspect", path).stdout
    assert client.set("later", "1")
    restored = client.cli("snapshot", "restore", path)
    assert restored.returncode == 0, restored.stderr
    wait_for(lambda: client.get("/v1/kv/later").status == 404, "the state of before")
    assert client.value("kept", "?consistent") == "1"
    refused = client.put("/v1/snapshot", b"no archive")
    assert refused.status == 500


def test_user_events(shared, client):
    """Fired through a client they reach everybody, and those of others reach the client."""
    server = shared.servers[0]
    for n, source in enumerate((client, server)):
        name = "event%d" % n
        fired = source.put("/v1/event/fire/%s" % name, b"payload").json
        for agent in (client, server):
            wait_for(lambda: [e["ID"] for e in agent.get("/v1/event/list?name=" + name).json] == [fired["ID"]], "the event")
    assert client.cli("event", "-name", "cli").stdout.startswith("Event ID: ")


def test_keyring_is_for_servers(client):
    answer = client.get("/v1/operator/keyring")
    assert (answer.status, answer.text) == (500, "keyring operations must run against a server node")


# --- servers come and go -----------------------------------------------------------------------


def test_no_server_at_start(start_cluster):
    """What needs no server is answered; the rest says that there is none."""
    c = start_cluster(3, start=False)
    client = c.add_client().start()
    wait_for(lambda: client.get("/v1/agent/self").status == 200, "the agent")
    for path in ("/v1/kv/a", "/v1/catalog/nodes", "/v1/status/leader", "/v1/snapshot", "/v1/health/service/x?stale"):
        answer = client.get(path)
        assert (answer.status, answer.text) == (500, "No known Consul servers"), path
    assert client.put("/v1/kv/a", b"1").text == "No known Consul servers"
    assert client.put("/v1/agent/service/register", {"Name": "early", "Port": 1}).status == 200
    assert [m["Name"] for m in client.get("/v1/agent/members").json] == [client.name]
    assert ask(client, "early.service.consul")["rcode"] == "SERVFAIL"
    c.start()
    c.wait_leader()
    wait_for(lambda: is_served(client), "the client to find a server")
    wait_for(lambda: [s["Node"] for s in client.get("/v1/catalog/service/early").json] == [client.name], "the service to be synced")


def test_every_server_in_turn_is_killed(start_cluster):
    """A query that waits goes on, whichever of them it was with; what was acknowledged is there."""
    c = start_cluster(3)
    c.wait_leader()
    c.wait_voters()
    client = start_client(c)
    assert client.set("watched", "0")
    index = int(client.get("/v1/kv/watched").headers["X-Consul-Index"])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.get("/v1/kv/watched?stale&index=%d&wait=9m" % index, timeout=400)))
    thread.start()
    written = 0
    for victim in c.servers:
        victim.kill()
        c.wait_leader(c.running())
        wait_for(lambda: client.set("written/%d" % written, written), "a write")
        written += 1
        victim.start()
        wait_for(lambda: client.get("/v1/agent/self").json["Stats"]["consul"]["known_servers"] == "3", "the client to know all")
        c.wait_leader()
        c.wait_voters()
    assert not answers
    wait_for(lambda: client.set("watched", "1"), "a write")
    thread.join()
    assert "New leader elected" in client.log()
    assert answers[0].status == 200 and answers[0].json[0]["Value"] == "MQ=="
    assert [client.value("written/%d" % n, "?consistent") for n in range(written)] == [str(n) for n in range(written)]


def test_all_servers_fail(start_cluster):
    c = start_cluster(1)
    server = c.wait_leader()
    client = start_client(c)
    server.kill()
    wait_for(lambda: client.get("/v1/kv/a").text == "No known Consul servers", "the client to notice")
    server.start()
    wait_for(lambda: client.set("a", "1"), "the client to find it again")


# --- leaving and failing -----------------------------------------------------------------------


def nodes(agent):
    return {n["Node"] for n in agent.get("/v1/catalog/nodes").json}


def status_of(agent, name):
    return [m["Status"] for m in agent.get("/v1/agent/members").json if m["Name"] == name]


@pytest.mark.parametrize("how", ["SIGTERM", "leave", "api"])
def test_leave(start_cluster, how):
    c = start_cluster(1)
    server = c.wait_leader()
    client = start_client(c)
    wait_for(lambda: nodes(server) >= {client.name}, "the client's node")
    if how == "SIGTERM":
        assert client.stop() == 0
    elif how == "leave":
        client.ended_by_us = True
        assert client.cli("leave").returncode == 0
        assert client.wait_end() == 0
    else:
        client.ended_by_us = True
        assert client.put("/v1/agent/leave").status == 200
        assert client.wait_end() == 0
    wait_for(lambda: status_of(server, client.name) == [3], "the server to know")
    wait_for(lambda: client.name not in nodes(server), "the node to be gone")
    client.start()
    wait_for(lambda: is_served(client), "the client to be back")
    wait_for(lambda: status_of(server, client.name) == [1], "the server to know it again")


def test_failure_and_force_leave(start_cluster):
    c = start_cluster(1)
    server = c.wait_leader()
    one, two = start_client(c), start_client(c)
    wait_for(lambda: nodes(server) >= {one.name}, "the client's node")
    one.kill()
    wait_for(lambda: [x["Status"] for x in server.get("/v1/health/node/" + one.name).json] == ["critical"], "the failure to be seen")
    wait_for(lambda: status_of(two, one.name) == [4], "the other client to see it")
    assert two.cli("force-leave", one.name).returncode == 0
    wait_for(lambda: one.name not in nodes(server), "the node to be gone")
    assert two.cli("force-leave", "nobody").returncode == 1


def test_start_join_that_fails_ends_the_agent(start_cluster):
    c = start_cluster(1, start=False)
    client = c.add_client(config={"start_join": ["127.0.0.9:1"], "retry_join": []}).start()
    assert client.wait_end() == 1


def test_retry_max(start_cluster):
    c = start_cluster(1, start=False)
    client = c.add_client(config={"retry_max": 2, "retry_interval": "50ms", "retry_join": ["127.0.0.9:1"]}).start()
    assert client.wait_end() == 1
    assert "max join LAN retry exhausted" in client.log()


def test_join_by_command(start_cluster):
    c = start_cluster(1)
    server = c.wait_leader()
    client = c.add_client(config={"retry_join": []}).start()
    wait_for(lambda: client.get("/v1/agent/self").status == 200, "the agent")
    assert client.get("/v1/kv/a").status == 500
    assert client.cli("join", "127.0.0.9:1").returncode == 1
    assert client.cli("join", server.ip).returncode == 0
    wait_for(lambda: client.set("a", "1"), "the client to be served")


# --- limits ------------------------------------------------------------------------------------


def test_rate_limit(start_cluster):
    c = start_cluster(1)
    c.wait_leader()
    client = c.add_client(config={"limits": {"rpc_rate": 0, "rpc_max_burst": 60},
                                  "telemetry": {"prometheus_retention_time": "1h", "disable_hostname": True}}).start()

    def refused():
        answer = client.get("/v1/kv/a")
        return answer if answer.status == 429 else None
    answer = wait_for(refused, "the limit to be reached")
    assert answer.text == "RPC rate limit exceeded"
    assert client.put("/v1/kv/a", b"1").status == 429
    assert client.get("/v1/snapshot").status == 429
    assert client.get("/v1/agent/self").status == 200

    def metric(name):
        lines = client.get("/v1/agent/metrics?format=prometheus").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split()[0].split("{")[0] == name)
    assert metric("consul_client_rpc_exceeded") >= 3
    assert metric("consul_client_rpc") >= 63
    client.config["limits"] = {"rpc_rate": -1}
    with open(os.path.join(client.dir, "config.json"), "w") as f:
        json.dump(client.config, f)
    assert client.cli("reload").returncode == 0
    wait_for(lambda: client.set("a", "1"), "the limit to be gone")


def test_failed_calls_are_counted(start_cluster):
    c = start_cluster(1)
    server = c.wait_leader()
    client = c.add_client(config={"telemetry": {"prometheus_retention_time": "1h", "disable_hostname": True}}).start()
    wait_for(lambda: is_served(client), "the client to find a server")
    assert client.get("/v1/kv/a?dc=elsewhere").status == 500
    lines = client.get("/v1/agent/metrics?format=prometheus").text
    assert 'consul_client_rpc_failed{server="%s"} 1' % server.name in lines
