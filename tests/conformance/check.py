#!/usr/bin/env python3
"""Replay the recorded behaviour of Consul 1.10.3 against a binary: every scenario but those in later.txt.

    check.py --binary build/consul [--jobs N] [http|dns|cli ...]

later.txt has the scenarios of features that are still to come, a line each: kit, scenario, why. A scenario listed
there may pass; one that is not listed must.
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def later(kit):
    with open(os.path.join(HERE, "later.txt")) as f:
        rows = [line.split(None, 2) for line in f if line.strip() and not line.startswith("#")]
    return {row[1] for row in rows if row[0] == kit}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--jobs", type=int, default=3)
    p.add_argument("kits", nargs="*")
    args = p.parse_args()
    failed = False
    for kit in args.kits or ["http", "dns", "cli"]:
        names = sorted(f[:-5] for f in os.listdir(os.path.join(HERE, kit, "scenarios")))
        names = [n for n in names if n not in later(kit)]
        print("-- %s: %d scenarios" % (kit, len(names)), flush=True)
        command = [sys.executable, os.path.join(HERE, kit + "_conformance.py"), "check", "--binary", args.binary,
                   "-j" if kit == "http" else "--jobs", str(args.jobs), *names]
        failed |= subprocess.run(command).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
