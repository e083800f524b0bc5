"""Is a history of concurrent operations on one key that of a register that does one thing at a time?

    check_key(history)        -> None, or a text that says why not
    check(history)            -> the same for all keys of a history, key by key
    check_lock(history)       -> the same for keys used as locks, with fencing

A history is a list of `Op`. What is searched is an order of the operations that keeps real time (an operation that returned before another
was invoked comes before it) and that the register explains: Wing and Gong's search with Lowe's memory of states seen before. An
operation whose outcome is not known ("unknown": timed out, connection lost) may have taken effect at any time after its
invocation, or never.

Each written value must be unique in its key. Then a ModifyIndex that was read with a value stands for that value, and a
compare-and-set on an index is one on a value. Indexes must grow along the order, too.
"""

from dataclasses import dataclass
from typing import Any, Optional

OK, FAIL, UNKNOWN = "ok", "fail", "unknown"
ABSENT = None
READS = ("read", "weak", "look")
NODES_MAX = 5_000_000


@dataclass(slots=True)
class Op:
    """kind, argument and result:

    read     -            (value, index), (ABSENT, 0)
    weak     -            as read: may be old (default and stale modes), must have been written
    put      value        True
    cas      (index, value)   True / False; index 0: only when absent
    delete   -            True
    acquire  session      True / False
    release  session      True / False
    destroy  session      True         the session ends: a lock it holds is free
    look     -            (session or ABSENT, lock index)   the read of a lock
    """

    key: str
    kind: str
    argument: Any
    invoked: float
    returned: float = float("inf")
    outcome: str = UNKNOWN
    result: Any = None
    client: Any = None
    server: Any = None

    def __str__(self):
        end = "%.4f" % self.returned if self.outcome != UNKNOWN else "?"
        return "[%.4f %s] client %s at %s: %s %s -> %s" % (self.invoked, end, self.client, self.server, self.kind,
                                                           self.argument, self.result if self.outcome != UNKNOWN else "?")


class TooLong(Exception):
    """The search was given up: neither yes nor no."""


# -- models: step(state, op) gives the next state, or REFUSED ------------------------------------------------

REFUSED = object()


class Register:
    """State: (value, index of the last write whose value anybody saw).

    Since values are unique, the indexes that were seen give the order of those writes, and a value may go only
    when all that saw it have been placed. Both are what keeps the search short.
    """

    initial = (ABSENT, 0)

    def __init__(self, ops):
        self.value_of = {}
        self.index_of = {}
        self.problem = None
        written = {op.argument[1] if op.kind == "cas" else op.argument: op for op in ops if op.kind in ("put", "cas")}
        for op in ops:
            if op.kind not in ("read", "weak") or op.outcome != OK or op.result[0] is ABSENT:
                continue
            value, index = op.result
            if self.index_of.setdefault(value, index) != index:
                self.problem = "value %r was seen with index %d and with %d" % (value, self.index_of[value], index)
            if self.value_of.setdefault(index, value) != value:
                self.problem = "index %d was seen with value %r and with %r" % (index, self.value_of[index], value)
            write = written.get(value)
            if write is None or write.invoked > op.returned or write.result is False:
                self.problem = "%s: nobody had written that" % op
        order = [0] + sorted(self.value_of)
        self.before = dict(zip(order[1:], order))
        self.has_failed_cas = any(op.kind == "cas" and op.result is False for op in ops)

    def matters(self, op):
        """An unknown write nobody saw explains nothing, but for a compare-and-set that failed."""
        return op.kind == "delete" or self.was_seen(op) or self.has_failed_cas

    def covers(self, op):
        """It leaves nothing of the one before."""
        return op.kind in ("put", "delete")

    def was_seen(self, op):
        return (op.argument[1] if op.kind == "cas" else op.argument) in self.index_of

    def alike(self, op):
        """Unknown operations of which the oldest will do."""
        if op.kind == "put" and op.argument not in self.index_of:
            return "put"
        return op.kind if op.kind == "delete" else (op.kind, op.argument)

    @staticmethod
    def lasts(state):
        """What comes only once, and so must last until all that need it are placed."""
        return state[0]

    def needs(self, op):
        """The state, as lasts() names it, that must still be there for this one."""
        if op.kind == "read":
            return op.result[0]
        return self.value_of.get(op.argument[0]) if op.kind == "cas" and op.outcome == OK and op.result else ABSENT

    def _write(self, state, value):
        index = self.index_of.get(value)
        if index is None:
            return (value, state[1])
        return (value, index) if self.before[index] == state[1] else REFUSED

    def step(self, state, op):
        value = state[0]
        if op.kind == "read":
            return state if op.result[0] == value else REFUSED
        if op.kind == "put":
            return self._write(state, op.argument)
        if op.kind == "delete":
            return (ABSENT, state[1])
        index, new = op.argument
        matches = value is ABSENT if index == 0 else value is not ABSENT and self.index_of.get(value) == index
        if op.outcome == UNKNOWN:
            return self._write(state, new) if matches else REFUSED
        if matches != op.result:
            return REFUSED
        return self._write(state, new) if matches else state


