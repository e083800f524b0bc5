"""The flows of a typical tutorial, with curl and dig as a reader of it would use them."""

import http.server
import json
import subprocess
import threading

import pytest

from conftest import wait_for


@pytest.fixture
def web():
    """A small web server whose health can be switched off."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if server.healthy else 503)
            self.end_headers()
            self.wfile.write(b"fine" if server.healthy else b"broken")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.healthy = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def curl(*args):
    done = subprocess.run(["curl", "-sS", *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nginx_from_registration_to_deregistration(agent, web):
    base = "http://%s:8500/v1" % agent.ip
    definition = {
        "Name": "nginx", "Tags": ["web"], "Port": 8080, "Address": "10.9.8.7",
        "Check": {"HTTP": "http://127.0.0.1:%d/" % web.server_port, "Interval": "1s", "Timeout": "5s"},
    }
    assert curl("-X", "PUT", "-d", json.dumps(definition), base + "/agent/service/register") == ""

    def instances(path):
        return json.loads(curl(base + path))

    found = wait_for(lambda: instances("/catalog/service/nginx"), "nginx in the catalog")
    assert found[0]["ServicePort"] == 8080 and found[0]["ServiceTags"] == ["web"]

    wait_for(lambda: instances("/health/service/nginx?passing"), "the check to pass")
    records = wait_for(lambda: agent.dig("nginx.service.consul", "SRV"), "nginx in DNS")
    assert records[0].split()[2] == "8080"
    assert agent.dig("nginx.service.consul") == ["10.9.8.7"]
    assert agent.dig("web.nginx.service.consul") == ["10.9.8.7"]
    assert agent.dig("other.nginx.service.consul") == []

    web.healthy = False
    wait_for(lambda: not agent.dig("nginx.service.consul", "SRV"), "the failing instance to leave DNS")
    assert instances("/health/service/nginx?passing") == []
    check = instances("/health/checks/nginx")[0]
    assert check["Status"] == "critical" and "503" in check["Output"] and "broken" in check["Output"]

    web.healthy = True
    wait_for(lambda: agent.dig("nginx.service.consul"), "the instance to come back")

    assert curl("-X", "PUT", base + "/agent/service/deregister/nginx") == ""
    wait_for(lambda: instances("/catalog/service/nginx") == [], "nginx to leave the catalog")
    assert agent.dig("nginx.service.consul") == []


def test_configuration_in_the_key_value_store(agent):
    base = "http://%s:8500/v1/kv/" % agent.ip
    assert curl("-X", "PUT", "--data-binary", "100", base + "app/limit").strip() == "true"
    assert curl("-X", "PUT", "--data-binary", "on", base + "app/feature/dark?flags=42").strip() == "true"
    assert curl(base + "app/limit?raw") == "100"
    assert json.loads(curl(base + "app/?keys")) == ["app/feature/dark", "app/limit"]
    assert json.loads(curl(base + "app/?keys&separator=/")) == ["app/feature/", "app/limit"]
    entry = json.loads(curl(base + "app/feature/dark"))[0]
    assert entry["Flags"] == 42 and entry["Value"] == "b24="
    assert curl("-X", "PUT", "--data-binary", "7", base + "app/limit?cas=%d" % (entry["ModifyIndex"] + 1000)).strip() == "false"
    assert curl("-X", "DELETE", base + "app?recurse").strip() == "true"
    assert curl("-o", "/dev/null", "-w", "%{http_code}", base + "app/limit") == "404"
