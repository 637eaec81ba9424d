"""How both command lines show rounds to people: state, card, why a label is what it is, and the map of a pool."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client_kit import wire
from client_kit.command_line import CommandFailed, Exit, print_table, say
from client_kit.vocabulary import Abstention, abstained, why_abstained

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_PAGES = {".html", ".htm"}
_OPENING_CHARS = 60
_WHOLE = 0.05
"""Votes that a cluster may lack of one for each participant before that is worth a sentence."""

MILDER: Final[Mapping[Abstention, str]] = {
    Abstention.NO_ANSWERS: "guards=no",
    Abstention.SINGLE_ANSWER: "abstain=no",
    Abstention.TIE: "abstain=no",
    Abstention.CONTESTED: "contradictions=none",
    Abstention.CONFLICT: "abstain=no",
    Abstention.LOW_EVIDENCE: "minimum_margin=0.1",
    Abstention.LOW_SUPPORT: "minimum_support=1",
    Abstention.LOW_CONFIDENCE: "calibration=null",
}
"""By reason of an abstention: a change of the policy under which such prompts may get a label. Total, by test."""


def milder_policy(counts: wire.RoundCounts, federation: str, number: int, options: str = "") -> str:
    """What to try where a round gave no label at all; empty where it gave any.

    options: of the command, to stand after its arguments.
    """
    if counts.labels or not counts.abstentions:
        return ""
    reason = max(counts.abstentions, key=lambda each: (counts.abstentions[each], each))
    change = MILDER[Abstention(reason)] if reason in set(Abstention) else "abstain=no"
    return (
        "No prompt got a label. What another policy would have given: consensus-server round what-if "
        f"{federation} {number} --set {change}{options}"
    )


def show_token_table(items: Sequence[wire.Token]) -> None:
    """What each token is for, until when, and when it was last used."""
    rows = [
        (each.id, " ".join(each.scopes), _day(each.created_at), _day(each.expires_at), _day(each.last_used_at),
         "replaced" if each.replaced else "")
        for each in items
    ]  # fmt: skip
    print_table(("token", "scopes", "created", "expires", "last used", ""), rows, empty="There are no tokens.")


def _day(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def seen(at: datetime | None, now: datetime) -> str:
    """`seen 12 s ago`, `silent 2 h`, `never seen`."""
    if at is None:
        return "never seen"
    seconds = max(0.0, (now - at).total_seconds())
    size, unit = next((each for each in _UNITS if seconds >= 2 * each[0]), (1, "s"))
    told = f"{seconds // size:.0f} {unit}"
    return f"seen {told} ago" if seconds < _SILENT_SECONDS else f"silent {told}"


_SILENT_SECONDS = 300
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def show_round(found: wire.Round) -> None:
    """The state of one round, with the reason where it failed."""
    for line in round_lines(found):
        say(line)


def round_lines(found: wire.Round) -> list[str]:
    """The same, line by line."""
    deadline = f", deadline {found.deadline}" if found.deadline else ""
    sealed = f"{found.sealed} of {found.active} sealed, quorum {found.quorum}{deadline}"
    lines = [f"Round {found.number} of {found.federation} is {found.state}: {sealed}."]
    if found.progress:
        lines.append(f"Aggregation: {found.progress.in_words()}.")
    if found.failure:
        lines.append(f"{found.failure.code}: {found.failure.detail}")
    return lines


def show_rounds(found: Sequence[wire.Round], federation: str) -> None:
    """All rounds as a table, and below it why some failed."""
    rows = [(each.number, each.state, f"{each.sealed} of {each.active}", each.quorum, each.deadline) for each in found]
    print_table(("round", "state", "sealed", "quorum", "deadline"), rows, empty=f"{federation} has no rounds yet.")
    for each in found:
        if each.failure:
            say(f"Round {each.number} failed, {each.failure.code}: {each.failure.detail}")


def show_card(card: wire.RoundCard) -> None:
    """What made a published round."""
    counts = card.counts
    say(f"Round {card.number} of {card.federation}, published {card.published_at}.")
    say(
        f"{counts.answers} answers of {counts.submissions} participants to {counts.prompts} prompts, {counts.admitted} "
        f"admitted: {counts.labels} pseudo-labels, {sum(counts.abstentions.values())} abstentions."
    )
    if counts.abstentions:
        say(f"Without a label: {abstained(counts.abstentions)}.")
    if counts.grades:
        graded = ", ".join(f"{count} {grade.replace('_', ' ')}" for grade, count in counts.grades.items())
        say(f"By evidence: {graded}.")
    say(f"Rule {card.policy.rule}, encoder {card.encoder.name}, labels {card.labels}.")
    _show_spread(card.reliability)
    support = [(f"{each.support:.1f}", each.labels, f"{each.mean_confidence:.3f}") for each in card.support]
    print_table(("support", "labels", "mean confidence"), support, empty="No label has support.")
    say("Privacy: no participant states anything." if card.privacy is None else f"Privacy: {card.privacy.in_words()}")
    stated = {} if card.privacy is None else {each.participant: each.stated for each in card.privacy.participants}
    bytes_of = {each.participant: each for each in card.traffic}
    rows = []
    for name in sorted({*bytes_of, *stated}):  # one that the server asks has no traffic
        counted = bytes_of.get(name)
        ways = (counted.received_bytes, counted.sent_bytes) if counted else (0, 0)
        rows.append((name, *ways, _stated(stated.get(name))))
    print_table(("participant", "bytes received", "bytes sent", "states"), rows, empty="No bytes were counted.")
    if card.echoes:
        moved = [(each.participant, f"{each.moved} of {each.could_move}") for each in card.echoes]
        print_table(("participant", "came round to the label"), moved, empty="")
    erased = [(each.participant, each.answers, each.labels, _day(each.erased_at)) for each in card.erased]
    if erased:
        print_table(("participant", "answers erased", "labels without text since", "on"), erased, empty="")
    show_alarms(card)


def show_alarms(card: wire.RoundCard) -> None:
    """Why a reader should look twice; nothing where nothing rings."""
    for alarm in card.alarms:
        say(f"Warning, round {card.number}: {alarm.detail}.")


def _show_spread(spread: wire.Spread | None) -> None:
    if spread is not None:
        say(
            f"Mean standing of {spread.participants} participants: {spread.lowest:+.2f} to {spread.highest:+.2f}, median "
            f"{spread.median:+.2f}; {spread.newcomers} newcomers, {spread.drifted} drifted."
        )


def _stated(stated: wire.PrivacyStatement | None) -> str:
    return "nothing" if stated is None else f"epsilon {stated.epsilon:.3g} at delta {stated.delta:.3g}"


def show_why(found: wire.PromptExplanation) -> None:
    """Why a prompt has its pseudo-label, or none."""
    label = found.label
    if label.erased:
        say(f"The text was erased; its digest is {label.digest}.")
    elif label.abstention is None:
        say(label.text or "")
    else:
        say(f"No label: {why_abstained(label.abstention)} ({label.abstention}).")
    say(f"Confidence {label.confidence:.3f} ({label.confidence_method}), support {label.support:.2f}.")
    if label.evidence is not None:
        grade = "" if label.grade is None else f": {label.grade.replace('_', ' ')}"
        say(f"Evidence {label.evidence:.2f}, leads by {label.margin:.2f}, {label.witnesses} sure of it{grade}.")
    clusters = [(i, each.answers, f"{each.votes:.2f}", f"{each.share:.3f}") for i, each in enumerate(label.clusters)]
    print_table(("cluster", "answers", "votes", "share"), clusters, empty="No answer was admitted.")
    for line in fewer_votes(found):
        say(line)
    if found.contests:
        contests = [
            (each.first, each.second, each.kind, each.words_first, each.words_second) for each in found.contests
        ]
        print_table(("cluster", "and", "differ in", "one says", "the other"), contests, empty="")
    print_table(
        ("participant", "sample", "cluster", "similarity", "", "answer"),
        [_row(each) for each in found.answers],
        empty="",
    )


def fewer_votes(found: wire.PromptExplanation) -> list[str]:
    """A sentence for each cluster whose participants have together less than a vote each, with the reason.

    Counted only where all answers of a cluster are shown: to a participant, others' are not.
    """
    lines = []
    given = _samples(found.answers)
    for index, cluster in enumerate(found.label.clusters):
        members = [each for each in found.answers if each.cluster == index]
        whole = sum(1 / given[each.participant] for each in members)
        if len(members) == cluster.answers and cluster.votes < whole - _WHOLE:
            lines.append(
                f"Cluster {index}: {len(members)} answers with {whole:.2f} votes by right count as {cluster.votes:.2f}. "
                "Texts that are copies of one another, and participants that answer alike over the whole round, share one vote."
            )
    return lines


def _samples(answers: Sequence[wire.AnswerFate]) -> dict[str | None, int]:
    """Admitted answers by participant: they share its vote."""
    given: dict[str | None, int] = {}
    for each in answers:
        if each.admitted:
            given[each.participant] = given.get(each.participant, 0) + 1
    return given


def _row(fate: wire.AnswerFate) -> tuple[object, ...]:
    similarity = None if fate.similarity is None else f"{fate.similarity:.3f}"
    said = "chosen" if fate.chosen else fate.reason or ""
    return fate.participant, fate.sample, fate.cluster, similarity, said, _opening(fate.text or "")


def _opening(text: str) -> str:
    """The first line that says anything, cut."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _OPENING_CHARS else f"{line[:_OPENING_CHARS]}..."


