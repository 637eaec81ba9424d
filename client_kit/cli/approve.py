"""`consensus approve`: a person at the site decides what may leave. Nothing that a server sends can decide in its place."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from client_kit.cli.egress import SETTINGS, SettingsOption
from client_kit.cli.join import on_terminal, participant_settings
from client_kit.client import ConsensusClient
from client_kit.command_line import CommandFailed, Exit, JsonOption, print_json, print_table, say
from client_kit.errors import ConfigurationError
from client_kit.federation.agreed import Terms, approve_terms, approved_terms, differences, terms_of
from client_kit.federation.approval import Preview, asked_of, decide, decision_of, rounds_asked, summary
from client_kit.federation.configuration import participant_token
from client_kit.federation.joining import recorded
from client_kit.federation.outgoing import digest_of, kept
from client_kit.settings import ParticipantSettings
from client_kit.wire import Answer, Prompt

_FEDERATION = "federation"
_SHORTEST = 12
"""Hexadecimal digits that name a digest."""


def approve(
    what: Annotated[
        str,
        typer.Argument(help="Number of a round, or `federation` for its prompt set and policy; by default, a list."),
    ] = "",
    *,
    settings: SettingsOption = SETTINGS,
    listing: Annotated[bool, typer.Option("--list", help="List what waits, and what was decided.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show all of it, and decide nothing.")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse: the site sends nothing in this round.")] = False,
    digest: Annotated[
        str | None, typer.Option(help="What you looked at, by the beginning of its digest; without it you are asked.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Approve what would leave this site in a round, or a federation's prompt set and policy before the first answer.

    The approval holds for what was shown: other answers, prompts or another policy are asked about anew.

    Example: consensus approve 3 --settings participant.yaml
    """
    chosen = participant_settings(settings)
    if not what or listing:
        _list(chosen.work, as_json=as_json)
    elif what == _FEDERATION:
        _federation(chosen, digest, show=show, refuse=refuse, as_json=as_json)
    elif what.isdecimal():
        _round(chosen.work, int(what), digest, show=show, refuse=refuse, as_json=as_json)
    else:
        raise ConfigurationError(f"{what!r} is neither the number of a round nor {_FEDERATION!r}")


def _round(work: Path, number: int, digest: str | None, *, show: bool, refuse: bool, as_json: bool) -> None:
    asked, answers = asked_of(work, number), kept(work, number)
    if asked is None:
        raise CommandFailed(
            f"Nothing waits in round {number}.", Exit.FAILED, remedy="What does: consensus approve --list"
        )
    if digest_of(answers) != asked.digest:
        raise CommandFailed(
            f"The answers of round {number} have changed since they were asked about.", Exit.FAILED,
            remedy="Run consensus join again, which asks about them anew.",
        )  # fmt: skip
    if show:
        _show_round(asked, answers, as_json=as_json)
        return
    if not as_json:
        say(summary(asked))
    _confirmed(digest, asked.digest, "Refuse them?" if refuse else "May they leave?")
    decision = decide(work, number, asked.digest, approve=not refuse)
    if as_json:
        print_json(asdict(decision))
    else:
        say(f"Round {number}: {'refused' if refuse else 'approved'} by {decision.by}, digest {decision.digest[:12]}.")


def _show_round(asked: Preview, answers: Sequence[Answer], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {**asdict(asked), "submission": [each.model_dump(mode="json", exclude_none=True) for each in answers]}
        )
        return
    for answer in sorted(answers, key=lambda each: (each.prompt_id, each.sample)):
        say(
            f"{answer.prompt_id}: {asked.prompts.get(answer.prompt_id, '(a prompt that is not there)')}\n  {answer.text}"
        )
    say(summary(asked))


def _federation(chosen: ParticipantSettings, digest: str | None, *, show: bool, refuse: bool, as_json: bool) -> None:
    if refuse:
        raise ConfigurationError("a federation is not refused: whoever does not approve it runs no consensus join")
    with (
        recorded(chosen),
        ConsensusClient(chosen.server, participant_token(chosen), federation=chosen.federation) as client,
    ):
        prompts = client.prompts()
        terms = terms_of(client.federation(), prompts)
    if as_json and show:
        print_json({**asdict(terms), "texts": {each.prompt_id: each.prompt for each in prompts}})
        return
    if not as_json:
        _show_terms(chosen.work, terms, prompts if show else ())
    if show:
        return
    _confirmed(digest, terms.policy, "Do you approve this prompt set and policy?", terms.prompt_set)
    file = approve_terms(chosen.work, terms)
    if as_json:
        print_json({"prompt_set": terms.prompt_set, "policy": terms.policy, "file": str(file)})
    else:
        say(f"Approved in {file}. Where the server presents anything else, consensus join stops before it answers.")


def _show_terms(work: Path, terms: Terms, prompts: Sequence[Prompt]) -> None:
    for each in prompts:
        say(f"{each.prompt_id}: {each.prompt}")
    for part, said in terms.said.items():
        say(f"{part}: " + ", ".join(f"{name} {value}" for name, value in said.items()))
    say(f"prompt_set: sha256:{terms.prompt_set} ({len(terms.prompts)} prompts)\npolicy: sha256:{terms.policy}")
    if (held := approved_terms(work)) is not None:
        lines = list(differences(held, terms))
        say("\n".join(["Approved before; since then:", *lines]) if lines else "As approved before.")


def _confirmed(given: str | None, digest: str, question: str, *more: str) -> None:
    """Return where a person agrees to just this. Raises CommandFailed."""
    if given is not None:
        named = given.removeprefix("sha256:").lower()
        if len(named) >= _SHORTEST and any(each.startswith(named) for each in (digest, *more)):
            return
        raise CommandFailed(
            f"What is there now has the digest {digest}, and not {given}.", Exit.FAILED,
            remedy=f"Look at it with --show; --digest takes {_SHORTEST} digits or more.",
        )  # fmt: skip
    if not on_terminal():
        raise CommandFailed(
            "Nobody can be asked here: this is no terminal.", Exit.FAILED, remedy=f"Look at it with --show, then add --digest {digest[:_SHORTEST]}"
        )  # fmt: skip
    if not typer.confirm(question, err=True):
        raise CommandFailed("Nothing was decided.", Exit.FAILED)


def _list(work: Path, *, as_json: bool) -> None:
    rows = [(asked, decision_of(work, number)) for number in rounds_asked(work) if (asked := asked_of(work, number))]
    stands = [
        "waits" if held is None or held.digest != asked.digest else "approved" if held.approved else "refused"
        for asked, held in rows
    ]
    if as_json:
        print_json([{**asdict(asked), "state": state} for (asked, _), state in zip(rows, stands, strict=True)])
        return
    shown = [
        (asked.round, state, asked.answers, asked.digest[:12], asked.deadline)
        for (asked, _), state in zip(rows, stands, strict=True)
    ]
    print_table(("Round", "State", "Answers", "Digest", "Deadline"), shown, empty="Nothing waits for approval.")
