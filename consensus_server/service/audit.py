"""What is kept of administrative acts, in the transaction in which they are done: the one place that knows their form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from client_kit.vocabulary import RoundState
from consensus_server.core.audit import Act, Head, followed
from consensus_server.core.rounds import Round
from consensus_server.core.tokens import Invitation, Operator, Token
from consensus_server.ports import Store, Transaction
from consensus_server.service.access import Caller

SERVER: Final = "server"
"""The actor where time or a worker acts, and nobody."""


def noted(
    tx: Transaction,
    by: Caller | str,
    action: str,
    at: datetime,
    *,
    federation: str | None = None,
    subject: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an act to the audit record; it is there if the transaction ends well. No secret and no text of an answer belongs in it."""
    actor = by if isinstance(by, str) else by.title
    tx.audit.add(
        Act(
            at=at, actor=actor, action=action, federation=federation, subject=subject,
            before=dict(before or {}), after=dict(after or {}),
        )
    )  # fmt: skip


def noted_token(
    tx: Transaction,
    by: Caller | str,
    action: str,
    at: datetime,
    token: Token,
    **more: Any,  # noqa: ANN401 - values of JSON
) -> None:
    """Add what was done to a token. more: beside what the token says of itself."""
    holder = token.holder
    home = None if isinstance(holder, Operator) else holder.federation
    noted(tx, by, action, at, federation=home, subject=holder.name, after={**described(token), **more})


def noted_round(tx: Transaction, by: Caller | str, round_: Round, at: datetime) -> None:
    """Add that a round is in another state."""
    after = {
        "labels": round_.labels if round_.state is RoundState.PUBLISHED else None,
        "failure": None if round_.failure is None else round_.failure.code,
        "sealed": round_.attendance.sealed,
    }
    told = {name: value for name, value in after.items() if value is not None}
    noted(
        tx,
        by,
        f"round.{round_.state.value}",
        at,
        federation=round_.federation,
        subject=f"round {round_.number}",
        after=told,
    )


def described(token: Token) -> dict[str, Any]:
    """A token as the record has it."""
    expires = None if token.expires_at is None else token.expires_at.isoformat()
    return {"token": token.id, "scopes": sorted(token.scopes), "expires_at": expires}


def invited(invitation: Invitation) -> dict[str, Any]:
    """An invitation as the record has it."""
    return {
        "invitation": invitation.id,
        "role": invitation.role.value,
        "participant": invitation.participant,
        "expires_at": invitation.expires_at.isoformat(),
    }


def checked(store: Store, kept: str | None = None) -> Head:
    """The end of the server's record, after a look at every line. Raises `core.audit.ChainBroken`."""
    with store.reading() as tx:
        return followed(tx.audit.lines(), kept)
