"""An upstream that judges: what it is asked, how strictly its reply is read, and which failures are the pair's own."""

import pytest

from consensus_server.backends.contradictions import Judge
from consensus_server.core.contradictions.doubts import Doubt, Verdict
from consensus_server.core.errors import ComparisonFailed
from consensus_server.core.inference import Failure, Reply, UpstreamFailed

PAIR = Doubt("Is the bridge open?", "Lorries may cross.", "It is closed {0}.")


class Upstream:
    """Replies in turn, or fails."""

    name = "wise"

    def __init__(self, *replies):
        self.replies, self.asked, self.closed = list(replies), [], False

    async def ask(self, question):
        self.asked.append(question)
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(said, Failure):
            raise UpstreamFailed(said, "http://wise: as told")
        return Reply(said, "stop")

    async def close(self):
        self.closed = True


def judged(*replies, pair=PAIR):
    upstream = Upstream(*replies)
    (verdict,) = Judge("wise", {"model": "m"}, lambda: upstream).verdicts([pair])
    assert upstream.closed
    return verdict, upstream.asked


def test_each_pair_is_asked_in_both_orders_at_temperature_0():
    verdict, asked = judged("CONTRADICTION")
    assert verdict is Verdict.CONTRADICTION
    assert [each.temperature for each in asked] == [0.0, 0.0]
    there, back = (each.last for each in asked)
    assert "question: Is the bridge open?\n\nStatement 1: Lorries may cross.\n\nStatement 2: It is closed {0}." in there
    assert "Statement 1: It is closed {0}.\n\nStatement 2: Lorries may cross." in back


def test_sentences_that_stand_alone_are_shown_without_a_question():
    _, asked = judged("SAME", pair=PAIR._replace(question=""))
    assert "question" not in asked[0].last


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        (["contradiction."], Verdict.CONTRADICTION),
        (["**SAME**\n"], Verdict.SAME),
        (["NEITHER"], Verdict.NEITHER),
        (["CONTRADICTION", "NEITHER"], Verdict.NEITHER),
        (["SAME", "CONTRADICTION"], Verdict.NEITHER),
        (["CONTRADICTION, since the bridge is closed"], Verdict.UNREADABLE),
        (["unreadable"], Verdict.UNREADABLE),
        (["CONTRADICTION", "I cannot say."], Verdict.UNREADABLE),
        ([Failure.CONTEXT_TOO_LONG], Verdict.UNREADABLE),
        ([Failure.REFUSED_PROMPT], Verdict.UNREADABLE),
        (["SAME", Failure.EMPTY], Verdict.UNREADABLE),
    ],
)
def test_only_the_word_itself_said_in_both_orders_counts(replies, verdict):
    assert judged(*replies)[0] is verdict


@pytest.mark.parametrize(
    "failure",
    [each for each in Failure if each not in {Failure.CONTEXT_TOO_LONG, Failure.REFUSED_PROMPT, Failure.EMPTY}],
)
def test_an_endpoint_that_cannot_be_had_is_no_verdict(failure):
    with pytest.raises(ComparisonFailed, match="the judge wise: http://wise: as told"):
        judged("SAME", failure)


def test_what_a_reply_depends_on_is_in_the_version():
    def version(**made_of):
        return Judge("wise", made_of, Upstream).version

    assert version(model="m", omit=[]) == version(omit=[], model="m")
    assert len({version(model="m"), version(model="n"), version(model="m", omit=["seed"])}) == 3
