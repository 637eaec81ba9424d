"""Operators of the server by name, and their tokens."""

from typing import Annotated

from fastapi import Body, Response

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.participants import shown_once
from consensus_server.http_api.path_parameters import GraceSeconds, OperatorName, Service, TokenId
from consensus_server.service.access import MEMBERS, OPERATORS
from consensus_server.service.tokens import Revocation

router = api_router("operators")


@router.post(routes.OPERATORS, status_code=201)
@admits(OPERATORS, server_only=True)
def add_operator(
    create: wire.OperatorCreate, response: Response, caller: CallerOf, service: Service
) -> wire.OperatorToken:
    """Add an operator of the server. Its token is shown this once. For operators of the server."""
    issued = service.operators.add(caller, create.operator, translate.first_token_wish(create))
    return shown_once(response, translate.operator_token(issued))


@router.get(routes.OPERATORS)
@admits(OPERATORS, server_only=True)
def list_operators(caller: CallerOf, service: Service) -> wire.OperatorList:
    """Operators of the server that have names. For operators of the server."""
    return wire.OperatorList(items=[translate.operator(each) for each in service.operators.all(caller)])


@router.delete(routes.OPERATOR, status_code=204)
@admits(OPERATORS, server_only=True)
def remove_operator(operator: OperatorName, caller: CallerOf, service: Service) -> None:
    """Forget an operator of the server; its tokens end at once. For operators of the server."""
    service.operators.remove(caller, operator)


@router.post(routes.OPERATOR_TOKEN)
@admits(MEMBERS, any_scope=True)
def renew_operator_token(
    *,
    operator: OperatorName,
    wish: Annotated[wire.TokenWish, Body()] = wire.TokenWish(),  # noqa: B008 - frozen
    response: Response,
    caller: CallerOf,
    service: Service,
) -> wire.OperatorToken:
    """A new token; the old ones end, at once or after the grace that is asked for. For operators of the server."""
    issued = service.operators.renew_token(caller, operator, translate.token_wish(wish))
    return shown_once(response, translate.operator_token(issued))


@router.get(routes.OPERATOR_TOKENS)
@admits(MEMBERS, any_scope=True)
def list_operator_tokens(operator: OperatorName, caller: CallerOf, service: Service) -> wire.TokenList:
    """The tokens of an operator, without what could be used of them. For operators of the server."""
    return wire.TokenList(items=[translate.token(each) for each in service.operators.tokens(caller, operator)])


@router.delete(routes.ONE_OPERATOR_TOKEN, status_code=204)
@admits(MEMBERS, any_scope=True)
def revoke_operator_token(
    operator: OperatorName, token: TokenId, caller: CallerOf, service: Service, grace_seconds: GraceSeconds = 0.0
) -> None:
    """End one token of an operator, at once or after the grace that is asked for. For operators of the server."""
    service.operators.revoke_token(caller, operator, Revocation(token, grace_seconds))
