"""Several data centers in one WAN pool: each of our own, or one of them Consul's (--reference-binary PATH)."""

import subprocess
import sys
import threading

import pytest

from cluster import wait_for

sys.path.append(__file__.rsplit("/", 2)[0] + "/conformance")
import dnswire  # noqa: E402

# Letters of the binaries of dc1, dc2, ...: ours, the reference.
LAYOUTS = {"ours": "ooo", "the primary is theirs": "roo", "a secondary is theirs": "oro"}
ALIVE, LEFT, FAILED = 1, 3, 4
QUICK = {"gossip_interval": "50ms", "probe_interval": "200ms", "probe_timeout": "100ms", "suspicion_mult": 3}


@pytest.fixture(params=LAYOUTS)
def start(request, start_cluster, binary):
    """start(3, 1): dc1 with three servers and dc2 with one, which know each other; dc1 is the primary."""
    letters = LAYOUTS[request.param]
    binaries = {"o": binary, "r": request.getfixturevalue("reference_binary") if "r" in letters else None}

    def make(*counts, config=None, primary=True, each=lambda dc: {}):
        clusters = []
        for i, count in enumerate(counts):
            settings = {"ports": {}, "gossip_lan": QUICK, "gossip_wan": QUICK, "datacenter": "dc%d" % (i + 1), "connect": {"enabled": True},
                        "retry_interval_wan": "500ms", "retry_join_wan": [s.ip for c in clusters for s in c.servers]}
            if primary:
                settings["primary_datacenter"] = "dc1"
            clusters.append(start_cluster(count, binaries=[binaries[letters[i]]], config=dict(settings, **(config or {}), **each("dc%d" % (i + 1)))))
        for c in clusters:
            c.wait_leader()
            c.wait_voters()
        names = sorted("dc%d" % (i + 1) for i in range(len(counts)))
        for c in clusters:
            for s in c.servers:
                wait_for(lambda s=s: sorted(s.get("/v1/catalog/datacenters").json) == names, "%s to know %s" % (s, names))
                wait_for(lambda s=s: all(s.get("/v1/kv/x?dc=" + n).status == 404 for n in names), "%s to reach %s" % (s, names))
        return clusters
    return make


def client_of(cluster, **config):
    client = cluster.add_client(config=config).start()
    wait_for(lambda: client.leader_address() != "", "the client to find a server")
    return client


def value(agent, key, dc, more=""):
    answer = agent.get("/v1/kv/%s?raw&dc=%s%s" % (key, dc, more))
    return answer.body.decode() if answer.status == 200 else answer.status


def put(agent, key, data, dc):
    answer = agent.put("/v1/kv/%s?dc=%s" % (key, dc), data.encode())
    return answer.status == 200 and answer.text == "true"


def dns(agent, name, kind="A"):
    reply = dnswire.ask((agent.ip, 8600), dnswire.build_query(name, kind), timeout=30)
    return dnswire.parse(reply) if reply else {"rcode": "none"}


def addresses(agent, name, kind="A"):
    return sorted(rr["data"] for rr in dns(agent, name, kind).get("answer", []))


def register(server, node, address, service):
    answer = server.put("/v1/catalog/register", {"Node": node, "Address": address, "Service": {"Service": service, "Port": 80}})
    assert answer.status == 200, answer.text


def wan_status(server, name):
    return {m["Name"]: m["Status"] for m in server.get("/v1/agent/members?wan=1").json}.get(name)


# --- calls -------------------------------------------------------------------------------------------


def test_calls(start):
    """Reads and writes, by the leader, by followers, by clients; what they say of themselves."""
    one, two = start(3, 1)
    there = two.servers[0]
    agents = one.servers + [client_of(one)]
    for n, agent in enumerate(agents):
        assert put(agent, "k%d" % n, "v%d" % n, "dc2")
        assert value(there, "k%d" % n, "dc2") == "v%d" % n
        assert value(agent, "k%d" % n, "dc1") == 404
        for mode in ("", "&stale", "&consistent"):
            assert value(agent, "k%d" % n, "dc2", mode) == "v%d" % n
        answer = agent.get("/v1/kv/k%d?dc=dc2" % n)
        assert answer.headers["X-Consul-KnownLeader"] == "true" and int(answer.headers["X-Consul-Index"]) > 0
        answer = agent.get("/v1/kv/a?dc=dc9")
        assert (answer.status, answer.text.rsplit(": ", 1)[-1]) == (500, "No path to datacenter")
        assert [node["Datacenter"] for node in agent.get("/v1/catalog/nodes?dc=dc2").json] == ["dc2"]
        session = agent.put("/v1/session/create?dc=dc2", {"Node": there.name, "Checks": []}).json["ID"]
        assert there.get("/v1/session/info/" + session).json[0]["Node"] == there.name
        assert agent.put("/v1/txn?dc=dc2", [{"KV": {"Verb": "get", "Key": "k%d" % n}}]).json["Results"][0]["KV"]["Key"] == "k%d" % n
        assert agent.get("/v1/operator/raft/configuration?dc=dc2").json["Servers"][0]["Address"] == there.address
    for server in one.servers + two.servers:
        assert server.get("/v1/agent/self").json["Stats"]["consul"]["known_datacenters"] == "2"
    assert put(there, "back", "x", "dc1") and value(one.servers[0], "back", "dc1", "&consistent") == "x"


