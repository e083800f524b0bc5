"""Links that are cut, in both directions or one, in a cluster of five."""

import contextlib

import pytest

from cluster import COMPACTING, Cluster, wait_for
from conftest import make_network
from workload import Workload

shared_clusters = []


@pytest.fixture(scope="module")
def five(binary, request):
    """One cluster for all: after each test the network is whole again."""
    network = make_network(5)
    # Gossip that finds a server failed takes half a minute to find it again: that is not what is tested.
    c = Cluster(binary, 5, network=network, config=dict(COMPACTING, **{
        "gossip_lan": {"suspicion_mult": 60},
        "performance": {"raft_multiplier": 1, "leave_drain_time": "200ms", "rpc_hold_timeout": "3s"}}))
    shared_clusters.append(c)
    yield c
    failed = request.session.testsfailed > 0
    c.close(keep=failed or request.config.getoption("--keep"), check=not failed)
    network.close()
    shared_clusters.clear()


@pytest.fixture
def whole(five):
    five.heal()
    five.wait_leader()
    yield five
    five.heal()
    five.wait_leader()


def commit(server):
    return int(server.raft()["commit_index"])


def steps_down(server):
    wait_for(lambda: server.raft()["state"] != "Leader", "%s to step down" % server)


@contextlib.contextmanager
def under_load(c):
    """Clients work all the while, and had got somewhere before; in the end nothing is lost."""
    with Workload(c, timeout=4) as load:
        load.wait_progress()
        yield load
    print(load.check())


def go_on_healed(c, load):
    """The links are whole, somebody leads, writes come through."""
    c.heal()
    c.wait_leader()
    load.wait_progress()


@pytest.mark.torture
def test_leader_isolated(whole, rounds):
    """It steps down, another is elected; what it took meanwhile is either done or refused."""
    c = whole
    for _ in range(rounds):
        with under_load(c) as load:
            leader = c.wait_leader()
            c.isolate(leader)
            steps_down(leader)
            assert leader.get("/v1/kv/x?consistent").status == 500
            c.wait_leader(c.running(leader))
            load.wait_progress()
            go_on_healed(c, load)


@pytest.mark.torture
def test_leader_in_the_minority(whole, rounds):
    """Two against three."""
    c = whole
    for _ in range(rounds):
        with under_load(c) as load:
            leader = c.wait_leader()
            minority = [leader, c.running(leader)[0]]
            majority = c.running(*minority)
            c.split(minority)
            steps_down(leader)
            new = c.wait_leader(majority)
            assert new.set("during", "majority")
            for s in minority:
                assert s.put("/v1/kv/during", b"minority").status == 500
                assert s.get("/v1/kv/during").status == 500
                assert s.value("during") is None, "a stale read shows what was there before"
            load.wait_progress()
            c.heal()
            c.wait_leader()
            for s in c.servers:
                wait_for(lambda s=s: s.value("during") == "majority", "%s to catch up" % s)
            assert new.request("DELETE", "/v1/kv/during").status == 200


@pytest.mark.torture
def test_no_majority_anywhere(whole, rounds):
    """2, 2 and 1: nobody leads, nothing is written; then all is as before."""
    c = whole
    for _ in range(rounds):
        with under_load(c) as load:
            c.split(c.servers[:2])
            c.split(c.servers[2:4])
            for s in c.servers:
                wait_for(lambda s=s: s.leader_address() == "", "%s to know no leader" % s)
            assert c.servers[0].put("/v1/kv/nobody", b"x").status == 500
            go_on_healed(c, load)


@pytest.mark.torture
def test_follower_isolated_comes_back_quietly(whole, rounds, is_reference):
    """A server that was away does not make the others elect again."""
    c = whole
    for _ in range(rounds):
        with under_load(c) as load:
            leader = c.wait_leader()
            follower = c.running(leader)[0]
            term = leader.term()
            c.isolate(follower)
            wait_for(lambda: follower.raft()["state"] == "Candidate" or follower.leader_address() == "", "the follower to miss its leader")
            load.wait_progress(60)
            c.heal()
            target = commit(leader)
            wait_for(lambda: commit(follower) >= target, "the follower to catch up")
            after = c.wait_leader()
            load.wait_progress()
            if not is_reference:
                assert (after, after.term()) == (leader, term)


CUTS = {
    # The others hear the leader but cannot answer: it must notice that nobody follows.
    "leader is deaf": ("leader", False, True),
    # It hears that others elect, and cannot be heard.
    "leader is mute": ("leader", True, False),
    "follower is deaf": ("follower", False, True),
    "follower is mute": ("follower", True, False),
}


@pytest.mark.torture
@pytest.mark.parametrize("name", CUTS)
def test_one_way(whole, rounds, name, is_reference):
    c = whole
    who, sends, receives = CUTS[name]
    for _ in range(rounds):
        with under_load(c) as load:
            leader = c.wait_leader()
            victim = leader if who == "leader" else c.running(leader)[0]
            others = c.running(victim)
            term = leader.term()
            c.isolate(victim, sends=sends, receives=receives)
            if who == "leader":
                steps_down(leader)
                assert c.wait_leader(others) is not leader
            else:
                if receives:
                    wait_for(lambda: victim.leader_address() == "", "the cut to be noticed")
                load.wait_progress(100)
            load.wait_progress()
            if who == "follower" and not is_reference:
                assert (c.wait_leader(others), leader.term()) == (leader, term)
            go_on_healed(c, load)
            if who == "follower" and not is_reference:
                assert (c.wait_leader(), leader.term()) == (leader, term)


@pytest.mark.torture
def test_one_link(whole, rounds):
    """Leader and one follower do not hear each other; everybody else hears both. Writes go on."""
    c = whole
    for _ in range(rounds):
        with under_load(c) as load:
            leader = c.wait_leader()
            follower = c.running(leader)[0]
            c.cut(leader, follower)
            load.wait_progress(100)
            go_on_healed(c, load)
