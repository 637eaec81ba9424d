"""Published rounds looked at again: maps of pools, and what another policy would have decided."""

from typing import Annotated

from fastapi import Query

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, PromptName, RoundNumber, Service
from consensus_server.service.access import OPERATORS

router = api_router("inspection")


@router.get(routes.MAP)
def map_pool(
    *,
    federation: FederationName,
    number: RoundNumber,
    prompt_id: PromptName,
    caller: CallerOf,
    service: Service,
    method: Annotated[
        str, Query(max_length=32, description="`pca`, or `umap` where the server has that extra.")
    ] = "pca",
) -> wire.PoolMap:
    """The answers to a prompt in two dimensions: all named for operators, their own for participants."""
    found = service.inspection.map(caller, federation, number, prompt_id, method=method)
    return translate.to_wire(wire.PoolMap, found)


@router.post(routes.WHAT_IF)
@admits(OPERATORS)
def what_if(
    federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service, policy: wire.ConsensusPolicy
) -> wire.WhatIf:
    """A published round as another policy would have decided it, from what is stored. For operators."""
    found = service.inspection.what_if(caller, federation, number, translate.policy(policy))
    return translate.to_wire(wire.WhatIf, found)
