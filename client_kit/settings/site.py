"""What one site has and does (`SiteSettings`), and as a participant of a federation (`ParticipantSettings`)."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from client_kit.settings.base import LocalPath, Settings
from client_kit.settings.generators import TRAINABLE, GeneratorSettings
from client_kit.settings.trainers import TrainerSettings


class SamplingSettings(Settings):
    """How answers are drawn. Temperature 0 is greedy."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 takes the likeliest token each time."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Tokens are drawn from the likeliest ones that together have this probability."""
    max_tokens: Annotated[int, Field(ge=1)] = 256
    """Longest answer, in tokens of the participant's model; a longer one is cut."""
    samples: Annotated[int, Field(ge=1)] = 1
    """Answers per prompt; the federation says how many it admits."""
    stop: tuple[str, ...] = ()
    """Texts at which an answer ends; they are not part of it."""


class SpendingSettings(Settings):
    """What answers cost, and how much they may. Counted over all rounds, by the tokens that the endpoint reports."""

    prompt_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Of a million tokens read."""
    completion_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Of a million tokens written."""
    currency: str = "USD"
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Most money; nothing is asked that could exceed it."""
    limit_tokens: Annotated[int, Field(gt=0)] | None = None
    """Most tokens, read and written together."""

    @model_validator(mode="after")
    def _a_limit_needs_a_price(self) -> Self:
        if self.limit is not None and not (self.prompt_price or self.completion_price):
            raise ValueError("a limit in money needs prices: set prompt_price and completion_price, or limit_tokens")
        return self


NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class MixingSettings(Settings):
    """How private data and pseudo-labels share a training.

    `ratio`, `weight` and `minimum_confidence` may be lists: the first value is for the pseudo-labels of round 1, the
    next for those of round 2, the last for all later ones.
    """

    ratio: NotNegative | Annotated[tuple[NotNegative, ...], Field(min_length=1)] | None = 1.0
    """Pseudo-labelled examples drawn per private example; null takes each pseudo-label once."""
    weight: NotNegative | Annotated[tuple[NotNegative, ...], Field(min_length=1)] = 1.0
    """Factor on the loss of pseudo-labelled examples."""
    by_confidence: bool = True
    """Weight each pseudo-label by its confidence."""
    minimum_confidence: Share | Annotated[tuple[Share, ...], Field(min_length=1)] = 0.0
    """Pseudo-labels of lower confidence are left out."""
    replay: Share = 1.0
    """Share of the private examples that take part in trainings after the first, drawn anew for each: what is not
    replayed is forgotten sooner."""


class ValidationSettings(Settings):
    """Private examples that are held out, to see whether a training did good."""

    share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the distinct private prompts that is never trained on; 0 holds none out."""
    return_margin: Annotated[float, Field(gt=0)] | None = None
    """A training after which the loss on them is higher than the lowest so far by more than this share of it is
    discarded: the site goes on from the model before it. When not set, no training is."""

    @model_validator(mode="after")
    def _a_margin_needs_examples(self) -> Self:
        if self.return_margin is not None and self.share == 0:
            raise ValueError("'return_margin' compares losses on held-out examples; set 'share' above 0")
        return self


class CollapseSettings(Settings):
    """When the variety of a site's own answers is watched with alarm. Each figure is compared with the first round's."""

    distinct_floor: Share = 0.5
    """Alarm when the share of distinct pairs of words falls below this share of its first value."""
    overlap_rise: Share = 0.25
    """Alarm when the mean overlap of the words of answers to different prompts rises by more than this."""
    identical_rise: Share = 0.25
    """Alarm when the share of answers that also stand under another prompt rises by more than this."""
    stop_after: Annotated[int, Field(ge=1)] | None = None
    """Rounds in a row with an alarm after which the site stops before it submits; when not set, it only warns."""
    gold: LocalPath | None = None
    """JSONL with `prompt_id` and `answer`, for public prompts whose right answer the site knows: the journal then has
    the precision of the pseudo-labels by support."""


PiiAction = Literal["block", "mask", "ask"]


