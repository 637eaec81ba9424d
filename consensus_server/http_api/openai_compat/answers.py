"""What a client of OpenAI's API gets from here: its ordinary objects, and one field more, `consensus`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class AnswerModel(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class TokenUsage(AnswerModel):
    """Tokens of all upstreams that answered, each counted with its own tokenizer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class UpstreamTold(AnswerModel):
    """What became of one upstream's answer."""

    name: str
    sample: int
    """Which of its answers to one question."""
    standing: Literal["answered", "refused", "failed", "late", "not_asked"]
    latency_seconds: float
    reason: str | None = None
    """Why it failed."""
    detail: str | None = None
    """Where its answer is not of the form that was asked for."""
    cluster: int | None = None
    """Index into `clusters`."""
    gate: str | None = None
    """What kept its answer out of the pool."""
    similarity: float | None = None
    """Cosine to the answer that was chosen, -1..1."""
    chosen: bool = False
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    answer: str | None = None
    """Where the request asked for it (`consensus.answers`)."""


class ClusterTold(AnswerModel):
    """One meaning."""

    upstreams: list[str]
    votes: float
    share: float
    """Its part of all votes, 0..1."""


class ContestTold(AnswerModel):
    """Two meanings that contradict one another."""

    clusters: tuple[int, int]
    """Indices into `clusters`."""
    votes: tuple[float, float]
    words: tuple[str, str]
    """The deciding words of an answer of each."""
    kind: str
    """What differs; docs/contradictions.md has the kinds."""
    strength: float
    """From .6 on the two cannot both be right; below they may."""


class ContestedValue(AnswerModel):
    """What some meanings have in one place."""

    clusters: list[int]
    """Indices into `clusters`."""
    votes: float
    missing: bool = False
    """Whether they have nothing there."""
    value: JsonValue = None


class ContestedField(AnswerModel):
    """A part of the answer in which meanings differ."""

    path: str
    """JSON pointer (RFC 6901); empty for the whole."""
    values: list[ContestedValue]
    """Most votes first."""


class ChoiceTold(AnswerModel):
    """How one choice was decided; the words are those of a round's pseudo-label."""

    index: int
    abstention: str | None
    """Why there is no answer; null where there is one."""
    confidence: float
    """0..1; no probability of being right."""
    confidence_method: str
    support: float
    """Votes of the upstreams whose answer means the same."""
    share: float
    clusters: list[ClusterTold]
    """Most votes first."""
    contested: list[ContestTold]
    """The strongest difference between every two clusters that contradict one another."""
    contested_fields: list[ContestedField] = []
    """Where JSON or calls of tools are compared: the parts in which the meanings differ, at most 50."""
    fallback: str | None
    """Upstream that answers in place of the panel; null: the panel answers, or abstains."""
    upstreams: list[UpstreamTold]
    reliabilities: dict[str, float]
    """How far each upstream was trusted, -1..1, by what the panel remembers of it; empty without a memory."""


class MemoryTold(AnswerModel):
    """What the panel remembered when the question began."""

    upstreams: int
    """Of how many upstreams it knew how they stood on past questions."""
    unused: Literal["another_encoder", "unavailable"] | None
    """Why it decided without a memory: all of it is by another encoder, or the database did not answer in time."""


class TimingsTold(AnswerModel):
    """Seconds of wall time."""

    waiting_seconds: float
    """For the upstreams."""
    encoding_seconds: float
    deciding_seconds: float


class SpendingTold(AnswerModel):
    """What the answer cost, and what was saved."""

    requests: int
    """To upstreams, those that failed or came late too."""
    not_asked: int
    """Requests that asking everybody would have made."""
    tokens: int
    """Prompt and completion tokens; of a reply that nobody counted, and of one that came late, what was reserved for it."""
    money: float | None
    """By the prices in the panels file; null where an upstream of the panel has none."""


class ConsensusTold(AnswerModel):
    """How the panel came to its answer. The first choice's fields stand on top, where most clients look."""

    panel: str
    rule: str
    encoder: str
    """Digest of the encoder's identity."""
    abstention: str | None
    confidence: float
    confidence_method: str
    support: float
    share: float
    contested: list[ContestTold]
    contested_fields: list[ContestedField] = []
    fallback: str | None
    choices: list[ChoiceTold]
    spending: SpendingTold
    memory: MemoryTold | None
    """Null where the panel has none."""
    timings: TimingsTold
    warnings: list[str]
    """What the request said and has no effect."""


class CalledFunction(AnswerModel):
    """A function, and what it is to be called with."""

    name: str
    arguments: str
    """JSON, as the chosen upstream wrote it."""


class CalledTool(AnswerModel):
    """What the panel wants called."""

    id: str
    """The chosen upstream's."""
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(AnswerModel):
    """The answer of the panel."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    """Null where the panel abstains, unless the request or the panel wants the reason as text."""
    refusal: str | None = None
    """Why the panel abstains."""
    tool_calls: Annotated[list[CalledTool] | None, Field(exclude_if=lambda value: value is None)] = None
    """Of the chosen upstream, word for word."""


class ChatChoice(AnswerModel):
    """One decision."""

    index: int
    message: AssistantMessage
    finish_reason: Literal["stop", "length", "content_filter", "tool_calls"]
    """As the chosen upstream ended; `content_filter` where the panel abstains: an answer was withheld."""
    logprobs: None = None


class ChatCompletion(AnswerModel):
    """Answer to `POST /v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: TokenUsage
    consensus: ConsensusTold


class TextChoice(AnswerModel):
    """One decision, as a bare text."""

    index: int
    text: str
    """Empty where the panel abstains, unless the request or the panel wants the reason as text."""
    finish_reason: Literal["stop", "length", "content_filter"]
    logprobs: None = None


class TextCompletion(AnswerModel):
    """Answer to `POST /v1/completions`."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: TokenUsage
    consensus: ConsensusTold


class Model(AnswerModel):
    """A panel, as OpenAI's API describes a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(AnswerModel):
    """The panels that the token may use."""

    object: Literal["list"] = "list"
    data: list[Model]


class ErrorTold(AnswerModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    """The field of the request that is at fault."""
    code: str
    """Stable; the table stands in docs/inference.md."""
    request_id: str | None = None
    upstreams: list[UpstreamTold] | None = None
    """Where a quorum was missed: what became of each."""


class ErrorEnvelope(AnswerModel):
    """Body of every error on these routes."""

    error: ErrorTold
