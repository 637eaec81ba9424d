"""The panels file changes while the server runs: no restart, no request lost, no fault that ends anything."""

import time

import openai
import yaml

from consensus_server.http_api import app
from tests.support.panels import AGREED, PARIS


def eventually(happens, seconds=20):
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def test_panels_and_callers_come_and_go_without_a_restart(upstreams, consensus_server, tmp_path, monkeypatch, ask):
    monkeypatch.setattr(app, "RENEW_SECONDS", 0.02)
    server = consensus_server(upstreams(*AGREED))
    client, path = server.client(), tmp_path / "panels.yaml"
    assert [each.id for each in client.models.list()] == ["capitals"]
    content = yaml.safe_load(path.read_text(encoding="utf-8"))

    content["panels"]["cities"] = content["panels"]["capitals"]
    content["callers"]["shop"]["panels"].append("cities")
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    eventually(lambda: [each.id for each in client.models.list()] == ["capitals", "cities"])

    path.write_text("panels: {capitals: {upstreams: [nobody]}}", encoding="utf-8")
    assert ask(client).choices[0].message.content == PARIS

    content["callers"] = {}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    eventually(lambda: _refused(client))


def _refused(client):
    try:
        client.models.list()
    except openai.AuthenticationError:
        return True
    return False
