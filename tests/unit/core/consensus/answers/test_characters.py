import pytest

from consensus_server.core.consensus.answers.characters import printable_share


@pytest.mark.parametrize(
    ("text", "share"),
    [("plain", 1), ("", 0), (" \n", 0), ("שלום\u200f 今日 🙂", 1), ("ab\x00\x01", 0.5), ("\ufffd\ufffda ", 1 / 3)],
)
def test_printable_share(text, share):
    assert printable_share(text) == pytest.approx(share)
