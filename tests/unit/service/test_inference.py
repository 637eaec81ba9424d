"""A panel decides as a round does, whatever the order of its upstreams, and says what it cannot decide."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_kit.wire import content_digest
from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.asking import Adaptive
from consensus_server.core.consensus import RULES
from consensus_server.core.consensus.decide import decide_round
from consensus_server.core.consensus.records import Policy
from consensus_server.core.errors import NotReady, TokenExpired
from consensus_server.core.federations import Prompt
from consensus_server.core.inference import Failure, Message, Question, Reply, UpstreamFailed
from consensus_server.http_api.openai_compat.translate import refusal_of
from consensus_server.ports import PooledAnswer
from consensus_server.service.access import token_hash
from consensus_server.service.asking import Latencies
from consensus_server.service.deciding import Embedded, Material, build_pools, label_round
from consensus_server.service.fan_out import WaitLimits
from consensus_server.service.inference import Inference
from consensus_server.service.panels import Panel, PanelCaller, Panels, QuorumMissed, UnknownPanel

ENCODER = HashingEncoder()
QUESTION = Question(messages=(Message("system", "Be brief."), Message("user", "Which city is the capital of France?")))
TEXTS = st.lists(
    st.sampled_from(
        ["Paris is the capital of France", "The capital is Paris", "Lyon", "Lyon is the capital", "42", " "]
    ),
    min_size=1,
    max_size=7,
)


class Says:
    def __init__(self, name, text, finish="stop"):
        self.name = name
        self.text = text
        self.finish = finish
        self.asked = []

    async def ask(self, question):
        self.asked.append(question)
        if self.text is None:
            raise UpstreamFailed(Failure.CONTEXT_TOO_LONG, "too long")
        return Reply(self.text, self.finish, 5, 2)

    async def close(self):
        """Nothing to close."""


def panel(*texts, quorum=1, reverse=False, **policy):
    upstreams = [Says(f"u{place}", text) for place, text in enumerate(texts)]
    return Panel(
        name="p",
        upstreams=tuple(reversed(upstreams) if reverse else upstreams),
        limits=WaitLimits(quorum=quorum, deadline_seconds=3_600),
        policy=Policy(**{"contradictions": "none"} | policy),
    )


async def answer(chosen, question=QUESTION, choices=1, encoder=ENCODER):
    inference = Inference(Panels((chosen,)), lambda: encoder)
    try:
        return await inference.answer(chosen, question, choices)
    finally:
        await inference.close()


def label_of_a_round(texts, policy):
    """What aggregation makes of the same answers."""
    prompt = Prompt("answer", QUESTION.last)
    answers = tuple(
        PooledAnswer("answer", f"u{place}", 0, text, content_digest(text)) for place, text in enumerate(texts)
    )
    distinct = list({*texts, prompt.prompt})
    whole, opening = ENCODER.encode_with_openings(distinct)
    digests = [content_digest(text) for text in distinct]
    vectors, openings = dict(zip(digests, whole, strict=True)), dict(zip(digests, opening, strict=True))
    material = Material((prompt,), "semantic", answers, len(texts))
    pools = build_pools(material, Embedded(vectors, openings, openings, whole.shape[1]), policy)
    return label_round(material, pools, decide_round(pools, policy), policy).labels[0]


@given(texts=TEXTS, rule=st.sampled_from(sorted(RULES)), guards=st.booleans(), abstain=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_panel_decides_as_a_round_does(texts, rule, guards, abstain):
    policy = Policy(rule=rule, guards=guards, abstain=abstain, contradictions="none")
    chosen = replace(panel(*texts), policy=policy)
    consensus = await answer(chosen)
    assert consensus.choices[0].label == label_of_a_round(texts, policy)


@given(texts=TEXTS)
@settings(max_examples=20, deadline=None)
async def test_the_order_of_upstreams_does_not_matter(texts):
    one, other = await answer(panel(*texts)), await answer(panel(*texts, reverse=True))
    assert one.choices == other.choices


async def test_choices_are_decided_apart():
    """Taken for one round, equal answers to equal prompts would be refused as repetitive."""
    texts = ["Paris is the capital of France, and has been for a long time indeed."] * 2
    consensus = await answer(panel(*texts, guards=True), choices=5)
    assert [each.label.text for each in consensus.choices] == [texts[0]] * 5


async def test_seeds_count_up_from_choice_to_choice():
    chosen = panel("a", "b")
    await answer(chosen, replace(QUESTION, seed=9), choices=3)
    assert [question.seed for question in chosen.upstreams[0].asked] == [9, 10, 11]
    await answer(chosen, QUESTION, choices=2)
    assert [question.seed for question in chosen.upstreams[0].asked[3:]] == [None, None]


async def test_the_tokens_of_all_replies_are_counted():
    assert (await answer(panel("a", "a", "b"))).tokens() == (15, 6)


async def test_a_missed_quorum_says_who_failed_how():
    with pytest.raises(
        QuorumMissed, match=r"1 of 3 upstreams of the panel p answered; it needs 2. u1: context_too_long"
    ):
        await answer(panel("a", None, None, quorum=2))
    with pytest.raises(QuorumMissed) as missed:
        await answer(panel(None, None, quorum=1))
    assert missed.value.too_long
    assert not missed.value.late


REFUSAL = "I'm sorry, but I can't help with that."


def dropping(chosen):
    return replace(chosen, limits=replace(chosen.limits, drop_refusals=True))


@pytest.mark.parametrize("abstain", [True, False])
async def test_a_refusal_is_never_the_answer_while_another_upstream_answers(abstain):
    texts = [REFUSAL, REFUSAL, "Paris."]
    kept = await answer(panel(*texts, abstain=abstain))
    assert kept.choices[0].label.text == REFUSAL
    (choice,) = (await answer(dropping(panel(*texts, quorum=2, abstain=abstain)))).choices
    assert (choice.label.text, choice.label.abstention) == ((None, "single_answer") if abstain else ("Paris.", None))
    assert [fate.gate for fate in choice.fates if not fate.admitted] == ["refusal"] * 2
    assert not choice.declined


async def test_where_every_upstream_refuses_the_panel_declines_and_no_quorum_is_missed():
    consensus = await answer(dropping(panel(REFUSAL, REFUSAL, None, quorum=2, abstain=False)))
    (choice,) = consensus.choices
    assert (choice.label.abstention, choice.chosen, choice.declined) == ("no_answers", None, True)
    assert [each.state.value for each in consensus.asked] == ["refused", "refused", "failed"]
    assert refusal_of(choice).startswith("Every upstream that replied declines to answer (no_answers:")
    assert not (await answer(dropping(panel(" ", REFUSAL)))).choices[0].declined


async def test_a_missed_quorum_names_no_refusals():
    with pytest.raises(QuorumMissed, match=r"1 of 3 .* it needs 2. u1: context_too_long; u2: context_too_long$"):
        await answer(dropping(panel(REFUSAL, None, None, quorum=2)))


async def test_nobody_is_asked_before_the_encoder_is_there():
    chosen = panel("a", "b")
    with pytest.raises(NotReady):
        await answer(chosen, encoder=None)
    assert chosen.upstreams[0].asked == []


async def test_callers_see_their_own_panels_only():
    panels = [replace(panel("a"), name=name) for name in ("one", "two")]
    caller = PanelCaller("shop", token_hash("secret"), frozenset({"two", "gone"}))
    inference = Inference(Panels(tuple(panels), (caller,)), lambda: ENCODER)
    assert inference.caller("secret") is caller
    assert inference.caller("other") is None
    assert [each.name for each in inference.panels(caller)] == ["two"]
    assert [each.name for each in inference.panels(None)] == ["one", "two"]
    with pytest.raises(UnknownPanel):
        inference.panel("one", caller)
    await inference.close()


class Waits(Says):
    """Answers when it is told to, and knows whether it was closed before."""

    def __init__(self, name, text):
        super().__init__(name, text)
        self.begun, self.go, self.closed = asyncio.Event(), asyncio.Event(), False

    async def ask(self, question):
        self.begun.set()
        await self.go.wait()
        assert not self.closed
        return await super().ask(question)

    async def close(self):
        self.closed = True


async def test_a_question_under_way_ends_as_it_began_when_the_panels_change():
    old, new = Waits("u0", "before"), Says("u0", "after")
    before, after = (replace(panel("-"), upstreams=(each,)) for each in (old, new))
    said = [Panels((after,))]
    inference = Inference(Panels((before,)), lambda: ENCODER, renewed=lambda: said.pop() if said else None)
    asking = asyncio.create_task(inference.answer(before, QUESTION))
    await old.begun.wait()
    await inference.renew()
    assert inference.panel("p", None) is after
    assert not old.closed
    old.go.set()
    assert (await asking).choices[0].fates[0].digest == content_digest("before")
    assert old.closed
    await inference.renew()  # nothing has changed since
    assert inference.panel("p", None) is after
    await inference.close()


CUT = "Paris is the capital of France"
WHOLE = "Paris is the capital of France."


async def test_a_text_that_was_cut_is_not_chosen_where_one_that_means_the_same_is_whole():
    chosen = panel(CUT, CUT, WHOLE, abstain=False)
    for upstream in chosen.upstreams[:2]:
        upstream.finish = "length"
    (choice,) = (await answer(chosen)).choices
    assert (choice.label.text, choice.chosen.finish_reason) == (WHOLE, "stop")
    assert choice.label.digest == content_digest(WHOLE)
    assert [fate.participant for fate in choice.fates if fate.chosen] == ["u2"]
    assert [fate.similarity for fate in choice.fates if fate.chosen] == [pytest.approx(1.0)]


async def test_where_all_texts_were_cut_the_choice_stands_and_says_so():
    chosen = panel(CUT, CUT, abstain=False)
    for upstream in chosen.upstreams:
        upstream.finish = "length"
    (choice,) = (await answer(chosen)).choices
    assert (choice.label.text, choice.chosen.finish_reason) == (CUT, "length")


ADAPTIVE = Adaptive(first=2, lead=2.0)


async def test_an_adaptive_panel_asks_on_only_while_the_answer_could_change():
    agreed = replace(panel("Paris.", "Paris.", "Paris.", "Paris."), adaptive=ADAPTIVE)
    consensus = await answer(agreed)
    assert [each.state.value for each in consensus.asked] == ["answered"] * 2 + ["not_asked"] * 2
    split = replace(panel("Paris.", "Lyon", "Paris.", "Paris.", "Paris."), adaptive=ADAPTIVE)
    consensus = await answer(split)
    assert [each.state.value for each in consensus.asked] == ["answered"] * 4 + ["not_asked"]
    assert (consensus.choices[0].label.text, consensus.tokens()) == ("Paris.", (20, 8))


async def test_each_sample_of_a_single_upstream_has_a_vote():
    chosen = replace(panel("Paris.", quorum=2), samples=3)
    consensus = await answer(chosen, replace(QUESTION, seed=5))
    assert [question.seed for question in chosen.upstreams[0].asked] == [5, 6, 7]
    (choice,) = consensus.choices
    assert (choice.label.text, choice.label.support) == ("Paris.", 3.0)
    assert [fate.participant for fate in choice.fates] == ["u0#1", "u0#2", "u0#3"]


async def test_samples_of_several_upstreams_share_their_votes():
    chosen = replace(panel("Paris.", "Paris.", "Lyon"), samples=4)
    (choice,) = (await answer(chosen)).choices
    assert [cluster.votes for cluster in choice.label.clusters] == [2.0, 1.0]
    assert len(choice.fates) == 12


@pytest.mark.parametrize(
    ("texts", "says", "expected"),
    [
        (("Paris.", None), "Lyon", ("Lyon", None, "f")),
        (("Paris.", "Paris."), "Lyon", ("Paris.", None, None)),
        (("Paris.", "Lyon"), "Lyon", ("Lyon", None, "f")),
        (("Paris.", "Lyon"), None, (None, "tie", None)),
    ],
)
async def test_a_fallback_answers_where_the_panel_does_not(texts, says, expected):
    fallback = Says("f", says)
    chosen = replace(panel(*texts, quorum=2), fallback=fallback, fallback_on_abstention=True)
    consensus = await answer(chosen)
    (choice,) = consensus.choices
    assert (choice.label.text, choice.label.abstention, choice.fallback) == expected
    assert len(fallback.asked) == (expected[0] != "Paris.")  # paid for once


class SaysLater(Says):
    """Its second answer takes longer than its first."""

    async def ask(self, question):
        reply = await super().ask(question)
        await asyncio.sleep(0.02 * len(self.asked))
        return reply


@pytest.mark.parametrize("texts", [("Paris.", None), ("Paris.", "Lyon")])
async def test_a_fallback_answers_every_choice_that_needs_it(texts):
    chosen = replace(panel(*texts, quorum=2), fallback=SaysLater("f", "Lyon"), fallback_on_abstention=True)
    consensus = await answer(chosen, choices=3)
    assert [(each.label.text, each.fallback) for each in consensus.choices] == [("Lyon", "f")] * 3


async def test_a_fallback_that_fails_is_told_with_the_others_and_asked_for_no_abstention_unless_the_panel_says_so():
    with pytest.raises(QuorumMissed, match=r"^1 of 2 .* it needs 2. u1: context_too_long; f: context_too_long$"):
        await answer(replace(panel("a", None, quorum=2), fallback=Says("f", None)))
    chosen = replace(panel("Paris.", "Lyon", quorum=2), fallback=Says("f", "Lyon"))
    (choice,) = (await answer(chosen)).choices
    assert (choice.label.abstention, chosen.fallback.asked) == ("tie", [])


@pytest.mark.parametrize(("expires", "holds"), [(None, True), (date(2999, 1, 1), True), (date(2020, 1, 1), False)])
async def test_a_caller_of_panels_is_known_until_the_day_that_the_file_names(expires, holds):
    inference = Inference(
        Panels((), (PanelCaller("shop", token_hash("secret"), frozenset(), expires=expires),)), lambda: None
    )
    if holds:
        assert inference.caller("secret").name == "shop"
    else:
        with pytest.raises(TokenExpired, match="shop held until 2020-01-01"):
            inference.caller("secret")
    await inference.close()


async def test_a_missed_quorum_tells_who_was_never_asked():
    chosen = replace(panel(None, None, None, "a", quorum=3), adaptive=Adaptive(first=3, lead=2.0))
    with pytest.raises(QuorumMissed, match=r"^0 of 4 .* u2: context_too_long; u3: not asked$"):
        await answer(chosen)


class FailsFirst(Says):
    """Its first answer fails; the others come later."""

    async def ask(self, question):
        if not self.asked:
            self.asked.append(question)
            raise UpstreamFailed(Failure.UNREACHABLE, "gone")
        await asyncio.sleep(0.02)
        return await super().ask(question)


async def test_a_choice_out_of_reach_ends_no_other_where_there_is_a_fallback():
    chosen = replace(panel("Paris.", quorum=2), fallback=Says("f", "Lyon"))
    chosen = replace(chosen, upstreams=(*chosen.upstreams, FailsFirst("u1", "Paris.")))
    consensus = await answer(chosen, choices=2)
    assert [(each.label.text, each.fallback) for each in consensus.choices] == [("Lyon", "f"), ("Paris.", None)]
    assert len(chosen.fallback.asked) == 1


async def test_a_fallback_that_a_gate_keeps_out_is_asked_once():
    fallback = Says("f", " ")
    chosen = replace(panel("Paris.", None, quorum=2), fallback=fallback, fallback_on_abstention=True)
    (choice,) = (await answer(chosen)).choices
    assert (choice.label.text, choice.fallback, len(fallback.asked)) == (None, "f", 1)


async def test_a_fallback_leaves_the_latencies_of_the_panel_as_they_were(monkeypatch):
    noted = []
    monkeypatch.setattr(Latencies, "note", lambda _, asked: noted.append([each.upstream for each in asked]))
    await answer(replace(panel("Paris.", None, quorum=2), fallback=Says("f", "Lyon")))
    assert noted == [["u0", "u1"], ["f"]]
