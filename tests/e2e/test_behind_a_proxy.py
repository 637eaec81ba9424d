"""Commands that start their own server, on a machine whose environment names proxies that do not work."""

import json
import os
import socket
import subprocess
import sys

import pytest

from client_kit.client import ConsensusClient
from client_kit.federation.server_process import ServerProcess

with socket.create_server(("127.0.0.1", 0)) as _free:
    DEAD = f"http://127.0.0.1:{_free.getsockname()[1]}"

ENVIRONMENTS = {
    "HTTP_PROXY": {"HTTP_PROXY": DEAD, "http_proxy": DEAD, "HTTPS_PROXY": DEAD},
    "ALL_PROXY": {"ALL_PROXY": DEAD},
    "everything": {
        "HTTP_PROXY": DEAD,
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "NO_PROXY": "fd00::/8",
        "SSL_CERT_FILE": "/nowhere/ca.pem",
    },
}


@pytest.fixture(params=ENVIRONMENTS)
def environment(request, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in ENVIRONMENTS[request.param].items():
        monkeypatch.setenv(name, value)
    return request.param


def test_a_server_of_this_machine_is_reached_directly(environment, tmp_path):
    with ServerProcess(tmp_path / "server", environment={"CONSENSUS_ENCODER": "hashing"}, ready_seconds=90) as server:
        with ConsensusClient(server.url, server.operator_token) as client:
            assert client.identity().role == "operator"
        doctor = "from client_kit.cli import main; main()"
        command = [sys.executable, "-c", doctor, "doctor", "--json", "--server", server.url]
        found = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    checks = {check["subject"]: check["verdict"] for check in json.loads(found.stdout)}
    assert checks["server"] == "ok"
    wrong = {subject for subject, verdict in checks.items() if verdict == "fault"}
    assert wrong >= ({"NO_PROXY", "SSL_CERT_FILE"} if environment == "everything" else set())
