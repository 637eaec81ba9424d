"""Prompt sets: uploaded once, pinned by digest."""

from typing import Annotated

from fastapi import Header, Response
from starlette.responses import StreamingResponse

from client_kit import wire
from client_kit.wire import routes
from consensus_server.core.errors import ValidationFailed
from consensus_server.core.federations import Manifest, Prompt
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.openapi import Responses, ndjson_of
from consensus_server.http_api.path_parameters import Service, SetDigest
from consensus_server.service.access import OPERATORS

router = api_router("prompt sets")

KIT_OF_BEFORE = "semantic-consensus/0.1.0"
"""The User-Agent of a kit that knows closed lists of what labels and prompts hold, and fails without a word where there is more."""

FOREVER = "private, max-age=31536000, immutable"
"""Cache-Control of what never changes. Private: it is for those who have a token."""

_HELD_ALREADY: Responses = {200: {"model": wire.Manifest, "description": "The prompt set is held already"}}


@router.post(routes.PROMPT_SETS, status_code=201, responses=_HELD_ALREADY)
@admits(OPERATORS, server_only=True)
def add_prompt_set(
    upload: wire.PromptSetUpload, response: Response, caller: CallerOf, service: Service
) -> wire.Manifest:
    """Keep a prompt set. For the operator of the server; refused where manifest and prompts disagree."""
    added = service.prompt_sets.add(
        caller,
        translate.to_core(Manifest, upload.manifest),
        [translate.to_core(Prompt, each) for each in upload.prompts],
    )
    if not added:
        response.status_code = 200
    return translate.to_wire(wire.Manifest, service.prompt_sets.get(caller, upload.manifest.digest))


@router.get(routes.PROMPT_SETS)
def list_prompt_sets(caller: CallerOf, service: Service) -> wire.PromptSetList:
    """All prompt sets that the server holds, by their manifests."""
    return wire.PromptSetList(
        items=[translate.to_wire(wire.Manifest, each) for each in service.prompt_sets.all(caller)]
    )


@router.get(routes.PROMPT_SET)
def get_prompt_set(digest: SetDigest, caller: CallerOf, service: Service) -> wire.Manifest:
    """The manifest of one prompt set."""
    return translate.to_wire(wire.Manifest, service.prompt_sets.get(caller, digest))


@router.get(
    routes.PROMPTS,
    response_class=StreamingResponse,
    responses={200: {"content": ndjson_of(wire.Prompt), "description": "One prompt a line"}},
)
def get_prompts(
    digest: SetDigest,
    caller: CallerOf,
    service: Service,
    user_agent: Annotated[str, Header(include_in_schema=False)] = "",
) -> StreamingResponse:
    """The prompts of a set as NDJSON, in the order of `prompt_id`."""
    prompts = service.prompt_sets.prompts(caller, digest)
    if user_agent == KIT_OF_BEFORE and any(prompt.question is not None for prompt in prompts):
        raise ValidationFailed(
            "This set says which prompts ask the same question, and version 0.1.0 of the kit takes it for damaged.",
            remedy="Install a newer version of semantic-consensus where you take part.",
        )
    lines = (translate.to_wire(wire.Prompt, each).model_dump_json(exclude_none=True) + "\n" for each in prompts)
    return StreamingResponse(
        translate.pieces(lines), media_type=routes.NDJSON, headers={"Cache-Control": FOREVER, "ETag": f'W/"{digest}"'}
    )
