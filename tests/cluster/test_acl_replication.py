"""ACLs of several data centers: policies, roles and tokens are copied from the primary, and what belongs to it is written
there, whichever data center is asked; each of our own, or one of them Consul's (--reference-binary PATH)."""

import pytest

from cluster import wait_for

MASTER = "6a1f2b9e-0c5d-4e7a-9b3c-2d8e4f6a7b10"
HEADERS = {"X-Consul-Token": MASTER}
LAYOUTS = {"ours": "oo", "the primary is theirs": "ro", "the secondary is theirs": "or"}
QUICK = {"gossip_interval": "50ms", "probe_interval": "200ms", "probe_timeout": "100ms", "suspicion_mult": 3}
KINDS = ("policies", "roles", "tokens")


@pytest.fixture(params=LAYOUTS)
def start(request, start_cluster, binary):
    """One server each of dc1, the primary, and of dc2."""
    letters = LAYOUTS[request.param]
    binaries = {"o": binary, "r": request.getfixturevalue("reference_binary") if "r" in letters else None}

    def make(token_replication=True):
        servers = []
        for i, letter in enumerate(letters):
            tokens = {"master": MASTER, "agent": MASTER} if i == 0 else {"agent": MASTER, "replication": MASTER}
            config = {"ports": {}, "gossip_lan": QUICK, "gossip_wan": QUICK, "datacenter": "dc%d" % (i + 1), "primary_datacenter": "dc1",
                      "retry_interval_wan": "500ms", "retry_join_wan": [s.ip for s in servers],
                      "acl": {"enabled": True, "default_policy": "deny", "tokens": tokens,
                              "enable_token_replication": token_replication and i > 0}}
            cluster = start_cluster(1, binaries=[binaries[letter]], config=config)
            cluster.wait_leader()
            servers += cluster.servers
            if i == 0:
                wait_for(lambda: get(servers[0], "tokens").status == 200, "the master token")
        return servers
    return make


def get(server, path):
    return server.get("/v1/acl/" + path, headers=HEADERS)


def put(server, path, body):
    answer = server.put("/v1/acl/" + path, body, headers=HEADERS)
    assert answer.status == 200, answer.text
    return answer.json


def content(server, kind):
    """What the data centers should agree on."""
    answer = get(server, kind)
    if answer.status != 200:
        return answer.text
    return sorted((o.get("AccessorID") or o.get("ID"), o["Hash"], o.get("SecretID")) for o in answer.json if not o.get("Local"))


def wait_same(one, two, kinds=KINDS):
    for kind in kinds:
        wait_for(lambda kind=kind: content(one, kind) == content(two, kind), "the same %s in both" % kind, 60)


def test_everything_is_copied(start):
    one, two = start()
    policy = put(one, "policy", {"Name": "p", "Rules": 'key_prefix "" { policy = "read" }'})
    role = put(one, "role", {"Name": "r", "Policies": [{"Name": "p"}]})
    token = put(one, "token", {"Description": "first", "Roles": [{"Name": "r"}]})
    wait_same(one, two)
    assert get(two, "token/" + token["AccessorID"]).json["Roles"] == [{"ID": role["ID"], "Name": "r"}]
    assert get(two, "policy/" + policy["ID"]).json["Rules"] == policy["Rules"]
    # Changed and deleted there: the same here. What is local stays what it is.
    local = put(two, "token", {"Description": "of dc2", "Local": True, "Roles": [{"Name": "r"}]})
    put(one, "token/" + token["AccessorID"], {"AccessorID": token["AccessorID"], "Description": "second"})
    put(one, "policy/" + policy["ID"], {"ID": policy["ID"], "Name": "renamed", "Rules": policy["Rules"]})
    gone = put(one, "policy", {"Name": "gone"})
    wait_same(one, two)
    assert one.request("DELETE", "/v1/acl/policy/" + gone["ID"], headers=HEADERS).status == 200
    assert one.request("DELETE", "/v1/acl/role/" + role["ID"], headers=HEADERS).status == 200
    wait_same(one, two)
    assert get(two, "role/" + role["ID"]).status == 404
    assert get(two, "token/" + local["AccessorID"]).json["Description"] == "of dc2"
    assert get(one, "token/" + local["AccessorID"]).status == 403

    status = get(two, "replication").json
    assert (status["Enabled"], status["Running"], status["ReplicationType"], status["SourceDatacenter"]) == (True, True, "tokens", "dc1")
    assert status["ReplicatedIndex"] > 0 and status["ReplicatedRoleIndex"] > 0 and status["ReplicatedTokenIndex"] > 0
    assert status["LastSuccess"] > "2020"
    status = get(one, "replication").json
    assert (status["Enabled"], status["Running"]) == (False, False)


def test_global_objects_are_written_in_the_primary(start):
    one, two = start()
    wait_same(one, two)
    policy = put(two, "policy", {"Name": "p2", "Rules": 'key_prefix "" { policy = "write" }'})
    assert get(one, "policy/" + policy["ID"]).json == policy
    role = put(two, "role", {"Name": "r2", "Policies": [{"ID": policy["ID"]}]})
    token = put(two, "token", {"Description": "global", "Roles": [{"ID": role["ID"]}]})
    assert get(one, "token/" + token["AccessorID"]).json == token
    wait_same(one, two)
    clone = put(two, "token/%s/clone" % token["AccessorID"], {"Description": "clone"})
    assert get(one, "token/" + clone["AccessorID"]).status == 200
    wait_same(one, two)
    for accessor in (token["AccessorID"], clone["AccessorID"]):
        assert two.request("DELETE", "/v1/acl/token/" + accessor, headers=HEADERS).status == 200
        assert get(one, "token/" + accessor).status == 403
    assert two.request("DELETE", "/v1/acl/role/" + role["ID"], headers=HEADERS).status == 200
    assert get(one, "role/" + role["ID"]).status == 404
    wait_same(one, two)


def test_without_tokens(start):
    """Policies and roles come, tokens are the primary's alone."""
    one, two = start(token_replication=False)
    put(one, "policy", {"Name": "p3"})
    wait_same(one, two, ("policies", "roles"))
    token = put(one, "token", {"Description": "t", "Policies": [{"Name": "p3"}]})
    assert get(two, "token/" + token["AccessorID"]).json == token
    assert get(two, "replication").json["ReplicationType"] == "policies"
    refused = two.put("/v1/acl/token", {"Local": True}, headers=HEADERS)
    assert (refused.status, refused.text) == (500, "Local tokens are disabled")
    refused = get(two, "auth-methods")
    assert (refused.status, refused.text) == (500, "Token replication is required for auth methods to function")
