"""What a site learns about itself in a round: whether its model collapses, and which of its answers stood apart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from client_kit.client import ConsensusClient
from client_kit.errors import ModelCollapsed
from client_kit.federation.journal import Journal
from client_kit.federation.means import CollapseGuard
from client_kit.training.collapse import Diversity, agreement, alarms, diversity, precision_by_support
from client_kit.wire import Answer, PromptExplanation, PseudoLabel


def watch(
    guard: CollapseGuard, journal: Journal, number: int, answers: Mapping[str, str], before: Mapping[str, str]
) -> list[str]:
    """Journal how diverse the answers of round `number` are; the alarms, as sentences. Once per round.

    answers: one by prompt, as they are to be submitted; before: those of the round before. Raises ModelCollapsed when the alarms of `guard.stop_after`
    rounds in a row are reached.
    """
    if (watched := journal.last("watched", round=number)) is None:
        now, first = diversity(answers), journal.last("watched")
        compared = now if first is None else _first_diversity(journal)
        found = alarms(now, compared, guard.limits) if answers else []
        same = agreement(answers, before)
        journal.append("watched", round=number, diversity=asdict(now), same_as_before=same, alarms=found)
        watched = {"alarms": found}
    _stop_where_collapsed(guard, journal, number)
    return list(watched["alarms"])


def label_figures(guard: CollapseGuard, labels: Sequence[PseudoLabel]) -> dict[str, Any]:
    """Precision of the pseudo-labels by support, where the site knows the right answers."""
    rows = precision_by_support(labels, guard.gold)
    return {"precision": [asdict(row) for row in rows]} if rows else {}


def stood_apart(
    client: ConsensusClient, number: int, label: PseudoLabel, own: Mapping[tuple[str, int], Answer]
) -> str | None:
    """The site's own answer, of the lowest sample, to the label's prompt that lies in a weaker cluster than the label.

    The server tells each participant the fate of its own answers. An answer that tied with the label's cluster, or was
    kept out of the pool, is not counted as standing apart.
    """
    if label.text is None or not any(prompt == label.prompt_id for prompt, _ in own):
        return None
    weaker = _weaker(client.explanation(number, label.prompt_id))
    return next((own[label.prompt_id, sample].text for sample in weaker if (label.prompt_id, sample) in own), None)


def _weaker(why: PromptExplanation) -> list[int]:
    """Samples of the caller's answers whose cluster has fewer of the votes than the label's, ascending."""
    shares = [cluster.share for cluster in why.label.clusters]
    return sorted(
        fate.sample
        for fate in why.answers
        if fate.admitted and fate.cluster is not None and shares[fate.cluster] < why.label.share
    )


def _first_diversity(journal: Journal) -> Diversity:
    return Diversity(**next(journal.of("watched"))["diversity"])


def _stop_where_collapsed(guard: CollapseGuard, journal: Journal, number: int) -> None:
    if guard.stop_after is None:
        return
    last = [record for record in journal.of("watched") if record["round"] <= number][-guard.stop_after :]
    if len(last) == guard.stop_after and all(record["alarms"] for record in last):
        raise ModelCollapsed(
            f"the model's answers have lost their variety {guard.stop_after} rounds in a row, in round {number}: "
            f"{'; '.join(last[-1]['alarms'])}. Nothing of this round was submitted. Take up the checkpoint from before, "
            "lower mixing.ratio or raise mixing.minimum_confidence and mixing.replay; or set collapse.stop_after to null"
        )
