"""Guards and short factual answers, on both sides: agreement is no abuse, and abuse does not hide behind brevity."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus_server.core.consensus import Policy, decide

ABOUT, STRANGE, CLOSE = np.eye(12)[0], np.eye(12)[1], np.eye(12)[0] + 0.6 * np.eye(12)[2]
"""Openings: the prompt's own, one that shares nothing with it, one near it."""
quick = settings(max_examples=25, deadline=None)


def a_pool(make_pool, prompt_id, answers, prompt=ABOUT):
    """answers: (text, vector of its opening)."""
    texts, vectors = zip(*answers, strict=True)
    pool = make_pool(np.stack(vectors), texts=texts, prompt_id=prompt_id)
    return replace(
        pool, prompt=f"What about {prompt_id}?", prompt_opening=prompt.astype(np.float32), openings=pool.vectors
    )


def long_text(*words):
    return " ".join(f"{word}{i}" for i in range(30) for word in words)


@quick
@given(honest=st.integers(2, 6), data=st.data(), prompts=st.integers(1, 25))
def test_short_answers_far_from_the_prompt_stay_whatever_a_minority_writes(make_pool, honest, data, prompts):
    loud = data.draw(st.integers(0, honest))
    pools = [
        a_pool(
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
    pools = [a_pool(make_pool, f"p{p}", [(label, CLOSE)] * sites) for p in range(prompts)]
    for decision in decide(pools, Policy()):
        assert decision.gates == {}
        assert decision.support == sites


@quick
@given(
    right=st.integers(2, 6),
    wrong=st.integers(0, 5),
    prompts=st.integers(1, 25),
    equivalence=st.sampled_from(["final_answer", "code"]),
)
def test_worked_answers_that_resemble_each_other_keep_their_votes(make_pool, right, wrong, prompts, equivalence):
    """They restate the question and take the same steps: where a key is counted, that is no cloning."""
    steps = "# The shop {} sells twelve boxes with one hundred pens in each, so that the number of pens is asked for.\n"
    ends = {"final_answer": "The answer is {}.", "code": "pens = {}\n"}[equivalence]
    values = [1200] * right + [1100 + k for k in range(wrong)]

    def asked(shop):
        said = [(steps.format(f"no{shop}") + ends.format(value), CLOSE) for value in values]
        return replace(a_pool(make_pool, f"p{shop}", said), equivalence=equivalence)

    pools = [asked(shop) for shop in range(prompts)]
    for decision in decide(pools, Policy(rule="vote")):
        assert decision.support == right
        assert sum(cluster.votes for cluster in decision.clusters) == right + wrong


@quick
@given(
    honest=st.integers(3, 6), spam=st.sampled_from(["Buy carpets now!", long_text("carpet", "bazaar")]), data=st.data()
)
def test_off_topic_spam_is_out_where_most_answer_at_length(make_pool, honest, spam, data):
    spammers = data.draw(st.integers(1, honest - 1))
    answers = [(long_text(f"site{k}x"), CLOSE) for k in range(honest)] + [(spam, STRANGE)] * spammers
    decision = decide([a_pool(make_pool, "p", answers)], Policy(abstain=False))[0]
    assert decision.gates == dict.fromkeys(range(honest, honest + spammers), "off_topic")


def test_long_spam_is_out_among_short_answers_that_are_near_the_prompt(make_pool):
    answers = [("It is Paris.", CLOSE)] * 3 + [(long_text("carpet", "bazaar"), STRANGE)] * 7
    decision = decide([a_pool(make_pool, "p", answers)], Policy())[0]
    assert set(decision.gates) == set(range(3, 10))


@quick
@given(sites=st.integers(1, 6))
def test_where_everybody_is_far_from_the_prompt_nobody_is_refused(make_pool, sites):
    answers = [(long_text(f"site{k}x"), STRANGE) for k in range(sites)]
    decision = decide([a_pool(make_pool, "p", answers)], Policy(abstain=False))[0]
    assert decision.gates == {}
    assert decision.pick is not None
