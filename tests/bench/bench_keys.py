#!/usr/bin/env python3
"""What many keys cost a cluster of three: memory, snapshots under load, catching up, starting again.

    bench_keys.py --binary build/consul [--reference PATH] [--keys 1000000]

A writer puts one key after the other through one connection to the leader all the time; the pause is the longest time that
one of its writes took during what the row names (for comparison: the row that does nothing).
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))

from bench import PAGE, Table, arguments, programs_of  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402

LONG = 600
VALUE_SIZE = 256


class Writer:
    """Puts a key at `server` again and again, and keeps the longest time that one took."""

    def __init__(self, cluster, server):
        self.longest, self.count, self.done, self.error = 0, 0, False, None
        self.cluster, self.server = cluster, server
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.done:
                begin = time.monotonic()
                self.server.put("/v1/kv/bench/writer", b"%d" % self.count, timeout=LONG)
                self.longest = max(self.longest, time.monotonic() - begin)
                self.count += 1
        except Exception as e:
            self.error = e
        finally:
            self.cluster.client().close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        if self.error:
            raise self.error


class Context:
    def __init__(self, name, binary, keys):
        self.name, self.keys = name, keys
        self.cluster = Cluster(binary, 3, config={"log_level": "err"})
        self.leader = self.cluster.wait_leader()
        self.cluster.wait_voters()
        self.marks = 0

    def processes(self):
        return [s.process for s in self.cluster.running()]

    def url(self):
        return "http://%s:8500/v1/snapshot" % self.leader.ip

    def archive(self):
        return os.path.join(self.cluster.dir, "archive.tgz")

    def mark(self, servers):
        """A write that all of `servers` have: so they have everything before it."""
        self.marks += 1
        wait_for(lambda: self.leader.set("bench/mark", self.marks), "a write")
        for s in servers:
            wait_for(lambda: s.value("bench/mark") == str(self.marks), "the newest write", timeout=LONG)

    def while_writing(self, work):
        """Seconds that `work` took, the longest pause, writes per second."""
        with Writer(self.cluster, self.leader) as w:
            wait_for(lambda: w.count > 100 or w.error, "writes")
            w.longest, w.count, begin = 0, 0, time.monotonic()
            work()
            took, longest, count = time.monotonic() - begin, w.longest, w.count
        return "%.2f s; %.0f ms; %s/s" % (took, longest * 1000, format(round(count / took), ","))


def curl(*args):
    """In a process of its own: this one has the writer to serve."""
    subprocess.run(["curl", "-sS", "--fail-with-body", *args], check=True, stdout=subprocess.PIPE)


def rss_mb(server):
    with open("/proc/%d/statm" % server.process.pid) as f:
        return int(f.read().split()[1]) * PAGE / 1e6


TABLE = Table("three servers, many keys")


@TABLE.row("load, 64 keys a transaction: keys per second")
def load(c):
    begin = time.monotonic()
    for i in range(0, c.keys, 64):
        ops = [{"KV": {"Verb": "set", "Key": "many/%07d" % k, "Value": base64.b64encode(os.urandom(VALUE_SIZE)).decode()}}
               for k in range(i, min(i + 64, c.keys))]
        answer = c.leader.put("/v1/txn", json.dumps(ops).encode(), timeout=LONG)
        assert answer.status == 200, answer.text
    took = time.monotonic() - begin
    c.mark(c.cluster.running())
    return "%s/s" % format(round(c.keys / took), ",")


@TABLE.row("resident memory of leader / a follower")
def memory(c):
    return "%.0f / %.0f MB" % (rss_mb(c.leader), rss_mb(c.cluster.running(c.leader)[0]))


@TABLE.row("nothing for 5 s, for comparison: time; longest write; writes")
def idle(c):
    return c.while_writing(lambda: time.sleep(5))


@TABLE.row("GET /v1/snapshot")
def save(c):
    cell = c.while_writing(lambda: curl("-o", c.archive(), c.url()))
    return cell + "; %.0f MB" % (os.path.getsize(c.archive()) / 1e6)


@TABLE.row("a fourth server, empty, until it has the newest write")
def catch_up(c):
    servers = []

    def work():
        servers.append(c.cluster.add())
        servers[0].start()
        c.mark(servers)
    cell = c.while_writing(work)
    return cell + "; %.0f MB" % rss_mb(servers[0])


@TABLE.row("a follower killed and started again, until it has the newest write")
def again(c):
    follower = c.cluster.running(c.leader)[0]
    follower.kill()

    def work():
        follower.start()
        c.mark([follower])
    return c.while_writing(work)


@TABLE.row("PUT /v1/snapshot, until all servers have it")
def restore(c):
    def work():
        curl("-T", c.archive(), c.url())
        c.mark(c.cluster.running())
    return c.while_writing(work)


@TABLE.row("resident memory of leader / a follower, after all that")
def memory_after(c):
    return memory(c)


def main():
    p = arguments()
    p.add_argument("--keys", type=int, default=1000000)
    args = p.parse_args()
    programs, failed = programs_of(args), 0
    for program in programs:  # one after the other: they need the machine's memory
        c = Context(*program, args.keys)
        try:
            failed += TABLE.print([program[0]], [c], args.names)
        finally:
            c.cluster.close(check=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
