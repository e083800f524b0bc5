"""Servers that are killed, paused, started again, under load."""

import random

import pytest

from cluster import COMPACTING, wait_for
from workload import Workload

KILLS = 3  # in one round


@pytest.mark.torture
def test_kill_the_leader_again_and_again(start_cluster, rounds):
    """Every acknowledged write is there in the end, on every server."""
    c = start_cluster(config=COMPACTING)
    c.wait_leader()
    for _ in range(rounds):
        with Workload(c) as load:
            for _ in range(KILLS):
                load.wait_progress()
                leader = c.wait_leader()
                leader.kill()
                c.wait_leader(c.running())
                load.wait_progress()
                leader.start()
                c.wait_leader()
        print(load.check())


@pytest.mark.torture
def test_kill_any_server(start_cluster, rounds):
    """One of five, then two at once; three never, so that somebody always leads."""
    c = start_cluster(5, config=COMPACTING)
    c.wait_leader()
    for number in range(rounds):
        rng = random.Random(number)
        with Workload(c) as load:
            for count in (1, 2):
                dead = rng.sample(c.servers, count)
                load.wait_progress()
                for s in dead:
                    s.kill()
                c.wait_leader(c.running())
                load.wait_progress()
                for s in dead:
                    s.start()
                c.wait_leader()
        print(load.check())


@pytest.mark.torture
def test_pause(start_cluster, rounds):
    """A leader that stands still is replaced, and does not lead when it goes on; so does a follower that stands still not matter."""
    c = start_cluster(config=COMPACTING)
    c.wait_leader()
    for _ in range(rounds):
        with Workload(c, timeout=4) as load:
            load.wait_progress()
            leader = c.wait_leader()
            others = c.running(leader)
            term = leader.term()
            leader.pause()
            new = c.wait_leader(others)
            assert new is not leader
            load.wait_progress()
            leader.resume()
            c.wait_leader()
            assert leader.term() > term
            follower = c.running(c.wait_leader())[0]
            follower.pause()
            load.wait_progress(100)
            follower.resume()
            load.wait_progress()
        print(load.check())


@pytest.mark.torture
def test_all_at_once(start_cluster, rounds):
    """All are killed, as when the power goes."""
    c = start_cluster(config=COMPACTING)
    c.wait_leader()
    for _ in range(rounds):
        with Workload(c) as load:
            load.wait_progress(100)
            for s in c.servers:
                s.kill()
            for s in random.sample(c.servers, len(c.servers)):
                s.start()
            c.wait_leader()
            load.wait_progress()
        print(load.check())


def test_orderly_restart_one_by_one(start_cluster):
    """SIGTERM and start again, one after another: what a change of version does."""
    c = start_cluster()
    c.wait_leader()
    with Workload(c) as load:
        for s in c.servers:
            load.wait_progress()
            s.stop()
            c.wait_leader(c.running())
            load.wait_progress()
            s.start()
            c.wait_leader()
    print(load.check())
    c.wait_voters()


def test_far_behind_with_large_values(start_cluster):
    """It is brought up from the log by one connection: no more is sent ahead than that may hold."""
    c = start_cluster(config={"raft_snapshot_threshold": 100000})
    leader = c.wait_leader()
    c.wait_voters()
    late = c.running(leader)[0]
    late.kill()
    for n in range(400):
        assert leader.set("large/%d" % n, bytes([n % 256]) * 500000)
    late.start()
    wait_for(lambda: late.get("/v1/kv/large/399?stale").status == 200, "the last value")
    assert "too much is under way" not in leader.log()
    assert int(late.raft()["last_snapshot_index"]) == 0
    c.wait_same()
