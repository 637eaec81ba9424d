"""Operators of the server by name, so that each has tokens of its own and nobody has to share one."""

from dataclasses import dataclass

from consensus_server.core.errors import UnknownOperator
from consensus_server.core.tokens import Operator, Token
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service import tokens
from consensus_server.service.access import Caller, require_server_operator, require_valid
from consensus_server.service.audit import noted, noted_token
from consensus_server.service.tokens import ALL_OF_THE_ROLE, Revocation, TokenWish


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """An operator of the server with its new token, which nobody can see again."""

    operator: Operator
    token: str
    kept: Token


class Operators:
    """Operators of the server. For operators of the server; tokens for those who have them too.

    The token of the settings, and whoever reaches the database, can always add another: the last one locks nobody out.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, caller: Caller, name: str, wish: TokenWish = ALL_OF_THE_ROLE) -> OperatorToken:
        """A new operator with its first token. Raises Forbidden, OutOfScope, AlreadyExists, ValidationFailed."""
        require_server_operator(caller)
        now = self._clock.now()
        with self._store.writing() as tx:
            require_valid(tx, caller, lock=True)
            tokens.require_may_issue(tx, caller)
            operator = tx.operators.add(name, at=now)
            text, kept = tokens.issue(tx, operator, tokens.granted(caller, operator, wish), now)
            noted_token(tx, caller, "operator.added", now, kept)
        return OperatorToken(operator, text, kept)

    def all(self, caller: Caller) -> tuple[Operator, ...]:
        """By name. Raises Forbidden, OutOfScope."""
        require_server_operator(caller)
        with self._store.reading() as tx:
            require_valid(tx, caller)
            return tx.operators.all()

    def remove(self, caller: Caller, name: str) -> None:
        """Forget an operator; its tokens end at once. Raises Forbidden, OutOfScope, UnknownOperator."""
        require_server_operator(caller)
        with self._store.writing() as tx:
            operator = _operator(tx, name, lock=True)
            require_valid(tx, caller)
            tx.operators.remove(operator)
            noted(tx, caller, "operator.removed", self._clock.now(), subject=name)

    def renew_token(self, caller: Caller, name: str, wish: TokenWish = ALL_OF_THE_ROLE) -> OperatorToken:
        """A new token; those before it end as `Participants.renew_token` has it, whose errors it raises, and UnknownOperator."""
        with self._store.writing() as tx:
            operator = _holder(tx, caller, name, lock=True)
            text, kept = tokens.replace(tx, caller, operator, wish, self._clock.now())
        return OperatorToken(operator, text, kept)

    def tokens(self, caller: Caller, name: str) -> tuple[Token, ...]:
        """Those of an operator, oldest first; nothing of them can be used. Raises Forbidden, OutOfScope, UnknownOperator."""
        with self._store.reading() as tx:
            return tx.tokens.of(_holder(tx, caller, name))

    def revoke_token(self, caller: Caller, name: str, wanted: Revocation) -> None:
        """End one token. Raises Forbidden, OutOfScope, UnknownOperator, UnknownToken."""
        with self._store.writing() as tx:
            tokens.revoke(tx, caller, _holder(tx, caller, name, lock=True), wanted, self._clock.now())


def _holder(tx: Transaction, caller: Caller, name: str, *, lock: bool = False) -> Operator:
    """The operator, for itself with any token and for other operators of the server. lock: one at a time changes its tokens."""
    found = tx.operators.get(name, lock=lock)
    require_valid(tx, caller)
    if found is None or tokens.own_token(tx, caller, found) is None:
        require_server_operator(caller)
    return _operator(tx, name)


def _operator(tx: Transaction, name: str, *, lock: bool = False) -> Operator:
    operator = tx.operators.get(name, lock=lock)
    if operator is None:
        raise UnknownOperator(f"The server has no operator {name}.")
    return operator
