"""Two texts side by side."""

import pytest


@pytest.fixture(scope="session")
def side_by_side():
    """side_by_side(first, second, prompt="", level="short"): the first sentences of two texts."""
    from consensus_server.core.contradictions.alignment import Level, align
    from consensus_server.core.contradictions.questions import read_question
    from consensus_server.core.contradictions.reading import read

    def align_first_sentences(first, second, prompt="", level="short"):
        return align((read(first), read(second)), (0, 0), Level(level), read_question(prompt))

    return align_first_sentences


@pytest.fixture(scope="session")
def found():
    """found(first, second, prompt=""): kind and hardness of the strongest finding between two texts, or None."""
    from consensus_server.core.contradictions.words import WordContradictions

    def strongest(first, second, prompt=""):
        findings = WordContradictions().between([first, second], prompt)
        return (findings[0].kind, findings[0].hard) if findings else None

    return strongest
