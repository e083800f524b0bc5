"""What agents know of each other, and tell each other, by gossip: among ours, and mixed with Consul's (--reference-binary PATH)."""

import json
import os
import stat

import pytest

from cluster import wait_for

LAYOUTS = {"ours": "ooo", "one of theirs": "oro", "two of theirs": "ror"}
ALIVE, LEAVING, LEFT, FAILED = 1, 2, 3, 4

# Quicker than they are, so that failures are noticed soon.
QUICK = {"gossip_interval": "50ms", "probe_interval": "200ms", "probe_timeout": "100ms", "suspicion_mult": 3}
KEYS = ["cg8StVXbQJ0gPvMd9o7yrg==", "pUqJrVyVRj5jsiYEkM/tFQ==", "ZWTL+bgjHyQPhJRKcFe3ccirc2SFHmc/Nw67l8NQfdk="]


@pytest.fixture(params=LAYOUTS)
def start(request, start_cluster, binary):
    """start(...): a cluster of the layout, with a WAN pool, whose members all know each other. start.binaries: of both kinds."""
    letters = LAYOUTS[request.param]
    binaries = {"o": binary, "r": request.getfixturevalue("reference_binary") if "r" in letters else None}

    def make(config=None, **kw):
        settings = {"ports": {}, "gossip_lan": QUICK, "gossip_wan": QUICK}
        c = start_cluster(binaries=[binaries[k] for k in letters], config=dict(settings, **(config or {})), **kw)
        if kw.get("start", True):
            c.wait_leader()
            c.wait_voters()
            wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})
            wait_statuses(c.servers, {s.name + ".dc1": ALIVE for s in c.servers}, "?wan=1")
        return c
    make.binaries = [b for b in binaries.values() if b]
    return make


def members(server, which=""):
    return sorted(server.get("/v1/agent/members" + which).json, key=lambda m: m["Name"])


def statuses(server, which=""):
    return {m["Name"]: m["Status"] for m in members(server, which)}


def wait_statuses(servers, want, which=""):
    for s in servers:
        wait_for(lambda s=s: statuses(s, which) == want, "%s to have the members %s" % (s, want))


def status_of(servers, name, status):
    for s in servers:
        wait_for(lambda s=s: statuses(s).get(name) == status, "%s to be %s for %s" % (name, status, s))


def others(c, server):
    return [s for s in c.servers if s is not server]


# --- members ---------------------------------------------------------------------------------------


def test_lists_are_equal(start):
    """Addresses, ports, tags, versions: whoever is asked."""
    c = start()
    for which in ("", "?wan=1"):
        first = members(c.servers[0], which)
        assert [m["Addr"] for m in first] == [s.ip for s in sorted(c.servers, key=lambda s: s.name)]
        for s in c.servers:
            wait_for(lambda s=s, which=which: members(s, which) == members(c.servers[0], which), "equal lists")
    for m in members(c.servers[0]):
        assert m["Tags"]["wan_join_port"] == "8302" and m["Tags"]["expect"] == "3" and m["DelegateCur"] == 4


def test_failed_and_back_by_its_snapshot(start):
    """Killed: failed for all. Started again, and told of nobody: it knows them from its snapshot file."""
    c = start()
    for victim in c.servers:
        victim.kill()
        status_of(others(c, victim), victim.name, FAILED)
        victim.config["retry_join"] = []
        victim.start()
        wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})
        wait_statuses(c.servers, {s.name + ".dc1": ALIVE for s in c.servers}, "?wan=1")
    c.wait_leader()


def test_stopped_for_a_while_is_refuted(start):
    """Whoever does not answer is suspected, and says that it lives when it goes on."""
    c = start(config={"gossip_lan": dict(QUICK, suspicion_mult=100)})
    for victim in c.servers:
        was = victim.log().count("Refuting a suspect message")
        victim.pause()
        wait_for(lambda: any("Suspect %s has failed" % victim.name in s.log() for s in others(c, victim)), "a suspicion")
        victim.resume()
        wait_for(lambda: victim.log().count("Refuting a suspect message") > was, "it to be refuted")
    c.wait_leader()
    wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})
    assert not any("EventMemberFailed" in s.log() for s in c.servers)


