"""What is about to leave in a round waits for a person at the site. Files of its work folder are all that is asked: no server has a say.

round-001/submission.jsonl   the answers, exactly as they would leave
round-001/approval.json      what is asked (`Preview`)
round-001/decision.json      what a person decided (`Decision`), bound to the digest of the answers that were shown
"""

import getpass
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from client_kit.errors import NotApproved
from client_kit.exports import write_whole
from client_kit.federation.models import round_folder
from client_kit.federation.outgoing import digest_of
from client_kit.wire import Answer, Prompt

ASKED, DECIDED = "approval.json", "decision.json"
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a person is asked about."""

    federation: str
    server: str
    round: int
    digest: str
    """Of the answers, as a seal has it."""
    answers: int
    bytes: int
    """Of the answers as lines, before compression."""
    deadline: str | None = None
    """Of the round, in ISO 8601; None: it has none, or is not open yet."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Answers that do not leave, by reason."""
    personal: Mapping[str, int] = field(default_factory=dict)
    """Personal data that was found, by kind."""
    carried_from: int | None = None
    """An earlier round whose answers stand: they are sealed once more, and sent only where the server has others."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Texts of the prompts that are answered."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person at the site decided."""

    digest: str
    """Of the answers that were shown; of no other answers does it say anything."""
    approved: bool
    at: str
    by: str
    """As the system calls whoever decided."""


Ask = Callable[[Preview], bool | None]
"""Asks a person at once; None where there is none, or none decides now."""


def preview(
    federation: str, server: str, number: int, answers: Sequence[Answer], prompts: Sequence[Prompt], *,
    deadline: datetime | None, dropped: Mapping[str, int], personal: Mapping[str, int], carried_from: int | None,
) -> Preview:  # fmt: skip
    """What a person is asked about these answers."""
    answered = {answer.prompt_id for answer in answers}
    return Preview(
        federation=federation, server=server, round=number, digest=digest_of(answers), answers=len(answers),
        bytes=sum(len(answer.model_dump_json(exclude_none=True).encode()) + 1 for answer in answers),
        deadline=None if deadline is None else deadline.isoformat(timespec="seconds"), dropped=dropped, personal=personal,
        carried_from=carried_from, prompts={each.prompt_id: each.prompt for each in prompts if each.prompt_id in answered},
    )  # fmt: skip


def summary(asked: Preview) -> str:
    """What a person is asked, in a few lines."""
    counts = ", ".join(f"{count} {reason}" for reason, count in asked.dropped.items())
    found = ", ".join(f"{count} {kind}" for kind, count in asked.personal.items())
    lines = [
        f"Round {asked.round} of {asked.federation}: {asked.answers} answers to {len(asked.prompts)} prompts would leave for {asked.server}.",
        f"  {asked.bytes:,} bytes before compression, digest {asked.digest}",
        f"  The round ends {asked.deadline}." if asked.deadline else "",
        f"  They are those of round {asked.carried_from}, and stand for this one." if asked.carried_from else "",
        f"  Not among them: {counts}." if counts else "",
        f"  Personal data found: {found}." if found else "",
        f"  Read them: consensus approve {asked.round} --show",
    ]
    return "\n".join(filter(None, lines))


def approved(
    work: Path, asked: Preview, ask: Ask | None, waiting: Callable[[], None], patience_seconds: float | None = None
) -> None:
    """Return once a person approved these answers, now or before a restart; other answers are asked about anew.

    waiting: is called once, before the wait for `consensus approve`. Raises NotApproved where they are refused, and where nobody decided
    before the round's deadline or within `patience_seconds`.
    """
    began = time.monotonic()
    if (held := decision_of(work, asked.round)) is None or held.digest != asked.digest:
        write_whole(
            round_folder(work, asked.round) / ASKED, json.dumps(asdict(asked), ensure_ascii=False, indent=1) + "\n"
        )
        if ask is not None and (answer := ask(asked)) is not None:
            decide(work, asked.round, asked.digest, approve=answer)
        else:
            waiting()
    while (held := decision_of(work, asked.round)) is None or held.digest != asked.digest:
        _stop_where_too_late(asked, time.monotonic() - began, patience_seconds)
        time.sleep(POLL_SECONDS)
    if not held.approved:
        raise NotApproved(
            f"{held.by} refused the answers of round {asked.round} ({asked.digest[:12]}); nothing was sent"
        )


def decide(work: Path, number: int, digest: str, *, approve: bool) -> Decision:
    """Keep what a person decided about the answers of a digest."""
    decision = Decision(digest, approve, datetime.now(UTC).isoformat(timespec="seconds"), whoever())
    write_whole(round_folder(work, number) / DECIDED, json.dumps(asdict(decision)) + "\n")
    return decision


def decision_of(work: Path, number: int) -> Decision | None:
    """What was decided about a round, whatever answers it was about; None where nothing was."""
    file = round_folder(work, number) / DECIDED
    return Decision(**json.loads(file.read_text("utf-8"))) if file.exists() else None


def asked_of(work: Path, number: int) -> Preview | None:
    """What was last asked about a round; None where nothing was."""
    file = round_folder(work, number) / ASKED
    return Preview(**json.loads(file.read_text("utf-8"))) if file.exists() else None


def rounds_asked(work: Path) -> list[int]:
    """Rounds about which something was asked."""
    return sorted(int(file.parent.name.removeprefix("round-")) for file in work.glob(f"round-*/{ASKED}"))


def whoever() -> str:
    """Who runs this program, as the system calls them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _stop_where_too_late(asked: Preview, waited_seconds: float, patience_seconds: float | None) -> None:
    if asked.deadline is not None and datetime.now(UTC) > datetime.fromisoformat(asked.deadline):
        raise NotApproved(f"nobody approved the answers of round {asked.round} before its deadline; nothing was sent")
    if patience_seconds is not None and waited_seconds > patience_seconds:
        raise NotApproved(
            f"nobody approved the answers of round {asked.round} within {patience_seconds:g} seconds (patience_seconds); nothing was sent"
        )