def test_blocking(start):
    """A query that waits in the other data center is woken there, times out there, and is gone with its client."""
    one, two = start(1, 1)
    here, there = one.servers[0], two.servers[0]
    assert put(there, "k", "0", "dc2")
    index = here.get("/v1/kv/k?dc=dc2").headers["X-Consul-Index"]
    answers = []

    def watch(agent):
        answers.append(agent.get("/v1/kv/k?raw&dc=dc2&index=%s&wait=60s" % index, timeout=90).body)
    threads = [threading.Thread(target=watch, args=(here,)) for _ in range(20)]
    for t in threads:
        t.start()

    def waiting():
        gauges = {g["Name"]: g["Value"] for g in there.get("/v1/agent/metrics").json["Gauges"]}
        return gauges.get("consul.rpc.queries_blocking", 0) >= 20
    wait_for(waiting, "20 queries to wait in dc2")
    assert answers == []
    assert put(here, "k", "1", "dc2")
    for t in threads:
        t.join()
    assert answers == [b"1"] * 20
    answer = here.get("/v1/kv/nothing?dc=dc2&index=%s&wait=300ms" % here.get("/v1/kv/k?dc=dc2").headers["X-Consul-Index"])
    assert answer.status == 404


def test_a_server_of_the_other_one_dies(start):
    """Calls go on to the next server there; no read fails."""
    one, two = start(1, 3)
    here = one.servers[0]
    assert put(here, "k", "v", "dc2")
    victim = next(s for s in two.servers if s is not two.wait_leader())
    two.wait_same()
    victim.kill()
    for _ in range(50):
        assert value(here, "k", "dc2", "&stale") == "v"
    wait_for(lambda: wan_status(here, "%s.dc2" % victim.name) == FAILED, "the server to fail in the WAN pool")
    for _ in range(50):
        assert value(here, "k", "dc2") == "v"
    victim.start()
    wait_for(lambda: wan_status(here, "%s.dc2" % victim.name) == ALIVE, "the server to be back")


def test_a_data_center_stops_and_is_back(start):
    """What is asked of it fails soon, the others go on, and it is found again."""
    one, two, three = start(1, 1, 1)
    here = one.servers[0]
    assert put(here, "k", "v", "dc2")
    two.servers[0].kill()
    answer = here.get("/v1/kv/k?dc=dc2")
    assert answer.status == 500 and any(t in answer.text for t in ("failed to get conn", "currently reachable", "EOF", "stream closed")), answer.text
    for _ in range(20):
        assert here.get("/v1/kv/k?dc=dc2").status == 500
        assert put(here, "k", "x", "dc3") and put(here, "k", "x", "dc1")
    assert dns(here, "web.service.dc2.consul.")["rcode"] == "SERVFAIL"
    wait_for(lambda: wan_status(here, "server1.dc2") == FAILED, "the server to fail in the WAN pool")
    assert "dc2" in here.get("/v1/catalog/datacenters").json
    two.servers[0].start()
    wait_for(lambda: value(here, "k", "dc2") == "v", "dc2 to be back")


def test_a_data_center_hangs(start, is_reference):
    """Those who wait for it keep nobody else waiting."""
    one, two = start(1, 1)
    here, there = one.servers[0], two.servers[0]
    there.pause()
    results = []

    def ask():
        try:
            results.append(here.get("/v1/kv/k?dc=dc2", timeout=120).status)
        except OSError:
            results.append(None)
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(100)]
    for t in threads:
        t.start()
    for n in range(100):
        assert put(here, "k%d" % n, "v", "dc1") and value(here, "k%d" % n, "dc1") == "v"
    wait_for(lambda: wan_status(here, "server1.dc2") == FAILED, "the server to fail in the WAN pool")
    there.resume()
    for t in threads:
        t.join(120)
    assert len(results) == 100
    wait_for(lambda: here.get("/v1/kv/k?dc=dc2").status == 404, "dc2 to be back")


