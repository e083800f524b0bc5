"""A network whose cables can be cut: each server in a network namespace of its own, a bridge in another.

    with Network(3) as net:
        command = net.enter(0) + [binary, "agent", ...]     # server 0 lives at net.address(0)
        with net.client():                                   # sockets made here reach all of them
            s = socket.create_connection((net.address(0), 8500))
        net.cut(0, 1)                                        # what 0 sends to 1 is lost, not the other way
        net.heal()

All neighbour entries are fixed by hand, so that a cut is a wrong Ethernet address in the sender's table: packets vanish in silence,
on connections that exist too, one way, at once. The namespaces have no names: each is held by a `cat` that ends with this process,
and the kernel removes it. Nothing of the machine's own network is touched.
"""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
NOWHERE = "02:00:00:00:ff:ff"
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """Namespaces are not permitted here; the text says what failed."""


class Namespace:
    """Namespaces (`--net`, `--mount`) that live as long as this object and the processes in them."""

    def __init__(self, kind):
        try:
            self.holder = subprocess.Popen(["unshare", kind, "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        except OSError as e:
            raise Unavailable("unshare: %s" % e) from None
        self.kind = kind
        if self.holder.stdout.readline() != "\n":  # it is in its namespace from here on
            raise Unavailable("unshare %s: %s" % (kind, self.holder.communicate()[1].strip()))

    @property
    def path(self):
        return "/proc/%d/ns/%s" % (self.holder.pid, {"--net": "net", "--mount": "mnt"}[self.kind])

    def enter(self):
        """What to put before a command; it keeps its process id."""
        return ["nsenter", "%s=%s" % (self.kind, self.path)]

    def run(self, *command, stdin=None):
        try:
            p = subprocess.run(self.enter() + list(command), input=stdin, capture_output=True, text=True)
        except OSError as e:
            raise Unavailable("nsenter: %s" % e) from None
        if p.returncode != 0:
            raise Unavailable("%s: %s" % (" ".join(command), p.stderr.strip()))

    def ip(self, *lines):
        self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.stderr.close()
        self.holder.wait()


class Network:
    def __init__(self, count):
        self.spaces = []
        self.cuts = set()
        try:
            self.hub = Namespace("--net")
            self.spaces.append(self.hub)
            self.hub.ip("link set lo up", "link add br0 type bridge", "link set br0 address %s" % self._mac(-1),
                        "addr add 10.99.0.254/24 dev br0", "link set br0 up")
            self.nodes = []
            for i in range(count):
                self.add()
        except Unavailable:
            self.close()
            raise
        self._hub_fd = os.open(self.hub.path, os.O_RDONLY)

    def add(self):
        """One more place for a server; its number."""
        i = len(self.nodes)
        node = Namespace("--net")
        self.spaces.append(node)
        self.hub.ip("link add s%d type veth peer name eth0 netns %d" % (i, node.holder.pid),
                    "link set s%d master br0" % i, "link set s%d up" % i,
                    "neigh add %s lladdr %s nud permanent dev br0" % (self.address(i), self._mac(i)))
        node.ip("link set lo up", "link set eth0 address %s" % self._mac(i), "addr add %s/24 dev eth0" % self.address(i),
                "link set eth0 up", "neigh add 10.99.0.254 lladdr %s nud permanent dev eth0" % self._mac(-1),
                *["neigh add %s lladdr %s nud permanent dev eth0" % (self.address(j), self._mac(j)) for j in range(i)])
        for other in self.nodes:
            other.ip("neigh add %s lladdr %s nud permanent dev eth0" % (self.address(i), self._mac(i)))
        self.nodes.append(node)
        return i

    @staticmethod
    def _mac(i):
        return "02:00:00:00:00:%02x" % (i + 1 if i >= 0 else 254)

    @staticmethod
    def address(i):
        return "10.99.0.%d" % (i + 1)

    def enter(self, i):
        return self.nodes[i].enter()

    @contextlib.contextmanager
    def client(self):
        """This thread is in the hub's namespace for a moment; sockets made meanwhile stay there."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            self._setns(self._hub_fd)
            try:
                yield
            finally:
                self._setns(own)
        finally:
            os.close(own)

    @staticmethod
    def _setns(fd):
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    # -- cuts --

    def cut(self, a, b):
        """Lose what `a` sends to `b`."""
        self.cuts.add((a, b))
        self.nodes[a].ip("neigh replace %s lladdr %s nud permanent dev eth0" % (self.address(b), NOWHERE))

    def cut_both(self, a, b):
        self.cut(a, b)
        self.cut(b, a)

    def isolate(self, i, sends=True, receives=True):
        """Away from all other servers (not from the clients), in one direction or both."""
        for j in range(len(self.nodes)):
            if j != i and sends:
                self.cut(i, j)
            if j != i and receives:
                self.cut(j, i)

    def split(self, group):
        """The servers of `group` on one side, all others on the other."""
        for a in group:
            for b in range(len(self.nodes)):
                if b not in group:
                    self.cut_both(a, b)

    def heal(self):
        for a, b in self.cuts:
            self.nodes[a].ip("neigh replace %s lladdr %s nud permanent dev eth0" % (self.address(b), self._mac(b)))
        self.cuts.clear()

    def close(self):
        for space in self.spaces:
            space.close()
        self.spaces = []
        if hasattr(self, "_hub_fd"):
            os.close(self._hub_fd)
            del self._hub_fd

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
