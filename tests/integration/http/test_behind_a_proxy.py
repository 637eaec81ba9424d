"""The examples of deploy/proxy, run as they are but for ports and files: certificates, limits, streams, and what is kept back."""

import shutil
import socket
import ssl
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from client_kit.client import ConsensusClient
from tests.support.tls import Authority

EXAMPLES = Path(__file__).parents[3] / "deploy" / "proxy"
MEBIBYTE = 1024 * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nginx(text, folder):
    changes = {
        "/run/nginx.pid": folder / "pid",
        "/var/log/nginx/error.log": folder / "log",
        "worker_processes auto": "worker_processes 1",
    }
    for before, after in changes.items():
        text = text.replace(before, str(after))
    config = folder / "nginx.conf"
    config.write_text(text)
    return ["nginx", "-p", str(folder), "-e", str(folder / "log"), "-c", str(config), "-g", "daemon off;"]


def caddy(text, folder):
    config = folder / "Caddyfile"
    config.write_text(text)
    return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]


PROXIES = {"nginx": (nginx, "nginx.conf", "443"), "caddy": (caddy, "Caddyfile", ":443")}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def trusting(running, tmp_path_factory):
    with running(tmp_path_factory.mktemp("behind"), trusted_proxies="127.0.0.1", heartbeat_seconds=0.2) as live:
        yield live


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request, trusting, authority, tmp_path_factory):
    """Address of a proxy before the server, made from the example."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    command, example, listening = PROXIES[request.param]
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    certificate, key = authority.issue("server")
    text = (EXAMPLES / example).read_text()
    for before, after in {
        "/etc/consensus/server.pem": certificate,
        "/etc/consensus/server.key": key,
        "/etc/consensus/clients.pem": authority.file,
        "consensus.example.org": "localhost",  # Caddy wants the name of the TLS handshake in the request, and addresses are no names
        "127.0.0.1:8000": trusting.url.removeprefix("http://"),
        listening: listening.replace("443", str(port)),
    }.items():
        assert before in text
        text = text.replace(before, str(after))
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            command(text, folder), stdout=out, stderr=out, env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}
        )
    try:
        wait_for(port, process, folder)
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port, process, folder):
    for _ in range(200):
        assert process.poll() is None, (folder / "out").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail((folder / "out").read_text())


@pytest.fixture
def through(proxy, authority):
    """Makes a client that asks through the proxy, and may show a certificate."""
    opened = []

    def make(token, files=None):
        context = ssl.create_default_context(cafile=authority.file)
        if files:
            context.load_cert_chain(*files)
        client = httpx.Client(base_url=proxy, verify=context, timeout=20, headers={"authorization": f"Bearer {token}"})
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def bound(trusting, new_arena, authority):
    """A federation whose participant `anna` is bound to a certificate; with its files."""
    arena, files = new_arena(trusting), authority.issue("anna")
    told = sha256(ssl.PEM_cert_to_DER_cert(files[0].read_text())).hexdigest()
    arena.operator.put(f"{arena.path}/participants/anna/certificates", json={"certificates": [told]})
    return arena, files


def test_the_certificate_passes_and_a_forged_header_does_not(through, bound):
    arena, files = bound
    forged = {"client-cert": files[0].read_text().replace("\n", "%0A")}
    token = arena.tokens["anna"]
    assert through(token, files).get("/v1/identity").json()["participant"] == "anna"
    assert through(token).get("/v1/identity", headers=forged).json()["code"] == "wrong_certificate"
    assert through(arena.tokens["bert"]).get("/v1/identity").status_code == 200


def test_the_servers_own_limit_is_met_and_no_smaller_one(through, bound, problem):
    arena, files = bound
    anna = through(arena.tokens["anna"], files)
    problem(anna.put(f"{arena.round}/submissions", content=b" " * (17 * MEBIBYTE)), 413, "body_too_large")
    assert anna.put(f"{arena.round}/submissions", content=b" " * (65 * MEBIBYTE)).status_code == 413
    assert through(arena.operator.headers["authorization"].split()[1]).get("/metrics").status_code == 404


def test_events_come_as_they_happen(through, bound):
    arena, _ = bound
    with through(arena.tokens["bert"]).stream("GET", f"{arena.round}/events") as stream:
        lines = stream.iter_lines()
        assert any("round.opened" in line for line in lines)
        began = time.monotonic()
        assert any(line.startswith(":") for line in lines)  # a heartbeat, of which there are five a second
        assert time.monotonic() - began < 2


def test_the_kit_works_through_it(proxy, authority, bound, monkeypatch, answer_rows):
    arena, (certificate, key) = bound
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("CONSENSUS_CLIENT_CERTIFICATE", str(certificate))
    monkeypatch.setenv("CONSENSUS_CLIENT_KEY", str(key))
    with ConsensusClient(proxy, arena.tokens["anna"]) as anna:
        anna.submit(1, {row["prompt_id"]: row["text"] for row in answer_rows()})
        assert anna.seal(1).count == 5
