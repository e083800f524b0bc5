"""What was acknowledged is there after a crash."""

import threading

from conftest import wait_for


def test_kill_under_writes(start_agent):
    agent = start_agent(dev=False)
    for round_number in range(3):
        acknowledged = []
        stop = threading.Event()

        def write(worker):
            n = 0
            while not stop.is_set():
                key = "crash/%d/%d/%d" % (round_number, worker, n)
                try:
                    if agent.put("/v1/kv/" + key, b"v" + str(n).encode()).body.strip() != b"true":
                        return
                except OSError:
                    return
                acknowledged.append((key, n))
                n += 1

        writers = [threading.Thread(target=write, args=(w,)) for w in range(4)]
        for w in writers:
            w.start()
        wait_for(lambda: len(acknowledged) > 200, "some writes")
        agent.kill()
        stop.set()
        for w in writers:
            w.join(30)
        agent.start()
        for key, n in acknowledged:
            answer = agent.get("/v1/kv/%s?raw" % key)
            assert answer.status == 200 and answer.body == b"v" + str(n).encode(), key


def test_everything_survives_a_restart(start_agent):
    agent = start_agent(dev=False)
    agent.put("/v1/agent/service/register", {"Name": "kept", "Port": 1, "Check": {"TTL": "10m"}})
    agent.put("/v1/agent/check/pass/service:kept")
    agent.put("/v1/catalog/register", {"Node": "external", "Address": "10.0.0.9", "Service": {"Service": "db", "Port": 5432}})
    session = agent.put("/v1/session/create", {"Name": "s"}).json["ID"]
    assert agent.put("/v1/kv/lock?acquire=" + session, b"mine").json is True
    wait_for(lambda: agent.get("/v1/health/service/kept?passing").json, "the service to pass")
    before = agent.get("/v1/kv/lock").json
    assert agent.stop() in (0, 1)
    agent.start()
    assert agent.get("/v1/kv/lock").json == before
    assert agent.get("/v1/session/info/" + session).json[0]["Name"] == "s"
    assert agent.get("/v1/catalog/service/db").json[0]["ServicePort"] == 5432
    wait_for(lambda: agent.get("/v1/health/service/kept?passing").json, "the service and its check to be restored")


def test_stop_in_the_midst_of_starting(start_agent):
    """The leader's first writes come back while everything ends."""
    agent = start_agent()
    for _ in range(8):
        assert agent.stop() in (0, 1)
        agent.start()
