"""Parts of the path that many routes take, and the use cases that they call."""

from typing import Annotated, TypeAlias

from fastapi import Depends, Path, Query, Request

from client_kit.wire.limits import YEAR_SECONDS, Digest, Name, PromptId
from consensus_server.http_api.context import ApiContext, UseCases, context_of
from consensus_server.service.settling import MAX_NUMBER

FederationName: TypeAlias = Annotated[Name, Path(description="Name of the federation.")]
ParticipantName: TypeAlias = Annotated[Name, Path(description="Name of the participant.")]
OperatorName: TypeAlias = Annotated[Name, Path(description="Name of an operator of the server.")]
TokenId: TypeAlias = Annotated[str, Path(max_length=64, description="Id of a token, as its list has it.")]
GraceSeconds: TypeAlias = Annotated[
    float, Query(ge=0, le=YEAR_SECONDS, allow_inf_nan=False, description="How long the token still holds.")
]
InvitationId: TypeAlias = Annotated[str, Path(max_length=64, description="Id of an invitation, as its list has it.")]
RoundNumber: TypeAlias = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="Number of the round, from 1.")]
SetDigest: TypeAlias = Annotated[Digest, Path(description="Digest of the prompt set.")]
PromptName: TypeAlias = Annotated[PromptId, Path(description="Id of the prompt.")]


# Coroutines, though they wait for nothing: FastAPI calls a plain function in a worker thread, and the way there and back
# takes longer than what these do.


async def _context(request: Request) -> ApiContext:
    return context_of(request)


Context: TypeAlias = Annotated[ApiContext, Depends(_context)]


async def _use_cases(context: Context) -> UseCases:
    return context.use_cases


Service: TypeAlias = Annotated[UseCases, Depends(_use_cases)]
