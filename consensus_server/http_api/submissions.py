"""Submissions: NDJSON in, whole or not at all; then the seal. For participants."""

from typing import Annotated

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool

from client_kit import wire
from client_kit.wire import routes
from consensus_server.core.privacy import PrivacyStatement
from consensus_server.core.rounds import SubmissionReceipt
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.bodies import parse_ndjson, read_sent
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.memory import held_by
from consensus_server.http_api.openapi import ndjson_of, problem_responses
from consensus_server.http_api.path_parameters import Context, FederationName, RoundNumber, Service
from consensus_server.service.access import PARTICIPANTS

router = api_router("submissions")

_BODY = {
    "requestBody": {
        "required": True,
        "description": "One answer a line; Content-Encoding identity, gzip or zstd; at most 16 MiB after decompression.",
        "content": ndjson_of(wire.Answer),
    }
}


@router.put(routes.SUBMISSIONS, openapi_extra=_BODY, responses=problem_responses(415))
@admits(PARTICIPANTS)
async def submit(
    *,
    federation: FederationName,
    number: RoundNumber,
    request: Request,
    caller: CallerOf,
    context: Context,
    replace: Annotated[bool, Query(description="Another text takes the place of the one held.")] = False,
) -> wire.SubmissionReceipt:
    """Keep answers of the caller, all of the request or none. The same again changes nothing."""
    submissions = context.use_cases.submissions
    most_rows = await run_in_threadpool(submissions.admit, caller, federation, number)
    body = await read_sent(request, context.options.body_limits, held_by(request.scope).take)

    def store() -> SubmissionReceipt:
        answers = translate.answers(parse_ndjson(body, wire.Answer, most_rows, held_by(request.scope).take))
        return submissions.store(caller, federation, number, answers, replace=replace)

    receipt = await run_in_threadpool(store)
    context.metrics.answers.inc(receipt.stored)
    return translate.to_wire(wire.SubmissionReceipt, receipt)


@router.get(routes.SUBMISSIONS)
def get_submission(
    federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service
) -> wire.HeldSubmission:
    """Keys and digests of what is held of the caller's submission, so that a client resumes."""
    return translate.to_wire(wire.HeldSubmission, service.submissions.held(caller, federation, number))


@router.delete(routes.SUBMISSIONS)
def withdraw_submission(
    federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service
) -> wire.Withdrawal:
    """Forget what is held of the caller's submission. Before its seal only."""
    return wire.Withdrawal(withdrawn=service.submissions.withdraw(caller, federation, number))


@router.post(routes.SEAL)
@admits(PARTICIPANTS)
def seal_submission(
    federation: FederationName, number: RoundNumber, seal: wire.Seal, caller: CallerOf, service: Service
) -> wire.SealReceipt:
    """Declare the submission complete. Repeated, it gives the same receipt."""
    receipt = service.submissions.seal(
        caller, federation, number, count=seal.count, digest=seal.digest, training_rights=seal.training_rights,
        privacy=None if seal.privacy is None else translate.to_core(PrivacyStatement, seal.privacy),
        taught_through=seal.taught_through, carried_from=seal.carried_from, signature=seal.signature,
    )  # fmt: skip
    return translate.to_wire(wire.SealReceipt, receipt)
