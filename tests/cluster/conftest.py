"""Clusters of real servers.

    pytest tests/cluster                                  the short form, about two minutes
    pytest tests/cluster -m torture --rounds 200          make torture ROUNDS=200
    --binary PATH            the servers (build/consul)
    --reference              --binary is Consul itself: leave out what it is not expected to do
    --reference-binary PATH  also clusters in which servers of both are voters
    --keep                   keep logs and data of tests that passed, too

Tests that cut links or fill disks make namespaces of their own (as root, or under `unshare -Urnm --map-root-user`) and are skipped, with
the reason, where that is not permitted. When a test fails, the end of each server's log is shown and its directory kept.
"""

import os
import signal
import sys

import pytest

from cluster import Cluster
from netns import Namespace, Network, Unavailable

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_addoption(parser):
    parser.addoption("--binary", default=os.path.join(TOP, "build", "consul"), help="what the servers run")
    parser.addoption("--reference", action="store_true", help="the binary is Consul itself")
    parser.addoption("--reference-binary", help="Consul itself, for clusters of both")
    parser.addoption("--rounds", type=int, default=1, help="how often each torture is repeated")
    parser.addoption("--keep", action="store_true", help="keep all logs and data")


def pytest_configure(config):
    # So that servers end with the tests, however those do.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    config.addinivalue_line("markers", "torture: can go on for long, see --rounds")


def last_lines(server, count=25):
    if not os.path.exists(server.log_path):
        return ""
    lines = [line for line in server.log().splitlines() if "Request finished" not in line]
    return "\n".join(lines[-count:])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        item.failed = report.failed
    if report.failed:
        for c in getattr(item, "clusters", []) + getattr(item.module, "shared_clusters", []):
            for s in c.all:
                report.sections.append(("log of %s: %s" % (s, s.log_path), last_lines(s)))


@pytest.fixture(scope="session")
def binary(request):
    return os.path.abspath(request.config.getoption("--binary"))


@pytest.fixture(scope="session")
def is_reference(request):
    return request.config.getoption("--reference")


@pytest.fixture(scope="session")
def reference_binary(request):
    path = request.config.getoption("--reference-binary")
    if not path:
        pytest.skip("no --reference-binary")
    return os.path.abspath(path)


@pytest.fixture
def rounds(request):
    return request.config.getoption("--rounds")


@pytest.fixture
def start_cluster(request, binary):
    """start_cluster(count, ...) as Cluster(binary, count, ...)."""
    request.node.clusters = []

    def start(count=3, binaries=None, **kw):
        c = Cluster(binaries or binary, count, **kw)
        request.node.clusters.append(c)
        return c

    yield start
    failed = getattr(request.node, "failed", False)
    for c in request.node.clusters:
        c.close(keep=failed or request.config.getoption("--keep"), check=not failed)


def make_network(count):
    try:
        return Network(count)
    except Unavailable as e:
        pytest.skip("needs network namespaces: %s" % e)


@pytest.fixture
def network():
    net = make_network(0)
    yield net
    net.close()


@pytest.fixture
def small_disk(request):
    """A mount namespace; small_disk(path, megabytes) puts a small file system there."""
    try:
        space = Namespace("--mount")
    except Unavailable as e:
        pytest.skip("needs mount namespaces: %s" % e)

    def mount(path, megabytes):
        try:
            space.run("mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs", path)
        except Unavailable as e:
            pytest.skip("needs to mount: %s" % e)
    space.mount = mount
    yield space
    space.close()