class PiiSettings(Settings):
    """What personal data is looked for in answers before they leave, and what is done about it."""

    find: Annotated[str, Field(min_length=1)] = "patterns"
    """`patterns` (e-mail, telephone, IBAN, card and IP), `presidio` (extra `pii`), or a function of your own, `package.module.function`:
    from a text to (start, end, kind) of each finding."""
    action: PiiAction = "mask"
    """`mask` writes `<EMAIL>` in its place, `block` leaves out the answer, `ask` has a person [approve](what-leaves.md#approval) the round."""
    language: str = "en"
    """For `presidio`: two letters."""


def _bare_digest(given: str) -> str:
    """`sha256:4f1c...` or the digits alone."""
    return given.removeprefix("sha256:").lower()


Sha256 = Annotated[str, BeforeValidator(_bare_digest), Field(pattern=r"^[0-9a-f]{64}$")]


class ApprovedSettings(Settings):
    """What the server must present, by digest, before anything is answered; `consensus approve federation --show` prints both."""

    prompt_set: Sha256 | None = None
    """SHA-256 of the prompt set, 64 hexadecimal digits, with or without `sha256:` before them; when not set, any."""
    policy: Sha256 | None = None
    """SHA-256 of the policy, likewise."""


class SlotSettings(Settings):
    """A limit on how many participants of one machine compute at the same time."""

    folder: LocalPath
    count: Annotated[int, Field(ge=1)]