class Lock:
    """State: (holder, lock index)."""

    initial = (ABSENT, 0)

    def __init__(self, ops):
        self.problem = None
        self.holder_of = {}
        for op in ops:
            if op.kind == "look" and op.outcome == OK and op.result[0] is not ABSENT:
                session, index = op.result
                if self.holder_of.setdefault(index, session) != session:
                    self.problem = "lock index %d was held by %s and by %s" % (index, self.holder_of[index], session)

    def matters(self, op):
        return True

    def covers(self, op):
        return False

    def was_seen(self, op):
        return True

    def alike(self, op):
        return (op.kind, op.argument)

    @staticmethod
    def lasts(state):
        return state

    def needs(self, op):
        return op.result if op.kind == "look" else ABSENT

    def step(self, state, op):
        holder, index = state
        if op.kind == "look":
            return state if op.result == state else REFUSED
        if op.kind == "destroy":
            return (ABSENT, index) if holder == op.argument else state
        if op.kind == "acquire":
            can = holder is ABSENT or holder == op.argument
            after = (op.argument, index + 1 if holder is ABSENT else index)
            if can and self.holder_of.get(after[1], op.argument) != op.argument:
                return REFUSED
        else:
            can = holder == op.argument
            after = (ABSENT, index)
        if op.outcome == UNKNOWN:
            return after if can else REFUSED
        if can != op.result:
            return REFUSED
        return after if can else state


# -- the search -----------------------------------------------------------------------------------------------


def search(ops, model, nodes_max=NODES_MAX):
    """None when there is an order, else (how many could be ordered, the operations none of which fits next)."""
    known = sorted((op for op in ops if op.outcome == OK and op.kind != "weak"), key=lambda op: op.invoked)
    unknown = sorted((op for op in ops if op.outcome == UNKNOWN and op.kind not in READS and model.matters(op)),
                     key=lambda op: op.invoked)
    groups = {}
    for j, op in enumerate(unknown):
        groups.setdefault(model.alike(op), []).append(j)
    groups = sorted(groups.values())
    # How many of those not ordered yet need a state, or its value, to last.
    needed = {}
    needs = [model.needs(op) for op in known]
    for what in needs:
        needed[what] = needed.get(what, 0) + 1
    # Where the list of those not ordered yet begins, and the earliest return among them: a doubly linked list of
    # invocations and one of returns, from which what has been ordered is lifted and to which it is put back.
    count = len(known)
    by_return = sorted(range(count), key=lambda i: known[i].returned)
    next_call, previous_call = list(range(1, count + 2)), list(range(-1, count + 1))
    rank = [0] * count
    for position, i in enumerate(by_return):
        rank[i] = position
    next_return, previous_return = list(range(1, count + 2)), list(range(-1, count + 1))
    # The head of each list is element `count`.
    for following, before in ((next_call, previous_call), (next_return, previous_return)):
        following[count], before[count] = 0 if count else count, count - 1 if count else count
        if count:
            before[0], following[count - 1] = count, count

    def lift(i):
        needed[needs[i]] -= 1
        for following, before, at in ((next_call, previous_call, i), (next_return, previous_return, rank[i])):
            following[before[at]] = following[at]
            before[following[at]] = before[at]

    def put_back(i):
        needed[needs[i]] += 1
        for following, before, at in ((next_return, previous_return, rank[i]), (next_call, previous_call, i)):
            following[before[at]] = at
            before[following[at]] = at

    def candidates(state, after_unseen):
        """(operation, next state) that may come next. After an unknown one that nobody saw only what it makes a difference for."""
        if next_return[count] == count:
            return
        deadline = known[by_return[next_return[count]]].returned
        what = model.lasts(state)
        held = needed.get(what, 0) if what is not ABSENT else 0
        i = next_call[count]
        while i != count and known[i].invoked <= deadline:
            op = known[i]
            if not (after_unseen and model.covers(op)):
                after = model.step(state, op)
                if after is not REFUSED and (after == state or held <= (needs[i] == what)):
                    yield i, after
            i = next_call[i]
        for group in groups:
            j = next((j for j in group if not used >> j & 1), None)
            if j is None or held or unknown[j].invoked > deadline or after_unseen and model.covers(unknown[j]):
                continue
            after = model.step(state, unknown[j])
            if after is not REFUSED and after != state:
                yield -1 - j, after

    state, done, used, placed = model.initial, 0, 0, 0
    seen, nodes = set(), 0
    best, stuck = -1, []
    stack = []
    choices = candidates(state, False)
    while placed < count:
        if placed > best:
            best = placed
            first = next_return[count]
            deadline = known[by_return[first]].returned
            stuck, i = [], next_call[count]
            while i != count and known[i].invoked <= deadline:
                stuck.append(known[i])
                i = next_call[i]
            best_state = state
        step = next(choices, None)
        if step is None:
            if not stack:
                return best, best_state, stuck
            which, state, choices = stack.pop()
            if which >= 0:
                put_back(which)
                done &= ~(1 << which)
                placed -= 1
            else:
                used &= ~(1 << (-1 - which))
            continue
        which, after = step
        if which >= 0:
            new_done, new_used = done | 1 << which, used
        else:
            new_done, new_used = done, used | 1 << (-1 - which)
        was_unseen = which < 0 and not model.was_seen(unknown[-1 - which])
        mark = (new_done, new_used, after, was_unseen)
        if mark in seen:
            continue
        seen.add(mark)
        nodes += 1
        if nodes > nodes_max:
            raise TooLong("no answer after %d steps; %d of %d operations ordered" % (nodes, best, count))
        stack.append((which, state, choices))
        if which >= 0:
            lift(which)
            placed += 1
        done, used, state = new_done, new_used, after
        choices = candidates(state, was_unseen)
    return None


