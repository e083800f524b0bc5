"""The judge itself: histories it must accept, and ones it must refuse."""

import random
import time

import pytest

from linearizable import ABSENT, FAIL, OK, Op, TooLong, check, check_key, check_lock


def op(kind, argument, invoked, returned, result=True, outcome=OK, key="k"):
    return Op(key, kind, argument, invoked, returned, outcome, result)


def read(invoked, returned, value, index=0):
    return op("read", None, invoked, returned, (value, index))


def maybe(kind, argument, invoked):
    return Op("k", kind, argument, invoked)


ACCEPTED = {
    "one after the other": [op("put", "a", 0, 1), read(2, 3, "a", 7), op("delete", None, 4, 5), read(6, 7, ABSENT)],
    "a read beside a write sees the old": [op("put", "a", 0, 1), op("put", "b", 2, 5), read(3, 4, "a", 7)],
    "a read beside a write sees the new": [op("put", "a", 0, 1), op("put", "b", 2, 5), read(3, 4, "b", 7)],
    "writes beside each other, order shown by reads": [op("put", "a", 0, 9), op("put", "b", 0, 9), read(1, 2, "b", 5),
                                                       read(3, 4, "a", 6)],
    "a lost write seen later": [op("put", "a", 0, 1), maybe("put", "b", 2), read(3, 4, "a", 5), read(5, 6, "b", 6)],
    "a lost write never seen": [op("put", "a", 0, 1), maybe("put", "b", 2), read(3, 4, "a", 5)],
    "a lost delete": [op("put", "a", 0, 1), maybe("delete", None, 2), read(3, 4, "a", 5), read(5, 6, ABSENT)],
    "lost writes in a chain": [op("put", "a", 0, 1), read(1.1, 1.2, "a", 5), maybe("put", "b", 2), maybe("cas", (6, "c"), 3),
                               read(4, 5, "b", 6), read(8, 9, "c", 7)],
    "compare-and-set": [op("cas", (0, "a"), 0, 1), read(2, 3, "a", 5), op("cas", (5, "b"), 4, 5), op("cas", (5, "c"), 6, 7, False),
                        read(8, 9, "b", 6)],
    "compare-and-set fails because of a lost write nobody saw": [
        op("put", "a", 0, 1), read(2, 3, "a", 5), maybe("put", "b", 3), op("cas", (5, "c"), 4, 5, False)],
    "a weak read is old": [op("put", "a", 0, 1), op("put", "b", 2, 3), op("weak", None, 4, 5, ("a", 5)), read(6, 7, "b", 6)],
    "a weak read tells the index": [op("put", "a", 0, 1), op("weak", None, 2, 3, ("a", 5)), op("cas", (5, "b"), 4, 5)],
    "a lost write seen by a weak read only": [op("put", "a", 0, 1), read(1.1, 1.2, "a", 5), maybe("put", "b", 2),
                                              op("weak", None, 3, 4, ("b", 6)), op("put", "c", 5, 6), read(7, 8, "c", 7)],
    "what failed was not done": [op("put", "a", 0, 1), op("put", "b", 2, 3, outcome=FAIL), read(4, 5, "a", 5)],
}

REFUSED = {
    "an old value after a write returned": [op("put", "a", 0, 1), op("put", "b", 2, 3), read(4, 5, "a", 5)],
    "an acknowledged write is lost": [op("put", "a", 0, 1), read(2, 3, ABSENT)],
    "back to the old value": [op("put", "a", 0, 1), op("put", "b", 2, 9), read(3, 4, "b", 6), read(5, 6, "a", 5)],
    "a value nobody wrote": [read(0, 1, "a", 5)],
    "a failed write is seen": [op("put", "a", 0, 1, outcome=FAIL), read(2, 3, "a", 5)],
    "seen before it was written": [read(0, 1, "a", 5), op("put", "a", 2, 3)],
    "a lost write seen, gone, seen again": [op("put", "a", 0, 1), maybe("put", "b", 2), read(3, 4, "b", 6), op("put", "c", 5, 6),
                                            read(7, 8, "c", 7), read(9, 10, "b", 6)],
    "two compare-and-sets on one index": [op("put", "a", 0, 1), read(2, 3, "a", 5), op("cas", (5, "b"), 4, 6), op("cas", (5, "c"), 4, 6)],
    "compare-and-set refused without reason": [op("put", "a", 0, 1), read(2, 3, "a", 5), op("cas", (5, "b"), 4, 5, False)],
    "a weak read of what nobody had written yet": [op("weak", None, 0, 1, ("a", 5)), op("put", "a", 2, 3)],
    "created twice": [op("cas", (0, "a"), 0, 2), op("cas", (0, "b"), 0, 2)],
    "one write, two indexes": [op("put", "a", 0, 1), read(2, 3, "a", 5), read(4, 5, "a", 6)],
    "two writes, one index": [op("put", "a", 0, 9), op("put", "b", 0, 9), read(2, 3, "a", 5), read(4, 5, "b", 5)],
    "indexes go backwards": [op("put", "a", 0, 1), read(2, 3, "a", 9), op("put", "b", 4, 5), read(6, 7, "b", 8)],
    "a delete that left it": [op("put", "a", 0, 1), op("delete", None, 2, 3), read(4, 5, "a", 5)],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts(name):
    assert check_key(ACCEPTED[name]) is None


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name):
    assert check_key(REFUSED[name])


