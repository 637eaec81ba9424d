"""How tokens are issued, take each other's place and end: the same for participants and for operators of the server."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from client_kit.vocabulary import Role, Scope
from consensus_server.core.errors import Fault, Forbidden, OutOfScope, Unauthenticated, UnknownToken, ValidationFailed
from consensus_server.core.federations import Participant
from consensus_server.core.tokens import SCOPES_OF, SCOPES_OF_THE_SERVER, Grant, Operator, Token
from consensus_server.ports import Transaction
from consensus_server.service.access import Caller, new_token, token_hash, valid_token
from consensus_server.service.audit import noted_token

MOST_TOKENS = 16
"""Valid ones of one holder: enough for a purpose each and their rotation, and few enough to be looked through."""

KEPT = timedelta(days=30)
"""How long a token is known after its expiry, so that whoever still has it is told why it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWish:
    """What is asked of a new token, and of those before it."""

    scopes: frozenset[Scope] | None = None
    """None: every one of the role, or for a token that its holder replaces, those that it had."""
    lifetime_seconds: float | None = None
    """None: until it is revoked, or for a token that its holder replaces, as long as that one's."""
    grace_seconds: float = 0.0
    """How long those that it replaces still hold; 0: they end at once."""
    keep: bool = False
    """It replaces none."""


ALL_OF_THE_ROLE = TokenWish()


def issue(tx: Transaction, holder: Participant | Operator, grant: Grant, now: datetime) -> tuple[str, Token]:
    """A new token, and what is kept of it. Raises ValidationFailed where the holder has too many."""
    _forget_old(tx, holder, now)
    if len([each for each in tx.tokens.of(holder) if not each.has_expired(now)]) >= MOST_TOKENS:
        raise ValidationFailed(
            f"{holder.name} has {MOST_TOKENS} valid tokens, which is the most that one can have.",
            remedy="Revoke those that nobody needs: their list says when each was last used.",
        )
    text = new_token()
    token = Token(
        digest=token_hash(text),
        holder=holder,
        scopes=grant.scopes,
        created_at=now,
        expires_at=grant.expires_at(now),
    )
    tx.tokens.add(token)
    return text, token


def replace(
    tx: Transaction, caller: Caller, holder: Participant | Operator, wish: TokenWish, now: datetime
) -> tuple[str, Token]:
    """A new token in the place of others: of the calling one, where its holder asks, else of all that the holder has.

    Whoever else asks must have been found to be an operator. Raises ValidationFailed, OutOfScope for scopes that the caller
    has not and may not hand on, and Forbidden for a token that was itself replaced.
    """
    _require_own_to_give(caller)
    own = own_token(tx, caller, holder)
    grant = granted(caller, holder, wish) if own is None else _granted_again(own, wish)
    before = () if wish.keep else tx.tokens.of(holder) if own is None else (own,)
    end(tx, before, now, wish.grace_seconds)
    text, token = issue(tx, holder, grant, now)
    ended = {"replaces": [each.id for each in before], "grace_seconds": wish.grace_seconds}
    noted_token(tx, caller, "token.issued", now, token, **ended)
    return text, token


def _require_own_to_give(caller: Caller) -> None:
    """Who may act only as long as an identity provider vouches for it makes no token that outlives that."""
    if caller.identity is not None and caller.role is not Role.OPERATOR:
        raise Forbidden("A token of an identity provider is renewed there.", remedy="Sign in again.")


def own_token(tx: Transaction, caller: Caller, holder: Participant | Operator) -> Token | None:
    """The calling token, where its holder is this one. Raises Forbidden where another took its place, and Unauthenticated."""
    if caller.token is None:
        return None
    token = valid_token(
        tx, caller.token, caller.clock
    )  # once more: nobody whose token has just ended counts as another
    _require_in_place(token)
    return token if token.holder == holder else None


def require_may_issue(tx: Transaction, caller: Caller) -> None:
    """Raise Forbidden where another token took the place of the caller's: whoever stole it cannot outlive its grace."""
    if caller.token is not None:
        _require_in_place(valid_token(tx, caller.token, caller.clock))