def test_leave(start):
    c = start()
    leader = c.wait_leader()
    victim = others(c, leader)[0]
    victim.ended_by_us = True
    assert victim.cli("leave").returncode == 0
    victim.wait_end()
    rest = others(c, victim)
    status_of(rest, victim.name, LEFT)
    wait_statuses(rest, {s.name + ".dc1": LEFT if s is victim else ALIVE for s in c.servers}, "?wan=1")
    # It comes back when it is started; what it knew it has given up, so it must be told of somebody.
    victim.start()
    wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})


def test_force_leave(start):
    """A failed member is declared left; with -prune it is forgotten. In both pools, and through any server."""
    c = start()
    victim = others(c, c.wait_leader())[0]
    for n, asked in enumerate(others(c, victim)):
        victim.kill()
        status_of(others(c, victim), victim.name, FAILED)
        assert asked.cli("force-leave", victim.name).returncode == 0
        status_of(others(c, victim), victim.name, LEFT)
        assert asked.cli("force-leave", "-prune", victim.name).returncode == 0
        rest = {s.name: ALIVE for s in others(c, victim)}
        wait_statuses(others(c, victim), rest)
        wait_for(lambda: victim.name + ".dc1" not in statuses(asked, "?wan=1"), "it to be pruned from the WAN pool")
        victim.start()
        wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})
    unknown = asked.cli("force-leave", "nobody")
    assert unknown.returncode == 1 and "agent: No node found with name 'nobody'" in unknown.stderr


def test_a_living_member_refutes_that_it_was_made_to_leave(start):
    c = start()
    for asked, victim in ((c.servers[0], c.servers[1]), (c.servers[1], c.servers[2])):
        assert asked.cli("force-leave", victim.name).returncode == 0
        wait_for(lambda: asked.get("/v1/agent/members").status == 200, "an answer")
        wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})


def test_another_data_center_is_refused(start):
    c = start()
    for binary in start.binaries:
        stranger = c.add(binary=binary, expect=False, config={"datacenter": "dc2", "bootstrap": True})
        stranger.start()
        wait_for(lambda: "part of wrong datacenter" in stranger.log(), "it to be refused")
        assert set(statuses(stranger)) == {stranger.name}
        stranger.kill()
        c.forget(stranger)
    wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})


def test_data_centers_join_over_the_wan(start):
    """A server of each is enough: the others are joined to the WAN pool by theirs."""
    c = start()
    for binary in start.binaries:
        stranger = c.add(binary=binary, expect=False, config={"datacenter": "dc2", "bootstrap": True})
        stranger.config["retry_join"] = []
        stranger.start()
        wait_for(lambda: stranger.leader_address(), "it to lead itself")
        assert stranger.cli("join", "-wan", c.servers[1].ip).returncode == 0
        want = {s.name + ".dc1": ALIVE for s in c.servers if s is not stranger}
        want[stranger.name + ".dc2"] = ALIVE
        for s in c.servers:
            wait_for(lambda s=s: statuses(s, "?wan=1") == want, "all servers in the WAN pool of %s" % s)
        assert set(statuses(stranger)) == {stranger.name}
        stranger.ended_by_us = True
        assert stranger.cli("leave").returncode == 0
        stranger.wait_end()
        c.forget(stranger)
        for s in c.servers:
            wait_for(lambda s=s: statuses(s, "?wan=1")[stranger.name + ".dc2"] == LEFT, "it to have left")
        # By its name in the WAN pool; Consul itself does not find it.
        ours = next(s for s in c.servers if s.binary == start.binaries[0])
        assert ours.cli("force-leave", "-prune", stranger.name + ".dc2").returncode == 0
        for s in c.servers:
            wait_for(lambda s=s: stranger.name + ".dc2" not in statuses(s, "?wan=1"), "it to be forgotten")
        break


# --- events, keys, coordinates ---------------------------------------------------------------------


def test_user_events_reach_all(start):
    c = start()
    for n, s in enumerate(c.servers):
        answer = s.put("/v1/event/fire/deploy%d" % n, b"payload %d" % n)
        assert answer.status == 200
        for one in c.servers:
            rows = wait_for(lambda: one.get("/v1/event/list?name=deploy%d" % n).json, "the event on %s" % one)
            assert [r["ID"] for r in rows] == [answer.json["ID"]] and rows[0]["LTime"] > 0
    large = c.servers[0].put("/v1/event/fire/large", b"x" * 600)
    assert large.status == 500 and "user event exceeds configured limit of 512 bytes before encoding" in large.text
    for s in c.servers:
        wait_for(lambda s=s: "New leader elected" in s.log(), "%s to hear of the leader" % s)