# --- what is found there -----------------------------------------------------------------------------


def test_services_and_queries(start):
    """Services by HTTP and DNS, addresses for outside, queries that fail over."""
    one, two, three = start(1, 1, 1, config={"translate_wan_addrs": True})
    here = one.servers[0]
    client = client_of(one, translate_wan_addrs=True)
    register(two.servers[0], "n2", "10.0.0.2", "web")
    register(three.servers[0], "n3", "10.0.0.3", "web")
    register(three.servers[0], "n3", "10.0.0.3", "db")
    answer = two.servers[0].put("/v1/catalog/register", {
        "Node": "nat", "Address": "10.0.0.9", "TaggedAddresses": {"lan": "10.0.0.9", "wan": "198.18.0.9"},
        "Service": {"Service": "nat", "Port": 80, "TaggedAddresses": {"wan": {"Address": "198.18.0.8", "Port": 8080}}}})
    assert answer.status == 200
    for agent in (here, client):
        assert addresses(agent, "web.service.dc2.consul.") == ["10.0.0.2"]
        assert addresses(agent, "n3.node.dc3.consul.") == ["10.0.0.3"]
        assert dns(agent, "web.service.consul.")["rcode"] == "NXDOMAIN"
        assert dns(agent, "web.service.dc9.consul.")["rcode"] == "NXDOMAIN"
        assert addresses(agent, "nat.service.dc2.consul.") == ["198.18.0.8"]
        assert [(n["Address"], n["ServiceAddress"], n["ServicePort"]) for n in agent.get("/v1/catalog/service/nat?dc=dc2").json] == [
            ("198.18.0.9", "198.18.0.8", 8080)]
        assert [n["Node"]["Address"] for n in agent.get("/v1/health/service/nat?dc=dc2").json] == ["198.18.0.9"]
        assert agent.get("/v1/catalog/node/nat?dc=dc2").json["Node"]["Address"] == "198.18.0.9"
    assert two.servers[0].get("/v1/catalog/node/nat").json["Node"]["Address"] == "10.0.0.9"

    for name, failover in (("named", {"Datacenters": ["dc9", "dc3", "dc2"]}), ("nearest", {"NearestN": 2}), ("none", {"Datacenters": ["dc9"]})):
        service = "db" if name == "nearest" else "web"
        answer = here.request("POST", "/v1/query", {"Name": name, "Service": {"Service": service, "Failover": failover}})
        assert answer.status == 200, answer.text
    for agent in (here, client):
        found = agent.get("/v1/query/named/execute").json
        assert (found["Datacenter"], found["Failovers"], [n["Node"]["Node"] for n in found["Nodes"]]) == ("dc3", 1, ["n3"])
        found = agent.get("/v1/query/nearest/execute").json
        assert (found["Datacenter"], [n["Node"]["Node"] for n in found["Nodes"]]) == ("dc3", ["n3"]) and found["Failovers"] in (1, 2)
        found = agent.get("/v1/query/none/execute").json
        assert (found["Datacenter"], found["Failovers"], found["Nodes"]) == ("dc1", 0, [])
        assert addresses(agent, "named.query.consul.") == ["10.0.0.3"]
        assert agent.get("/v1/query/named/execute?dc=dc2").status == 404
    three.servers[0].kill()
    found = wait_for(lambda: [a for a in [here.get("/v1/query/named/execute").json] if a["Datacenter"] == "dc2"], "the query to fail over once more")[0]
    assert (found["Failovers"], [n["Node"]["Node"] for n in found["Nodes"]]) == (2, ["n2"])


