"""`/v1/chat/completions`, `/v1/completions`, `/v1/responses` and `/v1/models`, where `model` names a panel."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from client_kit.vocabulary import OnAbstention
from client_kit.wire import routes
from client_kit.wire.routes import EVENT_STREAM
from consensus_server.core.inference import RequestState
from consensus_server.http_api.context import ApiContext
from consensus_server.http_api.identity import documented_bearer
from consensus_server.http_api.metrics import Metrics
from consensus_server.http_api.openai_compat.answers import (
    ChatCompletion,
    ConsensusTold,
    ErrorEnvelope,
    Model,
    ModelList,
    TextCompletion,
)
from consensus_server.http_api.openai_compat.connected import while_connected
from consensus_server.http_api.openai_compat.depth import depth_of
from consensus_server.http_api.openai_compat.envelope import ENVELOPES, Abstained, EnvelopeRoute, enveloped
from consensus_server.http_api.openai_compat.forms import UnusableForm
from consensus_server.http_api.openai_compat.identity import PanelCallerOf
from consensus_server.http_api.openai_compat.requests import Asked, ChatRequest, CompletionRequest
from consensus_server.http_api.openai_compat.responses_answers import PanelResponse, events_of, panel_response
from consensus_server.http_api.openai_compat.responses_requests import ResponsesRequest
from consensus_server.http_api.openai_compat.streaming import STILL_DECIDING, STREAM_HEADERS, chunks, failed
from consensus_server.http_api.openai_compat.translate import (
    chat_choice,
    describe_consensus,
    spending_of,
    text_choice,
    usage_of,
)
from consensus_server.http_api.path_parameters import Context
from consensus_server.service.panels import Consensus, Panel, PanelCaller, QuorumMissed

Completion: TypeAlias = ChatCompletion | TextCompletion | PanelResponse

_MEANINGS = {
    400: "The request cannot be read, or asks for what a panel does not do",
    401: "No valid token",
    403: "The token was not issued for panels",
    404: "No such panel for this token",
    405: "This path takes another method",
    413: "The body is too large",
    415: "The Content-Encoding is not supported",
    422: "The panel abstains, and the client asked to hear of it as an error",
    429: "Too many requests; Retry-After says how long to wait",
    500: "The server failed",
    502: "Too many upstreams failed",
    503: "The encoder is still loading, or the server holds as much as it can",
    504: "Too few upstreams answered before the deadline",
}

router = APIRouter(
    route_class=EnvelopeRoute,
    tags=["inference"],
    dependencies=[Depends(documented_bearer)],
    responses={
        status: {"description": _MEANINGS[status], "model": ErrorEnvelope}
        for status in sorted({kind.status for kind in ENVELOPES.values()})
    },
    generate_unique_id_function=lambda route: route.name,
)

_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}


@router.post(routes.CHAT_COMPLETIONS, response_model=ChatCompletion, responses=_EVENTS)
async def create_chat_completion(
    asked: ChatRequest, request: Request, caller: PanelCallerOf, context: Context
) -> Response:
    """Put a conversation to the panel that `model` names; the answer is the one that most upstreams mean."""
    panel = await _panel(asked, caller, context)

    def made(consensus: Consensus) -> ChatCompletion:
        choices = [chat_choice(index, each, _told(asked, panel)) for index, each in enumerate(consensus.choices)]
        return ChatCompletion(id=f"chatcmpl-{uuid4().hex}", choices=choices, **_in_common(asked, panel, consensus))

    return await _sent(asked, request, context, panel, caller, made)


@router.post(routes.COMPLETIONS, response_model=TextCompletion, responses=_EVENTS)
async def create_completion(
    asked: CompletionRequest, request: Request, caller: PanelCallerOf, context: Context
) -> Response:
    """Put a bare text to the panel that `model` names; the answer is the one that most upstreams mean."""
    panel = await _panel(asked, caller, context)

    def made(consensus: Consensus) -> TextCompletion:
        choices = [text_choice(index, each, _told(asked, panel)) for index, each in enumerate(consensus.choices)]
        return TextCompletion(id=f"cmpl-{uuid4().hex}", choices=choices, **_in_common(asked, panel, consensus))

    return await _sent(asked, request, context, panel, caller, made)


@router.post(routes.RESPONSES, response_model=PanelResponse, responses=_EVENTS)
async def create_response(
    asked: ResponsesRequest, request: Request, caller: PanelCallerOf, context: Context
) -> Response:
    """The same as a chat, as OpenAI's Responses API has it: text in, text out, and nothing kept between requests."""
    panel = await _panel(asked, caller, context)

    def made(consensus: Consensus) -> PanelResponse:
        choice = chat_choice(0, consensus.choices[0], _told(asked, panel))
        warnings = [*asked.warnings, *_of_samples(asked, panel)]
        told = describe_consensus(panel, consensus, warnings, answers=asked.consensus.answers)
        return panel_response(asked, panel.name, choice, usage_of(consensus), told)

    return await _sent(asked, request, context, panel, caller, made)


@router.get(routes.MODELS)
def list_models(caller: PanelCallerOf, context: Context) -> ModelList:
    """The panels that the token may use, as OpenAI's API lists models."""
    return ModelList(data=[_model(panel) for panel in context.inference.panels(caller)])


@router.get(routes.MODEL)
def get_model(model: str, caller: PanelCallerOf, context: Context) -> Model:
    """One panel."""
    return _model(context.inference.panel(model, caller))


def _model(panel: Panel) -> Model:
    return Model(id=panel.name, created=0, owned_by="panel")