class SiteSettings(Settings):
    """What one site has and does, wherever the federation is."""

    generator: GeneratorSettings
    trainer: TrainerSettings
    private: LocalPath | None = None
    """Examples to train on, as `client_kit.training.dataset.load_examples` reads them: JSONL with `prompt` and
    `completion`, chat messages or Alpaca rows, also CSV and parquet. Never leaves the site."""
    evaluation: LocalPath | None = None
    """JSONL with `prompt_id` and `prompt`, answered before the first and after every training; answers stay in `work`."""
    sampling: SamplingSettings = SamplingSettings()
    spending: SpendingSettings = SpendingSettings()
    """For generators `openai` and `vllm_server`."""
    training_rights: bool = False
    """You state: the model's licence, and the terms of who runs it, let others train on its answers."""
    witness: bool | None = None
    """The model that answers is trained on private data alone, and a student made from it, private data and pseudo-labels is
    what the site keeps; false: one model does both. When not set, true for trainers `sft` and `dpo`. With `dp` each student
    made anew would spend privacy budget again."""
    finish_witness: bool = False
    """As long as a training of the witness lowers its loss on the held-out private examples by 1% or more, it trains on after
    the round, for `first_steps`, and answers anew in the next."""
    mixing: MixingSettings = MixingSettings()
    validation: ValidationSettings = ValidationSettings()
    collapse: CollapseSettings = CollapseSettings()
    pii: PiiSettings | None = None
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads of numeric libraries; theirs when not set."""

    @model_validator(mode="after")
    def _training_needs_a_model_and_data(self) -> Self:
        kind = self.trainer.kind
        if kind != "none" and self.generator.kind not in TRAINABLE:
            raise ValueError(
                f"trainer '{kind}' fine-tunes the model of generator {', '.join(map(repr, TRAINABLE[:-1]))} or "
                f"{TRAINABLE[-1]!r}; with another generator write trainer: {{kind: none}}"
            )
        if kind != "none" and self.private is None:
            raise ValueError(f"trainer '{kind}' needs private data: set 'private' to a JSONL file")
        return self

    @property
    def has_witness(self) -> bool:
        """Whether there is a witness: as set, else where training in portions is possible and costs no privacy."""
        return self.trainer.kind in {"sft", "dpo"} if self.witness is None else self.witness

    @model_validator(mode="after")
    def _a_witness_can_be_trained(self) -> Self:
        if self.witness and self.trainer.kind not in {"sft", "dpo"}:
            raise ValueError(
                f"witness: true needs trainer sft or dpo, and this one is '{self.trainer.kind}'; remove witness"
            )
        if self.finish_witness and not (self.has_witness and self.validation.share):
            raise ValueError("finish_witness judges a witness by held-out private examples; set validation.share too")
        return self

    @model_validator(mode="after")
    def _reft_answers_through_transformers(self) -> Self:
        if getattr(self.trainer, "method", None) == "reft" and self.generator.kind != "transformers":
            raise ValueError(
                f"generator '{self.generator.kind}' cannot answer with method reft: vLLM loads LoRA adapters at run time, and "
                "ReFT's edits of hidden states are none; take generator kind: transformers. (In scripts of your own, "
                "client_kit.training.reft.vllm_worker edits them inside vLLM, experimentally.)"
            )
        return self

    @model_validator(mode="after")
    def _vllm_takes_no_dora(self) -> Self:
        if getattr(self.trainer, "method", None) == "dora" and self.generator.kind in {"vllm", "vllm_server"}:
            raise ValueError(
                f"generator '{self.generator.kind}' cannot answer with method dora: vLLM refuses adapters with DoRA's "
                "magnitudes; take method: lora, or generator kind: transformers"
            )
        return self

    @model_validator(mode="after")
    def _privacy_is_not_undone(self) -> Self:
        """What the bound does not cover is refused."""
        if self.trainer.kind != "dp":
            return self
        if self.validation.return_margin is not None:
            raise ValueError(
                "trainer 'dp' bounds what a training reveals; to choose a checkpoint by private examples reveals more. "
                "Remove validation.return_margin"
            )
        if self.mixing.replay != 1:
            raise ValueError(
                "trainer 'dp' draws private examples itself, and its bound counts on all; set mixing.replay to 1"
            )
        return self

    @model_validator(mode="after")
    def _evaluations_have_examples(self) -> Self:
        if getattr(self.trainer, "evaluate_steps", None) is not None and self.validation.share == 0:
            raise ValueError("trainer.evaluate_steps evaluates on held-out private examples; set validation.share too")
        return self


class ParticipantSettings(SiteSettings):
    """One participant of one federation: `consensus join participant.yaml`."""

    server: str
    """URL of the consensus server."""
    federation: str
    token_env: str | None = None
    """Environment variable that holds the participant's token."""
    token_file: LocalPath | None = None
    """File that holds it."""
    signing_key_file: LocalPath | None = None
    """File of the key that signs this site's seals (`consensus key new`). It is made when missing, and registered when the
    participant has none. Keep a copy: a lost key is replaced only with the operator's help."""
    server_key: Annotated[str, Field(pattern="^(first|[0-9a-f]{64})$")] | None = None
    """Only pseudo-labels of rounds that the server of this public key signed are taken; `first`: of the key that it shows when
    this site first asks, which is kept in `work`. When not set, signatures are not looked at."""
    work: LocalPath
    """Folder for the journal, checkpoints and exports; created when missing."""
    rounds: Annotated[int, Field(ge=1)]
    """Rounds to take part in; training follows the last one."""
    patience_seconds: Annotated[float, Field(gt=0)] = 172_800.0
    """Longest wait for a round to open or to be published, in seconds."""
    slots: SlotSettings | None = None
    approve: bool = False
    """Each round waits for a person at this site, who sees what would leave and approves it (`consensus approve`)."""
    approved: ApprovedSettings | None = None
    """Where not set, what `consensus approve federation` has written to `approved.json` in `work`, if anything."""
    egress: LocalPath | None = None
    """The record of every request that leaves the site; when not set, CONSENSUS_EGRESS or `egress.jsonl` in `work`."""

    @model_validator(mode="after")
    def _privacy_covers_all_trainings(self) -> Self:
        if self.trainer.kind == "dp":
            needed = sum(self.trainer.steps_of(stage) for stage in range(1, self.rounds + 2))
            if self.trainer.planned_steps < needed:
                raise ValueError(
                    f"trainer.planned_steps is {self.trainer.planned_steps}, and {self.rounds} rounds take {needed} steps "
                    f"in {self.rounds + 1} trainings; set planned_steps to {needed} or more"
                )
        return self

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError("name the token's source: either 'token_env' or 'token_file'")
        return self
