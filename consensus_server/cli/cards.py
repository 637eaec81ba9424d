"""`consensus-server round card`: what made a published round, for people."""

import typer

from client_kit import wire
from client_kit.command_line import JsonOption, print_json, print_table, say
from client_kit.wire.rounds import alarms
from consensus_server.cli.federations import NameArgument
from consensus_server.cli.operating import on_server
from consensus_server.cli.rounds import NumberArgument, last_published
from consensus_server.core.errors import RoundFailed, RoundNotPublished, UnknownRound
from consensus_server.http_api import translate
from consensus_server.service.access import SERVER_OPERATOR
from consensus_server.wiring import Server


def register(rounds: typer.Typer) -> None:
    """Add the command about one round."""
    rounds.command(epilog="Example: consensus-server round card clinics 3 --json")(card)


@on_server
def card(
    server: Server, federation: NameArgument, number: NumberArgument = None, *, as_json: JsonOption = False
) -> None:
    """What made a published round: counts, policy, encoder, bytes, and what participants state about privacy."""
    chosen = last_published(server, federation, number)
    found = translate.to_wire(wire.RoundCard, server.use_cases.pseudo_labels.card(SERVER_OPERATOR, federation, chosen))
    if as_json:
        print_json(found)
        return
    _show(found)
    for alarm in alarms(found, _card(server, federation, chosen - 1)):
        say(f"Warning: {alarm}.")


def _card(server: Server, federation: str, number: int) -> wire.RoundCard | None:
    """The card of a round; None where there is none."""
    try:
        record = server.use_cases.pseudo_labels.card(SERVER_OPERATOR, federation, number)
    except (UnknownRound, RoundFailed, RoundNotPublished):
        return None
    return translate.to_wire(wire.RoundCard, record)


def _show(card: wire.RoundCard) -> None:
    counts = card.counts
    say(f"Round {card.number} of {card.federation}, published {card.published_at}.")
    say(
        f"{counts.answers} answers of {counts.submissions} participants to {counts.prompts} prompts, {counts.admitted} "
        f"admitted: {counts.labels} pseudo-labels, {sum(counts.abstentions.values())} abstentions."
    )
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
        rows.append((name, *ways, _words(stated.get(name))))
    print_table(("participant", "bytes received", "bytes sent", "states"), rows, empty="No bytes were counted.")


def _show_spread(spread: wire.Spread | None) -> None:
    if spread is not None:
        say(
            f"Mean standing of {spread.participants} participants: {spread.lowest:+.2f} to {spread.highest:+.2f}, median "
            f"{spread.median:+.2f}; {spread.newcomers} newcomers, {spread.drifted} drifted."
        )


def _words(stated: wire.PrivacyStatement | None) -> str:
    return "nothing" if stated is None else f"epsilon {stated.epsilon:.3g} at delta {stated.delta:.3g}"
