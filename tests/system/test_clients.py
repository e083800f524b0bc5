"""Client libraries and access patterns of tools, unchanged.

Debian's python3-consul is of a time when check updates and deregistrations were GETs; 1.10.3 takes only PUT, so
those go around it.
"""

import threading

import pytest

from conftest import wait_for

consul = pytest.importorskip("consul", reason="python3-consul is not installed")


@pytest.fixture
def client(agent):
    return consul.Consul(host=agent.ip, port=8500)


def test_register_and_discover(client, agent):
    assert client.agent.service.register("api", service_id="api-1", address="10.1.2.3", port=9000, tags=["v1"],
                                         check=consul.Check.ttl("30s"))
    wait_for(lambda: client.catalog.service("api")[1], "the service in the catalog")
    assert client.health.service("api", passing=True)[1] == []
    assert agent.put("/v1/agent/check/pass/service:api-1?note=good").status == 200
    wait_for(lambda: client.health.service("api", passing=True)[1], "the service to be healthy")
    node = client.health.service("api", passing=True)[1][0]
    assert node["Service"]["Address"] == "10.1.2.3" and node["Service"]["Port"] == 9000
    assert "api" in client.agent.services()["api-1"]["Service"]
    assert agent.put("/v1/agent/service/deregister/api-1").status == 200
    wait_for(lambda: client.catalog.service("api")[1] == [], "the service to be gone")


def test_locks(client):
    first = client.session.create(name="first", ttl=10, lock_delay=0, behavior="delete")
    second = client.session.create(name="second", ttl=10, lock_delay=0)
    assert client.kv.put("leader", "one", acquire=first)
    assert not client.kv.put("leader", "two", acquire=second)
    index, entry = client.kv.get("leader")
    assert entry["Session"] == first and entry["LockIndex"] == 1
    assert client.session.renew(first)["ID"] == first

    released = []
    waiter = threading.Thread(target=lambda: released.append(client.kv.get("leader", index=index, wait="60s")))
    waiter.start()
    client.session.destroy(first)
    waiter.join(30)
    assert released and released[0][1] is None, "behaviour delete removes the key and wakes its watcher"
    assert client.kv.put("leader", "two", acquire=second)
    assert client.kv.put("leader", "", release=second)


def test_a_session_falls_with_its_check(client, agent):
    client.agent.check.register("lock-health", consul.Check.ttl("10m"))
    agent.put("/v1/agent/check/pass/lock-health")
    node = client.agent.self()["Config"]["NodeName"]
    wait_for(lambda: [c for c in client.health.node(node)[1] if c["CheckID"] == "lock-health" and c["Status"] == "passing"],
             "the check to pass in the catalog")
    session = client.session.create(checks=["lock-health", "serfHealth"], lock_delay=0)
    assert client.kv.put("held", "x", acquire=session)
    agent.put("/v1/agent/check/fail/lock-health")
    wait_for(lambda: client.session.info(session)[1] is None, "the session to end")
    assert "Session" not in client.kv.get("held")[1]


def test_template_pattern(client, agent):
    """Many parallel blocking queries with ?stale, each woken by its own service only."""
    count = 20
    for i in range(count):
        client.agent.service.register("svc-%d" % i, port=1000 + i)
    wait_for(lambda: len([n for n in client.catalog.services()[1] if n.startswith("svc-")]) == count, "all services")
    indexes = {}
    for i in range(count):
        answer = agent.get("/v1/health/service/svc-%d?passing&stale" % i)
        assert len(answer.json) == 1
        indexes[i] = int(answer.headers["X-Consul-Index"])
    answers = {}

    def watch(i):
        answers[i] = agent.get("/v1/health/service/svc-%d?passing&stale&index=%d&wait=60s" % (i, indexes[i]), timeout=90)

    threads = [threading.Thread(target=watch, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    client.agent.service.register("svc-7", port=4242)
    threads[7].join(30)
    assert answers[7].json[0]["Service"]["Port"] == 4242
    assert list(answers) == [7], "only the watcher of the changed service wakes"
    for i in range(count):
        if i != 7:
            client.agent.service.register("svc-%d" % i, port=5000 + i)
    for t in threads:
        t.join(30)
    assert all(answers[i].json[0]["Service"]["Port"] == 5000 + i for i in range(count) if i != 7)


def test_https_port_without_a_certificate(start_agent):
    """Test servers of client libraries ask for such a port as a matter of course."""
    import socket
    import ssl

    agent = start_agent(config={"ports": {"https": 8501}})
    assert "protocol=https" in agent.log()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((agent.ip, 8501), timeout=30) as s:
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            context.wrap_socket(s, server_hostname="localhost")


def test_content_hash_is_consuls(agent):
    """The number 1.10.3 gives: clients have it in their tests, and carry it from agent to agent."""
    assert agent.put("/v1/agent/service/register", {"Name": "foo", "Tags": ["bar", "baz"], "Port": 8000}).status == 200
    answer = agent.get("/v1/agent/service/foo")
    assert answer.json["ContentHash"] == answer.headers["X-Consul-ContentHash"] == "f72563cae6924fb5"


def test_metadata_of_what_is_not_there(agent):
    """With gzip accepted, as by most libraries, a 404 has an index, which they want to have."""
    for path, leader in (("/v1/coordinate/node/none", "true"), ("/v1/internal/ui/node/none", "true"),
                         ("/v1/query/6ba7b810-9dad-11d1-80b4-00c04fd430c8", "false"),
                         ("/v1/query/none/execute", "false")):
        plain, gzip = agent.get(path), agent.get(path, headers={"Accept-Encoding": "gzip"})
        assert plain.status == gzip.status == 404
        assert plain.headers["X-Consul-Index"] is None and int(gzip.headers["X-Consul-Index"]) > 0
        assert gzip.headers["X-Consul-KnownLeader"] == leader


def test_header_names_are_spelled_as_gos(agent):
    """Headers have no case, but scripts that look for them do."""
    agent.put("/v1/kv/a", b"b")
    agent.put("/v1/agent/service/register", {"Name": "foo"})
    names = agent.get("/v1/kv/a").headers.keys()
    assert [n for n in names if n.startswith("X-")] == [
        "X-Consul-Default-Acl-Policy", "X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact",
        "X-Consul-Query-Backend"]
    assert "X-Consul-Contenthash" in agent.get("/v1/agent/service/foo").headers.keys()
