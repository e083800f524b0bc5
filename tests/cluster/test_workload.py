"""The clients and their judge, with servers whose behaviour is known."""

import pytest

import linearizable
from cluster import Failure
from workload import Workload

def run(c, count=300):
    with Workload(c) as load:
        load.wait_progress(count)
    return load


def test_one_server_killed(start_cluster):
    """One server is a cluster: it goes down and comes back under load."""
    c = start_cluster(1)
    c.wait_leader()
    with Workload(c) as load:
        for _ in range(3):
            load.wait_progress()
            c.servers[0].kill()
            c.servers[0].start()
            c.wait_leader()
        load.wait_progress()
    print(load.check())


def test_two_that_do_not_know_each_other_are_found_out(start_cluster):
    """Two clusters of one are not a cluster of two: what one took the other does not show."""
    c = start_cluster(2, start=False)
    for s in c.servers:
        s.config.update(bootstrap_expect=1, retry_join=[])
        s.start()
    for s in c.servers:
        c.wait_leader([s])
    load = Workload(c, lockers=0)
    with load:
        load.wait_progress(300)
    problem = linearizable.check([op for h in load.histories for op in h])
    assert problem
    with pytest.raises(Failure, match="differ"):
        c.wait_same(timeout=1)


def test_a_server_that_forgets_is_found_out(start_cluster):
    """Its data directory is lost: acknowledged writes are gone."""
    c = start_cluster(1)
    c.wait_leader()
    load = run(c)
    c.servers[0].kill()
    c.servers[0].wipe()
    c.servers[0].start()
    c.wait_leader()
    with pytest.raises(AssertionError, match="acknowledged writes are lost"):
        load.check()
    last = load.read_back(c.servers[0])
    assert linearizable.check([op for h in load.histories for op in h] + last)
