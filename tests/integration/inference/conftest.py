"""A real consensus server before real upstreams, asked with the official `openai` client."""

import json
from contextlib import ExitStack

import pytest
import structlog

from tests.support.panels import AGREED, Running, panels_file
from tests.support.upstreams import upstream_server


@pytest.fixture(scope="session", autouse=True)
def quiet_log():
    """The server logs from threads of its own, past pytest's capture."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.fixture
def upstreams():
    """upstreams(text, ...): as many running upstreams, ended with the test. Options count for all of them."""
    with ExitStack() as stack:
        yield lambda *texts, **options: [stack.enter_context(upstream_server(text, **options)) for text in texts]


@pytest.fixture
def consensus_server(tmp_path):
    """consensus_server(upstreams, ...): a server with a panel `capitals` over them. Options: of the panel."""
    running = []

    def start(upstreams, *, settings=None, upstream=None, **panel):
        file = panels_file(tmp_path, [each.url for each in upstreams], upstream=upstream, **panel)
        running.append(Running(tmp_path / f"server{len(running)}", file, **(settings or {})))
        return running[-1]

    yield start
    for each in running:
        each.end()


@pytest.fixture(scope="session")
def standing(tmp_path_factory):
    """One server with a panel of three, for all tests that do not disturb one another."""
    folder = tmp_path_factory.mktemp("standing")
    with ExitStack() as stack:
        three = [stack.enter_context(upstream_server(text)) for text in AGREED]
        server = Running(folder / "server", panels_file(folder, [each.url for each in three]))
        server.upstreams = three
        yield server
        server.end()


@pytest.fixture
def agreed(standing):
    """That server; its upstreams answer Paris, Paris and Lyon, and have been asked nothing yet."""
    for upstream, text in zip(standing.upstreams, AGREED, strict=True):
        upstream.reset(text)
    return standing


@pytest.fixture
def ask():
    """Ask the panel as an application does."""

    def ask(client, content="What is the capital of France?", **options):
        messages = [{"role": "user", "content": content}]
        return client.chat.completions.create(model="capitals", messages=messages, **options)

    return ask


@pytest.fixture
def body_of():
    """What an error brought, as the client shows it."""
    return lambda error: json.loads(error.value.response.text)["error"]
