"""What a panel says where it does not answer."""

import pytest

from client_kit.vocabulary import WHY_ABSTAINED, Abstention
from consensus_server.core.labels import Label
from consensus_server.http_api.openai_compat.translate import refusal_of
from consensus_server.service.panels import Choice


def test_every_reason_to_abstain_has_words_of_its_own():
    assert set(WHY_ABSTAINED) == set(Abstention)
    assert len(set(WHY_ABSTAINED.values())) == len(Abstention)


@pytest.mark.parametrize("reason", Abstention)
def test_an_abstention_names_its_reason_and_says_it_in_words(reason):
    label = Label(
        prompt_id="answer", abstention=reason.value, confidence=0, confidence_method="agreement", support=0, share=0
    )
    assert refusal_of(Choice(label, (), None)) == (
        f"The panel does not agree on an answer ({reason.value}: {WHY_ABSTAINED[reason]})."
    )
