"""The official `openai` client against a panel: what works with OpenAI works here, word for word."""

from dataclasses import replace

import httpx
import openai
import pytest

from tests.support.panels import AGREED, ALSO_PARIS, CALLER_TOKEN, LYON, PARIS

DECLINED = "I'm sorry, but I can't help with that."


def test_a_chat_is_answered_with_what_most_upstreams_mean(agreed, ask):
    answer = ask(agreed.client())
    assert answer.choices[0].message.content == PARIS
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.object, answer.model) == ("chat.completion", "capitals")
    assert answer.id.startswith("chatcmpl-")
    assert answer.system_fingerprint.startswith("fp_")


def test_usage_is_the_sum_over_all_that_answered(agreed, ask):
    usage = ask(agreed.client()).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (21, 9, 30)


def test_an_upstream_that_counts_no_tokens_does_not_end_the_answer(agreed, ask):
    three = agreed.upstreams
    three[0].usage = None
    assert ask(agreed.client()).usage.total_tokens == 20


def test_the_extension_says_how_it_was_decided(agreed, ask):
    told = ask(agreed.client()).consensus
    assert (told["panel"], told["rule"], told["abstention"]) == ("capitals", "hybrid", None)
    assert told["share"] == pytest.approx(2 / 3)
    assert told["confidence"] > 0
    clusters = told["choices"][0]["clusters"]
    assert [each["upstreams"] for each in clusters] == [["u0", "u1"], ["u2"]]
    by_name = {each["name"]: each for each in told["choices"][0]["upstreams"]}
    assert {name: each["cluster"] for name, each in by_name.items()} == {"u0": 0, "u1": 0, "u2": 1}
    assert sum(each["chosen"] for each in by_name.values()) == 1
    assert all(each["standing"] == "answered" and each["latency_seconds"] > 0 for each in by_name.values())
    assert all(each["answer"] is None for each in by_name.values())
    assert told["timings"]["encoding_seconds"] > 0


def test_every_answer_is_given_where_it_is_asked_for(agreed, ask):
    answer = ask(agreed.client(), extra_body={"consensus": {"answers": True}})
    given = {each["name"]: each["answer"] for each in answer.consensus["choices"][0]["upstreams"]}
    assert given == {"u0": PARIS, "u1": PARIS, "u2": LYON}


def test_the_whole_conversation_and_its_settings_reach_every_upstream(agreed):
    three = agreed.upstreams
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": [{"type": "text", "text": "Are you sure?"}]},
    ]
    agreed.client().chat.completions.create(
        model="capitals", messages=turns, temperature=0.25, top_p=0.5, max_tokens=17, stop=["END"], seed=11,
        presence_penalty=0.5, frequency_penalty=-0.5, user="a person",
    )  # fmt: skip
    for upstream in three:
        (body,) = upstream.bodies
        assert body["messages"] == [*turns[:3], {"role": "user", "content": "Are you sure?"}]
        settings = {key: value for key, value in body.items() if key not in {"messages", "model"}}
        assert settings == {
            "temperature": 0.25, "top_p": 0.5, "max_tokens": 17, "stop": ["END"], "seed": 11,
            "presence_penalty": 0.5, "frequency_penalty": -0.5,
        }  # fmt: skip


def test_what_was_not_asked_for_is_not_sent(agreed, ask):
    three = agreed.upstreams
    ask(agreed.client())
    assert three[0].bodies[0].keys() == {"model", "messages"}


def test_the_limit_of_tokens_goes_by_the_upstream_s_own_name(upstreams, consensus_server, ask):
    three = upstreams(*AGREED)
    server = consensus_server(
        three, upstream={"token_limit_field": "max_completion_tokens", "extra_body": {"top_k": 4}}
    )
    ask(server.client(), max_completion_tokens=9)
    assert three[1].bodies[0]["max_completion_tokens"] == 9
    assert three[1].bodies[0]["top_k"] == 4
    assert "max_tokens" not in three[1].bodies[0]


def test_what_an_upstream_refuses_is_not_sent(upstreams, consensus_server, ask):
    three = upstreams(*AGREED)
    ask(consensus_server(three, upstream={"omit": ["seed"]}).client(), seed=7, temperature=0.5)
    assert three[1].bodies[0].keys() == {"model", "messages", "temperature"}


