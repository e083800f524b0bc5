"""Port 8300 of a real agent, spoken to by a client that knows nothing of ours."""
import json
import os
import socket
import threading

import pytest

import msgpack
from conftest import wait_for
from rpc_client import Closed, Mux, Refused, SNAPSHOT, Single, TLS, connect

KEY = {"Datacenter": "dc1", "Op": "set", "DirEnt": {"Key": "rpc/a", "Value": b"one"}}


def get(key="rpc/a", index=0, wait_s=30):
    return {"Datacenter": "dc1", "Key": key, "MinQueryIndex": index, "MaxQueryTime": wait_s * 10**9}


@pytest.fixture(params=["single", "yamux"])
def calls(request, agent):
    return Single(agent.ip) if request.param == "single" else Mux(agent.ip).stream()


def test_calls(agent, calls):
    assert calls.call("Status.Ping", {}) == {}
    assert calls.call("Status.Leader", {}) == ("%s:8300" % agent.ip).encode()
    assert calls.call("Status.Peers", {}) == [("%s:8300" % agent.ip).encode()]
    assert calls.call("Status.RaftStats", {})["LastContact"] == b"0"
    assert calls.call("KVS.Apply", KEY) is False  # true is for those that may do nothing
    reply = calls.call("KVS.Get", get())
    assert reply["Entries"][0]["Value"] == b"one"
    assert reply["KnownLeader"] is True
    assert agent.get("/v1/kv/rpc/a?raw").body == b"one"


def test_config_entries(agent, calls):
    """Go's MarshalBinary: requests and answers that carry entries are raws with the kind in front."""
    entry = {"Kind": "service-defaults", "Name": "rpc", "Protocol": "HTTP"}
    request = msgpack.encode("service-defaults") + msgpack.encode({"Op": "upsert", "Entry": entry})
    assert calls.call("ConfigEntry.Apply", request) is True
    query = {"Datacenter": "dc1", "Kind": "service-defaults", "Name": "rpc"}
    reply = calls.call("ConfigEntry.Get", query)
    kind, at = msgpack.decode(reply)
    entry, at = msgpack.decode(reply, at)
    meta, at = msgpack.decode(reply, at)
    assert (kind, entry["Name"], entry["Protocol"]) == (b"service-defaults", b"rpc", b"http")
    # Not equal: a new leader's removal of old intentions moves the table's index once more.
    assert meta["Index"] >= entry["ModifyIndex"] and at == len(reply)
    resolved, _ = msgpack.decode(calls.call("ConfigEntry.ResolveServiceConfig", query))
    assert resolved["ProxyConfig"] == {"protocol": b"http"}
    assert agent.get("/v1/config/service-defaults/rpc").json["Protocol"] == "http"
    for bad in (b"", b"\xa5bogus", request[:-1]):
        with pytest.raises((Refused, Closed)):
            Single(agent.ip).call("ConfigEntry.Apply", bad)


def test_calls_sent_ahead_are_answered_in_order(calls):
    seqs = [calls.send("Status.Ping", {}) for _ in range(100)]
    assert [calls.receive()[0] for _ in seqs] == seqs


def test_what_is_not_there(agent):
    for method, error in (("Ping", "rpc: service/method request ill-formed: Ping"),
                          ("No.Ping", "rpc: can't find service No.Ping"),
                          ("Status.Pong", "rpc: can't find method Status.Pong")):
        calls = Mux(agent.ip).stream()
        with pytest.raises(Refused, match=error):
            calls.call(method, {})
        with pytest.raises(Closed):
            calls.receive()


def test_blocking_query_is_woken(agent, calls):
    calls.call("KVS.Apply", KEY)
    index = calls.call("KVS.Get", get())["Index"]
    calls.send("KVS.Get", get(index=index))
    writer = Single(agent.ip)
    writer.call("KVS.Apply", dict(KEY, DirEnt={"Key": "rpc/other", "Value": b"x"}))
    writer.call("KVS.Apply", dict(KEY, DirEnt={"Key": "rpc/a", "Value": b"two"}))
    _, reply = calls.receive()
    assert reply["Entries"][0]["Value"] == b"two" and reply["Index"] > index


def test_streams_do_not_wait_for_each_other(agent):
    mux = Mux(agent.ip)
    waiting, other = mux.stream(), mux.stream()
    index = other.call("KVS.Get", get("rpc/none"))["Index"]
    waiting.send("KVS.Get", get("rpc/none", index))
    for _ in range(50):
        other.call("Status.Ping", {})
    assert not waiting.input
    many = [mux.stream() for _ in range(200)]
    for stream in many:
        stream.send("KVS.Get", get("rpc/none"))
    for stream in many:
        stream.receive()


def test_large_values_both_ways(agent, calls):
    value = bytes(range(256)) * 1900
    for i in range(8):
        calls.call("KVS.Apply", dict(KEY, DirEnt={"Key": "big/%d" % i, "Value": value}))
    entries = calls.call("KVS.List", {"Datacenter": "dc1", "Key": "big/"})["Entries"]
    assert [e["Value"] for e in entries] == [value] * 8


def test_many_clients_at_once(agent):
    failed = []

    def work(n):
        try:
            calls = Mux(agent.ip).stream()
            for i in range(50):
                entry = {"Key": "many/%d" % n, "Value": b"%d" % i}
                calls.call("KVS.Apply", dict(KEY, DirEnt=entry))
                assert calls.call("KVS.Get", get(entry["Key"]))["Entries"][0]["Value"] == entry["Value"]
        except Exception as error:  # told by the main thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


def test_snapshot_over_rpc(agent):
    calls = Single(agent.ip)
    calls.call("KVS.Apply", KEY)

    def ask(op, archive=b""):
        s = connect(agent.ip, SNAPSHOT)
        s.sendall(msgpack.encode({"Datacenter": "dc1", "Token": "", "AllowStale": False, "Op": op}) + archive)
        s.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: s.recv(65536), b""))
        reply, end = msgpack.decode(data)
        assert reply["Error"] == b""
        return reply, data[end:]

    reply, archive = ask(0)
    assert reply["Index"] > 0 and archive[:2] == b"\x1f\x8b"
    assert agent.get("/v1/kv/rpc/a?raw").status == 200
    calls.call("KVS.Apply", {"Datacenter": "dc1", "Op": "delete-tree", "DirEnt": {"Key": ""}})
    assert agent.get("/v1/kv/rpc/a?raw").status == 404
    ask(1, archive)
    assert agent.get("/v1/kv/rpc/a?raw").body == b"one"


def test_unknown_bytes_end_the_connection(agent):
    for byte in (2, TLS, 6, 7, 8, 22, 255):
        assert connect(agent.ip, byte).recv(1) == b""


def test_limit_of_connections_and_its_reload(start_agent):
    agent = start_agent(config={"limits": {"rpc_max_conns_per_client": 3}})
    held = []

    def has_room():
        calls = Single(agent.ip)
        held.append(calls)
        try:
            calls.call("Status.Ping", {})
            return True
        except (Closed, ConnectionError):
            return False

    assert [has_room() for _ in range(4)] == [True, True, True, False]
    with open(os.path.join(agent.dir, "config.json"), "w") as f:
        json.dump({"limits": {"rpc_max_conns_per_client": 5}}, f)
    assert agent.put("/v1/agent/reload").status == 200
    wait_for(has_room, "room after the reload")