def test_command_line(start, binary):
    """-datacenter, members -wan, rtt -wan, events, snapshots, force-leave."""
    one, two = start(1, 1)
    here, there = one.servers[0], two.servers[0]
    assert put(here, "k", "v", "dc2")
    assert here.cli("kv", "get", "-datacenter=dc2", "k").stdout == "v\n"
    assert "server1.dc1" in there.cli("members", "-wan").stdout
    wait_for(lambda: here.cli("rtt", "-wan", "server1.dc1", "server1.dc2").returncode == 0, "coordinates of both")
    assert sorted(m["Datacenter"] for m in here.get("/v1/coordinate/datacenters").json) == ["dc1", "dc2"]
    assert here.put("/v1/event/fire/hello?dc=dc2", b"payload").status == 200
    wait_for(lambda: [e["Name"] for e in there.get("/v1/event/list").json] == ["hello"], "the event in dc2")
    assert here.get("/v1/event/list").json == []
    saved = here.cli("snapshot", "save", "-datacenter=dc2", "there.snap")
    assert saved.returncode == 0, saved.stderr
    assert put(here, "k", "changed", "dc2") and put(here, "mine", "v", "dc1")
    restored = here.cli("snapshot", "restore", "-datacenter=dc2", "there.snap")
    assert restored.returncode == 0, restored.stderr
    assert value(there, "k", "dc2") == "v" and value(here, "mine", "dc1") == "v"
    if here.binary != binary:
        return  # Consul itself takes no names of other data centers
    there.kill()
    wait_for(lambda: wan_status(here, "server1.dc2") == FAILED, "the server to fail in the WAN pool")
    assert here.cli("force-leave", "server1.dc2").returncode == 0
    wait_for(lambda: wan_status(here, "server1.dc2") == LEFT, "the server to have left")
    answer = wait_for(lambda: [a for a in [here.get("/v1/kv/k?dc=dc2")] if "No path" in a.text], "dc2 to be unknown")[0]
    assert (answer.status, answer.text) == (500, "No path to datacenter")


def test_remote_execution(start):
    """exec in the other data center, from there and from here."""
    one, two = start(1, 1, config={"disable_remote_exec": False})
    here = one.servers[0]
    for agent in (here, two.servers[0]):
        done = agent.cli("exec", "-datacenter=dc2", "-wait=1s", "echo", "done")
        assert "done" in done.stdout, (done.stdout, done.stderr)


def test_keyring(start):
    """Keys are listed, installed and removed everywhere."""
    keys = ["cg8StVXbQJ0gPvMd9o7yrg==", "pUqJrVyVRj5jsiYEkM/tFQ=="]
    one, two, three = start(1, 1, 1, config={"encrypt": keys[0]})
    here = one.servers[0]

    def pools():
        return sorted((p["Datacenter"], p["WAN"], sorted(p["Keys"])) for p in here.get("/v1/operator/keyring").json)
    assert pools() == [("dc1", False, keys[:1]), ("dc1", True, keys[:1]), ("dc2", False, keys[:1]), ("dc3", False, keys[:1])]
    assert here.request("POST", "/v1/operator/keyring", {"Key": keys[1]}).status == 200
    assert pools() == [("dc1", False, keys), ("dc1", True, keys), ("dc2", False, keys), ("dc3", False, keys)]
    assert here.put("/v1/operator/keyring", {"Key": keys[1]}).status == 200
    assert here.request("DELETE", "/v1/operator/keyring", {"Key": keys[0]}).status == 200
    assert all(p[2] == keys[1:] for p in pools())
    assert [p["Datacenter"] for p in here.get("/v1/operator/keyring?local-only=1").json] == ["dc1"]


# --- copies of the primary ---------------------------------------------------------------------------


def entries(server):
    return {(e["Kind"], e["Name"]): e.get("Protocol") for kind in ("service-defaults", "service-intentions", "proxy-defaults")
            for e in server.get("/v1/config/%s?stale" % kind).json or []}


def write_entry(server, **entry):
    answer = server.put("/v1/config", entry)
    assert answer.status == 200, answer.text


def test_config_entries(start):
    """Written in any data center, they are written in the primary, and are soon everywhere; also under another leader."""
    one, two = start(1, 3)
    here, there = one.servers[0], two.servers[0]
    write_entry(there, Kind="service-defaults", Name="web", Protocol="http")
    write_entry(here, Kind="proxy-defaults", Name="global", Config={"a": "b"})
    assert entries(here) == {("service-defaults", "web"): "http", ("proxy-defaults", "global"): None}
    wait_for(lambda: all(entries(s) == entries(here) for s in two.servers), "the entries in dc2")
    assert there.put("/v1/connect/intentions/exact?source=a&destination=web", {"Action": "deny"}).status == 200
    wait_for(lambda: all([i["SourceName"] for i in s.get("/v1/connect/intentions").json] == ["a"] for s in two.servers), "the intention in dc2")
    assert there.get("/v1/connect/intentions/check?source=a&destination=web").json == {"Allowed": False}
    two.wait_leader().kill()
    two.wait_leader()
    write_entry(here, Kind="service-defaults", Name="web", Protocol="grpc")
    write_entry(here, Kind="service-defaults", Name="db", Protocol="tcp")
    assert here.request("DELETE", "/v1/config/service-intentions/web").status == 200
    assert here.request("DELETE", "/v1/config/proxy-defaults/global").status == 200
    want = {("service-defaults", "web"): "grpc", ("service-defaults", "db"): "tcp"}
    wait_for(lambda: all(entries(s) == want for s in two.running()), "the entries under another leader")


