"""Who may send a body, checked before a byte of it is read: the work of a request begins with its right.

Use cases check the same again in the transaction that acts. This check asks nothing of the database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlette.requests import Request

from client_kit.vocabulary import Role
from consensus_server.service.access import Caller, require_right, require_server_operator, unknown_federation

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_ATTRIBUTE: Final = "admits"


@dataclass(frozen=True, slots=True)
class Admits:
    """Whose bodies a route reads."""

    roles: frozenset[Role]
    server_only: bool = False
    """Only those of operators of the server; those may be large."""
    any_scope: bool = False
    """Of a token that may be for anything: it is about the token itself."""

    def check(self, request: Request, caller: Caller) -> None:
        """Raises UnknownFederation for a federation that is not the caller's, Forbidden and OutOfScope."""
        name = request.path_params.get("federation")
        if name is not None and caller.federation not in {None, name}:
            raise unknown_federation(caller, name)
        if self.server_only:
            require_server_operator(caller)
        if not self.any_scope:
            require_right(caller, self.roles)


def admits(
    roles: frozenset[Role], *, server_only: bool = False, any_scope: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Says whose bodies a route reads. Stands below the decorator of the router."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, Admits(roles, server_only, any_scope))
        return endpoint

    return mark


def admission_of(endpoint: Callable[..., Any]) -> Admits | None:
    """What `admits` said of a route; None where it said nothing."""
    found: Admits | None = getattr(endpoint, _ATTRIBUTE, None)
    return found
