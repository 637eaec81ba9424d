"""Our own server and all that asks it, on a machine whose environment names proxies that do not work.

The other tests of this folder start commands (`replay`, `federate`, `join`, the demo) in the worst of these environments.
"""

import json

import pytest
from typer.testing import CliRunner

from client_kit.cli.application import app
from client_kit.client import AsyncConsensusClient, ConsensusClient
from client_kit.errors import UnknownModel
from client_kit.federation.server_process import ServerProcess
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from tests.support.proxies import FORMS, set_environment


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, environment={"CONSENSUS_ENCODER": "hashing"}, ready_seconds=90) as process:
        yield process


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    set_environment(monkeypatch, **FORMS[request.param])
    return request.param


async def test_a_server_of_this_machine_is_reached_directly(server, form):
    with ConsensusClient(server.url, server.operator_token) as client:
        assert client.identity().role == "operator"
    asynchronous = AsyncConsensusClient(server.url, server.operator_token)
    assert (await asynchronous.identity()).role == "operator"
    await asynchronous.close()
    caller = OpenAICaller(
        InferenceApi(base_url=f"{server.url}/v1", model="m", api_key=server.operator_token, retries=0)
    )
    with pytest.raises(UnknownModel):
        await caller.ask("?")
    await caller.close()


def test_the_doctor_reaches_it_and_names_what_is_wrong(server, form):
    told = CliRunner().invoke(app, ["doctor", "--json", "--server", server.url]).stdout
    checks = {check["subject"]: check["verdict"] for check in json.loads(told)}
    assert checks["server"] == checks["proxy"] == "ok"
    wrong = {"everything": {"NO_PROXY", "SSL_CERT_FILE", "ALL_PROXY"}, "socks": {"ALL_PROXY"}}
    wrong |= {"a kind that is none": {"HTTP_PROXY"}}
    assert {subject for subject in checks if subject.isupper() and checks[subject] == "fault"} == wrong.get(form, set())