async def _panel(asked: Asked, caller: PanelCaller | None, context: ApiContext) -> Panel:
    """The panel that `model` names, with the equivalence that the request wants. Raises UnknownPanel and RequestValidationError."""
    panel = context.inference.panel(asked.model, caller)
    try:
        await run_in_threadpool(lambda: asked.form)  # which it keeps; a large schema would hold up everybody
    except UnusableForm as error:
        fault = {"type": "value_error", "loc": ("body", *error.where), "msg": str(error)}
        raise RequestValidationError([fault]) from None
    equivalence = asked.equivalence(panel.equivalence)
    return replace(panel, equivalence=equivalence, learns=equivalence == panel.equivalence)


async def _consensus(
    asked: Asked, context: ApiContext, panel: Panel, caller: PanelCaller | None, depth: int
) -> Consensus:
    started = time.perf_counter()
    try:
        consensus = await context.inference.answer(
            panel,
            replace(asked.question(), depth=depth),
            asked.choices,
            caller=caller,
            most_tokens=asked.consensus.max_total_tokens,
        )
    except QuorumMissed as error:
        _observe_requests(context.metrics, panel, error)
        outcome = "deadline_missed" if error.late else "quorum_missed"
        context.metrics.panel.labels(panel.name, outcome).observe(time.perf_counter() - started)
        raise
    _observe_requests(context.metrics, panel, consensus)
    outcome = "abstained" if consensus.choices[0].label.text is None else "answered"
    context.metrics.panel.labels(panel.name, outcome).observe(time.perf_counter() - started)
    context.metrics.panel_encoding.labels(panel.name).observe(consensus.encoding_seconds)
    if _told(asked, panel) is OnAbstention.ERROR and all(each.label.text is None for each in consensus.choices):
        raise Abstained(consensus)
    return consensus


def _told(asked: Asked, panel: Panel) -> OnAbstention:
    return asked.consensus.on_abstention or panel.on_abstention


def _observe_requests(metrics: Metrics, panel: Panel, ended: Consensus | QuorumMissed) -> None:
    told = spending_of(panel, ended.asked, ended.question)
    metrics.panel_requests.labels(panel.name, "made").inc(told.requests)
    metrics.panel_requests.labels(panel.name, RequestState.NOT_ASKED.value).inc(told.not_asked)
    metrics.panel_tokens.labels(panel.name).inc(told.tokens)
    if told.money is not None:
        metrics.panel_money.labels(panel.name).inc(told.money)
    for each in ended.asked:
        if each.reply is None and each.state is not RequestState.NOT_ASKED:
            reason = each.failure.failure.value if each.failure else each.state.value
            metrics.upstream_failures.labels(panel.name, each.upstream, reason).inc()


def _in_common(asked: Asked, panel: Panel, consensus: Consensus) -> dict[str, Any]:
    """The fields that both kinds of completion have."""
    return {
        "created": int(time.time()),
        "model": panel.name,
        "system_fingerprint": panel.fingerprint,
        "usage": usage_of(consensus),
        "consensus": describe_consensus(
            panel, consensus, [*asked.warnings, *_of_samples(asked, panel)], answers=asked.consensus.answers
        ),
    }


def _written(asked: Asked, answer: Completion) -> Iterator[str]:
    """The events of a stream, as the API has them that was asked."""
    if isinstance(answer, PanelResponse):
        return events_of(answer)
    return chunks(answer, include_usage=asked.stream_options is not None and asked.stream_options.include_usage)


def _of_samples(asked: Asked, panel: Panel) -> list[str]:
    """Samples at temperature 0 are the same answer several times, and would pass for agreement."""
    if panel.samples == 1 or asked.temperature != 0:
        return []
    return [f"temperature 0 makes the {panel.samples} samples of an upstream alike: their agreement tells nothing"]


async def _sent(  # noqa: PLR0917 - what the routes have
    asked: Asked,
    request: Request,
    context: ApiContext,
    panel: Panel,
    caller: PanelCaller | None,
    made: Callable[[Consensus], Completion],
) -> Response:
    """The answer as a whole, or in chunks where the request asks for a stream."""
    work = _consensus(asked, context, panel, caller, depth_of(request))
    if not asked.stream:
        # Comparing JSON field by field may take long: others are served meanwhile.
        answer = await run_in_threadpool(made, (await while_connected(request, work)).result())
        headers = {"Cache-Control": "no-store", **_decided(answer.consensus)}
        return Response(answer.model_dump_json(), media_type="application/json", headers=headers)
    silence = context.options.heartbeat_seconds
    working = await while_connected(request, work, seconds=silence)
    headers = STREAM_HEADERS
    if working.done():  # what failed early has its own status, and what was decided its headers
        headers = STREAM_HEADERS | _decided((await run_in_threadpool(made, working.result())).consensus)
    events = _events(working, lambda consensus: list(_written(asked, made(consensus))), request, silence)
    return StreamingResponse(events, media_type=EVENT_STREAM, headers=headers)


def _decided(told: ConsensusTold) -> dict[str, str]:
    """For clients that show no field that OpenAI's API has not."""
    abstained = {} if told.abstention is None else {"X-Consensus-Abstention": told.abstention}
    return {"X-Consensus-Confidence": f"{told.confidence:.3f}", **abstained}


async def _events(
    working: "asyncio.Task[Consensus]",
    written: Callable[[Consensus], list[str]],
    request: Request,
    silence_seconds: float,
) -> AsyncIterator[str]:
    """Comments until there is a decision, then what is written of it; an error in the envelope where it came too late."""
    try:
        while not working.done():
            yield STILL_DECIDING
            await asyncio.wait({working}, timeout=silence_seconds)
        try:
            events = await run_in_threadpool(written, working.result())
        except Exception as error:  # noqa: BLE001 - nothing may leave in another shape
            events = list(failed(bytes(enveloped(request, error).body).decode()))
        for event in events:  # they stand ready: a thread for each would only cost time
            yield event
    finally:
        working.cancel()
