"""The gates that read the round, and the table of all gates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide
from consensus_server.core.consensus.answers.gates import ANSWER_GATES, Reads
from consensus_server.core.consensus.round.gates import GATES
from tests.support.rounds import GUARDED, joined, text_of, with_openings
from tests.support.short_answers import CLOSE, STRANGE, a_pool_about, long_text

quick = settings(max_examples=25, deadline=None)


def test_an_answer_far_from_the_prompt_but_near_the_topical_ones_is_on_topic(make_pool):
    """Four answers of one meaning, one of them worded far from the prompt; a fifth about something else."""
    prompt = np.array([1.0, 0, 0, 0])
    vectors = np.array([[1, 2, 0, 0], [1, 2, 0.3, 0], [1, 2, 0, 0.3], [0.1, 2, 0, 0], [0.1, 0.1, 0.2, 2]])
    texts = [f"answer {i} ".ljust(120, "x") for i in range(5)]
    pool = with_openings(make_pool(vectors, texts=texts), prompt)
    assert decide([pool], GUARDED)[0].gates == {4: "off_topic"}


def test_each_gate_rejects_by_its_name(make_round):
    rng = np.random.default_rng(4)
    pools = []
    for pool in make_round(participants=4):
        near = pool.vectors[:1] + 0.1 * rng.normal(size=(1, 24)).astype(np.float32)
        texts = [
            "\x00\x01\ufffd\x1b" * 40 + text_of(rng, 3),
            text_of(rng, 30),
            "Buy the finest carpets at the bazaar of our town. " + text_of(rng, 2),
            text_of(rng, 3000, [f"{pool.prompt_id}word{i}" for i in range(900)]),
        ]
        pools.append(
            joined(
                pool, ["bytes", "stray", "seller", "talker"], texts, [near[0], -pool.prompt_opening, near[0], near[0]]
            )
        )
    expected = {4: "garbage", 5: "off_topic", 6: "repetitive", 7: "over_long"}
    for decision in decide(pools, GUARDED):
        assert decision.gates == expected
        assert decision.pick < 4


@quick
@given(honest=st.integers(2, 6), data=st.data(), prompts=st.integers(1, 25))
def test_short_answers_far_from_the_prompt_stay_whatever_a_minority_writes(make_pool, honest, data, prompts):
    loud = data.draw(st.integers(0, honest))
    pools = [
        a_pool_about(
            make_pool,
            f"p{p}",
            [("Paris.", STRANGE)] * honest + [(long_text(f"echo{p}x{k}y"), CLOSE) for k in range(loud)],
        )
        for p in range(prompts)
    ]
    for decision in decide(pools, Policy(abstain=False)):
        assert not set(decision.gates) & set(range(honest))
        assert decision.clusters[0].votes >= honest or decision.pick >= honest


@quick
@given(sites=st.integers(2, 7), prompts=st.integers(3, 30))
def test_a_class_label_may_recur_from_prompt_to_prompt(make_pool, sites, prompts):
    label = "This report is quite normal."
    pools = [a_pool_about(make_pool, f"p{p}", [(label, CLOSE)] * sites) for p in range(prompts)]
    for decision in decide(pools, Policy()):
        assert decision.gates == {}
        assert decision.support == sites


@quick
@given(
    honest=st.integers(3, 6), spam=st.sampled_from(["Buy carpets now!", long_text("carpet", "bazaar")]), data=st.data()
)
def test_off_topic_spam_is_out_where_most_answer_at_length(make_pool, honest, spam, data):
    spammers = data.draw(st.integers(1, honest - 1))
    answers = [(long_text(f"site{k}x"), CLOSE) for k in range(honest)] + [(spam, STRANGE)] * spammers
    decision = decide([a_pool_about(make_pool, "p", answers)], Policy(abstain=False))[0]
    assert decision.gates == dict.fromkeys(range(honest, honest + spammers), "off_topic")


def test_long_spam_is_out_among_short_answers_that_are_near_the_prompt(make_pool):
    answers = [("It is Paris.", CLOSE)] * 3 + [(long_text("carpet", "bazaar"), STRANGE)] * 7
    decision = decide([a_pool_about(make_pool, "p", answers)], Policy())[0]
    assert set(decision.gates) == set(range(3, 10))


@quick
@given(sites=st.integers(1, 6))
def test_where_everybody_is_far_from_the_prompt_nobody_is_rejected(make_pool, sites):
    answers = [(long_text(f"site{k}x"), STRANGE) for k in range(sites)]
    decision = decide([a_pool_about(make_pool, "p", answers)], Policy(abstain=False))[0]
    assert decision.gates == {}
    assert decision.pick is not None


def test_whoever_is_rejected_can_be_told_why(make_pool):
    """Every gate that a round reports stands in the table, and its sentence takes what was measured."""
    about, texts = np.eye(4)[0], [long_text(f"site{k}x") for k in range(4)]
    vectors = [about, about, about, about, about, np.zeros(4), about, np.eye(4)[1], about]
    added = ["\u200b", "lost", "\x00\x01\ufffd\x1b" * 40, long_text("carpet"), "word " * 3000]
    pool = with_openings(make_pool(vectors, texts=[*texts, *added]), about)
    [decision] = decide([pool], GUARDED)
    expected = ["empty", "not_embeddable", "garbage", "off_topic", "over_long"]
    assert decision.gates == dict(enumerate(expected, start=4))
    for place, name in decision.gates.items():
        reading = decision.readings.get(place)
        assert (reading is None) is (GATES[name].reads is Reads.ANSWER)
        figures = {} if reading is None else {"measured": reading.value, "limit": reading.limit}
        assert GATES[name].sentence.format(**figures)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_a_sentence_for_whom_it_rejects(name):
    sentence = GATES[name].sentence
    said = sentence.format(measured=0.4321, limit=0.65)
    assert said.endswith(".")
    assert "{" not in said
    assert ("measured" in sentence) is ("limit" in sentence) is (GATES[name].reads is not Reads.ANSWER)


def test_the_table_holds_every_gate_in_the_order_in_which_they_are_asked():
    assert list(GATES)[: len(ANSWER_GATES)] == list(ANSWER_GATES)
    reads = [list(Reads).index(gate.reads) for gate in GATES.values()]
    assert reads == sorted(reads)
    assert {name for name, gate in GATES.items() if not gate.appealable} == {"empty", "not_embeddable"}
