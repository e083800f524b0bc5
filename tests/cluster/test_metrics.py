"""What servers of a cluster tell of themselves, under the names, kinds and labels of 1.10.3."""

import csv
import os
import threading
import time

from cluster import COMPACTING, wait_for

TABLE = os.path.join(os.path.dirname(__file__), "..", "system", "metrics.tsv")
KINDS = {"Gauges": "gauge", "Counters": "counter", "Samples": "sample"}


class Seen:
    """All that a server has told so far: it only shows the last ten seconds."""

    def __init__(self, server):
        self.server, self.values = server, {}

    def look(self):
        host = os.uname().nodename
        shown = self.server.get("/v1/agent/metrics").json
        for section, kind in KINDS.items():
            for m in shown[section]:
                name = m["Name"].removeprefix("consul.").removeprefix(host + ".")
                self.values[name, kind, ",".join(m["Labels"])] = m
        return self

    def has(self, *wanted):
        """Each is "name kind" or "name kind label"."""
        keys = [tuple((w + "  ").split(" ")[:3]) for w in wanted]
        self.look()
        return all(k in self.values for k in keys)

    def wait(self, *wanted):
        try:
            wait_for(lambda: self.has(*wanted), "metrics of %s" % self.server, 40)
        except BaseException:
            print("missing:", [w for w in wanted if not self.has(w)])
            raise


def test_replication(start_cluster):
    c = start_cluster()
    leader = c.wait_leader()
    c.wait_voters()
    follower = c.running(leader)[0]
    told, heard = Seen(leader), Seen(follower)

    def work():
        assert leader.set("a", "1") and leader.value("a", "?consistent") == "1"
        told.look()
        heard.look()
    end = time.monotonic() + 12
    while time.monotonic() < end:
        work()
        threading.Event().wait(0.2)
    told.wait("raft.peers gauge", "raft.commitNumLogs gauge", "raft.leader.dispatchNumLogs gauge", "raft.commitTime sample",
              "raft.leader.dispatchLog sample", "raft.leader.lastContact sample", "raft.leader.oldestLogAge gauge",
              "raft.verify_leader counter", "raft.apply counter", "raft.fsm.apply sample", "raft.candidate.electSelf sample",
              "raft.replication.heartbeat sample peer_id", "raft.replication.appendEntries.rpc sample peer_id",
              "raft.replication.appendEntries.logs counter peer_id", "leader.barrier sample", "rpc.consistentRead sample",
              "raft.replication.heartbeat.%s sample" % follower.id, "raft.replication.appendEntries.rpc.%s sample" % follower.id,
              "raft.replication.appendEntries.logs.%s counter" % follower.id)
    heard.wait("raft.rpc.appendEntries sample", "raft.rpc.appendEntries.storeLogs sample",
               "raft.rpc.appendEntries.processLogs sample", "raft.rpc.processHeartbeat sample", "raft.rpc.requestVote sample",
               "raft.fsm.apply sample")
    assert told.values["raft.peers", "gauge", ""]["Value"] == 3
    assert told.values["raft.leader.oldestLogAge", "gauge", ""]["Value"] > 0
    assert told.values["raft.leader.lastContact", "sample", ""]["Max"] < 5000
    with open(TABLE) as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    for seen in (told, heard):
        for name, kind, labels in seen.values:
            if name.startswith("raft.") or name.startswith("leader."):
                fitting = [r for r in rows if (r["name"] == name or (r["name"].endswith(".*") and name.startswith(r["name"][:-1]))) and
                           (r["kind"], r["labels"]) == (kind, labels)]
                assert fitting and not all(r["source"].startswith(("no:", "never:")) for r in fitting), (name, kind, labels)
    # Who hears of no majority leads no more.
    for s in c.running(leader):
        s.kill()
    told.wait("raft.transition.leader_lease_timeout counter")


def test_snapshots_and_sessions(start_cluster):
    c = start_cluster(config=dict(COMPACTING, session_ttl_min="500ms"))
    leader = c.wait_leader()
    c.wait_voters()
    told, heard = Seen(leader), Seen(c.running(leader)[0])
    assert leader.put("/v1/session/create", {"Node": leader.name, "NodeChecks": [], "TTL": "500ms"}).status == 200
    for n in range(200):
        assert leader.set("many/%d" % (n % 10), str(n))
    told.wait("raft.snapshot.takeSnapshot sample", "raft.snapshot.create sample", "raft.snapshot.persist sample",
              "raft.fsm.snapshot sample", "raft.compactLogs sample", "session_ttl.invalidate sample")
    archive = heard.server.get("/v1/snapshot").body
    assert heard.server.put("/v1/snapshot", archive).status == 200
    told.wait("raft.restore counter", "raft.restoreUserSnapshot sample", "raft.fsm.restore sample", "raft.fsm.lastRestoreDuration gauge",
              "raft.replication.installSnapshot sample peer_id",
              "raft.replication.installSnapshot.%s sample" % heard.server.id)
    heard.wait("raft.rpc.installSnapshot sample", "raft.fsm.restore sample")
