"""How often participants that state first-hand answers came round to the labels.

`taught_through` is a claim. A model that was taught labels says them where it said otherwise before, and one that learnt from private data
alone has no reason to. So each such participant's answers are compared with its first ones, at the prompts whose label is still the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from consensus_server.core.federations import Federation
from consensus_server.core.labels import AnswerFate, Echo
from consensus_server.core.rounds import Round
from consensus_server.ports import LabelRecord, SealedSubmission, Transaction
from consensus_server.service.published import fates_by_prompt


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said to a prompt that has a label."""

    label: str
    """Digest of its text."""
    agrees: Mapping[str, bool]
    """By participant: whether half of its answers or more stand in the label's cluster."""


def echoes(tx: Transaction, federation: Federation, round_: Round, records: Iterable[LabelRecord]) -> tuple[Echo, ...]:
    """Of the participants that answered anew and state that no label was taught, by name; nobody in a first round.

    records: of the round, which need not be published.
    """
    wanted = {who for who, seal in tx.submissions.seals(round_).items() if _first_hand(seal)}
    now = _said((record.prompt_id, record.fates) for record in records)
    found = []
    for earlier in _published_before(tx, federation, round_):
        if not wanted:
            break
        here = {who for who, seal in tx.submissions.seals(earlier).items() if who in wanted and _first_hand(seal)}
        then = _said(fates_by_prompt(tx, earlier)) if here else {}
        found += [_echo(who, then, now) for who in here]
        wanted -= here
    return tuple(sorted(found, key=lambda each: each.participant))


def _first_hand(seal: SealedSubmission) -> bool:
    return not seal.taught_through and seal.carried_from is None


def _published_before(tx: Transaction, federation: Federation, round_: Round) -> Iterator[Round]:
    return (each for each in tx.rounds.of(federation) if each.number < round_.number and each.labels is not None)


def _said(fates: Iterable[tuple[str, tuple[AnswerFate, ...]]]) -> dict[str, _Said]:
    """By prompt_id, of those with a label."""
    found = {}
    for prompt_id, of_prompt in fates:
        pick = next((fate for fate in of_prompt if fate.chosen), None)
        if pick is not None:
            given = defaultdict(list)
            for fate in of_prompt:
                if fate.cluster is not None and fate.stands_in_from is None:
                    given[fate.participant].append(fate.cluster == pick.cluster)
            found[prompt_id] = _Said(pick.digest, {who: 2 * sum(own) >= len(own) for who, own in given.items()})
    return found


def _echo(who: str, then: Mapping[str, _Said], now: Mapping[str, _Said]) -> Echo:
    could = [
        now[prompt].agrees[who]
        for prompt, said in then.items()
        if said.agrees.get(who) is False
        and prompt in now
        and now[prompt].label == said.label
        and who in now[prompt].agrees
    ]
    return Echo(who, moved=sum(could), could_move=len(could))
