"""The command line: real commands against a real agent, and those that need none."""

import base64
import json
import os
import signal
import subprocess
import tarfile

import pytest

from conftest import wait_for

NOBODY = "127.255.255.3:1"


def test_unknown_commands(run):
    assert run().returncode == 127
    assert run("nonsense").returncode == 127
    assert run("kv").returncode == 1
    assert run("kv", "nonsense").returncode == 1


def test_help_is_asked_for_anywhere(run):
    for args in (["kv", "get", "-h"], ["kv", "get", "key", "--help"], ["kv", "get", "-nonsense", "-help"]):
        r = run(*args)
        assert r.returncode == 0 and "-recurse" in r.stdout and r.stderr == ""
    # Behind "--" it is an argument.
    assert run("kv", "get", "-http-addr=" + NOBODY, "--", "-h").returncode == 1


def test_unknown_flag(run):
    r = run("members", "-nonsense")
    assert r.returncode == 1
    assert r.stderr.splitlines()[0] == "flag provided but not defined: -nonsense"


def test_keygen(run):
    first, second = run("keygen").stdout.strip(), run("keygen").stdout.strip()
    assert len(base64.b64decode(first)) == 32 and first != second


def test_validate(run, tmp_path):
    (tmp_path / "good.json").write_text(json.dumps({"data_dir": str(tmp_path), "bind_addr": "127.0.0.1"}))
    (tmp_path / "bad.json").write_text('{"nope": 1}')
    assert run("validate", "good.json").stdout == "Configuration is valid!\n"
    bad = run("validate", "bad.json")
    assert bad.returncode == 1 and "invalid config key nope" in bad.stderr


@pytest.mark.parametrize("args, text", [
    (["members"], 'Error retrieving members: Get "http://%s/v1/agent/members?segment=_all"'),
    (["kv", "put", "k", "v"], 'Error! Failed writing data: Put "http://%s/v1/kv/k"'),
    (["kv", "delete", "k"], 'Error deleting key k: Delete "http://%s/v1/kv/k"'),
    (["maint", "-enable"], 'Error enabling node maintenance: Put "http://%s/v1/agent/maintenance?enable=true&reason="'),
])
def test_nobody_answers(run, args, text):
    r = run(*args, env={"CONSUL_HTTP_ADDR": NOBODY})
    assert r.returncode == 1
    assert r.stderr == text % NOBODY + ": dial tcp %s: connect: connection refused\n" % NOBODY


def test_kv(agent, tmp_path):
    assert agent.cli("kv", "put", "app/a b", "1 2").stdout == "Success! Data written to: app/a b\n"
    assert agent.cli("kv", "get", "/app/a b").stdout == "1 2\n"
    assert agent.cli("kv", "put", "-flags=42", "app/in", "-", stdin="line\n").returncode == 0
    assert agent.cli("kv", "get", "app/in").stdout == "line\n\n"
    assert "Flags            42\n" in agent.cli("kv", "get", "-detailed", "app/in").stdout
    assert agent.cli("kv", "get", "-keys").stdout == "app/\n"
    assert agent.cli("kv", "get", "-recurse", "app/a").stdout == "app/a b:1 2\n"
    missing = agent.cli("kv", "get", "missing")
    assert missing.returncode == 1 and missing.stderr == "Error! No key exists at: missing\n"
    exported = agent.cli("kv", "export", "app/").stdout
    assert [e["key"] for e in json.loads(exported)] == ["app/a b", "app/in"]
    assert agent.cli("kv", "delete", "-recurse", "app").stdout == "Success! Deleted keys with prefix: app\n"
    assert agent.cli("kv", "import", "-prefix=copy", "-", stdin=exported).returncode == 0
    assert agent.cli("kv", "get", "copy/app/a b").stdout == "1 2\n"


def test_kv_compare_and_set(agent):
    assert agent.cli("kv", "put", "-cas", "k", "1").returncode == 0
    again = agent.cli("kv", "put", "-cas", "k", "2")
    assert again.returncode == 1 and "CAS performed with index=0 and key already exists" in again.stderr
    index = json.loads(agent.get("/v1/kv/k").body)[0]["ModifyIndex"]
    assert agent.cli("kv", "put", "-cas", "-modify-index=%d" % index, "k", "3").returncode == 0
    assert agent.cli("kv", "delete", "-cas", "-modify-index=1", "k").returncode == 1
    assert agent.cli("kv", "get", "k").stdout == "3\n"


def test_large_values(agent):
    value = "x" * (512 * 1024)
    assert agent.cli("kv", "put", "big", "-", stdin=value).returncode == 0
    assert agent.cli("kv", "get", "big").stdout == value + "\n"
    refused = agent.cli("kv", "put", "big", "-", stdin=value + "y")
    assert refused.returncode == 1 and "Unexpected response code: 413" in refused.stderr


def test_catalog(agent):
    agent.put("/v1/catalog/register", {"Node": "web1", "Address": "10.0.0.1", "NodeMeta": {"rack": "1"},
                                       "Service": {"Service": "web", "Tags": ["v2", "v1"], "Port": 80}})
    agent.put("/v1/catalog/register", {"Node": "db1", "Address": "10.0.0.2", "Service": {"Service": "db"}})
    assert agent.cli("catalog", "datacenters").stdout == "dc1\n"
    nodes = agent.cli("catalog", "nodes", "-node-meta=rack=1").stdout.splitlines()
    assert [line.split() for line in nodes] == [["Node", "ID", "Address", "DC"], ["web1", "10.0.0.1", "dc1"]]
    services = agent.cli("catalog", "services", "-tags").stdout
    assert "web" in services and "v1,v2" in services
    assert agent.cli("catalog", "services", "-node=db1").stdout == "db\n"
    none = agent.cli("catalog", "nodes", "-service=none")
    assert none.returncode == 0 and none.stdout == "" and "No nodes match" in none.stderr