def keyring(server):
    """By pool: the keys with the members that have them, and the primary one."""
    answer = server.get("/v1/operator/keyring")
    return {row["WAN"]: (row["Keys"], row["PrimaryKeys"]) for row in answer.json} if answer.status == 200 else {}


def test_key_rotation(start):
    """Whoever is asked, all change their keys and keep them; and go on with them after a restart."""
    c = start(config={"encrypt": KEYS[0]})
    for turn, s in enumerate(c.servers[:2]):
        old, new = KEYS[turn], KEYS[turn + 1]
        wait_for(lambda: keyring(s) == {wan: ({old: 3}, {old: 3}) for wan in (True, False)}, "one key")
        assert s.cli("keyring", "-install", new).returncode == 0
        assert s.cli("keyring", "-use", new).returncode == 0
        assert keyring(s) == {wan: ({old: 3, new: 3}, {new: 3}) for wan in (True, False)}
        refused = s.cli("keyring", "-remove", new)
        assert refused.returncode == 1 and "Removing the primary key is not allowed" in refused.stderr
        assert s.cli("keyring", "-remove", old).returncode == 0
    for s in c.servers:
        for name in ("local", "remote"):
            path = s.path_of("serf", name + ".keyring")
            assert json.load(open(path)) == [new] and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    # The key of the configuration is only that of the beginning.
    victim = others(c, c.wait_leader())[0]
    victim.kill()
    status_of(others(c, victim), victim.name, FAILED)
    victim.start()
    wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})
    assert "keyring doesn't include key provided with -encrypt, using keyring" in victim.log()
    assert members(victim)[0]["Status"] == ALIVE and victim.get("/v1/agent/self").json["Stats"]["serf_lan"]["encrypted"] == "true"


def test_strangers_are_refused(start):
    """Without the key, or with another one, nobody gets in."""
    c = start(config={"encrypt": KEYS[0]})
    for binary in start.binaries:
        for key in (None, KEYS[1]):
            stranger = c.add(binary=binary, expect=False)
            del stranger.config["encrypt"]
            if key:
                stranger.config["encrypt"] = key
            stranger.start()
            wait_for(lambda: "Join cluster failed, will retry" in stranger.log(), "it to be refused")
            assert set(statuses(stranger)) == {stranger.name}
            stranger.kill()
            c.forget(stranger)
    wait_statuses(c.servers, {s.name: ALIVE for s in c.servers})


def test_coordinates_come_by_themselves(start):
    """Each agent sends its own; of the WAN pool's they are known by gossip."""
    c = start()
    names = {s.name for s in c.servers}
    for s in c.servers:
        wait_for(lambda s=s: {row["Node"] for row in s.get("/v1/coordinate/nodes?stale").json or []} == names, "all coordinates")
        maps = wait_for(lambda s=s: [m for m in s.get("/v1/coordinate/datacenters").json if len(m["Coordinates"]) == 3], "the WAN pool's")
        assert maps[0]["Datacenter"] == "dc1" and maps[0]["AreaID"] == "wan" and {r["Node"] for r in maps[0]["Coordinates"]} == names
        assert s.cli("rtt", c.servers[0].name, c.servers[1].name).stdout.startswith("Estimated ")
        assert len(s.get("/v1/agent/self").json["Coord"]["Vec"]) == 8


def test_who_says_so_is_forgotten_sooner(start_cluster):
    """A client that failed is kept for as long as it has asked for; then its node is gone, too."""
    c = start_cluster(config={"gossip_lan": QUICK})
    c.wait_leader()
    client = c.add_client(config={"advertise_reconnect_timeout": "1s"}).start()
    nodes = lambda: {n["Node"] for n in c.wait_leader().get("/v1/catalog/nodes").json}
    wait_for(lambda: client.name in nodes(), "the client in the catalog")
    assert next(m for m in members(c.servers[0]) if m["Name"] == client.name)["Tags"]["rc_tm"] == "1s"
    client.kill()
    for s in c.servers:
        wait_for(lambda s=s: client.name not in statuses(s), "it to be forgotten by %s" % s)
    wait_for(lambda: client.name not in nodes(), "its node to be gone")
