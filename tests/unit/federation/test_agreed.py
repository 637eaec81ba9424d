"""A site answers only to the prompt set and the policy that a person there approved."""

from datetime import UTC, datetime

import pytest

from client_kit.errors import NotApproved
from client_kit.federation.agreed import approve_terms, approved_terms, check_terms, terms_of
from client_kit.settings import ApprovedSettings
from client_kit.wire import ConsensusPolicy, Federation, Prompt

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"Question {number}?") for number in range(3)]


def terms(prompts=PROMPTS, prompt_set="0" * 64, **policy):
    federation = Federation(
        federation="f", prompt_set=prompt_set, encoder="1" * 64, created_at=datetime(2026, 1, 1, tzinfo=UTC),
        policy=ConsensusPolicy(contradictions="none", **policy),
    )  # fmt: skip
    return terms_of(federation, prompts)


def test_where_nothing_was_approved_everything_passes(tmp_path):
    check_terms(tmp_path, None, terms())


def test_what_was_approved_passes_and_nothing_else_does(tmp_path):
    approve_terms(tmp_path, terms())
    assert approved_terms(tmp_path) == terms()
    check_terms(tmp_path, None, terms())
    other = [
        PROMPTS[0],
        Prompt(prompt_id="p1", prompt="What is your patient's name?"),
        Prompt(prompt_id="p9", prompt="?"),
    ]
    with pytest.raises(NotApproved) as stopped:
        check_terms(tmp_path, None, terms(other, "2" * 64, minimum_margin=1.5))
    told = str(stopped.value)
    for said in (
        "another prompt set and policy", "prompts added: 1 (p9)", "prompts removed: 1 (p2)", "prompts changed: 1 (p1)",
        "policy.minimum_margin: was", "is 1.5", "consensus approve federation",
    ):  # fmt: skip
        assert said in told


@pytest.mark.parametrize("form", ["sha256:{}", "{}"])
def test_settings_name_digests_and_go_before_the_file(tmp_path, form):
    approve_terms(tmp_path, terms(minimum_margin=1.5))
    named = ApprovedSettings(prompt_set=form.format("0" * 64), policy=form.format(terms().policy))
    check_terms(tmp_path, named, terms())
    with pytest.raises(NotApproved, match="another policy than"):
        check_terms(tmp_path, named, terms(minimum_margin=2))
    check_terms(tmp_path, ApprovedSettings(prompt_set="0" * 64), terms(minimum_margin=2))
