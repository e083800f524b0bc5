"""How a cluster comes to be, and comes back."""

import itertools
import random

import pytest

from cluster import wait_for


@pytest.mark.parametrize("order", [(2, 0, 1), None])
def test_bootstrap_expect(start_cluster, order):
    """Nobody leads before the third server is there; then one does, and all three vote. None: all at the same time."""
    c = start_cluster(start=False)
    started = [c.servers[i] for i in order or random.sample(range(3), 3)]
    for n, s in enumerate(started):
        s.start()
        if order is None:
            continue
        for one in started[:n + 1]:
            wait_for(one.peers if n == 2 else lambda one=one: one.get("/v1/agent/self").status == 200, "%s to answer" % one)
        if n < 2:
            assert all(one.leader_address() == "" and one.peers() == [] for one in started[:n + 1])
    leader = c.wait_leader()
    c.wait_voters()
    assert leader.set("a", "1")
    for s in c.servers:
        wait_for(lambda s=s: s.value("a") == "1", "the key on %s" % s)


def test_expect_is_about_the_first_start_only(start_cluster):
    """After a majority is back they lead, without waiting for the third."""
    c = start_cluster()
    c.wait_leader().set("a", "1")
    c.wait_voters()
    c.wait_same()
    for s in c.servers:
        s.kill()
    first = random.sample(c.servers, 2)
    for s in first:
        s.start()
    leader = c.wait_leader(first)
    assert leader.value("a", "?consistent") == "1"
    assert leader.set("b", "2")
    c.running()
    late = next(s for s in c.servers if s not in first)
    late.start()
    wait_for(lambda: late.value("b") == "2", "the third to catch up")


def test_restart_of_all_keeps_everything(start_cluster):
    """Keys with their indexes, services, sessions and the terms go on."""
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    for n in range(50):
        assert c.servers[n % 3].set("keep/%d" % n, "v%d" % n)
    assert leader.put("/v1/catalog/register", {"Node": "ext", "Address": "10.1.2.3", "Service": {"Service": "db", "Port": 1}}).status == 200
    before, term = c.wait_same(), leader.term()
    for s in c.servers:
        s.stop()
    for s in c.servers:
        s.start()
    leader = c.wait_leader()
    assert leader.term() > term
    c.wait_voters()
    assert c.wait_same() == before
    for s in c.servers:
        assert s.get("/v1/catalog/service/db").json[0]["Address"] == "10.1.2.3"
        assert s.set("after/" + s.name, "x")
    rows = c.wait_same()
    assert min(rows["after/" + s.name][5] for s in c.servers) > max(row[5] for row in before.values())


def test_a_fourth_joins_and_a_fifth(start_cluster):
    """Servers that come later get the log and become voters."""
    c = start_cluster()
    c.wait_leader().set("a", "1")
    for _ in range(2):
        late = c.add(expect=False).start()
        wait_for(lambda late=late: late.value("a") == "1", "%s to catch up" % late)
        c.wait_voters()
    leader = c.wait_leader()
    rows = leader.get("/v1/operator/raft/configuration").json["Servers"]
    wait_for(lambda: all(r["Voter"] for r in leader.get("/v1/operator/raft/configuration").json["Servers"]), "all to be voters")
    assert sorted(r["Address"] for r in rows) == sorted(s.address for s in c.servers)
    # Two of five may go now.
    for s in itertools.islice(c.running(leader), 2):
        s.kill()
    assert c.wait_leader(c.running()).set("b", "2")