def test_the_primary_is_away(start):
    """What was copied stays; writes that are the primary's fail; then all goes on."""
    one, two = start(1, 1)
    here, there = one.servers[0], two.servers[0]
    write_entry(here, Kind="service-defaults", Name="web", Protocol="http")
    want = {("service-defaults", "web"): "http"}
    wait_for(lambda: entries(there) == want, "the entry in dc2")
    here.kill()
    assert there.put("/v1/config", {"Kind": "service-defaults", "Name": "db"}).status == 500
    assert entries(there) == want and put(there, "k", "v", "dc2")
    here.start()
    one.wait_leader()
    write_entry(here, Kind="service-defaults", Name="db", Protocol="tcp")
    wait_for(lambda: len(entries(there)) == 2, "the entry that came later", 150)


def test_federation_states(start):
    """Each data center's mesh gateways are known in all."""
    one, two = start(1, 1)
    for server in (one.servers[0], two.servers[0]):
        wait_for(lambda s=server: sorted(f["Datacenter"] for f in s.get("/v1/internal/federation-states").json) == ["dc1", "dc2"],
                 "%s to know both states" % server)
    gateway = {"Node": "gw", "Address": "10.0.0.9", "Service": {"Kind": "mesh-gateway", "Service": "gw", "Port": 8443}}
    assert two.servers[0].put("/v1/catalog/register", gateway).status == 200

    def gateways(server):
        return {dc: [n["Node"]["Address"] for n in nodes] for dc, nodes in server.get("/v1/internal/federation-states/mesh-gateways").json.items()}
    for server in (one.servers[0], two.servers[0]):
        wait_for(lambda s=server: gateways(s) == {"dc2": ["10.0.0.9"]}, "%s to know the gateway" % server)
    assert two.servers[0].put("/v1/catalog/deregister", {"Node": "gw"}).status == 200
    for server in (one.servers[0], two.servers[0]):
        wait_for(lambda s=server: gateways(s) == {}, "%s to forget the gateway" % server)
    assert one.servers[0].get("/v1/internal/federation-state/dc2").json["State"]["Datacenter"] == "dc2"
    assert one.servers[0].get("/v1/internal/federation-state/dc9").status == 404


def test_without_a_wan_pool(start_cluster):
    """ports.serf_wan -1: there is only the own data center."""
    here = start_cluster(1).servers[0]
    wait_for(lambda: here.leader_address(), "a leader")
    assert here.get("/v1/catalog/datacenters").json == ["dc1"]
    answer = here.get("/v1/kv/k?dc=dc2")
    assert (answer.status, answer.text) == (500, "No path to datacenter")
    assert here.get("/v1/coordinate/datacenters").json == []


def test_tls(start, binary, tmp_path):
    """Names in certificates are of the data center that is called."""
    def tls(*args):
        done = subprocess.run([binary, "tls", *args], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    tls("ca", "create")
    for dc in ("dc1", "dc2"):
        tls("cert", "create", "-server", "-dc", dc)

    def settings(dc):
        return {"ca_file": str(tmp_path / "consul-agent-ca.pem"), "cert_file": str(tmp_path / ("%s-server-consul-0.pem" % dc)),
                "key_file": str(tmp_path / ("%s-server-consul-0-key.pem" % dc)), "verify_incoming_rpc": True, "verify_outgoing": True,
                "verify_server_hostname": True}
    one, two = start(1, 1, each=settings)
    here, there = one.servers[0], two.servers[0]
    assert put(here, "k", "v", "dc2") and value(there, "k", "dc2") == "v"
    assert put(there, "k", "w", "dc1") and value(here, "k", "dc1") == "w"
    saved = here.cli("snapshot", "save", "-datacenter=dc2", "there.snap")
    assert saved.returncode == 0, saved.stderr