def _require_in_place(token: Token) -> None:
    if token.replaced:
        raise Forbidden("Another token took the place of this one, which only ends.", remedy="Use the newer token.")


def end(tx: Transaction, tokens: Collection[Token], now: datetime, grace_seconds: float = 0.0) -> None:
    """End tokens, at once or after a while. Raises Unauthenticated where somebody else ended one in this moment."""
    at = now + timedelta(seconds=grace_seconds) if grace_seconds else None
    for token in tokens:
        if not tx.tokens.end(token, at=at):
            raise Unauthenticated("The token was ended by another request.")


@dataclass(frozen=True, slots=True)
class Revocation:
    """Which token is to end, and how long it still holds; 0: not at all."""

    token_id: str
    grace_seconds: float = 0.0


def revoke(tx: Transaction, caller: Caller, holder: Participant | Operator, wanted: Revocation, now: datetime) -> Token:
    """End one token. Raises UnknownToken, and Forbidden for a caller whose own token was replaced."""
    own_token(tx, caller, holder)
    for token in tx.tokens.of(holder):
        if token.id == wanted.token_id:
            end(tx, [token], now, wanted.grace_seconds)
            noted_token(tx, caller, "token.revoked", now, token, grace_seconds=wanted.grace_seconds)
            return token
    raise UnknownToken(f"{holder.name} has no token {wanted.token_id}.")


def granted(caller: Caller, holder: Participant | Operator, wish: TokenWish) -> Grant:
    """What an operator gives. Raises ValidationFailed for scopes that the role has not, and OutOfScope as `replace` does."""
    if isinstance(holder, Participant):
        return granted_to(caller, holder.role, wish)
    return _granted(caller, SCOPES_OF_THE_SERVER, wish, operates=True)


def granted_to(caller: Caller, role: Role, wish: TokenWish) -> Grant:
    """`granted` for a participant of a role."""
    return _granted(caller, SCOPES_OF[role], wish, operates=role is Role.OPERATOR)


def _granted(caller: Caller, allowed: frozenset[Scope], wish: TokenWish, *, operates: bool) -> Grant:
    """operates: the token is an operator's, and gets no scope that the caller has not."""
    most = allowed & caller.scopes if operates else allowed
    scopes = most if wish.scopes is None else wish.scopes
    _require_within(scopes, allowed)
    if not scopes <= most:
        raise OutOfScope(f"A token without the scope {_listed(scopes - most)} gives it to no other operator.")
    return Grant(scopes=scopes, lifetime_seconds=wish.lifetime_seconds)


def _granted_again(own: Token, wish: TokenWish) -> Grant:
    scopes = own.scopes if wish.scopes is None else wish.scopes
    if not scopes <= own.scopes:
        raise OutOfScope(
            f"A token that takes the place of this one cannot have the scope {_listed(scopes - own.scopes)}."
        )
    most = None if own.lifetime is None else own.lifetime.total_seconds()
    seconds = most if wish.lifetime_seconds is None else wish.lifetime_seconds
    if most is not None and seconds is not None and seconds > most:
        fault = Fault("lifetime_seconds", f"{seconds:g}; the token before it has {most:g}, and its successor no more.")
        raise ValidationFailed(f"lifetime_seconds: {fault.message}", [fault])
    return Grant(scopes=scopes, lifetime_seconds=seconds)


def _require_within(scopes: frozenset[Scope], allowed: frozenset[Scope]) -> None:
    if not scopes or not scopes <= allowed:
        said = _listed(scopes - allowed) or "none"
        fault = Fault("scopes", f"{said}; this holder can have {_listed(allowed)}.")
        raise ValidationFailed(f"scopes: {fault.message}", [fault])


def _listed(scopes: frozenset[Scope]) -> str:
    return ", ".join(sorted(scopes))


def _forget_old(tx: Transaction, holder: Participant | Operator, now: datetime) -> None:
    for token in tx.tokens.of(holder):
        if token.has_expired(now - KEPT):
            tx.tokens.end(token)
