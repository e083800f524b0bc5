#!/usr/bin/env python3
"""Measure a cluster of three servers, alone or beside another binary in the same run.

    bench_cluster.py --binary build/consul [--reference PATH] [--seconds 3] [NAME...]

The table is as bench.py's. All servers and the load generator share the machine, so the rates are those of a cluster squeezed onto one;
CPU per request is that of the three servers together.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))

from bench import FILES, WRK_PUT, Table, arguments, cpu_of, programs_of, rss_mb_of, wrk  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402


class Target:
    """One server as bench.wrk() wants it; CPU is that of all."""

    def __init__(self, cluster, server):
        self.cluster, self.server, self.name, self.dir = cluster, server, server.name, cluster.dir

    def url(self, path):
        return "http://%s:8500%s" % (self.server.ip, path)

    def cpu(self):
        return sum(cpu_of(s.process) for s in self.cluster.servers)


TABLE = Table("three servers")
row = TABLE.row


class Context:
    def __init__(self, name, binary, seconds):
        self.name, self.seconds = name, seconds
        self.cluster = Cluster(binary, 3, config={"log_level": "err", "limits": {"http_max_conns_per_client": FILES - 1000}})
        leader = self.cluster.wait_leader()
        self.cluster.wait_voters()
        wait_for(lambda: leader.set("bench/value", b"x" * 256), "a write")
        self.cluster.wait_same()

    def processes(self):
        return [s.process for s in self.cluster.servers]

    def leader(self):
        return Target(self.cluster, self.cluster.wait_leader())

    def follower(self):
        return Target(self.cluster, self.cluster.running(self.cluster.wait_leader())[0])


def write(c, target, connections):
    rate, p50, p99, cpu = wrk(target, "/", connections=connections, seconds=c.seconds, script=WRK_PUT % ("x" * 256))
    return "%s/s; %.2f ms; %.1f ms; %.0f µs" % (format(round(rate), ","), p50, p99, cpu)


def read(c, target, suffix):
    rate, p50, p99, cpu = wrk(target, "/v1/kv/bench/value" + suffix, seconds=c.seconds)
    return "%s/s; %.1f ms; %.1f ms; %.0f µs" % (format(round(rate), ","), p50, p99, cpu)


@row("KV write at the leader, 1 connection: rate; p50; p99; CPU each")
def write_one(c):
    return write(c, c.leader(), 1)


@row("KV write at the leader, 64 connections")
def write_many(c):
    return write(c, c.leader(), 64)


@row("KV write through a follower, 1 connection")
def forward_one(c):
    return write(c, c.follower(), 1)


@row("KV write through a follower, 64 connections")
def forward_many(c):
    return write(c, c.follower(), 64)


@row("KV read at the leader, default")
def read_leader(c):
    return read(c, c.leader(), "")


@row("KV read at the leader, consistent")
def read_consistent(c):
    return read(c, c.leader(), "?consistent")


@row("KV read through a follower, default")
def read_follower(c):
    return read(c, c.follower(), "")


@row("KV read through a follower, consistent")
def read_follower_consistent(c):
    return read(c, c.follower(), "?consistent")


@row("KV read at a follower, stale")
def read_stale(c):
    return read(c, c.follower(), "?stale")


@row("resident memory of leader / follower")
def memory(c):
    return "%.0f / %.0f MB" % tuple(rss_mb_of(t.server.process) for t in (c.leader(), c.follower()))


def main():
    args = arguments().parse_args()
    programs = programs_of(args)
    contexts = []
    try:
        for name, binary in programs:
            contexts.append(Context(name, binary, args.seconds))
        failed = TABLE.print([n for n, _ in programs], contexts, args.names)
    finally:
        for c in contexts:
            c.cluster.close(check=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
