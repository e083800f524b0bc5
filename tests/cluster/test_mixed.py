"""Servers of ours and of Consul itself as voters of one cluster (--reference-binary PATH). test_gossip.py has what they know of each
other by gossip; here it is what they agree on.
"""

import base64

import pytest

from cluster import COMPACTING, wait_for
from workload import Workload

LAYOUTS = {"one of ours": "rro", "two of ours": "oor", "all of theirs": "rrr"}


@pytest.fixture(params=LAYOUTS)
def mixed(request, start_cluster, binary, reference_binary):
    def start(**kw):
        c = start_cluster(3, binaries=[binary if o == "o" else reference_binary for o in LAYOUTS[request.param]], **kw)
        c.ours = binary
        return c
    return start


def write_via_each(c, what, among):
    c.wait_leader(among)
    for s in among:
        assert wait_for(lambda s=s: s.set("%s/%s" % (what, s.name), "x"), "a write through %s" % s)
    rows = c.wait_same()
    assert all("%s/%s" % (what, s.name) in rows for s in among)


def everything(server):
    """More than keys: what the state machines make of the same log."""
    return {path: server.get(path + "?stale").json for path in
            ("/v1/catalog/service/db", "/v1/session/list", "/v1/query", "/v1/coordinate/nodes", "/v1/config/service-intentions",
             "/v1/connect/intentions", "/v1/discovery-chain/db")}


def change_intentions(leader):
    """By both of their APIs."""
    for source, action in (("a", "allow"), ("b", "deny"), ("b", "allow"), ("*", "deny")):
        assert leader.put("/v1/connect/intentions/exact?source=%s&destination=db" % source, {"Action": action}).text == "true"
    assert leader.request("DELETE", "/v1/connect/intentions/exact?source=a&destination=db").status == 200
    old = {"SourceName": "c", "DestinationName": "web", "SourceType": "consul", "Action": "deny", "Meta": {"k": "v"}}
    made = leader.request("POST", "/v1/connect/intentions", old)
    assert made.status == 200, made.text
    assert leader.request("POST", "/v1/connect/intentions", dict(old, SourceName="d")).status == 200
    assert leader.put("/v1/connect/intentions/" + made.json["ID"], dict(old, Action="allow")).status == 200


def test_elect_write_kill(mixed):
    """Each leads once, each is asked, each is killed once."""
    c = mixed()
    c.wait_leader()
    write_via_each(c, "first", c.servers)
    led = set()
    for n in range(12):
        leader = c.wait_leader()
        led.add(leader.name)
        others = c.running(leader)
        leader.kill()
        c.wait_leader(others)
        write_via_each(c, "round%d" % n, others)
        leader.start()
        c.wait_leader()
        write_via_each(c, "back%d" % n, c.servers)
        if len(led) == 3:
            break
    print("led: %s after %d rounds" % (sorted(led), n + 1))


def test_same_state(mixed):
    """The same entries make the same catalog, sessions, queries and intentions everywhere."""
    c = mixed(config={"connect": {"enabled": True}})
    leader = c.wait_leader()
    for n, s in enumerate(c.servers):
        service = {"Service": "db", "Port": n + 1, "Tags": ["a"], "Meta": {"k": "v"}}
        node = {"Node": "ext%d" % n, "Address": "10.1.2.%d" % n, "Service": service}
        assert s.put("/v1/catalog/register", node).status == 200
        session = s.put("/v1/session/create", {"Node": "ext%d" % n, "NodeChecks": [], "Name": "s%d" % n})
        assert session.status == 200, session.text
        assert s.put("/v1/kv/lock%d?acquire=%s" % (n, session.json["ID"]), b"x").text == "true"
        assert s.request("POST", "/v1/query", {"Name": "q%d" % n, "Service": {"Service": "db"}}).status == 200
        assert s.put("/v1/txn", [{"KV": {"Verb": "set", "Key": "txn%d" % n, "Value": "eA=="}}]).status == 200
    change_intentions(leader)
    c.wait_same()
    want = everything(leader)
    assert len(want["/v1/catalog/service/db"]) == n + 1
    for s in c.servers:
        wait_for(lambda s=s: everything(s) == want, "the state of %s to be the leader's" % s)


def test_large_values(mixed):
    """The largest there may be by default: a leader of Consul's writes it as two entries."""
    c = mixed()
    value = b"v" * (512 * 1024)
    leader = c.wait_leader()
    for s in c.servers:
        assert wait_for(lambda s=s: s.set("large/" + s.name, value), "a large value through %s" % s)
    rows = c.wait_same()
    assert base64.b64decode(rows["large/" + leader.name][0]) == value


def test_histories(mixed, rounds):
    """What clients see of a cluster of both is linearizable, whoever leads."""
    c = mixed()
    c.wait_leader()
    with Workload(c) as load:
        for _ in range(2 * rounds):
            load.wait_progress()
            leader = c.wait_leader()
            leader.kill()
            c.wait_leader(c.running())
            load.wait_progress()
            leader.start()
            c.wait_leader()
    print(load.check())


def snapshots_installed(server):
    return server.log().lower().count("installed remote snapshot")


def test_snapshots_between_them(mixed):
    """A follower that is far behind takes the leader's snapshot, in whichever form that one writes it; entries follow it."""
    c = mixed(config=COMPACTING)
    leader = c.wait_leader()
    for n in range(10):  # more than a segment of our log
        assert leader.set("large/%d" % n, bytes([n]) * (512 * 1024))
    for late in c.running(leader):
        late.kill()
        if leader.binary == c.ours:
            late.wipe()  # of its log ours drops whole segments, so that one is not behind it soon
        before = snapshots_installed(late)
        with Workload(c, servers=c.running()) as load:
            load.wait_progress(150)
            target = int(leader.raft()["last_snapshot_index"])
            wait_for(lambda: int(leader.raft()["last_snapshot_index"]) > target, "a snapshot")
            late.start()
            wait_for(lambda: snapshots_installed(late) > before, "a snapshot to arrive")
            load.wait_progress(20)
        load.check()


def test_restore(mixed):
    """All of them have the state of before, whoever led it back."""
    c = mixed()
    leader = c.wait_leader()
    for n in range(50):
        assert leader.set("kept/%d" % n, "before")
    archive = leader.get("/v1/snapshot").body
    assert leader.set("kept/1", "after") and leader.set("new", "after")
    assert leader.put("/v1/snapshot", archive, timeout=120).status == 200
    for s in c.servers:
        wait_for(lambda s=s: s.value("kept/1") == "before" and s.value("new") is None, "the old contents on %s" % s)
    assert wait_for(lambda: c.wait_leader().set("new", "again"), "a write")
    c.wait_same()


def test_leader_hands_over(start_cluster, binary, reference_binary):
    """A leader of ours that leaves makes one of theirs lead at once, rather than have them notice its silence. (1.10.3 removes
    itself instead, so the other direction does not come about.)"""
    c = start_cluster(3, binaries=[binary, reference_binary, reference_binary])
    c.wait_voters()
    while (leader := c.wait_leader()) is not c.servers[0]:
        leader.kill()
        c.wait_leader(c.running())
        leader.start()
    write_via_each(c, "before", c.servers)
    term, others = leader.term(), c.running(leader)
    timeouts = [s.log().count("starting election") for s in others]
    assert leader.cli("leave").returncode == 0
    leader.wait_end()
    after = c.wait_leader(others)
    assert after.term() == term + 1
    assert [s.log().count("starting election") for s in others] == timeouts
    write_via_each(c, "after", others)
    assert "before/%s" % leader.name in c.wait_same(others)
