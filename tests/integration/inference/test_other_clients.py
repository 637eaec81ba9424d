"""Clients that people use against panels: each cell works, or is a limit that docs/inference.md states.

They live in an environment of their own (`make clients`); tests/clients/asking.py runs in it.
"""

import json
import os
import subprocess
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from tests.support.panels import CALLER_TOKEN, LYON, PARIS, Running
from tests.support.upstreams import upstream_server

ROOT = Path(__file__).parents[3]
PYTHON = Path(os.environ.get("CONSENSUS_TEST_CLIENTS", ROOT / ".venv-clients")) / "bin" / "python"
RECORD = '{"city": "Paris"}'


def calling(function):
    call = {"id": "call_1", "type": "function", "function": {"name": function, "arguments": RECORD}}
    return {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}


SAID = {
    "paris": {"text": PARIS},
    "lyon": {"text": LYON},
    "record": {"text": RECORD},
    "other": {"text": '{"city": "Lyon"}'},
    "look": calling("look"),
    "city": calling("City"),
    "broken": {"behaviour": "503"},
}
PANELS = {
    "agreed": ("paris", "paris"),
    "torn": ("paris", "lyon"),
    "records": ("record", "record"),
    "torn-records": ("record", "other"),
    "callers": ("look", "look"),
    "cities": ("city", "city"),
    "down": ("broken", "broken"),
}

ABSTAINED = {
    "abstention": [None, True],
    "json_schema_abstention": [None, True],
    "abstention_in_a_stream": "",
    "abstention_as_text_in_a_stream": "told",
    "abstention_as_text": "told",
    "abstention_as_an_error": "UnprocessableEntityError",
}
ERRORS = {"wrong_key": "AuthenticationError", "unknown_panel": "NotFoundError", "quorum_missed": "InternalServerError"}
EVERYTHING = {
    "plain": PARIS,
    "asynchronous": PARIS,
    "stream": PARIS,
    "n": [PARIS, PARIS],
    "json_schema": {"city": "Paris"},
    "tools": ["look", {"city": "Paris"}],
    "tools_in_a_stream": ["look", {"city": "Paris"}],
    **ABSTAINED,
    **ERRORS,
}
EXPECTED = {
    "openai": {**EVERYTHING, "confidence": True},
    "litellm": {
        **EVERYTHING,
        "confidence": True,
        "abstention_as_an_error": "BadRequestError",
        "quorum_missed": "BadGatewayError",
    },
    "langchain": {
        **EVERYTHING,
        "abstention": ["", True],
        "json_schema_abstention": "ContentFilterFinishReasonError",
        "wrong_key": "OpenAIAuthenticationError",
        "unknown_panel": "OpenAIModelNotFoundError",
        "quorum_missed": "OpenAIAPIError",
    },
    "instructor": {
        "json_schema": {"city": "Paris"},
        "json_object": {"city": "Paris"},
        "tools": {"city": "Paris"},
        **dict.fromkeys(
            ["json_schema_abstention", "wrong_key", "unknown_panel", "quorum_missed"], "InstructorRetryException"
        ),
    },
}
CELLS = [(client, cell) for client, cells in EXPECTED.items() for cell in cells]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with ExitStack() as stack:
        server = Running(tmp_path_factory.mktemp("clients"), panels(stack, tmp_path_factory.mktemp("panels")))
        stack.callback(server.end)
        yield server.url


def panels(stack, folder):
    said = {
        name: [stack.enter_context(upstream_server(**{"text": "", **how})) for _ in range(2)]
        for name, how in SAID.items()
    }
    content = {
        "upstreams": {},
        "panels": {},
        "callers": {"shop": {"token_hash": sha256(CALLER_TOKEN.encode()).hexdigest()}},
    }
    for name, members in PANELS.items():
        for place, member in enumerate(members):
            address = said[member][place].url
            content["upstreams"][f"{name}{place}"] = {"base_url": address, "model": "told", "retries": 0}
        content["panels"][name] = {"upstreams": [f"{name}0", f"{name}1"], "deadline_seconds": 240}
    path = folder / "panels.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def matrix(address):
    """matrix(client): what each of its cells came to. A client is asked once."""
    known = {}

    def of(client):
        if client not in known:
            known[client] = _asked(client, address)
        return known[client]

    return of


def _asked(client, address):
    if not PYTHON.exists():
        pytest.skip("the clients are not installed: make clients")
    script = [PYTHON, ROOT / "tests" / "clients" / "asking.py", client, address, CALLER_TOKEN]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("client", "cell"), CELLS)
def test_a_cell_comes_to_what_the_page_says(client, cell, matrix):
    found, expected = matrix(client)[cell], EXPECTED[client][cell]
    if "raised" in found:
        assert found["raised"] == expected, found["says"]
    elif expected == "told":
        assert found["came"].startswith("The panel")
    else:
        assert found["came"] == expected
