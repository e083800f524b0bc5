"""Disks that are full or slow."""

import os
import shutil
import subprocess

import pytest

from cluster import wait_for
from workload import Workload


def fill(server):
    """Leave no byte on the server's disk; gives the room back when called."""
    path = server.path_of("ballast")
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 65536)
        except OSError:
            pass
    return lambda: os.unlink(path)


@pytest.fixture
def cluster_on_small_disks(start_cluster, small_disk):
    c = start_cluster(start=False, data_space=small_disk)
    for s in c.servers:
        small_disk.mount(s.data_dir, 64)
    c.start()
    c.wait_leader()
    c.wait_voters()
    return c


def test_disk_of_the_leader_is_full(cluster_on_small_disks, is_reference):
    """It says so and leads no more; another does, and nothing that was acknowledged is lost."""
    c = cluster_on_small_disks
    with Workload(c) as load:
        load.wait_progress()
        leader = c.wait_leader()
        # Values that need room at once, so that what is allocated already does not last for long.
        free = fill(leader)
        big, n = os.urandom(256 * 1024), 0

        def no_longer_leads():
            nonlocal n
            n += 1
            if leader.is_running and leader.leader_address() == leader.address:
                leader.put("/v1/kv/%s/big/%d" % (load.prefix, n % 8), big)
                return False
            return True
        wait_for(no_longer_leads, "the leader to step down")
        log = leader.log()
        assert "no space left" in log.lower()
        if not is_reference:
            assert leader.is_running, "a full disk ends no server"
        others = c.running(leader)
        assert c.wait_leader(others) in others
        load.wait_progress()
        free()
        if not leader.is_running:
            leader.start()
        c.wait_leader()
        load.wait_progress()
    print(load.check())


def test_disk_of_a_follower_is_full(cluster_on_small_disks):
    """The others do not mind; with room again it catches up."""
    c = cluster_on_small_disks
    leader = c.wait_leader()
    follower = c.running(leader)[0]
    with Workload(c, servers=c.running(follower)) as load:
        free = fill(follower)
        for n in range(60):
            assert leader.set("%s/big/%d" % (load.prefix, n % 8), os.urandom(128 * 1024))
        wait_for(lambda: "no space left" in follower.log().lower(), "the follower to say what it lacks")
        load.wait_progress()
        assert c.wait_leader(c.running(follower)) is leader
        free()
        if not follower.is_running:
            follower.start()
    print(load.check())


SLOW_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Each sync takes as many milliseconds more as the file SLOW_SYNC in the working directory says. */
static void wait_some(void)
{
    FILE *f = fopen("SLOW_SYNC", "r");
    int ms = 0;
    if (f) {
        if (fscanf(f, "%d", &ms) == 1)
            usleep((useconds_t)ms * 1000);
        fclose(f);
    }
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_some();
    return real(fd);
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_some();
    return real(fd);
}
"""


@pytest.fixture
def slow_sync(tmp_path, is_reference):
    """The path of a library that slows down syncs of a program that calls libc for them."""
    if is_reference:
        pytest.skip("a Go program does not call libc")
    source, library = tmp_path / "slow.c", tmp_path / "slow.so"
    source.write_text(SLOW_SYNC)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("needs a C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return str(library)


def slow_down(server, milliseconds):
    path = os.path.join(server.dir, "SLOW_SYNC")
    with open(path + ".tmp", "w") as f:
        f.write(str(milliseconds))
    os.rename(path + ".tmp", path)


def test_slow_disks(start_cluster, slow_sync, binary):
    """Syncs that take longer than an election do not unseat a leader: heartbeats wait for no disk."""
    with open(binary, "rb") as f:
        if b"__asan_init" in f.read():
            pytest.skip("a library cannot be put before the sanitizer's")
    c = start_cluster(env={"LD_PRELOAD": slow_sync})
    leader = c.wait_leader()
    c.wait_voters()
    term = leader.term()
    with Workload(c, timeout=30) as load:
        load.wait_progress()
        follower = c.running(leader)[0]
        slow_down(follower, 3000)
        load.wait_progress(100)  # a majority has fast disks
        slow_down(leader, 3000)
        load.wait_progress(10)  # and the leader's own is not needed for one
        for s in c.servers:
            slow_down(s, 3000)
        load.wait_progress(10)
        assert (c.wait_leader(), leader.term()) == (leader, term)
        for s in c.servers:
            slow_down(s, 0)  # the leader's may be the last to answer: then it may hand over
        load.wait_progress()
        c.wait_leader()
    print(load.check())
