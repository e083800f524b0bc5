"""Who votes: operator commands, leaving, a new server for a lost one, recovery by peers.json."""

import os

from cluster import COMPACTING, wait_for
from workload import Workload


def configuration(server):
    return server.get("/v1/operator/raft/configuration").json["Servers"]


def test_list_peers_and_health(start_cluster):
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    wait_for(lambda: leader.get("/v1/operator/autopilot/health").json["Healthy"], "autopilot to find all healthy")
    for s in c.servers:
        rows = configuration(s)
        assert {(r["ID"], r["Node"], r["Address"], r["Leader"], r["Voter"]) for r in rows} == \
            {(o.id, o.name, o.address, o is leader, True) for o in c.servers}
        lines = s.cli("operator", "raft", "list-peers").stdout.splitlines()
        assert len(lines) == 4
        for o in c.servers:
            row = next(line.split() for line in lines if line.split()[0] == o.name)
            assert row[1:4] == [o.id, o.address, "leader" if o is leader else "follower"]
        health = s.get("/v1/operator/autopilot/health").json
        assert health["Healthy"] and health["FailureTolerance"] == 1
        assert {h["Name"] for h in health["Servers"]} == {o.name for o in c.servers}
        assert [h["Name"] for h in health["Servers"] if h["Leader"]] == [leader.name]
    lost = c.running(leader)[0]
    lost.kill()

    def noticed():
        h = leader.get("/v1/operator/autopilot/health")
        return next((x for x in h.json["Servers"] if x["Name"] == lost.name and not x["Healthy"]), None) and h
    answer = wait_for(noticed, "autopilot to find one unhealthy")
    assert answer.status == 429 and not answer.json["Healthy"] and answer.json["FailureTolerance"] == 0


def test_remove_peer(start_cluster):
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    one, two = c.running(leader)
    assert two.cli("operator", "raft", "remove-peer", "-id=00000000-1111-2222-3333-444444444444").returncode == 1
    one.kill()
    assert two.cli("operator", "raft", "remove-peer", "-address=" + one.address).returncode == 0
    c.wait_voters([leader, two])
    assert leader.set("a", "1")
    # It is not gone for good: it comes back as one that joins.
    one.start()
    wait_for(lambda: one.value("a") == "1", "the removed server to catch up")
    c.wait_voters()


def test_leave_of_a_follower(start_cluster):
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    one, two = c.running(leader)
    with Workload(c, servers=[leader, two]) as load:
        load.wait_progress()
        one.ended_by_us = True
        assert one.cli("leave").returncode == 0
        one.wait_end()
        c.wait_voters([leader, two])
        load.wait_progress()
        assert c.wait_leader([leader, two]) is leader
    c.forget(one)
    load.check()


def test_leave_of_the_leader(start_cluster):
    """Another leads, the one that left is no peer, and nothing is lost."""
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    rest = c.running(leader)
    with Workload(c, servers=rest) as load:
        load.wait_progress()
        leader.ended_by_us = True
        assert leader.cli("leave").returncode == 0
        leader.wait_end()
        c.wait_leader(rest)
        c.wait_voters(rest)
        load.wait_progress()
    c.forget(leader)
    load.check()


def test_replacement_catches_up_by_snapshot(start_cluster):
    """The log is compacted, so an empty server can only be given a snapshot; the dead one is removed."""
    c = start_cluster(config=COMPACTING)
    leader = c.wait_leader()
    c.wait_voters()
    dead = c.running(leader)[0]
    dead.kill()
    for n in range(300):
        assert leader.set("many/%d" % n, "x" * 100)
    wait_for(lambda: int(leader.raft()["last_snapshot_index"]) > 100, "a snapshot")
    c.forget(dead)
    new = c.add(expect=False).start()
    wait_for(lambda: len(new.dump()) == 300, "the new server to catch up")
    wait_for(lambda: int(new.raft()["last_snapshot_index"]) > 0, "it to have come by a snapshot")
    assert leader.cli("operator", "raft", "remove-peer", "-id=" + dead.id).returncode == 0
    c.wait_voters()
    # It votes and holds everything: with it a majority is left when another goes.
    old = next(s for s in c.running(new) if s is not c.wait_leader())
    wait_for(lambda: all(r["Voter"] for r in configuration(leader)), "the new server to vote")
    old.kill()
    assert c.wait_leader(c.running()).set("after", "x")
    # And starts from that snapshot when it is started again.
    new.kill()
    old.start()
    new.start()
    c.wait_leader()
    c.wait_same()


def test_follower_far_behind_catches_up_by_snapshot(start_cluster):
    c = start_cluster(config=COMPACTING)
    leader = c.wait_leader()
    c.wait_voters()
    late = c.running(leader)[0]
    assert leader.set("gone", "x")
    wait_for(lambda: late.value("gone") == "x", "the follower to have it")
    late.kill()
    assert leader.request("DELETE", "/v1/kv/gone").status == 200
    with Workload(c, servers=c.running()) as load:
        wait_for(lambda: int(leader.raft()["last_snapshot_index"]) > 300, "a snapshot")
        before = int(leader.raft()["last_snapshot_index"])
        late.start()
        wait_for(lambda: int(late.raft()["last_snapshot_index"]) >= before, "a snapshot to arrive")
        load.wait_progress()
    load.check()
    assert late.value("gone") is None


def test_dead_server_is_dropped_when_a_new_one_comes(start_cluster):
    """Autopilot's cleanup, as it is by default."""
    c = start_cluster(config={"autopilot": {"cleanup_dead_servers": True}})
    leader = c.wait_leader()
    c.wait_voters()
    dead = c.running(leader)[0]
    dead.kill()
    c.forget(dead)
    c.add(expect=False).start()
    c.wait_voters()
    assert c.wait_leader().set("a", "1")


def test_recovery_by_peers_json(start_cluster):
    """Two of three are lost for good. The last one is told to go on alone; then others join."""
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    for n in range(20):
        assert leader.set("keep/%d" % n, str(n))
    before = c.wait_same()
    last = c.running(leader)[0]
    for s in c.running(last):
        s.kill()
        s.wipe()
        c.forget(s)
    wait_for(lambda: last.leader_address() == "", "nobody to lead")
    last.stop()
    last.write_peers([last])
    last.start()
    c.wait_leader()
    assert last.dump() == before
    assert not os.path.exists(last.path_of("raft", "peers.json")), "used once"
    assert last.peers() == [last.address]
    for _ in range(2):
        c.add(expect=False).start()
    c.wait_voters()
    assert c.wait_leader().set("after", "x")
    c.wait_same()
    wait_for(lambda: all(r["Voter"] for r in configuration(last)), "all to be voters")
    last.kill()
    assert c.wait_leader(c.running()).set("again", "x")