LOCKS_ACCEPTED = {
    "turns": [op("acquire", "s", 0, 1), op("acquire", "t", 2, 3, False), op("look", None, 2, 3, ("s", 1)), op("release", "s", 4, 5),
              op("acquire", "t", 6, 7), op("look", None, 8, 9, ("t", 2))],
    "taken again by its holder": [op("acquire", "s", 0, 1), op("acquire", "s", 2, 3), op("look", None, 4, 5, ("s", 1))],
    "the end of the session frees it": [op("acquire", "s", 0, 1), op("destroy", "s", 2, 3), op("acquire", "t", 4, 5)],
    "a lost acquisition": [maybe("acquire", "s", 0), op("acquire", "t", 1, 2, False), op("look", None, 3, 4, ("s", 1))],
    "a lost release done late": [op("acquire", "s", 0, 1), maybe("release", "s", 2), op("acquire", "s", 3, 4),
                                 op("acquire", "t", 5, 6)],
    "release by another is refused": [op("acquire", "s", 0, 1), op("release", "t", 2, 3, False)],
}

LOCKS_REFUSED = {
    "held by two": [op("acquire", "s", 0, 1), op("acquire", "t", 2, 3)],
    "held by two, then released": [op("acquire", "s", 0, 1), op("acquire", "t", 2, 3), op("release", "s", 4, 5), op("release", "t", 6, 7)],
    "refused though free": [op("acquire", "s", 0, 1), op("release", "s", 2, 3), op("acquire", "t", 4, 5, False)],
    "fence goes backwards": [op("acquire", "s", 0, 1), op("look", None, 2, 3, ("s", 1)), op("release", "s", 4, 5),
                             op("acquire", "t", 6, 7), op("look", None, 8, 9, ("t", 1))],
    "fence without an acquisition": [op("acquire", "s", 0, 1), op("look", None, 2, 3, ("s", 2))],
    "lost without a release": [op("acquire", "s", 0, 1), op("look", None, 2, 3, (ABSENT, 1))],
}


@pytest.mark.parametrize("name", LOCKS_ACCEPTED)
def test_accepts_lock(name):
    assert check_lock(LOCKS_ACCEPTED[name]) is None


@pytest.mark.parametrize("name", LOCKS_REFUSED)
def test_refuses_lock(name):
    assert check_lock(LOCKS_REFUSED[name])


def simulate(seed, count, keys, clients, lost=0.02):
    """What a correct server would have said to clients that work at the same time."""
    rng = random.Random(seed)
    history = []  # (the moment it takes effect, operation)
    free = [rng.random() for _ in range(clients)]
    for n in range(count):
        client = min(range(clients), key=free.__getitem__)
        begin, took = free[client], rng.random() * 2
        kind = rng.choice(["read", "read", "put", "put", "cas", "delete"])
        argument = {"put": "v%d" % n, "cas": (0, "v%d" % n)}.get(kind)
        o = Op("k%d" % rng.randrange(keys), kind, argument, begin, begin + took, OK, None, client)
        history.append((begin + took * rng.random(), o))
        free[client] = begin + took + 0.01
    state, index, seen = {}, 10, {0}
    for _, o in sorted(history, key=lambda h: h[0]):
        value, at = state.get(o.key, (ABSENT, 0))
        if o.kind == "read":
            o.result = (value, at)
            seen.add(at)
            continue
        if o.kind == "cas":
            if at in seen:  # an index is known from reads only
                o.argument = (at, o.argument[1])
            o.result = o.argument[0] == at
        else:
            o.result = True
        if rng.random() < lost:
            o.outcome, o.returned = "unknown", float("inf")
            if rng.random() < 0.5:
                continue
        if o.kind == "cas" and not o.result:
            continue
        index += 1
        state[o.key] = (ABSENT, 0) if o.kind == "delete" else (o.argument[1] if o.kind == "cas" else o.argument, index)
    return [o for _, o in history]


@pytest.mark.parametrize("keys, count", [(1, 2000), (30, 10000)])
def test_many_operations_in_time(keys, count):
    history = simulate(keys, count, keys, 10)
    begin = time.monotonic()
    assert check(history) is None
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("seed", range(40))
def test_one_changed_answer_is_found(seed):
    """A read's answer is replaced by the value of a write that was over, and overwritten, long before."""
    rng = random.Random(seed)
    history = simulate(seed, 400, 1, 6)
    assert check(history) is None
    reads = [o for o in history if o.kind == "read" and o.outcome == OK and o.result[0] is not ABSENT]
    late = reads[-1]
    old = [o for o in reads if o.returned < late.invoked - 10 and o.result != late.result]
    late.result = rng.choice(old).result
    assert check(history)


def test_says_when_it_gives_up():
    history = simulate(5, 300, 1, 8)
    with pytest.raises(TooLong):
        check(history, nodes_max=100)
