"""A participant whose endpoint is at fault: who, which prompt and what to do is told, and the next run goes on.

What is wrong with one prompt only costs that prompt: the rest is submitted and sealed.
"""

import re

import pytest

from client_kit.cli.join import describe
from client_kit.errors import GenerationError
from client_kit.federation.progress import Step
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.generation.openai_generator import OpenAICompatibleGenerator
from tests.support.openai_server import MODEL, openai_server
from tests.unit.federation.test_participant import PROMPTS, FakeClient, run, site

FATAL = {
    "wrong key": ({"key": "sk-right"}, {}, "does not accept the key. Check the key"),
    "wrong model": ({}, {"model": "absent"}, "has no model 'absent'"),
    "down": ({}, {"base_url": "http://127.0.0.1:9/v1"}, "cannot be reached. Check that it runs"),
    "overloaded": ({"always": 429}, {}, "Lower concurrency"),
    "fails": ({"always": 500}, {}, "Look into its log"),
    "no chat template": (
        {"always": 400, "code": "default chat template is no longer allowed"},
        {},
        "has no chat template .* Take api: completions",
    ),
    "refuses a setting": ({"always": 400}, {}, "refused the request: .*as told. Look at sampling and extra_body"),
    "no JSON": ({"shape": "broken"}, {}, "is no completion. Does base_url end with /v1"),
    "a page": ({"shape": "page"}, {}, "is no completion. Does base_url end with /v1"),
    "another JSON": ({"shape": "other"}, {}, "is no completion. Does base_url end with /v1"),
    "without end": ({"shape": "endless"}, {"most_bytes": 100_000}, "without end. Look into its log"),
    "by drips": ({"shape": "drip"}, {"timeout_seconds": 0.5}, "did not answer in time. Raise timeout_seconds"),
}

OF_ONE_PROMPT = {
    "too long": ({"broken": {"Question 1?"}}, "prompt p1: prompt and answer do not fit .* Lower max_tokens"),
    "empty": ({"answers": {"Question 1?": ""}}, r"1 dropped: empty \(p1\)"),
    "only reasoning": ({"answers": {"Question 1?": "<think>So.</think>"}}, r"1 dropped: empty \(p1\)"),
}


@pytest.fixture
def server():
    with openai_server() as server:
        yield server


def asking(server, **changes):
    """Opens a generator that asks the endpoint."""
    settings = {"model": MODEL, "base_url": server.url, "retries": 0, "concurrency": 1, **changes}
    return lambda _: OpenAICompatibleGenerator(OpenAICaller(InferenceApi(**settings)))


@pytest.mark.parametrize(("fault", "endpoint", "remedy"), FATAL.values(), ids=FATAL)
def test_an_endpoint_at_fault_names_participant_prompt_and_remedy_and_the_next_run_goes_on(
    tmp_path, server, fault, endpoint, remedy
):
    for name, value in fault.items():
        setattr(server, name, value)
    client = FakeClient()
    with pytest.raises(GenerationError, match=rf"^participant a: prompt p\d: .*{remedy}"):
        run(client, site(tmp_path, None, open_generator=asking(server, **endpoint)), tmp_path, rounds=1)
    assert client.submitted == {}
    for name in fault:
        setattr(server, name, {"shape": "openai"}.get(name))
    run(client, site(tmp_path, None, open_generator=asking(server)), tmp_path, rounds=1)
    assert set(client.submitted[1]) == {prompt.prompt_id for prompt in PROMPTS}
    assert client.sealed == [1]


@pytest.mark.parametrize(("fault", "told"), OF_ONE_PROMPT.values(), ids=OF_ONE_PROMPT)
def test_a_fault_of_one_prompt_costs_that_prompt_and_is_told(tmp_path, server, fault, told):
    for name, value in fault.items():
        setattr(server, name, value)
    client, steps = FakeClient(), []
    run(
        client, site(tmp_path, None, open_generator=asking(server)), tmp_path, rounds=1, observe=steps.append
    )  # fmt: skip
    assert set(client.submitted[1]) == {"p0", "p2"}
    assert client.sealed == [1]
    details = [describe(step) for step in steps if step.step in {Step.LEFT_OUT, Step.SUBMITTED}]
    assert any(re.search(told, detail) for detail in details), details