def require_page(out: Path | None) -> None:
    """Refuse to write a map as anything but HTML. Raises CommandFailed."""
    if out is not None and out.suffix.lower() not in _PAGES:
        raise CommandFailed(
            f"A map is written as HTML, and {out} does not end in .html.",
            Exit.USAGE,
            remedy=f"For example: --out {out.with_suffix('.html')}" if out.name else "For example: --out map.html",
        )


def show_map(found: wire.PoolMap) -> None:
    """The map of a pool as a table."""
    rows = [
        (each.participant, each.sample, f"{each.x:+.3f}", f"{each.y:+.3f}", each.gate or each.cluster)
        for each in found.points
    ]
    print_table(("participant", "sample", "x", "y", "cluster or gate"), rows, empty="No answer has a vector.")


def write_map(found: wire.PoolMap, out: Path, title: str, contests: Sequence[wire.Contest]) -> None:
    """The map of a pool as a page, with what its clusters contradict one another in. Raises CommandFailed."""
    try:
        figure = _figure(found, "<br>".join([title, *map(_told, contests)]))
    except ImportError:
        raise CommandFailed(
            "The plot needs an optional extra.",
            Exit.USAGE,
            remedy="pip install 'semantic-consensus[report]', or use --json.",
        ) from None
    try:
        out.write_text(figure.to_html(include_plotlyjs=True, div_id="map"), encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written: {error.strerror}.", Exit.FAILED) from None


def _told(contest: wire.Contest) -> str:
    """A line under the title of a page: which clusters contradict one another, and by which words."""
    sides = f"cluster {contest.first}: {contest.words_first!r} / cluster {contest.second}: {contest.words_second!r}"
    return f"<sub>{escape(sides)} ({escape(contest.kind)})</sub>"


def _figure(found: wire.PoolMap, title: str) -> "Figure":
    """One trace for each cluster, and one for what was kept out; the chosen answer is a star."""
    from plotly.graph_objects import Figure, Scatter  # noqa: PLC0415 - an extra

    figure = Figure()
    groups = sorted({(each.cluster is None, each.cluster or 0) for each in found.points})
    for out, cluster in groups:
        points = [each for each in found.points if (each.cluster is None, each.cluster or 0) == (out, cluster)]
        figure.add_trace(
            Scatter(
                x=[each.x for each in points],
                y=[each.y for each in points],
                mode="markers+text",
                name="kept out" if out else f"cluster {cluster}",
                text=[each.participant for each in points],
                textposition="top center",
                hovertext=[each.gate or "" for each in points],
                marker={"size": 12, "symbol": ["star" if each.chosen else "x" if out else "circle" for each in points]},
            )
        )
    parts = found.explained or (None, None)
    names = [found.method if part is None else f"{found.method} ({part:.0%} of the variance)" for part in parts]
    figure.update_layout(title=title, xaxis_title=names[0], yaxis_title=names[1], template="plotly_white")
    figure.update_yaxes(scaleanchor="x")
    return figure


def show_erasure(erased: wire.Erasure) -> None:
    """Say what is gone, round by round, and what is left of it."""
    for each in erased.rounds:
        left = f"; the seal stays: {each.count} answers, digest {each.digest[:12]}..." if each.digest else ""
        say(
            f"Round {each.round}: {each.answers} answers erased, {each.labels} pseudo-labels without their text since{left}"
        )
    if not erased.rounds:
        say(f"No round was decided with answers of {erased.participant}; those that were not sealed are deleted.")
