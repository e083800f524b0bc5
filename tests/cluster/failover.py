#!/usr/bin/env python3
"""How long a cluster of three is without a leader.

    failover.py --binary build/consul [--reference PATH] [--rounds 5] [--multiplier 1]

    start     from starting three empty servers until all agree on a leader and a write is acknowledged
    failover  from kill -9 of the leader until a write through another server is acknowledged
    pause     the same for SIGSTOP, where nothing is refused and clients give a request up after a second

Medians of the rounds, with the least and the most; a Markdown table, programs in turn in each round.
"""

import argparse
import statistics
import sys
import threading
import time

from cluster import Cluster, wait_for


def write_through_any(c, servers, key, timeout=30):
    """Seconds until a write through one of `servers` was acknowledged: writers at each, which try again at once."""
    begin, done, times = time.monotonic(), threading.Event(), []

    def work(server):
        try:
            while not done.is_set():
                try:
                    if server.put("/v1/kv/" + key, b"x", timeout=timeout).text == "true":
                        times.append(time.monotonic() - begin)
                        done.set()
                        return
                except OSError:
                    pass
                done.wait(0.01)
        finally:
            c.client().close()
    threads = [threading.Thread(target=work, args=(s,), daemon=True) for s in servers * 3]
    for t in threads:
        t.start()
        done.wait(0.1)
    if not done.wait(120):
        raise RuntimeError("no write was acknowledged in 120 s")
    done.set()
    return min(times)


def one_round(binary, multiplier):
    config = {"performance": {"raft_multiplier": multiplier}, "log_level": "info"}
    begin = time.monotonic()
    with Cluster(binary, 3, config=config) as c:
        leader = c.wait_leader()
        wait_for(lambda: leader.set("start", "x"), "the first write")
        took = {"start": time.monotonic() - begin}
        c.wait_voters()
        c.wait_same()
        leader.kill()
        took["failover"] = write_through_any(c, c.running(), "failover")
        leader.start()
        leader = c.wait_leader()
        c.wait_same()
        leader.pause()
        took["pause"] = write_through_any(c, c.running(leader), "pause", timeout=1)
        leader.resume()
        return took


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default="build/consul")
    p.add_argument("--reference")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--multiplier", type=int, default=1, help="performance.raft_multiplier (Consul's default is 5)")
    args = p.parse_args()
    programs = [("ours", args.binary)] + ([("reference", args.reference)] if args.reference else [])
    results = {name: [] for name, _ in programs}
    failed = 0
    for _ in range(args.rounds):
        for name, binary in programs:
            try:
                results[name].append(one_round(binary, args.multiplier))
            except Exception as e:  # the other program's rounds go on
                failed += 1
                print("%s: %s" % (name, e), file=sys.stderr)
    print("| three servers, raft_multiplier %d | %s |" % (args.multiplier, " | ".join(n for n, _ in programs)))
    print("|---|" + "---|" * len(programs))
    for what, text in (("start", "start until a write is acknowledged"),
                       ("failover", "kill -9 of the leader until a write is acknowledged"),
                       ("pause", "SIGSTOP of the leader until a write is acknowledged")):
        cells = []
        for name, _ in programs:
            times = [r[what] for r in results[name]]
            cells.append("%.2f s (%.2f to %.2f)" % (statistics.median(times), min(times), max(times)) if times else "failed")
        print("| %s | %s |" % (text, " | ".join(cells)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
