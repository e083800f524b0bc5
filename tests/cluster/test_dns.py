"""DNS on servers that do not lead: from their own tables as far as dns_config allows, else by the leader."""

import sys

from cluster import wait_for

sys.path.append(__file__.rsplit("/", 2)[0] + "/conformance")
import dnswire  # noqa: E402

FAST = {"raft_multiplier": 1, "rpc_hold_timeout": "300ms"}


def ask(server, name, kind="A"):
    reply = dnswire.ask((server.ip, 8600), dnswire.build_query(name, kind), timeout=30)
    return dnswire.parse(reply) if reply else {"rcode": "none"}


def addresses(server, name):
    return sorted(rr["data"] for rr in ask(server, name).get("answer", []) if rr["type"] == "A")


def register(server, address):
    answer = server.put("/v1/catalog/register", {"Node": "ext", "Address": address,
                                                 "Service": {"Service": "db", "Port": 1, "Address": address}})
    assert answer.status == 200, answer.text


NAMES = ("db.service.consul", "ext.node.consul", "q.query.consul")


def test_not_stale(start_cluster):
    """What a write has returned for is what every server's answer says, at once."""
    c = start_cluster(config={"dns_config": {"allow_stale": False}, "performance": FAST})
    leader = c.wait_leader()
    c.wait_voters()
    one, two = c.running(leader)
    assert one.request("POST", "/v1/query", {"Name": "q", "Service": {"Service": "db"}}).status == 200
    for n in range(1, 60):
        address = "10.1.2.%d" % n
        register((leader, one, two)[n % 3], address)
        for server in (one, two, leader):
            for name in NAMES:
                assert addresses(server, name) == [address], (server, name)
            assert ask(server, "%d.2.1.10.in-addr.arpa" % n, "PTR")["answer"][0]["data"] == "ext.node.dc1.consul."
    # Without a leader there is no answer, however much is known here.
    leader.kill()
    two.kill()
    wait_for(lambda: one.leader_address() == "", "the last server to know no leader")
    for name in NAMES:
        assert ask(one, name)["rcode"] == "SERVFAIL", name


def test_stale(start_cluster):
    """By default any server answers, even one that is alone."""
    c = start_cluster(config={"performance": FAST})
    leader = c.wait_leader()
    register(leader, "10.1.2.3")
    assert leader.request("POST", "/v1/query", {"Name": "q", "Service": {"Service": "db"}}).status == 200
    c.wait_voters()
    one, two = c.running(leader)
    wait_for(lambda: all(addresses(one, name) == ["10.1.2.3"] for name in NAMES), "the follower to have it")
    leader.kill()
    two.kill()
    wait_for(lambda: one.leader_address() == "", "the last server to know no leader")
    for name in NAMES:
        assert addresses(one, name) == ["10.1.2.3"]
    assert ask(one, "3.2.1.10.in-addr.arpa", "PTR")["answer"]


def test_too_stale(start_cluster):
    """A follower that hears its leader every so often is never as fresh as this; so the leader answers."""
    c = start_cluster(config={"dns_config": {"max_stale": "1ns"}, "performance": FAST})
    leader = c.wait_leader()
    c.wait_voters()
    one, two = c.running(leader)
    assert one.request("POST", "/v1/query", {"Name": "q", "Service": {"Service": "db"}}).status == 200
    for n in range(1, 40):
        register(one, "10.1.2.%d" % n)
        for name in NAMES:
            assert addresses(two, name) == ["10.1.2.%d" % n], name
    wait_for(lambda: one.get("/v1/catalog/service/db?stale").json[0]["ServiceAddress"] == "10.1.2.39", "the follower to have it")
    leader.kill()
    two.kill()
    wait_for(lambda: one.leader_address() == "", "the last server to know no leader")
    for name in NAMES:
        assert ask(one, name)["rcode"] == "SERVFAIL", name
    # But addresses are looked up in tables of any age.
    assert ask(one, "39.2.1.10.in-addr.arpa", "PTR")["answer"]


def test_zero_is_any_age_for_services(start_cluster):
    c = start_cluster(config={"dns_config": {"max_stale": "0s"}, "performance": FAST})
    leader = c.wait_leader()
    register(leader, "10.1.2.3")
    c.wait_voters()
    one, two = c.running(leader)
    wait_for(lambda: addresses(one, "db.service.consul") == ["10.1.2.3"], "the follower to have it")
    leader.kill()
    two.kill()
    wait_for(lambda: one.leader_address() == "", "the last server to know no leader")
    assert addresses(one, "db.service.consul") == ["10.1.2.3"]
    assert ask(one, "ext.node.consul")["rcode"] == "SERVFAIL"