def explain(ops, model, nodes_max=NODES_MAX):
    if model.problem:
        return model.problem
    found = search(ops, model, nodes_max)
    if found is None:
        return None
    best, state, stuck = found
    shown = sorted(ops, key=lambda op: op.invoked)
    at = max((shown.index(op) for op in stuck), default=0)
    return "no order of %d operations explains what was seen. At most %d could be ordered; then the state is %s and none of\n  %s\nfits. " \
        "Among these:\n  %s" % (len(ops), best, state, "\n  ".join(map(str, stuck)), "\n  ".join(map(str, shown[max(0, at - 30):at + 30])))


def by_key(history):
    keys = {}
    for op in history:
        keys.setdefault(op.key, []).append(op)
    return keys


def check_key(ops, nodes_max=NODES_MAX):
    ops = [op for op in ops if op.outcome != FAIL]
    return explain(ops, Register(ops), nodes_max)


def check(history, nodes_max=NODES_MAX):
    for key, ops in by_key(history).items():
        problem = check_key(ops, nodes_max)
        if problem:
            return "key %s: %s" % (key, problem)
    return None


def check_lock(history, nodes_max=NODES_MAX):
    for key, ops in by_key(history).items():
        ops = [op for op in ops if op.outcome != FAIL]
        problem = explain(ops, Lock(ops), nodes_max) or overlap(ops)
        if problem:
            return "lock %s: %s" % (key, problem)
    return None


def overlap(ops):
    """Two clients that both know they hold the lock: from an acquisition's return to the invocation of what ends it."""
    held = []
    ends = [op for op in ops if op.kind in ("release", "destroy")]
    for op in ops:
        if op.kind == "acquire" and op.outcome == OK and op.result:
            mine = [e for e in ends if e.argument == op.argument]
            if any(e.outcome == UNKNOWN and e.invoked < op.returned for e in mine):
                continue  # that one may still come to be done
            held.append((op.returned, min((e.invoked for e in mine if e.invoked >= op.returned), default=float("inf")), op))
    held.sort(key=lambda h: h[0])
    for i, (start, end, op) in enumerate(held):
        for later_start, _, later in held[i + 1:]:
            if later_start >= end:
                break
            if later.argument != op.argument:
                return "held by two at once:\n  %s\n  %s" % (op, later)
    return None