def spawn(agent, *args):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}
    env["CONSUL_HTTP_ADDR"] = agent.ip + ":8500"
    return subprocess.Popen([agent.binary, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=env)


def test_lock_excludes(agent):
    first = spawn(agent, "lock", "job", "echo held; sleep 60")
    assert first.stdout.readline() == "held\n"
    second = agent.cli("lock", "-timeout=1s", "job", "echo never")
    assert second.returncode == 1 and second.stdout == ""
    assert "Shutdown triggered or timeout during lock acquisition" in second.stderr
    first.send_signal(signal.SIGINT)
    assert first.wait(20) == 0
    assert agent.get("/v1/session/list").json == []
    assert agent.cli("kv", "get", "-keys", "job").stdout == ""


def test_lock_is_lost(agent):
    """Who holds the lock is told when its session goes."""
    holder = spawn(agent, "lock", "-verbose", "job", "sleep 60")
    while holder.stdout.readline() != "Starting handler\n":
        assert holder.poll() is None
    session = wait_for(lambda: agent.get("/v1/session/list").json, "a session")[0]["ID"]
    agent.put("/v1/session/destroy/" + session)
    assert "Lock lost" in holder.stdout.read()
    holder.wait(20)


def test_semaphore(agent):
    holders = [spawn(agent, "lock", "-n=2", "slots", "echo held; sleep 60") for _ in range(2)]
    for h in holders:
        assert h.stdout.readline() == "held\n"
    assert agent.cli("lock", "-n=2", "-timeout=500ms", "slots", "echo never").returncode == 1
    holders[0].send_signal(signal.SIGTERM)
    assert holders[0].wait(20) == 0
    assert agent.cli("lock", "-n=2", "slots", "echo held").stdout == "held\n"
    holders[1].send_signal(signal.SIGTERM)
    assert holders[1].wait(20) == 0


def test_child_exit_codes(agent):
    assert agent.cli("lock", "job", "exit 7").returncode == 0
    failed = agent.cli("lock", "-child-exit-code", "job", "exit 7")
    assert failed.returncode == 2 and failed.stderr == "Error running handler: exit status 7\n"


def test_watch(agent):
    agent.cli("kv", "put", "k", "one")
    once = json.loads(agent.cli("watch", "-type=key", "-key=k").stdout)
    assert base64.b64decode(once["Value"]) == b"one"
    watch = spawn(agent, "watch", "-type=key", "-key=k", "cat")
    assert json.loads(watch.stdout.readline())["Value"] == once["Value"]
    agent.cli("kv", "put", "k", "two")
    assert base64.b64decode(json.loads(watch.stdout.readline())["Value"]) == b"two"
    watch.send_signal(signal.SIGINT)
    assert watch.wait(20) == 0


def test_monitor(agent):
    monitor = spawn(agent, "monitor", "-log-level=debug")
    # What is logged before the stream has begun is not in it, so there has to be more until it has.
    os.set_blocking(monitor.stdout.fileno(), False)
    log = monitor.stdout.buffer.raw
    wait_for(lambda: agent.cli("reload").returncode == 0 and log.read(4096), "a line of the log")
    monitor.send_signal(signal.SIGINT)
    assert monitor.wait(20) == 0


def test_snapshot_inspect(run):
    archive = os.path.join(os.path.dirname(__file__), "..", "data", "snapshot-1.10.3.tgz")
    text = run("snapshot", "inspect", archive).stdout
    assert " ID           2-23-1795174268690\n Size         9885\n Index        23\n" in text
    assert "\n KVS                  4          337B\n" in text
    assert text.endswith("\n Total                           9.7KB\n")
    facts = json.loads(run("snapshot", "inspect", "-format=json", "-kvdetails", archive).stdout)
    assert facts["TotalSize"] == 9885 and facts["TotalSizeKV"] == 337
    assert sum(s["Count"] for s in facts["StatsKV"]) == 4


def test_snapshot_inspect_refuses(run, tmp_path):
    (tmp_path / "bad.snap").write_text("this is not a snapshot")
    bad = run("snapshot", "inspect", "bad.snap")
    assert bad.returncode == 1 and bad.stderr.startswith("Error reading snapshot: failed to decompress snapshot")
    missing = run("snapshot", "inspect", "missing.snap")
    assert missing.stderr == "Error opening snapshot file: open missing.snap: no such file or directory\n"


def test_debug(agent, tmp_path):
    out = str(tmp_path / "debug")
    assert agent.cli("debug", "-duration=1s").stderr.startswith("==> Capture validation failed: duration must be longer")
    r = agent.cli("debug", "-capture=agent", "-capture=cluster", "-output=" + out)
    assert r.returncode == 0 and not os.path.exists(out)
    with tarfile.open(out + ".tar.gz") as archive:
        assert sorted(archive.getnames()) == ["debug", "debug/agent.json", "debug/cluster.json", "debug/index.json"]
        assert json.load(archive.extractfile("debug/agent.json"))["Config"]["NodeName"] == "node1"
        assert json.load(archive.extractfile("debug/index.json"))["Targets"] == ["agent", "cluster"]