def test_an_answer_can_be_appended_to_the_conversation(agreed, ask):
    three = agreed.upstreams
    client = agreed.client()
    first = ask(client).choices[0].message
    turns = [{"role": "user", "content": "Hello"}, first, {"role": "user", "content": "And of Spain?"}]
    client.chat.completions.create(model="capitals", messages=turns)
    assert three[0].bodies[1]["messages"][1] == {"role": "assistant", "content": PARIS}


def test_n_choices_are_independent_decisions_with_seeds_of_their_own(agreed, ask):
    three = agreed.upstreams
    answer = ask(agreed.client(), n=3, seed=40)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {PARIS}
    assert answer.usage.completion_tokens == 27
    assert len(answer.consensus["choices"]) == 3
    for upstream in three:
        assert sorted(body["seed"] for body in upstream.bodies) == [40, 41, 42]


def test_a_stream_gives_the_same_answer_in_chunks(upstreams, consensus_server, ask):
    long = "The capital of France is Paris. " * 30
    client = consensus_server(upstreams(long, long, LYON)).client()
    chunks = list(ask(client, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == long.strip()
    assert len(chunks) > 3
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].consensus["share"] == pytest.approx(2 / 3)
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_counts_tokens_where_it_is_asked_to(agreed, ask):
    client = agreed.client()
    *others, last = ask(client, stream=True, stream_options={"include_usage": True})
    assert (last.choices, last.usage.total_tokens) == ([], 30)
    assert {chunk.usage for chunk in others} == {None}


def test_the_client_s_own_stream_helper_puts_the_answer_together(agreed):
    client = agreed.client()
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    with client.chat.completions.stream(model="capitals", messages=messages) as stream:
        assert stream.get_final_completion().choices[0].message.content == PARIS


@pytest.fixture
def impatient(agreed, monkeypatch):
    """The server, which breaks silence after a twentieth of a second."""
    context = agreed.app.state.context
    monkeypatch.setattr(context, "options", replace(context.options, heartbeat_seconds=0.05))
    return agreed


def test_comments_break_the_silence_of_a_slow_panel(impatient, ask):
    for upstream in impatient.upstreams:
        upstream.delay_seconds = 0.3
    raw = impatient.client().chat.completions.with_streaming_response
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    with raw.create(model="capitals", messages=messages, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
    comments = [line.startswith(":") for line in lines]
    assert comments.count(True) >= 3
    assert comments == sorted(comments, reverse=True), "none once there is an answer"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in ask(impatient.client(), stream=True)) == PARIS


def test_a_slow_panel_without_an_answer_ends_its_stream_with_an_error(impatient, ask):
    for upstream in impatient.upstreams:
        upstream.delay_seconds, upstream.behaviour = 0.2, "503"
    with pytest.raises(openai.APIError, match="of 3 upstreams") as told:
        list(ask(impatient.client(), stream=True))
    assert told.value.body["code"] == "quorum_missed"


def test_who_leaves_a_silent_stream_is_not_worked_for(impatient, ask):
    for upstream in impatient.upstreams:
        upstream.behaviour = "hang"
    raw = impatient.client().chat.completions.with_streaming_response
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    with raw.create(model="capitals", messages=messages, stream=True) as response:
        assert next(response.iter_lines()).startswith(":")
    assert all(upstream.left.wait(10) for upstream in impatient.upstreams)


async def test_the_asynchronous_client_asks_and_streams(agreed):
    server = agreed
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    async with openai.AsyncOpenAI(base_url=server.url, api_key=CALLER_TOKEN, max_retries=0) as client:
        answer = await client.chat.completions.create(model="capitals", messages=messages)
        assert answer.choices[0].message.content == PARIS
        stream = await client.chat.completions.create(model="capitals", messages=messages, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == PARIS


def test_completions_of_a_bare_text(upstreams, consensus_server):
    three = upstreams(*AGREED)
    client = consensus_server(three, upstream={"api": "completions"}).client()
    answer = client.completions.create(model="capitals", prompt="The capital of France is", max_tokens=5)
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == (
        "text_completion",
        PARIS,
        "stop",
    )
    assert answer.usage.total_tokens == 30
    assert three[0].bodies == [{"model": "told", "prompt": "The capital of France is", "max_tokens": 5}]
    chunks = list(client.completions.create(model="capitals", prompt="The capital of France is", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == PARIS


def test_a_bare_text_is_a_turn_of_the_user_for_chat_models(agreed):
    three = agreed.upstreams
    agreed.client().completions.create(model="capitals", prompt=["The capital of France is"])
    assert three[0].bodies[0]["messages"] == [{"role": "user", "content": "The capital of France is"}]


def test_the_models_are_the_panels_that_the_token_may_use(agreed):
    server = agreed
    assert [model.id for model in server.client().models.list()] == ["capitals"]
    assert [model.id for model in server.client("operator-of-the-tests-0123456789").models.list()] == [
        "capitals",
        "reserved",
    ]
    assert server.client().models.retrieve("capitals").object == "model"


def test_the_end_of_the_chosen_answer_is_told(upstreams, consensus_server, ask):
    answer = ask(consensus_server(upstreams(*AGREED, finish_reason="length")).client())
    assert answer.choices[0].finish_reason == "length"


def test_reasoning_is_no_part_of_an_answer(upstreams, consensus_server, ask):
    three = upstreams(f"<think>France... Lyon?</think>\n{PARIS}", PARIS, LYON)
    assert ask(consensus_server(three).client()).choices[0].message.content == PARIS


def test_disagreement_is_an_abstention_that_an_application_cannot_take_for_an_answer(upstreams, consensus_server, ask):
    client = consensus_server(upstreams(PARIS, LYON)).client()
    answer = ask(client)
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == (None, "content_filter")
    assert "tie" in choice.message.refusal
    assert (answer.consensus["abstention"], answer.consensus["confidence"]) == ("tie", 0)
    chunks = list(ask(client, stream=True))
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == choice.message.refusal
    text = client.completions.create(model="capitals", prompt="The capital of France is")
    assert (text.choices[0].text, text.choices[0].finish_reason) == ("", "content_filter")


@pytest.mark.parametrize("by", ["panel", "request"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_shows_nothing_but_content_gets_the_reason_as_text(upstreams, consensus_server, ask, by, streams):
    """What LangChain and a stream of LiteLLM show of an abstention is an empty string otherwise."""
    client, said = where_abstentions_are("text", upstreams, consensus_server, by)
    if streams:
        content = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True, **said))
    else:
        answer = ask(client, **said)
        content = answer.choices[0].message.content
        assert (answer.choices[0].finish_reason, answer.consensus["abstention"]) == ("stop", "tie")
    assert content.startswith("The panel does not agree on an answer (tie:")
    text = client.completions.create(model="capitals", prompt="The capital of France is", **said)
    assert text.choices[0].text == content


@pytest.mark.parametrize("by", ["panel", "request"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_takes_any_content_for_an_answer_gets_an_error(upstreams, consensus_server, ask, by, streams):
    client, said = where_abstentions_are("error", upstreams, consensus_server, by)
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        list(ask(client, stream=streams, **said))
    assert (caught.value.code, caught.value.type) == ("abstained", "abstention")
    assert [each["standing"] for each in caught.value.body["upstreams"]] == ["answered"] * 2


def where_abstentions_are(told, upstreams, consensus_server, by):
    """A client of a panel that does not agree, and what its requests say."""
    server = consensus_server(upstreams(PARIS, LYON), **({"on_abstention": told} if by == "panel" else {}))
    return server.client(), {} if by == "panel" else {"extra_body": {"consensus": {"on_abstention": told}}}


def test_what_panels_do_not_serve_is_said_in_words_that_the_client_reads(agreed):
    with pytest.raises(openai.NotFoundError) as caught:
        agreed.client().embeddings.create(model="capitals", input="Paris")
    assert (caught.value.code, caught.value.type) == ("unknown_route", "invalid_request_error")
    assert "panels answer /v1/chat/completions" in caught.value.message
    with pytest.raises(openai.APIStatusError) as caught:
        agreed.client().get("/chat/completions", cast_to=object)
    assert (caught.value.status_code, caught.value.code) == (405, "method_not_allowed")
    assert caught.value.response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("origins", "let"), [("", False), ("https://other.example", False), ("https://app.example", True)]
)
def test_a_page_of_an_origin_that_the_operator_named_may_ask(upstreams, consensus_server, origins, let):
    server = consensus_server(upstreams(*AGREED), settings={"cors_origins": origins})
    asks = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    told = httpx.options(f"{server.url}/chat/completions", headers=asks, trust_env=False)
    assert (told.headers.get("access-control-allow-origin") == "https://app.example") is let
    assert (told.status_code == 200) is let


def test_headers_say_how_sure_the_panel_is(upstreams, consensus_server):
    client = consensus_server(upstreams(PARIS, LYON)).client()
    question = {"model": "capitals", "messages": [{"role": "user", "content": "Which city is the capital of France?"}]}
    for stream in (False, True):
        headers = client.chat.completions.with_raw_response.create(**question, stream=stream).headers
        assert (headers["x-consensus-confidence"], headers["x-consensus-abstention"]) == ("0.000", "tie")


def test_a_refusal_has_a_standing_of_its_own_and_no_vote(upstreams, consensus_server, ask):
    client = consensus_server(upstreams(DECLINED, DECLINED, PARIS, PARIS)).client()
    answer = ask(client)
    assert answer.choices[0].message.content == PARIS
    assert answer.consensus["confidence"] == 1
    told = answer.consensus["choices"][0]["upstreams"]
    assert [(each["standing"], each["gate"]) for each in told] == [("refused", "refusal")] * 2 + [
        ("answered", None)
    ] * 2


def test_a_panel_of_refusals_declines_where_clients_look_for_it(upstreams, consensus_server, ask):
    choice = ask(consensus_server(upstreams(DECLINED, DECLINED)).client()).choices[0]
    assert (choice.message.content, choice.finish_reason) == (None, "content_filter")
    assert choice.message.refusal == (
        "Every upstream that replied declines to answer (no_answers: no answer could be used)."
    )


def test_a_panel_that_keeps_refusals_answers_with_one(upstreams, consensus_server, ask):
    server = consensus_server(upstreams(DECLINED, DECLINED, PARIS), refusals="keep")
    assert ask(server.client()).choices[0].message.content == DECLINED


def test_a_panel_without_abstention_always_answers(upstreams, consensus_server, ask):
    server = consensus_server(upstreams(PARIS, LYON), policy={"abstain": False})
    assert ask(server.client()).choices[0].message.content in {PARIS, LYON}


@pytest.mark.parametrize("rule", ["hybrid", "fused", "vote", "medoid"])
def test_every_rule_of_a_round_decides_here_too(upstreams, consensus_server, ask, rule):
    server = consensus_server(upstreams(PARIS, PARIS, ALSO_PARIS, LYON), policy={"rule": rule, "guards": True})
    answer = ask(server.client())
    assert answer.choices[0].message.content in {PARIS, ALSO_PARIS}
    assert answer.consensus["rule"] == rule


def test_a_request_says_what_it_may_cost_and_hears_what_it_cost(agreed, ask, body_of):
    told = ask(agreed.client()).consensus["spending"]
    assert told == {"requests": 3, "not_asked": 0, "tokens": 30, "money": None}
    with pytest.raises(openai.RateLimitError) as error:
        ask(agreed.client(), extra_body={"consensus": {"max_total_tokens": 0}})
    told = body_of(error)
    assert (told["code"], told["type"], told["param"]) == (
        "insufficient_quota",
        "insufficient_quota",
        "consensus.max_total_tokens",
    )
    assert error.value.response.headers["x-should-retry"] == "false"


def test_panels_that_ask_one_another_in_a_circle_come_to_an_end(agreed, ask, body_of):
    assert ask(agreed.client(), extra_headers={"X-Consensus-Depth": "4"}).choices[0].message.content == PARIS
    with pytest.raises(openai.BadRequestError) as error:
        ask(agreed.client(), extra_headers={"X-Consensus-Depth": "5"})
    assert body_of(error)["code"] == "panels_in_a_circle"


def test_an_adaptive_panel_tells_whom_it_did_not_ask_and_what_that_saved(upstreams, consensus_server, ask):
    four = upstreams(PARIS, ALSO_PARIS, PARIS, LYON)
    server = consensus_server(four, strategy="adaptive", first=3, quorum=2)
    told = ask(server.client()).consensus
    assert told["spending"] == {"requests": 3, "not_asked": 1, "tokens": 30, "money": None}
    assert [each["standing"] for each in told["choices"][0]["upstreams"]] == ["answered"] * 3 + ["not_asked"]
    page = httpx.get(server.url.removesuffix("/v1") + "/metrics").text
    assert 'consensus_panel_requests_total{outcome="not_asked",panel="capitals"} 1.0' in page
    assert 'consensus_panel_tokens_total{panel="capitals"} 30.0' in page
    assert "consensus_upstream_failures_total{" not in page
