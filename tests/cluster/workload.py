"""Clients that work at the same time and write down what they saw.

    with Workload(cluster, clients=6) as load:       # writers, readers, lockers in threads
        ... hurt the cluster ...
        load.wait_progress(50)                        # 50 more acknowledged writes from now on
    load.check()                                      # linearizable, nothing acknowledged is lost

Each operation goes into a history with the times of a monotonic clock: done, refused, or not known. Reads in `consistent` mode must
fit an order of all operations (linearizable.py); reads in default and stale mode may be old, but show only what was written. Beside the
registers there are unique keys, written once ("durable"), that must all be there in the end.
"""

import base64
import random
import threading
import time
import uuid

import linearizable
from cluster import Failure, NotSent, wait_for
from linearizable import ABSENT, FAIL, OK, UNKNOWN, Op

# Errors that say that nothing was done.
REFUSALS = ("No cluster leader", "node is not the leader", "rpc error getting client", "invalid session", "Invalid session")
PACE = 0.004  # seconds between operations of a client, at most twice that


class Workload:
    def __init__(self, cluster, clients=6, lockers=2, keys=12, servers=None, timeout=8, prefix=None, seed=None):
        """servers: who is asked; all that the cluster has, when not given."""
        self.cluster, self.timeout = cluster, timeout
        self.servers = servers
        self.prefix = prefix or "load-" + uuid.uuid4().hex[:6]
        self.keys = ["%s/register/%d" % (self.prefix, i) for i in range(keys)]
        self.locks = ["%s/lock/%d" % (self.prefix, i) for i in range(max(1, lockers // 2))]
        self.node = self.prefix + "-node"
        self.stopping = threading.Event()
        self.histories, self.lock_histories, self.durable, self.errors = [], [], [], []
        self.acknowledged = 0
        self.counter_lock = threading.Lock()
        rng = random.Random(seed)
        self.threads = []
        for number in range(clients):
            self._thread(self._client, number, random.Random(rng.random()))
        for number in range(lockers):
            self._thread(self._locker, number, random.Random(rng.random()))

    def _thread(self, function, number, rng):
        history = []
        (self.lock_histories if function == self._locker else self.histories).append(history)

        def run():
            try:
                function(number, rng, history)
            except Exception as e:  # shown by check()
                self.errors.append("client %d: %s: %s" % (number, type(e).__name__, e))
            finally:
                self.cluster.client().close()
        self.threads.append(threading.Thread(target=run, daemon=True))

    def __enter__(self):
        if len(self.lock_histories) > 0:
            wait_for(self._register_node, "the node of the sessions")
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        for t in self.threads:
            t.join(60)

    def _register_node(self):
        s = self._pick(random)
        return s.put("/v1/catalog/register", {"Node": self.node, "Address": "10.0.0.1"}).status == 200

    # -- one operation --

    def _pick(self, rng):
        """Any server; but one that is known not to answer seldom, or all would soon wait for it."""
        servers = self.servers if self.servers is not None else self.cluster.servers
        up = [s for s in servers if s.is_running and not s.is_away]
        return rng.choice(servers if not up or rng.random() < 0.05 else up)

    def _do(self, op, server, method, path, body=None):
        """Fill in times and outcome; the answer when there is one."""
        op.server = server.name
        op.invoked = time.monotonic()
        try:
            answer = server.request(method, path, body, timeout=self.timeout)
        except NotSent:
            op.outcome = FAIL
            self.stopping.wait(0.05)
            return None
        except OSError:
            return None
        now = time.monotonic()
        if answer.status in (200, 404):
            op.outcome, op.returned = OK, now
            return answer
        if any(r in answer.text for r in REFUSALS):
            op.outcome = FAIL
        elif answer.status < 500:
            self.errors.append("%s %s: %d %s" % (method, path, answer.status, answer.text[:200]))
        self.stopping.wait(0.01)
        return None

    def _done(self):
        with self.counter_lock:
            self.acknowledged += 1

    def wait_progress(self, count=20, timeout=90):
        """`count` more writes acknowledged, by whichever servers can."""
        start = self.acknowledged
        wait_for(lambda: self.acknowledged >= start + count or self.errors, "%d writes to be acknowledged" % count, timeout)

    # -- clients --

    def _client(self, number, rng, history):
        last = {}
        n = 0
        while not self.stopping.wait(rng.random() * 2 * PACE):
            n += 1
            what = rng.random()
            mode = rng.choice(["consistent", "consistent", "consistent", "default", "stale"])
            server = self._pick(rng)
            key, value = rng.choice(self.keys), "c%d-%d" % (number, n)
            if what < 0.25:
                self._write_durable(number, n, server)
                continue
            if what < 0.60:
                op = Op(key, "read" if mode == "consistent" else "weak", None, 0, client=number)
                answer = self._do(op, server, "GET", "/v1/kv/%s%s" % (key, "" if mode == "default" else "?" + mode))
                if answer:
                    row = answer.json[0] if answer.status == 200 else None
                    op.result = (_text(row), row["ModifyIndex"]) if row else (ABSENT, 0)
                    last[key] = op.result[1]
            elif what < 0.78:
                op = Op(key, "put", value, 0, client=number)
                self._finish_write(op, self._do(op, server, "PUT", "/v1/kv/" + key, value.encode()))
            elif what < 0.95:
                op = Op(key, "cas", (last.get(key, 0), value), 0, client=number)
                self._finish_write(op, self._do(op, server, "PUT", "/v1/kv/%s?cas=%d" % (key, op.argument[0]), value.encode()))
            else:
                op = Op(key, "delete", None, 0, client=number)
                self._finish_write(op, self._do(op, server, "DELETE", "/v1/kv/" + key))
            history.append(op)

    def _finish_write(self, op, answer):
        if answer:
            op.result = answer.text == "true"
            if op.result:
                self._done()

    def _write_durable(self, number, n, server):
        key = "%s/durable/%d/%d" % (self.prefix, number, n)
        op = Op(key, "put", key, 0)
        answer = self._do(op, server, "PUT", "/v1/kv/" + key, key.encode())
        if answer and answer.text == "true":
            self.durable.append(key)
            self._done()

    def _locker(self, number, rng, history):
        """Take a lock, look who holds it, give it back; after any doubt, end the session and begin another."""
        session, key = None, self.locks[number % len(self.locks)]
        number = "L%d" % number
        while not self.stopping.wait(rng.random() * 4 * PACE):
            server = self._pick(rng)
            if session is None:
                session = self._new_session(server)
                continue
            taken = self._lock_op(history, key, "acquire", session, server, number)
            if taken is None:
                self._destroy(history, key, session, number, rng)
                session = None
                continue
            self._look(history, key, self._pick(rng), number)
            if not taken:
                continue
            if rng.random() < 0.15:
                self._destroy(history, key, session, number, rng)
                session = None
            elif self._lock_op(history, key, "release", session, self._pick(rng), number) is None:
                self._destroy(history, key, session, number, rng)
                session = None

    def _new_session(self, server):
        op = Op("", "session", None, 0)
        answer = self._do(op, server, "PUT", "/v1/session/create",
                          {"Node": self.node, "NodeChecks": [], "LockDelay": "0s", "Behavior": "release"})
        return answer.json["ID"] if answer else None

    def _lock_op(self, history, key, kind, session, server, number):
        op = Op(key, kind, session, 0, client=number)
        history.append(op)
        answer = self._do(op, server, "PUT", "/v1/kv/%s?%s=%s" % (key, kind, session), session.encode())
        if answer:
            op.result = answer.text == "true"
            return op.result
        return None

    def _look(self, history, key, server, number):
        op = Op(key, "look", None, 0, client=number)
        history.append(op)
        answer = self._do(op, server, "GET", "/v1/kv/%s?consistent" % key)
        if answer:
            row = answer.json[0] if answer.status == 200 else {"LockIndex": 0}
            op.result = (row.get("Session", ABSENT), row["LockIndex"])

    def _destroy(self, history, key, session, number, rng):
        op = Op(key, "destroy", session, 0, client=number)
        history.append(op)
        op.result = bool(self._do(op, self._pick(rng), "PUT", "/v1/session/destroy/" + session))

    # -- the verdict --

    def read_back(self, server):
        """Each register once more, after everything: a lost write cannot hide behind silence."""
        history = []
        for key in self.keys:
            op = Op(key, "read", None, 0, client="last")
            answer = self._do(op, server, "GET", "/v1/kv/%s?consistent" % key)
            if not answer:
                raise Failure("%s does not answer a consistent read" % server)
            row = answer.json[0] if answer.status == 200 else None
            op.result = (_text(row), row["ModifyIndex"]) if row else (ABSENT, 0)
            history.append(op)
        return history

    def check(self, servers=None):
        """After the end: all servers hold the same, nothing acknowledged is lost, the histories are linearizable."""
        assert not self.errors, self.errors[:5]
        c = self.cluster
        leader = c.wait_leader(servers)
        history = [op for h in self.histories for op in h] + wait_for(lambda: self.read_back(leader), "the last reads")
        rows = c.wait_same(servers)
        lost = [k for k in self.durable if k not in rows]
        assert not lost, "%d of %d acknowledged writes are lost, such as %s" % (len(lost), len(self.durable), lost[:3])
        assert len(self.durable) > 0
        problem = linearizable.check(history) or linearizable.check_lock([op for h in self.lock_histories for op in h])
        assert problem is None, problem
        # The next round begins with little.
        wait_for(lambda: leader.request("DELETE", "/v1/kv/%s/?recurse" % self.prefix).status == 200, "the keys to be removed")
        return self.summary()

    def summary(self):
        ops = [op for h in self.histories + self.lock_histories for op in h]
        count = {o: sum(op.outcome == o for op in ops) for o in (OK, FAIL, UNKNOWN)}
        return "%d operations (%d done, %d refused, %d unknown), %d durable keys" % (
            len(ops), count[OK], count[FAIL], count[UNKNOWN], len(self.durable))


def _text(row):
    return base64.b64decode(row["Value"] or "").decode()
