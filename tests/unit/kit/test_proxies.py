"""Proxies and certificates of the environment: this machine is reached directly, and what is wrong is named."""

import httpx
import pytest

from client_kit.client import AsyncConsensusClient, ConsensusClient
from client_kit.errors import ConfigurationError, UnexpectedAnswer, Unreachable
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.proxies import environment_faults, http_options, is_loopback, proxies_set, proxy_for, without_password

VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)

FAULTS = {
    "socks": ({"ALL_PROXY": "socks5://me:secret@proxy.example:1080"}, "ALL_PROXY", r"SOCKS.*httpx\[socks\]"),
    "no such file": ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE", "/nowhere/ca.pem, which cannot be read"),
    "no kind of proxy": ({"HTTPS_PROXY": "htp://proxy.example:1"}, "HTTPS_PROXY", "begins with htp://"),
}


@pytest.fixture
def environment(monkeypatch):
    """environment(HTTP_PROXY=...): these variables about proxies and certificates, and no others."""

    def set_(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    set_()
    monkeypatch.setattr("client_kit.proxies.find_spec", lambda _: None)
    return set_


EXEMPT = {
    "http://10.2.3.4": "10.0.0.0/8",
    "http://10.2.3.4:8000": "a.example, 10.2.3.4",
    "https://[fd00::7]:8443": "fd00::/8",
    "http://[fd00::7]": "[fd00::7]",
    "http://consensus.example": "consensus.example",
    "http://a.consensus.example": "consensus.example",
    "http://b.consensus.example": ".consensus.example",
    "http://c.consensus.example": "*.consensus.example",
    "http://consensus.example:81": "consensus.example:81",
    "https://consensus.example": "https://consensus.example",
    "https://d.consensus.example": "*",
}
NOT_EXEMPT = {
    "http://11.2.3.4": "10.0.0.0/8",
    "http://[fe80::7]": "fd00::/8",
    "http://10.2.3.4": "fd00::/8",
    "http://notconsensus.example": "consensus.example",
    "http://consensus.example": "consensus.example:81",
    "http://d.consensus.example": "https://consensus.example",
    "http://10.0.0.9": "10.0.0.0/40",
}


@pytest.mark.parametrize("url", EXEMPT)
def test_hosts_addresses_and_ranges_are_exempt(environment, url):
    environment(ALL_PROXY="http://proxy.example:3128", NO_PROXY=EXEMPT[url])
    assert (proxy_for(url), http_options(url)) == (None, {"trust_env": False})
    assert environment_faults() == []


@pytest.mark.parametrize("url", NOT_EXEMPT)
def test_others_are_not(environment, url):
    environment(ALL_PROXY="proxy.example:3128", NO_PROXY=NOT_EXEMPT[url])
    assert http_options(url) == {"trust_env": False, "proxy": "http://proxy.example:3128"}


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "fd00::/200", "a.example:port"])
def test_an_exception_that_is_none_is_named_and_breaks_nothing(environment, entry):
    environment(HTTP_PROXY="http://proxy.example:3128", NO_PROXY=f"near.example,{entry}")
    (found,) = environment_faults()
    assert entry in found.cause
    ConsensusClient("http://far.example").close()


@pytest.fixture(params=FAULTS)
def fault(request, environment):
    variables, variable, told = FAULTS[request.param]
    environment(**variables)
    return variable, told


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://127.3.2.1/v1", "http://localhost:1", "http://[::1]:8000"]
)
def test_this_machine_is_known(url):
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["http://10.0.0.1", "https://localhost.example.org", "http://[fd00::1]", "nothing"])
def test_others_are_not_this_machine(url):
    assert not is_loopback(url)


def test_a_fault_is_named_by_its_variable_without_a_password(fault):
    (found,) = environment_faults()
    assert found.variable == fault[0]
    assert "secret" not in str(found)


async def test_clients_of_this_machine_mind_nothing_of_it(fault):
    ConsensusClient("http://127.0.0.1:8000").close()
    await AsyncConsensusClient("http://localhost:8000").close()
    await OpenAICaller(InferenceApi(base_url="http://127.0.0.1:9/v1", model="m")).close()


