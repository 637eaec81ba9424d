"""What participants state about record-level privacy, put together."""

from hypothesis import given
from hypothesis import strategies as st

from consensus_server.core.privacy import PrivacyStatement, privacy_card

STATED = st.builds(PrivacyStatement, st.floats(0, 100), st.floats(0, 0.999))
NAMES = st.text("abc-", min_size=1, max_size=3)


@given(st.dictionaries(NAMES, st.none() | STATED))
def test_a_bound_for_all_needs_the_word_of_all_and_is_no_smaller_than_any(stated):
    card = privacy_card(stated)
    made = [each for each in stated.values() if each is not None]
    if not made:
        assert card is None
        return
    assert [(each.participant, each.stated) for each in card.participants] == sorted(stated.items())
    if len(made) < len(stated):
        assert (card.epsilon, card.delta) == (None, None)
    else:
        assert all(each.epsilon <= card.epsilon and each.delta <= card.delta for each in made)
        assert card.epsilon in {each.epsilon for each in made}
        assert card.delta in {each.delta for each in made}
