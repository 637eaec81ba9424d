"""What two long answers say of that which a closed question asks."""

import pytest

from consensus_server.core.contradictions.questions import read_question
from consensus_server.core.contradictions.reading import read
from consensus_server.core.contradictions.replies import answer_to
from consensus_server.core.contradictions.stance import stances

SIDE = " The box is blue. The shop opens early. Rain is near."
OTHER_SIDE = " Trees grow slowly. Ships carry grain. Birds sing."


def kinds(first, second, prompt):
    question = read_question(prompt)
    one, other = (answer_to(question, read(text)) for text in (first + SIDE, second + OTHER_SIDE))
    found = {each.kind for each in stances(one, other, question)}
    assert found == {each.kind for each in stances(other, one, question)}
    return found


@pytest.mark.parametrize(
    ("first", "second", "prompt", "expected"),
    [
        ("The drug is safe.", "Doctors call this drug dangerous.", "Is the drug safe?", "stance:safety"),
        ("The drug is safe.", "Mothers must not take this drug.", "Is the drug safe?", "stance:safety"),
        (
            "The fracture needs surgery.",
            "Doctors do without surgery.",
            "Does the fracture need surgery?",
            "stance:negation",
        ),
        ("It lies on the left.", "Doctors saw the mass to the right.", "Is the mass left or right?", "stance:side"),
        ("The dose is 5 mg.", "Adults get 50 mg.", "What is the dose?", "stance:mass"),
        ("It was built in 1980.", "Workers finished it in 1990.", "When was it built?", "stance:year"),
    ],
)
def test_opposite_stances_are_found_in_unlike_sentences(first, second, prompt, expected):
    assert expected in kinds(first, second, prompt)


@pytest.mark.parametrize(
    ("first", "second", "prompt"),
    [
        ("The drug is safe.", "Doctors call this drug harmless.", "Is the drug safe?"),
        ("The drug is safe. The drug is dangerous.", "Doctors call this drug dangerous.", "Is the drug safe?"),
        ("The dose is 1 g.", "Adults get 1000 mg.", "What is the dose?"),
        ("The dose is 5 mg, or 10 mg.", "Adults get 50 mg.", "What is the dose?"),
        ("The ward is old.", "Nurses are young.", "Is the drug safe?"),
        ("It is not 5 mg.", "Adults get 5 mg.", "Tell me all about the drug."),
    ],
)
def test_of_one_mind_or_of_two_there_is_no_stance(first, second, prompt):
    assert kinds(first, second, prompt) == set()