MAKERS = {
    "blocking": lambda: ConsensusClient("https://consensus.example"),
    "asynchronous": lambda: AsyncConsensusClient("https://consensus.example"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_clients_of_other_machines_end_with_a_word(fault, maker):
    variable, told = fault
    with pytest.raises(ConfigurationError, match=rf"{variable}.*{told}"):
        MAKERS[maker]()


@pytest.mark.parametrize("variable", ["ALL_PROXY", "SSL_CERT_FILE"])
def test_the_caller_of_inference_apis_too(environment, variable):
    (found,) = (each for each in FAULTS.values() if each[1] == variable)
    environment(**found[0])
    with pytest.raises(ConfigurationError, match=variable):
        OpenAICaller(InferenceApi(base_url="https://api.example/v1", model="m"))


def test_the_proxy_on_the_way_is_known(environment):
    environment(HTTP_PROXY="http://me:secret@proxy.example:3128", NO_PROXY="near.example")
    assert proxy_for("http://far.example/x") == "http://proxy.example:3128 (HTTP_PROXY)"
    assert proxy_for("http://near.example/x") is None
    assert proxy_for("http://127.0.0.1:1") is None
    assert proxy_for("https://far.example") is None
    assert proxies_set() == {"HTTP_PROXY": "http://proxy.example:3128"}
    assert without_password("http://proxy.example") == "http://proxy.example"


@pytest.mark.parametrize(
    "value", ["http://[bad", "http://", "http://me:se#secret@proxy.example:1", "http://proxy.example:99999"]
)
def test_a_proxy_that_has_no_address_is_named_by_its_variable(environment, value):
    environment(HTTPS_PROXY=value)
    [fault] = environment_faults()
    assert "HTTPS_PROXY names no proxy that can be reached" in str(fault)
    assert "secret" not in str(fault)


@pytest.mark.parametrize("secret", ["secret", "s@cret", "s/cret", "s#cret"])
@pytest.mark.parametrize("scheme", ["", "http://"])
def test_no_password_of_a_proxy_is_shown(secret, scheme):
    assert without_password(f"{scheme}me:{secret}@proxy.example:1") == f"{scheme}proxy.example:1"


def asking(reply):
    from client_kit.client import RetryPolicy

    transport = httpx.MockTransport(reply)
    return ConsensusClient("http://consensus.example", transport=transport, retry=RetryPolicy(attempts=1))


def test_a_server_that_cannot_be_reached_through_a_proxy_names_the_proxy(environment):
    environment(HTTP_PROXY="http://proxy.example:3128")

    def refused(request):
        raise httpx.ConnectError("Connection refused", request=request)

    with (
        asking(refused) as client,
        pytest.raises(Unreachable, match=r"through the proxy http://proxy\.example:3128.*NO_PROXY"),
    ):
        client.health()


PAGES = {
    "refused": (
        403,
        {"x-squid-error": "ERR_ACCESS_DENIED 0", "via": "1.1 p (squid/6.9)"},
        UnexpectedAnswer,
        "x-squid-error",
    ),
    "unpaid": (407, {"proxy-authenticate": "Basic"}, UnexpectedAnswer, "proxy-authenticate"),
    "gateway": (502, {"server": "nginx/1.27"}, Unreachable, "nginx/1.27"),
}


@pytest.mark.parametrize("page", PAGES)
def test_an_answer_of_a_proxy_is_told_as_such(environment, page):
    status, headers, kind, told = PAGES[page]
    told_as_such = pytest.raises(kind, match=rf"comes from a proxy.*{told}.*not from the server")
    with asking(lambda _: httpx.Response(status, headers=headers, html="<html></html>")) as client, told_as_such:
        client.health()


def test_a_page_of_the_server_itself_is_none_of_a_proxy(environment):
    told = pytest.raises(UnexpectedAnswer, match="no problem document")
    with asking(lambda _: httpx.Response(404, html="<html></html>")) as client, told:
        client.health()


def test_the_doctor_names_each_cause(fault):
    import json

    from typer.testing import CliRunner

    from client_kit.cli.application import app

    run = CliRunner().invoke(app, ["doctor", "--json"], env={"CONSENSUS_SERVER": None})
    checks = {check["subject"]: check for check in json.loads(run.stdout)}
    assert checks[fault[0]]["verdict"] == "fault"
    assert run.exit_code == 1


def test_the_doctor_names_the_proxy_and_a_variable_that_is_not_read(environment):
    from typer.testing import CliRunner

    from client_kit.cli.application import app

    environment(HTTPS_PROXY="http://me:secret@proxy.example:3128", REQUESTS_CA_BUNDLE="/etc/ca.pem")
    shown = CliRunner().invoke(app, ["doctor"], env={"CONSENSUS_SERVER": None}).stdout
    assert "HTTPS_PROXY http://proxy.example:3128; directly: this machine, and nobody" in shown
    assert "name the same file in SSL_CERT_FILE" in shown
    assert "secret" not in shown
